"""What looking asks of an engine: two towers, bytes and ids in, features out. Engines are handed in, not looked up."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from limner.models.clip.config import CLIPConfig


class Towers(Protocol):
    """A CLIP ready to look. Features are float32, before normalising."""

    @property
    def config(self) -> CLIPConfig:
        """Sizes and preprocessing."""
        ...

    @property
    def batch(self) -> int:
        """How many pictures, or short captions, are best given at once."""
        ...

    @property
    def alone(self) -> bool:
        """Whether the engine's threads wait for each other, so that other work on the cores holds all of them up."""
        ...

    @property
    def scale(self) -> float:
        """exp(logit_scale), what cosines are multiplied by."""
        ...

    @property
    def bias(self) -> float | None:
        """SigLIP's logit bias; None for a softmax CLIP."""
        ...

    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Resized and cropped pictures, uint8 (B, H, W, 3) → float32 (B, E)."""
        ...

    def texts(self, ids: np.ndarray) -> np.ndarray:
        """Rows of token ids, int64 (B, L ≤ context) → float32 (B, E)."""
        ...


class Tokens(Protocol):
    """What looking asks of a tokenizer; ``text.bytepairs`` and ``text.clip_bytepairs`` have it."""

    def clip_row(self, captions: list[str], context: int, *, cut: bool = False) -> np.ndarray:
        """Captions as rows (B, context) int64."""
        ...


def unit(features: np.ndarray) -> np.ndarray:
    """``features`` (…, E) at length 1, float32; a row of zeros stays."""
    length = np.linalg.norm(features.astype(np.float32, copy=False), axis=-1, keepdims=True)
    return np.asarray(features / np.maximum(length, np.float32(1e-12)), np.float32)
