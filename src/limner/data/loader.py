"""Batches ahead of the loop: worker processes draw and decode, the order is the same for any number of them.

Batch number ``b`` holds the positions ``b · batch … (b + 1) · batch − 1`` of the source; rank ``r`` of ``w`` makes the
r-th of w equal slices. A batch is therefore a function of (source, its number): resuming is starting at a number.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from limner.data.pair import Broken, Pair, Source
from limner.errors import DataError, LimnerError

Tensors = dict[str, torch.Tensor]
Collate = Callable[[list[Pair], list[int]], Tensors]
"""Pairs and their positions to a batch of tensors; runs in a worker process."""


@dataclass(frozen=True)
class Batch:
    """The tensors of one batch, its positions, and the samples that were passed over while it was made."""

    tensors: Tensors
    positions: tuple[int, ...]
    broken: tuple[Broken, ...]


class _Batches(Dataset[Any]):
    """Map-style over batch numbers, so that torch's loader keeps the order whatever worker is first."""

    def __init__(self, source: Source, collate: Collate, batch: int, rank: int, world: int) -> None:
        self.source, self.collate = source, collate
        self.batch, self.share, self.rank = batch, batch // world, rank

    def __getitem__(self, number: int) -> Batch | str:
        first = number * self.batch + self.rank * self.share
        positions = tuple(range(first, first + self.share))
        broken: list[Broken] = []
        try:
            pairs = [self.source.at(position, broken) for position in positions]
            return Batch(self.collate(pairs, list(positions)), positions, tuple(broken))
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

    workers: processes that work ahead (0: none, in this process). patience: seconds to wait for a batch.
    Raises DataError: the source fails, a worker dies or takes longer than ``patience``.
    """
    if batch % world:
        raise DataError(f"batch: expected a multiple of the {world} processes, got {batch}; change training.batch")
    loader = DataLoader(
        _Batches(source, collate, batch, rank, world),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
        timeout=patience if workers else 0,
        pin_memory=pin,
    )
    iterator = iter(loader)
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except RuntimeError as error:
            raise worker_failed(source.name, error) from error
        if isinstance(item, str):
            raise DataError(item)
        yield item


def worker_failed(name: str, error: RuntimeError) -> DataError:
    """The line for a worker that died or hangs; torch raises it wherever the loop just is."""
    return DataError(
        f"{name}: a process that reads data died or gave nothing in time ({str(error).splitlines()[0]}); free some "
        "memory, or set training.workers = 0 to see its error"
    )


def _start_worker(_number: int) -> None:
    # Signals reach the whole process group: the parent decides when workers end, and saves first. One that its parent
    # really wants to end, because it hangs, still does, half a minute later.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))
    # Tokenizers complain about a fork after their threads have worked; here they work alone anyway.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
