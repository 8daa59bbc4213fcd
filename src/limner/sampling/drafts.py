"""Best of many: candidates are drawn in batches, decoded, scored, and only the best are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from limner.sampling.generate import Candidate, Codes, draw_codes, most_pictures
from limner.sampling.rank import Best, ClipScorer, Ranking
from limner.sampling.settings import SamplingSettings
from limner.sampling.studio import Studio

T = TypeVar("T")


class Drafts(Generic[T]):
    """Candidates ``numbers`` of one caption and seed. Iterating draws; each turn gives how many are done.

    ``best`` gives the best so far, at any time: what ``make`` makes of score (None where nothing ranks), number and
    codes (N,). ``facts`` is what all of them have in common. Raises InputError: a caption that is too long.
    """

    def __init__(
        self,
        studio: Studio,
        caption: str,
        numbers: Sequence[int],
        *,
        count: int,
        seed: int,
        settings: SamplingSettings,
        ranking: Ranking | None,
        make: Callable[[float | None, int, np.ndarray], T],
        facts: Mapping[str, Any] | None = None,
        cut: bool = False,
    ) -> None:
        self.facts = dict(facts or {})
        self.total, self.done = len(numbers), 0
        self._studio, self._numbers, self._seed = studio, numbers, seed
        self._settings, self._ranking, self._make = settings, ranking, make
        self._best: Best[np.ndarray] = Best(count)
        # Refused now if it is too long, read only when it is its turn: many drafts may wait.
        self._caption, self._ids = caption, studio.ids([caption, ""], cut)

    def best(self) -> list[T]:
        """The best of what is drawn, best first."""
        ranked = self._ranking is not None
        return [self._make(score if ranked else None, number, codes) for score, number, codes in self._best.kept]

    def __iter__(self) -> Iterator[int]:
        at_once, step = most_pictures(self._settings), self._studio.step
        context = step.read(self._ids[0])
        empty = None if self._settings.guidance == 1.0 else step.read(self._ids[1])
        scorer = self._studio.scorer(self._caption, self._ranking)
        for start in range(0, self.total, at_once):
            numbers = self._numbers[start : start + at_once]
            drawn = draw_codes(
                step,
                [Candidate(context, self._seed, number) for number in numbers],
                self._settings,
                empty=empty,
                likelihood=self._ranking is not None and self._ranking.likelihood > 0,
            )
            self._best.offer(zip(self._scores(drawn, scorer), numbers, drawn.codes.cpu().numpy(), strict=True))
            self.done = start + len(numbers)
            yield self.done

    def _scores(self, drawn: Codes, scorer: ClipScorer | None) -> list[float]:
        if self._ranking is None:
            return [0.0] * len(drawn.codes)
        cosines = None if scorer is None else scorer.cosines(self._studio.decode(drawn.codes))
        per_token = drawn.nats / drawn.codes.shape[1]
        scores: list[float] = self._ranking.scores(cosines, per_token).tolist()
        return scores
