"""The rim around a sticker."""

from __future__ import annotations

import numpy as np


def rimmed(alpha: np.ndarray, reach: int, edge: int) -> np.ndarray:
    """What lies under a sticker: uint8 (H, W, 4), colours multiplied by their opacity.

    ``alpha``: the sticker's opacity, uint8 (H, W). It is white within ``reach`` pixels of the sticker, around that
    there is a line in the grey ``edge`` (0–255), and nothing beyond.
    """
    inside = _grown(alpha, reach)
    outside = _grown(inside, max(1, reach // 3))
    under = np.empty((*alpha.shape, 4), np.uint8)
    grey = inside + (outside - inside).astype(np.uint16) * edge // 255
    for channel in range(3):
        under[..., channel] = grey
    under[..., 3] = outside
    return under


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """The greatest value within ``reach`` of each pixel, in an octagon."""
    corner = reach * 2 // 5
    for _ in range(reach - corner):
        mask = _pushed(_pushed(mask, 0), 1)
    for _ in range(corner):
        mask = np.maximum(_pushed(mask, 0), _pushed(mask, 1))
    return mask


def _pushed(mask: np.ndarray, axis: int) -> np.ndarray:
    """The greatest of each value and its two neighbours along an axis."""
    grown = mask.copy()
    if axis == 0:
        np.maximum(grown[1:], mask[:-1], out=grown[1:])
        np.maximum(grown[:-1], mask[1:], out=grown[:-1])
    else:
        np.maximum(grown[:, 1:], mask[:, :-1], out=grown[:, 1:])
        np.maximum(grown[:, :-1], mask[:, 1:], out=grown[:, :-1])
    return grown
