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
