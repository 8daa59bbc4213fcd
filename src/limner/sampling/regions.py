"""Regions of a picture: which pixels and which cells of the grid of codes are redrawn, and how the seam is blended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from limner.errors import InputError, expected


def pixel_mask(
    size: tuple[int, int], cell: int, *, region: Sequence[int] | None = None, mask: Any = None
) -> np.ndarray:
    """The pixels to redraw: bool (H, W), of a picture of ``size`` (width, height).

    Either ``region`` (left, top, right, bottom) in pixels, right and bottom not included, or ``mask``: a PIL picture or
    an array of that size in which everything but black (0) is redrawn. Raises InputError: neither or both, a region
    outside the picture, empty, or smaller than one cell of ``cell`` × ``cell`` pixels, a mask of another size.
    """
    if (region is None) == (mask is None):
        got = "neither" if mask is None else "both"
        raise InputError(f"edit: expected either a region or a mask, got {got}; give one of them")
    width, height = size
    if region is None:
        return _checked_mask(mask, size, cell)
    corners = "four whole numbers (left, top, right, bottom)"
    if isinstance(region, str) or not isinstance(region, Sequence) or len(region) != 4:
        raise InputError(expected("region", corners, repr(region)))
    if not all(isinstance(side, int) and not isinstance(side, bool) for side in region):
        raise InputError(expected("region", corners, repr(tuple(region))))
    left, top, right, bottom = region
    shown = f"({left}, {top}, {right}, {bottom})"
    if not (left >= 0 and top >= 0 and right <= width and bottom <= height):
        raise InputError(
            expected("region", f"corners within the picture of {width} × {height} pixels", shown, "move it inside")
        )
    if left >= right or top >= bottom:
        got = f"{shown}, which is empty"
        raise InputError(
            expected("region", "left < right and top < bottom", got, "right and bottom are the first pixels that stay")
        )
    if right - left < cell or bottom - top < cell:
        got = f"{right - left} × {bottom - top}"
        raise InputError(expected("region", f"at least one cell of {cell} × {cell} pixels", got, "make it larger"))
    wanted = np.zeros((height, width), dtype=bool)
    wanted[top:bottom, left:right] = True
    return wanted


def _checked_mask(mask: Any, size: tuple[int, int], cell: int) -> np.ndarray:
    if isinstance(mask, Image.Image):
        mask = np.asarray(mask.convert("L") if mask.mode != "1" else mask)
    mask = np.asarray(mask)
    if mask.ndim == 3:
        mask = mask.any(axis=2)
    if mask.ndim != 2 or mask.shape != (size[1], size[0]):
        got = " × ".join(map(str, mask.shape[1::-1])) if mask.ndim >= 2 else f"{mask.ndim} axes"
        raise InputError(
            expected("mask", f"the picture's size, {size[0]} × {size[1]}", got, "resize it, or give a region")
        )
    wanted = np.asarray(mask, dtype=bool)
    if not wanted.any():
        raise InputError(
            "mask: expected something to redraw (not black), got a mask that is all black; paint white what changes"
        )
    if wanted.sum() < cell * cell:
        got = f"{int(wanted.sum())} pixels"
        raise InputError(
            expected("mask", f"at least one cell of {cell} × {cell} pixels to redraw", got, "paint more of it white")
        )
    return wanted


def cells_of(wanted: np.ndarray, cell: int) -> np.ndarray:
    """The cells that hold a pixel to redraw: bool (H, W) → bool (rows, columns)."""
    H, W = wanted.shape
    return np.asarray(wanted.reshape(H // cell, cell, W // cell, cell).any(axis=(1, 3)))


def blend(before: np.ndarray, drawn: np.ndarray, wanted: np.ndarray, seam: int) -> np.ndarray:
    """``before`` outside ``wanted``, untouched; ``drawn`` inside, faded in over ``seam`` pixels from its border.

    Pictures uint8 (H, W, 3), ``wanted`` bool (H, W). The picture's own border is no seam.
    """
    share = fade(wanted, seam)[:, :, None]
    mixed = before.astype(np.float32) + share * (drawn.astype(np.float32) - before.astype(np.float32))
    return np.where(wanted[:, :, None], np.rint(mixed), before).astype(np.uint8)


def fade(wanted: np.ndarray, seam: int) -> np.ndarray:
    """float32 (H, W): 0 outside ``wanted``, from 1 / (seam + 1) at its border up to 1 at ``seam`` pixels inside."""
    total = wanted.astype(np.float32)
    inner = wanted
    for _ in range(seam):
        inner = _eroded(inner)
        total += inner
    return total / (seam + 1)


def _eroded(inside: np.ndarray) -> np.ndarray:
    around = np.pad(inside, 1, constant_values=True)
    return around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:] & inside


def random_rectangle(size: tuple[int, int], share: float, numbers: Sequence[float]) -> tuple[int, int, int, int]:
    """A rectangle of about ``share`` of a grid of ``size`` (columns, rows), from three uniform ``numbers``.

    Shape (1 : 2 to 2 : 1) and place are drawn. (left, top, right, bottom) in cells.
    """
    columns, rows = size
    aspect = 2.0 ** (2.0 * numbers[0] - 1.0)
    wide = min(columns, max(1, round(columns * (share * aspect) ** 0.5)))
    high = min(rows, max(1, round(share * columns * rows / wide)))
    left = int(numbers[1] * (columns - wide + 1))
    top = int(numbers[2] * (rows - high + 1))
    return left, top, left + wide, top + high
