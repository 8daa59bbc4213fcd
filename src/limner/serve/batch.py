"""A batch that pictures join and leave at any token: every row at its own place, under its own caption and settings.

One row for each picture, a second one where the empty caption guides it. What a picture comes to depends on its
caption, settings, seed and number only (``sampling.step``: a row has the same bits in every batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from limner.sampling.choose import choose, uniforms
from limner.sampling.guide import guide, rows_per_picture
from limner.sampling.linear import MOST_ROWS
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import Context, Span, State, TokenStep


@dataclass(eq=False)
class Picture:
    """Number ``number`` of ``seed``, to be drawn from ``context``; ``codes`` int64 (N,), the first ``done`` drawn.

    ``empty`` is the empty caption's context where guidance is not 1. Equal captions should be the same context.
    """

    context: Context
    empty: Context | None
    settings: SamplingSettings
    seed: int
    number: int
    codes: np.ndarray = field(init=False)
    done: int = field(default=0, init=False)
    luck: list[float] = field(init=False)

    @property
    def rows(self) -> int:
        """Rows of the batch that it takes."""
        return rows_per_picture(self.settings)


class Batch:
    """Up to ``most`` rows that ``step`` draws token by token; not for several threads."""

    def __init__(self, step: TokenStep, most: int = MOST_ROWS) -> None:
        self.step, self.most = step, min(most, MOST_ROWS)
        self.pictures: list[Picture] = []
        self._logits = torch.empty(0)
        self._state: State | None = None
        # Pictures in the order of their rows; who stands in a row: (picture, whether it is the empty caption's).
        self._rows: list[tuple[Picture, bool]] = []

    @property
    def free(self) -> int:
        """Rows that are left."""
        return self.most - sum(picture.rows for picture in self.pictures)

    def join(self, pictures: Sequence[Picture]) -> None:
        """Take pictures in; the next ``tick`` draws their first token. There must be room."""
        assert sum(picture.rows for picture in pictures) <= self.free
        if not pictures:
            return
        N = self.step.layout.image
        for picture in pictures:
            picture.codes = np.zeros(N, dtype=np.int64)
            picture.luck = uniforms(picture.seed, [picture.number], N)[0].tolist()
        first = torch.stack([_first_logits(picture) for picture in pictures])
        self._logits = torch.cat([self._logits.to(first), first]) if self.pictures else first
        self.pictures = [*self.pictures, *pictures]

    def leave(self, pictures: Sequence[Picture]) -> None:
        """Let pictures go, finished or not; their rows are free at once."""
        gone = {id(picture) for picture in pictures}
        kept = [place for place, picture in enumerate(self.pictures) if id(picture) not in gone]
        if len(kept) < len(self.pictures):
            self._logits = self._logits[kept]
            self.pictures = [self.pictures[place] for place in kept]

    def tick(self) -> list[Picture]:
        """Draw one token of every picture; those that are whole leave, and are given back."""
        if not self.pictures:
            return []
        with torch.inference_mode():
            self._choose()
            whole = [picture for picture in self.pictures if picture.done == len(picture.codes)]
            self.leave(whole)
            self._advance()
        return whole

    def _choose(self) -> None:
        device = self.step.device
        luck = torch.tensor([picture.luck[picture.done] for picture in self.pictures], dtype=torch.float64).to(device)
        groups = self._by_settings()
        if len(groups) == 1:
            tokens = choose(self._logits, luck, next(iter(groups)))
        else:
            tokens = torch.empty(len(self.pictures), dtype=torch.int64, device=device)
            for settings, places in groups.items():
                tokens[places] = choose(self._logits[places], luck[places], settings)
        for picture, token in zip(self.pictures, tokens.tolist(), strict=True):
            picture.codes[picture.done] = token
            picture.done += 1

    def _by_settings(self) -> dict[SamplingSettings, list[int]]:
        groups: dict[SamplingSettings, list[int]] = {}
        for place, picture in enumerate(self.pictures):
            groups.setdefault(picture.settings, []).append(place)
        return groups

    def _advance(self) -> None:
        if not self.pictures:
            self._state, self._rows = None, []
            return
        state = self._arranged()
        position = torch.tensor([picture.done - 1 for picture, _ in self._rows], device=self.step.device)
        tokens = torch.tensor([int(picture.codes[picture.done - 1]) for picture, _ in self._rows]).to(self.step.device)
        logits = self.step.advance(state, tokens, position)
        row_of = {(id(picture), empty): row for row, (picture, empty) in enumerate(self._rows)}
        order = [row_of[id(picture), False] for picture in self.pictures]
        captioned = logits if order == list(range(len(logits))) else logits[order]
        for settings, places in self._by_settings().items():
            if settings.guidance != 1.0:
                empties = logits[[row_of[id(self.pictures[place]), True] for place in places]]
                captioned[places] = guide(torch.cat([captioned[places], empties]), settings)
        self._logits = captioned

    def _arranged(self) -> State:
        """The state with a row for whoever is here now, those of one caption together."""
        rows, spans = _arrange(self.pictures)
        before = {(id(picture), empty): row for row, (picture, empty) in enumerate(self._rows)}
        if self._state is None:
            self._state = self.step.begin(spans)
        elif rows != self._rows:
            # A new row begins on what another one left: its bias hides whatever it has not written itself.
            sources = [before.get((id(picture), empty), 0) for picture, empty in rows]
            spare = max(0, self.step.least - len(rows))
            self._state.reorder(torch.tensor([*sources, *[0] * spare], device=self.step.device))
            self._state.rows = len(rows) + spare
            self._state.spans = _spans(spans, self._state.rows)
        self._rows = rows
        return self._state


def _first_logits(picture: Picture) -> Tensor:
    if picture.empty is None:
        return picture.context.logits
    return guide(torch.stack([picture.context.logits, picture.empty.logits]), picture.settings)[0]


def _arrange(pictures: Sequence[Picture]) -> tuple[list[tuple[Picture, bool]], list[tuple[Context, int]]]:
    """Who stands in which row, and the contexts with their numbers of rows."""
    groups: dict[int, tuple[Context, list[tuple[Picture, bool]]]] = {}
    for picture in pictures:
        groups.setdefault(id(picture.context), (picture.context, []))[1].append((picture, False))
    for picture in pictures:
        if picture.empty is not None:
            groups.setdefault(id(picture.empty), (picture.empty, []))[1].append((picture, True))
    rows = [row for _, members in groups.values() for row in members]
    return rows, [(context, len(members)) for context, members in groups.values()]


def _spans(contexts: Sequence[tuple[Context, int]], rows: int) -> list[Span]:
    spans, start = [], 0
    for context, count in contexts:
        spans.append(Span(context, start, start + count))
        start += count
    spans[-1] = spans[-1]._replace(stop=rows)
    return spans
