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
from limner.sampling.context import Context, Span, State, Step
from limner.sampling.guide import guide, rows_per_picture
from limner.sampling.linear import MOST_ROWS
from limner.sampling.settings import SamplingSettings


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


Row = tuple[Picture, bool]
"""A picture, and whether this is the row of the empty caption that guides it."""


class Batch:
    """Up to ``most`` rows that ``step`` draws token by token; not for several threads."""

    def __init__(self, step: Step, most: int = MOST_ROWS) -> None:
        self.step, self.most = step, min(most, MOST_ROWS)
        self.pictures: list[Picture] = []
        self._logits = torch.empty(0)
        self._state: State | None = None
        # Who stands in each row of the state: (picture, whether it is the empty caption's), None where nobody does.
        self._rows: list[Row | None] = []
        self._wasted = 0.0

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
        place = [0 if row is None else row[0].done - 1 for row in self._rows]
        token = [0 if row is None else int(row[0].codes[row[0].done - 1]) for row in self._rows]
        device = self.step.device
        logits = self.step.advance(state, torch.tensor(token, device=device), torch.tensor(place, device=device))
        row_of = {(id(row[0]), row[1]): at for at, row in enumerate(self._rows) if row is not None}
        order = [row_of[id(picture), False] for picture in self.pictures]
        captioned = logits if order == list(range(len(logits))) else logits[order]
        for settings, places in self._by_settings().items():
            if settings.guidance != 1.0:
                empties = logits[[row_of[id(self.pictures[place]), True] for place in places]]
                captioned[places] = guide(torch.cat([captioned[places], empties]), settings)
        self._logits = captioned

    def _arranged(self) -> State:
        """The state with a row for whoever is here now. Who comes takes the row of who has left.

        To move rows costs about as much as a step, so those that stand empty are only taken out when they have cost a
        step themselves.
        """
        here = [(picture, False) for picture in self.pictures]
        here += [(picture, True) for picture in self.pictures if picture.empty is not None]
        stand = {(id(row[0]), row[1]) for row in self._rows if row is not None}
        keep = {(id(picture), empty) for picture, empty in here}
        new = [row for row in here if (id(row[0]), row[1]) not in stand]
        rows = [None if row is None or (id(row[0]), row[1]) not in keep else row for row in self._rows]
        empty = [at for at, row in enumerate(rows) if row is None]
        needed = max(len(here), self.step.least)
        self._wasted += (len(rows) - needed) / max(1, len(rows))
        if self._state is None or len(new) > len(empty) or self._wasted > 1.0:
            return self._move(here)
        if new or len(empty) > sum(row is None for row in self._rows):
            for at, row in zip(empty, new, strict=False):
                rows[at] = row
            self._rows = rows
            self._state.spans = _spans(rows)
        return self._state

    def _move(self, here: list[Row]) -> State:
        """Rows for ``here`` and no others, those of one caption together."""
        groups: dict[int, list[Row]] = {}
        for row in here:
            groups.setdefault(id(_context(row)), []).append(row)
        rows: list[Row | None] = [row for group in groups.values() for row in group]
        if self._state is None:
            self._state = self.step.begin([(_context(group[0]), len(group)) for group in groups.values()])
            rows += [None] * (self._state.rows - len(rows))
        else:
            before = {(id(row[0]), row[1]): at for at, row in enumerate(self._rows) if row is not None}
            # A new row begins on what another one left: its bias hides whatever it has not written itself.
            sources = [before.get((id(picture), empty), 0) for picture, empty in filter(None, rows)]
            rows += [None] * (self.step.least - len(rows))
            sources += [0] * (len(rows) - len(sources))
            self._state.reorder(torch.tensor(sources, device=self.step.device))
            self._state.rows = len(rows)
            self._state.spans = _spans(rows)
        self._rows, self._wasted = rows, 0.0
        return self._state


def _first_logits(picture: Picture) -> Tensor:
    if picture.empty is None:
        return picture.context.logits
    return guide(torch.stack([picture.context.logits, picture.empty.logits]), picture.settings)[0]


def _context(row: Row) -> Context:
    picture, of_empty = row
    context = picture.empty if of_empty else picture.context
    assert context is not None
    return context


def _spans(rows: Sequence[Row | None]) -> list[Span]:
    """Runs of rows with one caption; rows of nobody draw along with those before them."""
    standing = [row for row in rows if row is not None]
    spans: list[Span] = []
    context = _context(standing[0])
    for at, row in enumerate(rows):
        context = context if row is None else _context(row)
        if spans and spans[-1].context is context:
            spans[-1] = spans[-1]._replace(stop=at + 1)
        else:
            spans.append(Span(context, at, at + 1))
    return spans
