"""Crops of the papers, and pixels between bytes and floats. Every random choice comes from a generator handed in.

Sizes of the papers are written for 256 pixels (288 = 9/8, 384 = 3/2 of it) and kept in proportion at other sizes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.errors import InputError, PictureError

AREA, BICUBIC, NEAREST = Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.NEAREST


def dvae_crop(picture: Image.Image, size: int, random: np.random.Generator) -> np.ndarray:
    """A training crop for the dVAE, uint8 (size, size, 3) (DALL·E paper, appendix A, listing 1).

    A random square of the short side's length, area-resized to a side between 9/8 and 3/2 of ``size`` (or its own,
    where that is less), then a random crop of ``size``, flipped in half of the cases.
    """
    side = min(picture.size)
    left, top = (_integer(random, 0, slack) for slack in _slack(picture, side))
    target = _integer(random, min(side, round(size * 9 / 8)), min(side, round(size * 3 / 2)))
    pixels = _random_crop(_square(picture, left, top, side, max(target, size)), size, random)
    return np.ascontiguousarray(pixels[:, ::-1]) if random.random() < 0.5 else pixels


def dalle_crop(picture: Image.Image, size: int, random: np.random.Generator) -> np.ndarray:
    """A training crop for DALL·E, uint8 (size, size, 3) (DALL·E paper, appendix B, listing 2).

    A square of the short side's length from near the middle (offset between 3/8 and 5/8 of what is left over),
    area-resized to a side between ``size`` and 9/8 of it, then a random crop of ``size``; never flipped, for a flipped
    picture would belie "left of" and turn letters round.
    """
    side = min(picture.size)
    slack = _slack(picture, side)
    left, top = (_integer(random, 3 * s // 8, max(3 * s // 8, 5 * s // 8 - 1)) for s in slack)
    target = _integer(random, size, max(size, min(side, round(size * 9 / 8))))
    return _random_crop(_square(picture, left, top, side, target), size, random)


def clip_crop(picture: Image.Image, size: int, random: np.random.Generator) -> np.ndarray:
    """A training crop for CLIP, uint8 (size, size, 3): a random square of the picture resized to ``size`` on its short
    side by bicubic interpolation (CLIP paper, section 2.4: "a random square crop from resized images").
    """
    return _random_crop(_shortest_side(picture, size), size, random)


def centre_crop(picture: Image.Image, size: int) -> Image.Image:
    """The middle square of the picture resized to ``size`` on its short side, bicubic: how CLIP looks at a picture.

    The geometry is OpenAI's: the long side is cut off to whole pixels, offsets are rounded with halves to even. The
    mode (RGB, L, …) stays as it was.
    """
    resized = _shortest_side(picture, size)
    left, top = (round((extent - size) / 2) for extent in resized.size)
    return resized.crop((left, top, left + size, top + size))


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Bytes uint8 (…, H, W, 3) as float32 (…, 3, H, W) in [0, 1], contiguous."""
    if pictures.dtype != np.uint8 or pictures.ndim < 3 or pictures.shape[-1] != 3:
        raise InputError(f"pictures: expected uint8 (…, H, W, 3), got {pictures.dtype} {pictures.shape}")
    return np.ascontiguousarray(np.moveaxis(pictures, -1, -3), dtype=np.float32) / np.float32(255)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Floats (…, 3, H, W) in [0, 1] as bytes uint8 (…, H, W, 3), rounded; what lies outside is clipped."""
    pixels = np.asarray(pixels, dtype=np.float32)
    if pixels.ndim < 3 or pixels.shape[-3] != 3:
        raise InputError(f"pixels: expected (…, 3, H, W), got {pixels.shape}")
    return np.ascontiguousarray(np.moveaxis(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8), -3, -1))


def _slack(picture: Image.Image, side: int) -> tuple[int, int]:
    return picture.width - side, picture.height - side


def _integer(random: np.random.Generator, low: int, high: int) -> int:
    return int(random.integers(low, high, endpoint=True))


def _square(picture: Image.Image, left: int, top: int, side: int, target: int) -> Image.Image:
    # Area averaging only makes sense when shrinking; the papers dropped pictures smaller than the target.
    method = AREA if target <= side else BICUBIC
    return picture.resize((target, target), method, box=(left, top, left + side, top + side))


def _shortest_side(picture: Image.Image, size: int) -> Image.Image:
    width, height = picture.size
    short = min(width, height)
    if short < 1:
        raise PictureError(f"picture: expected at least 1 × 1 pixels, got {width} × {height}")
    if short == size:
        return picture
    # Pillow resizes 1-bit and palette pictures by nearest whatever is asked; OpenAI's CLIP inherits that.
    method = NEAREST if picture.mode in ("1", "P") else BICUBIC
    return picture.resize((int(size * width / short), int(size * height / short)), method)


def _random_crop(picture: Image.Image, size: int, random: np.random.Generator) -> np.ndarray:
    left, top = _integer(random, 0, picture.width - size), _integer(random, 0, picture.height - size)
    return np.array(picture.crop((left, top, left + size, top + size)).convert("RGB"))
