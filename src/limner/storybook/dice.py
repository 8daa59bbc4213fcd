"""Seeded choices that are the same on every machine and every Python.

Only ``random.Random.random`` is used below: it is the one method whose sequence Python promises to keep.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of choices from any number of integers and words."""

    def __init__(self, *seeds: int | str) -> None:
        digest = hashlib.sha256("\x1f".join(map(str, seeds)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:16], "big")).random

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        return self._random()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self._random()

    def below(self, count: int) -> int:
        """A whole number in 0 … count − 1."""
        return int(self._random() * count)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self._random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all alike."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """``count`` different options, in random order."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]
