"""Rank and world of a run of several processes; everything here does nothing on a laptop.

PyTorch's own engine (``torchrun``, ``torch.distributed``) does the work.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def rank() -> int:
    """This process's number, 0 when alone."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes work together, 1 when alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes journals, samples and bars."""
    return rank() == 0


def gather_with_gradient(rows: torch.Tensor) -> torch.Tensor:
    """All ranks' rows, in rank order, (world × B, …); gradients flow back to the rank that each row came from."""
    if world() == 1:
        return rows
    import torch
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(rows)), dim=0)


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean of ``value`` over the ranks; no gradient."""
    if world() == 1:
        return value
    import torch.distributed as dist

    value = value.detach().clone()
    dist.all_reduce(value)
    return value / world()


def wait(what: str) -> None:
    """Wait until every rank is here; the process group's time limit holds. Raises TrainingError with ``what``."""
    if world() == 1:
        return
    import torch.distributed as dist

    from limner.errors import TrainingError

    try:
        dist.barrier()
    except RuntimeError as error:
        raise TrainingError(f"{what}: the other processes did not answer ({str(error).splitlines()[0]})") from error
