"""What the loop asks of an objective: which model, how pairs become tensors, the loss of a batch, what to show.

The loop knows steps, not models; each of dVAE, DALL·E and CLIP has its objective in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from limner.data.loader import Collate, Tensors

Measures = dict[str, torch.Tensor]
"""Numbers beside the loss, as tensors without gradient: reading them may wait until the journal is written."""

Loss = Callable[[torch.nn.Module, Tensors, int], tuple[torch.Tensor, Measures]]
"""(model, batch, step) → loss, measures."""

Autocast = Callable[[], AbstractContextManager[Any]]


class Objective(Protocol):
    """One kind of training."""

    @property
    def kind(self) -> str:
        """dvae, dalle or clip."""

    @property
    def model(self) -> torch.nn.Module:
        """What is trained."""

    @property
    def collate(self) -> Collate:
        """Pairs to tensors; runs in worker processes and therefore holds no model."""

    @property
    def methods(self) -> tuple[str, ...]:
        """What is called of the model beside its ``forward``, for wrappers of several processes."""

    def whole(self, weights: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Another model of these sizes with ``weights``, of one process alone."""

    def backward(
        self, model: torch.nn.Module, parts: Iterable[Tensors], step: int, autocast: Autocast
    ) -> tuple[torch.Tensor, Measures]:
        """Add the gradients of the mean loss over the parts of one batch; returns that loss and the measures."""

    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> Mapping[str, float]:
        """Write pictures to look at into ``folder``; returns measures. ``model`` has the averaged weights."""


def accumulate(
    loss: Loss, model: torch.nn.Module, parts: Iterable[Tensors], step: int, autocast: Autocast, count: int
) -> tuple[torch.Tensor, Measures]:
    """Gradients of the mean of ``loss`` over ``count`` parts, one backward pass each."""
    total: torch.Tensor | None = None
    sums: Measures = {}
    for batch in parts:
        with autocast():
            value, measures = loss(model, batch, step)
        (value / count if count > 1 else value).backward()
        value = value.detach()
        total = value if total is None else total + value
        for name, measure in measures.items():
            sums[name] = sums[name] + measure if name in sums else measure
    if total is None:
        raise ValueError("expected at least one part of a batch, got none")
    return total / count, {name: measure / count for name, measure in sums.items()}


M = TypeVar("M", bound=torch.nn.Module)


def with_weights(make: Callable[[], M], weights: Mapping[str, torch.Tensor]) -> M:
    """A model with the given weights; the caller's random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        model = make()
    model.load_state_dict(dict(weights))
    return model
