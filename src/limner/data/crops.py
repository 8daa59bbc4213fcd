"""The papers' crops for each sample of a stream: seeded by the sample, quick where nothing is to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image

from limner.data.pair import mixed
from limner.pictures.transform import centre_crop, clip_crop, dalle_crop, dvae_crop

Kind = Literal["dvae", "dalle", "clip", "centre"]


@dataclass(frozen=True)
class Crop:
    """A square of ``size`` pixels out of a picture, as the paper of ``kind`` takes it (``pictures/transform.py``).

    Only ``dvae`` mirrors pictures. A square of the right size already is not resampled: a drawn scene, an emoji.
    """

    kind: Kind
    size: int

    def __call__(self, picture: np.ndarray, seed: int) -> np.ndarray:
        """uint8 (H, W, 3) → uint8 (size, size, 3); ``seed`` decides place, scale and mirroring."""
        if picture.shape[:2] == (self.size, self.size):
            return picture[:, ::-1] if self.kind == "dvae" and mixed(seed) & 1 else picture
        image = Image.fromarray(picture)
        if self.kind == "centre":
            return np.asarray(centre_crop(image, self.size))
        crop = {"dvae": dvae_crop, "dalle": dalle_crop, "clip": clip_crop}[self.kind]
        return crop(image, self.size, np.random.default_rng(seed))


def pixels_of(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, 3, H, W) → float32 in [0, 1], channels last in memory (faster convolutions)."""
    return pictures.to(torch.float32, memory_format=torch.channels_last).div_(255)
