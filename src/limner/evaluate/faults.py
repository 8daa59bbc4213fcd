"""Drawn pictures with faults that a half-trained painter makes: no caption is right, and the judge should know.

They are made in another way than those that the judge learned from, and of scenes that it has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from limner.storybook.deal import Dealt
from limner.storybook.draw import draw, layout
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.scene import Scene

SPLIT = {"colour": "two colours in one thing", "garment colour": "two colours in one garment", "kind": "half and half"}
"""Near misses of which the left half of every thing is drawn right, the right half as missed."""

Fault = tuple[str, np.ndarray, tuple[Scene, ...]]
"""A fault's name, the picture, and the captions that it must not be accepted for."""


def faults(dealt: Sequence[Dealt], seed: int = 0) -> Iterator[Fault]:
    """Every fault that each scene allows."""
    chance = np.random.default_rng(seed)
    for d in dealt:
        picture = draw(d.scene, seed=d.draw_seed)
        for name, missed in near_misses(d.scene, d.draw_seed):
            if name in SPLIT:
                other = draw(missed, seed=d.draw_seed)
                yield SPLIT[name], _halves(d, picture, other), (d.scene, missed)
        yield "a half missing", _half_missing(d, picture), (d.scene,)
        spotted = _spotted(d, picture, chance)
        if spotted is not None:
            yield "a spot of 14 pixels", spotted, (d.scene,)


def _pixels(d: Dealt, picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of each thing."""
    side = len(picture)
    return [
        (
            max(0, round((box.x - box.side / 2) * side)),
            max(0, round((box.y - box.side / 2) * side)),
            round((box.x + box.side / 2) * side) + 1,
            round((box.y + box.side / 2) * side) + 1,
        )
        for box in layout(d.scene, d.draw_seed).boxes
    ]


def _halves(d: Dealt, picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    mixed = picture.copy()
    for left, top, right, bottom in _pixels(d, picture):
        middle = (left + right) // 2
        mixed[top:bottom, middle:right] = other[top:bottom, middle:right]
    return mixed


def _half_missing(d: Dealt, picture: np.ndarray) -> np.ndarray:
    left, top, right, bottom = _pixels(d, picture)[0]
    broken = picture.copy()
    broken[top:bottom, left : (left + right) // 2] = picture[0, 0]
    return broken


def _spotted(d: Dealt, picture: np.ndarray, chance: np.random.Generator) -> np.ndarray | None:
    """A round spot of another thing's colour where there is room for it."""
    side, size = len(picture), 14
    rows, columns = np.mgrid[0:size, 0:size] - (size - 1) / 2
    round_ = rows**2 + columns**2 < (size / 2) ** 2
    for _ in range(40):
        x, y = chance.integers(0, side - size, 2)
        free = all(
            x + size < left - 2 or right + 2 < x or y + size < top - 2 or bottom + 2 < y
            for left, top, right, bottom in _pixels(d, picture)
        )
        if free:
            spotted = picture.copy()
            spotted[y : y + size, x : x + size][round_] = ((220, 40, 44), (44, 104, 216), (48, 46, 52))[x % 3]
            return spotted
    return None
