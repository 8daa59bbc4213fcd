"""Batches ahead of the loop: worker processes draw and decode, the order is the same for any number of them.

Batch number ``b`` holds the positions ``b · batch … (b + 1) · batch − 1`` of the source; rank ``r`` of ``w`` makes the
r-th of w equal slices. A batch is therefore a function of (source, its number): resuming is starting at a number.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from limner.data.pair import Broken, Pair, Source
from limner.errors import DataError, LimnerError

Tensors = dict[str, torch.Tensor]
Collate = Callable[[list[Pair], list[int]], Tensors]
"""Pairs and their positions to a batch of tensors; runs in a worker process."""

GLANCE = 5.0
"""Seconds after which a wait looks whether the workers are alive."""


@dataclass(frozen=True)
class Batch:
    """The tensors of one batch, its positions, and the samples that were passed over while it was made.

    bookmarks: where its source has come to, for those that cannot be entered anywhere.
    """

    tensors: Tensors
    positions: tuple[int, ...]
    broken: tuple[Broken, ...]
    bookmarks: dict[str, list[int]]


def _as_it_is(item: Any) -> Any:
    return item


class _Packed(NamedTuple):
    """A ``Batch`` on its way from a worker."""

    arrays: dict[str, np.ndarray]
    positions: tuple[int, ...]
    broken: tuple[Broken, ...]
    bookmarks: dict[str, list[int]]


class _Batches(Dataset[Any]):
    """Map-style over batch numbers, so that torch's loader keeps the order whatever worker is first."""

    def __init__(self, source: Source, collate: Collate, batch: int, rank: int, world: int) -> None:
        self.source, self.collate = source, collate
        self.batch, self.share, self.rank = batch, batch // world, rank

    def __getitem__(self, number: int) -> _Packed | str:
        first = number * self.batch + self.rank * self.share
        positions = tuple(range(first, first + self.share))
        broken: list[Broken] = []
        try:
            pairs = [self.source.at(position, broken) for position in positions]
            tensors = self.collate(pairs, list(positions))
            # As arrays: tensors would travel by shared memory, which containers keep small, and by sockets.
            arrays = {name: t.numpy() for name, t in tensors.items()}
            return _Packed(arrays, positions, tuple(broken), self.source.bookmarks())
        except (LimnerError, OSError) as error:
            # torch's loader would wrap the error in a page of traceback: the line itself travels instead.
            return str(error)


def batches(
    source: Source,
    collate: Collate,
    *,
    batch: int,
    start: int,
    stop: int,
    workers: int,
    rank: int = 0,
    world: int = 1,
    pin: bool = False,
    patience: float = 300.0,
) -> Iterator[Batch]:
    """Batches number ``start`` to ``stop`` − 1 in order, this rank's slice of each.

    workers: processes that work ahead (0: none, in this process). pin: for copies to a GPU in the
    background. patience: seconds to wait for a batch.
    Raises DataError: the source fails, a worker dies or takes longer than ``patience``.
    """
    if batch % world:
        raise DataError(f"batch: expected a multiple of the {world} processes, got {batch}; change training.batch")
    loader = DataLoader(
        _Batches(source, collate, batch, rank, world),
        batch_size=None,
        collate_fn=_as_it_is,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
        timeout=GLANCE if workers else 0,
    )
    iterator = _quietly(loader)
    while True:
        item = _next(iterator, source.name, patience)
        if item is None:
            return
        if isinstance(item, str):
            raise DataError(item)
        tensors = {name: torch.from_numpy(array) for name, array in item.arrays.items()}
        if pin:
            tensors = {name: t.pin_memory() for name, t in tensors.items()}
        yield Batch(tensors, item.positions, item.broken, item.bookmarks)


def _quietly(loader: DataLoader[Any]) -> Iterator[_Packed | str]:
    """The loader's iterator, without the signal handler by which torch raises in the middle of anything when a worker
    dies (in an update of the weights, for instance): a glance at the workers while waiting finds that too.
    """
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD) if in_main else None
    iterator = iter(loader)
    if in_main:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
    return iterator


def _next(iterator: Iterator[_Packed | str], name: str, patience: float) -> _Packed | str | None:
    """The next batch; None at the end. Raises DataError where a worker has died, or after ``patience`` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return next(iterator, None)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            if "timed out" in str(error) and time.monotonic() < end:
                continue
            line = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{name}: a process that reads data died or gave nothing for {patience:.0f} s ({line}); free some "
                "memory, or set training.workers = 0 to see its error"
            ) from error


def _start_worker(_number: int) -> None:
    # Signals reach the whole process group: the parent decides when workers end, and saves first. One that its parent
    # really wants to end, because it hangs, still does, half a minute later.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))
    # Tokenizers complain about a fork after their threads have worked; here they work alone anyway.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
