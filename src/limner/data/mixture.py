"""Several sources with weights, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from limner.data.pair import Broken, Pair, Source
from limner.errors import DataError

CYCLE = 1000
"""Positions after which the pattern of sources repeats; weights are kept to a thousandth."""


@dataclass(frozen=True)
class Mixture:
    """Each position belongs to one of ``sources`` by a fixed pattern of exact shares; a source's own order is kept."""

    sources: tuple[Source, ...]
    weights: tuple[float, ...]
    seed: int = 0
    count: None = None

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.weights) or not all(w > 0 for w in self.weights):
            raise DataError(f"mixture: expected a weight above 0 for each source, got {list(self.weights)}")

    @property
    def name(self) -> str:
        """The sources' names."""
        return ", ".join(source.name for source in self.sources)

    @property
    def unusable(self) -> tuple[Broken, ...]:
        """What was passed over when the sources were opened."""
        return tuple(b for source in self.sources for b in source.unusable)

    @property
    def fingerprint(self) -> str:
        """Changes where a source does."""
        return " ".join(source.fingerprint for source in self.sources)

    @cached_property
    def _pattern(self) -> np.ndarray:
        order = np.repeat(np.arange(len(self.sources)), _shares(self.weights, CYCLE))
        return order[np.random.RandomState(self.seed & 0xFFFFFFFF).permutation(len(order))]

    @cached_property
    def _before(self) -> np.ndarray:
        """How many of the cycle's positions before each belong to each source: (sources, CYCLE + 1)."""
        hits = self._pattern[None, :] == np.arange(len(self.sources))[:, None]
        return np.concatenate([np.zeros((len(self.sources), 1), int), hits.cumsum(axis=1)], axis=1)

    def place(self, position: int) -> tuple[int, int]:
        """(which source, which of its positions)."""
        cycle, spot = divmod(position, CYCLE)
        source = int(self._pattern[spot])
        return source, int(cycle * self._before[source, -1] + self._before[source, spot])

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The pair at ``position``."""
        source, place = self.place(position)
        return self.sources[source].at(place, broken)

    def bookmarks(self) -> dict[str, list[int]]:
        """The sources' bookmarks, each under its number."""
        return {f"{i}/{name}": mark for i, s in enumerate(self.sources) for name, mark in s.bookmarks().items()}

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        """Hand each source its own."""
        for i, source in enumerate(self.sources):
            mine = {name.partition("/")[2]: mark for name, mark in bookmarks.items() if name.startswith(f"{i}/")}
            source.remember(mine)

    def caption(self, position: int) -> str:
        """The caption at ``position``."""
        source, place = self.place(position)
        return self.sources[source].caption(place)


def _shares(weights: Sequence[float], total: int) -> np.ndarray:
    """Whole numbers in the weights' proportion that sum to ``total``, at least one each (largest remainders)."""
    exact = np.array(weights, float) / sum(weights) * total
    shares = np.maximum(1, np.floor(exact).astype(int))
    for i in np.argsort(shares - exact, kind="stable")[: max(0, total - shares.sum())]:
        shares[i] += 1
    while shares.sum() > total:
        shares[shares.argmax()] -= 1
    return shares
