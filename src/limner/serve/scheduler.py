"""Who draws next: requests share the batch's rows fairly, join at any token, and leave at once when nobody waits.

No thread and no clock in here: ``tick`` draws one token of everything, so that a test can drive it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from limner.sampling.context import Context, Step
from limner.sampling.guide import rows_per_picture
from limner.sampling.settings import SamplingSettings
from limner.serve.batch import Batch, Picture

CONTEXTS = 64
"""Captions whose keys and values are remembered, so that the same caption is read once."""


@dataclass(eq=False)
class Task:
    """Pictures ``numbers`` of one caption (row of ids (L,)) and seed.

    ``drawn`` hears (number, codes (N,)) of each picture, ``row`` (number, codes, rows that are done) after each of
    ``rows`` of cells, ``failed`` the error that ended it. All are called from whoever ticks, and must be quick.
    """

    ids: torch.Tensor
    settings: SamplingSettings
    seed: int
    numbers: Iterable[int]
    drawn: Callable[[int, np.ndarray], None]
    row: Callable[[int, np.ndarray, int], None] | None = None
    rows: frozenset[int] = frozenset()
    shown: frozenset[int] | None = None
    failed: Callable[[Exception], None] = lambda error: None
    pending: deque[int] = field(init=False)
    active: list[Picture] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.pending = deque(self.numbers)

    @property
    def begun(self) -> bool:
        """Whether any picture has been taken up."""
        return bool(self.active) or len(self.pending) < len(list(self.numbers))


class Scheduler:
    """Deals the rows of a batch out to tasks.

    A free row goes to the task that holds the fewest (of equals to the one that came first), and no task holds more
    than ``share`` of all, so that who comes later need not wait for a picture's end.
    """

    def __init__(self, step: Step, empty: torch.Tensor, *, rows: int = 64, share: float = 0.75) -> None:
        self.batch = Batch(step, rows)
        self.tasks: list[Task] = []
        self.ticks = 0
        self._step, self._empty_ids = step, empty
        self._most_of_one = max(2, int(self.batch.most * share))
        self._contexts: OrderedDict[bytes, Context] = OrderedDict()
        self._owner: dict[int, Task] = {}

    @property
    def rows(self) -> int:
        """Rows that are being drawn."""
        return self.batch.most - self.batch.free

    @property
    def waiting(self) -> int:
        """Pictures that have no row yet."""
        return sum(len(task.pending) for task in self.tasks)

    def submit(self, task: Task) -> None:
        """Take a task in; its pictures get rows from the next tick on."""
        self.tasks.append(task)

    def cancel(self, task: Task) -> None:
        """Forget a task: its rows are free at once. One that is done or unknown is ignored."""
        self.batch.leave(task.active)
        for picture in task.active:
            self._owner.pop(id(picture), None)
        task.active, task.pending = [], deque()
        if task in self.tasks:
            self.tasks.remove(task)

    def tick(self) -> bool:
        """Deal out free rows and draw one token of everything; False where there was nothing to do."""
        self._admit()
        if not self.batch.pictures:
            return False
        pictures = self.batch.pictures
        whole = self.batch.tick()
        self.ticks += 1
        self._tell_rows(pictures)
        for picture in whole:
            task = self._owner.pop(id(picture))
            task.active.remove(picture)
            if not task.active and not task.pending:
                self.tasks.remove(task)
            task.drawn(picture.number, picture.codes)
        return True

    def _admit(self) -> None:
        free = self.batch.free
        joining: list[Picture] = []
        held = {id(task): sum(picture.rows for picture in task.active) for task in self.tasks}
        while True:
            fitting = [task for task in self.tasks if self._fits(task, held[id(task)], free)]
            if not fitting:
                break
            task = min(fitting, key=lambda one: held[id(one)])  # the first of equals
            try:
                picture = self._picture(task, task.pending[0])
            except Exception as error:  # a caption that cannot be read must end its own request only
                self.cancel(task)
                joining = [one for one in joining if id(one) in self._owner]
                task.failed(error)
                free = self.batch.free - sum(one.rows for one in joining)
                continue
            task.pending.popleft()
            task.active.append(picture)
            self._owner[id(picture)] = task
            joining.append(picture)
            held[id(task)] += picture.rows
            free -= picture.rows
        self.batch.join(joining)

    def _fits(self, task: Task, held: int, free: int) -> bool:
        if not task.pending:
            return False
        rows = rows_per_picture(task.settings)
        return rows <= free and (held + rows <= self._most_of_one or held == 0)

    def _picture(self, task: Task, number: int) -> Picture:
        empty = None if task.settings.guidance == 1.0 else self._context(self._empty_ids)
        return Picture(self._context(task.ids), empty, task.settings, task.seed, number)

    def _context(self, ids: torch.Tensor) -> Context:
        key = ids.numpy().tobytes()
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._step.read(ids)
            if len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context

    def _tell_rows(self, pictures: list[Picture]) -> None:
        columns = self._step.layout.columns
        for picture in pictures:
            task = self._owner[id(picture)]
            rows, rest = divmod(picture.done, columns)
            if rest or rows not in task.rows or picture.done == len(picture.codes):
                continue
            if task.row is not None and (task.shown is None or picture.number in task.shown):
                task.row(picture.number, picture.codes.copy(), rows)
