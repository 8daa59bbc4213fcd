"""How a picture becomes a model's pixels, bit for bit as the owners of public CLIP checkpoints do it.

OpenAI (``clip.py``, ``_transform``) resizes and crops in the picture's own mode and converts to RGB last: palette and
1-bit pictures are resized by nearest neighbour (Pillow's rule), alpha is premultiplied meanwhile and then dropped.
transformers converts first. Nobody turns a picture by its EXIF orientation; ``exif`` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageOps

from limner.errors import PictureError, RecipeError

if TYPE_CHECKING:
    import torch

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
LARGEST = 16384
"""Longest side in pixels that a model may ask for."""
RESIZED_PIXELS = 128 << 20
"""A picture of 1 × 60,000 pixels would have billions once its short side is a model's."""


@dataclass(frozen=True)
class Preprocessing:
    """The steps from a picture to pixels; the defaults are OpenAI's for CLIP.

    ``size``: height and width of the result. ``resize``: ``shortest`` side to ``size`` and a crop from the centre;
    ``longest`` side to ``size`` and the rest filled with ``fill``; ``squash`` to ``size``, shape lost; ``none``.
    ``resize_to``: another size to resize to before the crop (a number for ``shortest``, height and width for
    ``squash``). ``convention``: ``openai`` (open_clip too) converts to RGB last, the crop's offset is rounded with
    halves to even; ``transformers_4`` converts first, drops alpha and rounds down; ``transformers_5`` lays alpha on
    white.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    resize: Literal["shortest", "longest", "squash", "none"] = "shortest"
    resize_to: int | tuple[int, int] | None = None
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"] = "bicubic"
    fill: int = 0
    convention: Literal["openai", "transformers_4", "transformers_5"] = "openai"
    exif: bool = False

    def __post_init__(self) -> None:
        sides = self.resize_to if isinstance(self.resize_to, tuple) else (self.resize_to or 1,)
        for name, side in [*(("size", s) for s in self.size), *(("resize_to", s) for s in sides)]:
            if not 1 <= side <= LARGEST:
                raise RecipeError(f"preprocessing.{name}: expected 1 to {LARGEST} pixels, got {side}")
        if not all(math.isfinite(m) for m in self.mean):
            raise RecipeError(f"preprocessing.mean: expected finite numbers, got {self.mean}")
        if not all(0 < s < math.inf for s in self.std):
            raise RecipeError(f"preprocessing.std: expected numbers above 0, got {self.std}")
        if not 0 <= self.fill <= 255:
            raise RecipeError(f"preprocessing.fill: expected a grey of 0 to 255, got {self.fill}")

    def uint8(self, picture: Image.Image) -> np.ndarray:
        """The resized, cropped picture as bytes: uint8 (H, W, 3). Raises PictureError."""
        if min(picture.size) < 1:
            raise PictureError(f"picture: expected at least 1 × 1 pixels, got {picture.width} × {picture.height}")
        if self.exif:
            picture = ImageOps.exif_transpose(picture)
        if self.convention != "openai":
            picture = _rgb_first(picture, on_white=self.convention == "transformers_5")
        picture = self._crop(self._resize(picture))
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        """The picture as the model's pixels: float32 (3, H, W), normalised. Raises PictureError."""
        import torch

        pixels: np.ndarray = self.uint8(picture).astype(np.float32) / np.float32(255)
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def _resize(self, picture: Image.Image) -> Image.Image:
        if self.resize == "none":
            return picture
        width, height = picture.size
        target = self.resize_to if isinstance(self.resize_to, tuple) else self.size
        method = self.interpolation
        if self.resize == "squash":
            new = (target[1], target[0])
        elif self.resize == "shortest" and (isinstance(self.resize_to, int) or target[0] == target[1]):
            side, short = self.resize_to if isinstance(self.resize_to, int) else target[0], min(width, height)
            new = (side, int(side * height / width)) if width == short else (int(side * width / height), side)
        else:
            # open_clip: one ratio for both sides, rounded; and bicubic, whatever was asked, where a crop follows.
            choose = max if self.resize == "longest" else min
            ratio = choose(height / target[0], width / target[1])
            new = (max(1, round(width / ratio)), max(1, round(height / ratio)))
            method = self.interpolation if self.resize == "longest" else "bicubic"
        if new[0] * new[1] > RESIZED_PIXELS:
            raise PictureError(
                f"picture: expected a shape that the model's {self.size[0]} × {self.size[1]} pixels can be cut from, "
                f"got {width} × {height}, which would be {new[0]} × {new[1]}; crop it first"
            )
        return picture if new == picture.size else picture.resize(new, Image.Resampling[method.upper()])

    def _crop(self, picture: Image.Image) -> Image.Image:
        height, width = self.size
        if picture.width < width or picture.height < height:
            picture = self._pad(picture, max(width, picture.width), max(height, picture.height))
        if picture.size == (width, height):
            return picture
        margins = picture.width - width, picture.height - height
        left, top = (round(m / 2) if self.convention == "openai" else m // 2 for m in margins)
        return picture.crop((left, top, left + width, top + height))

    def _pad(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        left, top = width - picture.width, height - picture.height
        up = self.convention == "transformers_5"  # which half of an odd rest comes first
        left, top = (left + up) // 2, (top + up) // 2
        bands = len(picture.getbands())
        canvas = Image.new(picture.mode, (width, height), self.fill if bands == 1 else (self.fill,) * bands)
        if picture.mode == "P":
            canvas.putpalette(picture.getpalette() or [])
        canvas.paste(picture, (left, top))
        return canvas


def _rgb_first(picture: Image.Image, *, on_white: bool) -> Image.Image:
    if on_white and ("A" in picture.getbands() or picture.info.get("transparency") is not None):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
