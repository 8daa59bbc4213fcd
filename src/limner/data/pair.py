"""A picture and its caption, and what every source of them answers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from limner.storybook.scene import Scene


@dataclass(frozen=True, slots=True)
class Pair:
    """One training sample.

    picture: uint8 (H, W, 3), RGB. key: a name that finds it again. scene: what a drawn picture shows, else None.
    codes: int64 (rows, columns) where image tokens were computed beforehand; the picture is then empty.
    """

    picture: np.ndarray
    caption: str
    key: str
    scene: Scene | None = None
    codes: np.ndarray | None = None


class Broken(NamedTuple):
    """A sample that could not be used: its name and the cause in a word or two (the journal counts by cause)."""

    name: str
    cause: str


class Source(Protocol):
    """An endless sequence of pairs, each a function of its position alone: that makes a run resumable exactly."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def count(self) -> int | None:
        """Pairs in one epoch; None where there is no end."""

    @property
    def unusable(self) -> tuple[Broken, ...]:
        """What was passed over when the source was opened."""

    @property
    def fingerprint(self) -> str:
        """Changes where the samples change, so that a run is not resumed on other data unawares."""

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The pair at ``position`` (0, 1, …). Samples passed over on the way are appended to ``broken``."""

    def bookmarks(self) -> dict[str, list[int]]:
        """Where reading has come to, for sources that cannot be entered anywhere; empty for all others."""

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        """Go on where ``bookmarks`` say."""

    def caption(self, position: int) -> str:
        """The caption at ``position`` alone, without the work of a picture (a tokenizer is trained on them)."""


def mixed(*numbers: int) -> int:
    """A 63-bit seed from several whole numbers, the same on every machine (SplitMix64's finaliser)."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFFFFFFFFFF)) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1
