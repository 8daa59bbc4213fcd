"""Gradients as products of low rank between processes that hold the whole model each, by PyTorch's PowerSGD hook.

For slow networks (DALL·E paper, section 2.5; arXiv 1905.13727). What a product leaves out stays with the process that
could not send it and is added to its next gradient; the factors of one update are where the next one's search begins.
Both are part of a checkpoint, so that a resumed run is the unbroken one.

The hook is called here and not by PyTorch's data-parallel wrapper. That one calls it for each part of a batch and not
once an update; it cuts its buckets anew after the first update of every start, and what was kept for the old ones is
lost; and with several buckets on a CPU their exchanges meet in another order in each process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from limner import ranks
from limner.errors import TrainingError, expected

if TYPE_CHECKING:
    from limner.training.checkpoint import Checkpoint

WHOLE = 10
"""Updates whose gradients are sent whole before they are compressed."""
BUCKET = 25 << 20
"""Bytes of gradients that travel together."""
PART = "compression"
"""The checkpoint's part that holds what was not sent, and the factors."""


@dataclass
class _Bucket:
    """Gradients in one flat tensor, as the hook asks for them."""

    number: int
    flat: Tensor
    parts: list[Tensor]
    last: bool

    def index(self) -> int:
        return self.number

    def buffer(self) -> Tensor:
        return self.flat

    def gradients(self) -> list[Tensor]:
        return self.parts

    def is_last(self) -> bool:
        return self.last


class Compression:
    """Averages gradients over the processes. Its state, by name: ``unsent/RANK/BUCKET`` is what a process keeps back,
    flat; ``p/BUCKET`` and ``q/BUCKET`` are the bucket's factors, flat and the same in every process.
    """

    def __init__(self, model: nn.Module, rank: int) -> None:
        from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as power

        self.buckets = in_buckets([p for p in model.parameters() if p.requires_grad])
        self._hook: Any = power.powerSGD_hook
        self._state = power.PowerSGDState(
            process_group=None,
            matrix_approximation_rank=rank,
            start_powerSGD_iter=WHOLE,
            orthogonalization_epsilon=1e-6,  # the paper's
        )

    def average(self) -> None:
        """Replace every gradient by its mean over the processes, or by the product that stands for it."""
        # Factors begin with random numbers that are the same in all processes, and after a resume.
        self._state.rng = np.random.RandomState(self._state.iter)
        waiting = []
        for number, parameters in enumerate(self.buckets):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            flat = torch.cat([g.reshape(-1) for g in gradients])
            pieces = flat.split([g.numel() for g in gradients])
            parts = [piece.view(g.shape) for piece, g in zip(pieces, gradients, strict=True)]
            sent = self._hook(self._state, _Bucket(number, flat, parts, number == len(self.buckets) - 1))
            waiting.append((parameters, gradients, parts, sent))
            if flat.device.type == "cpu":  # the next exchange must not begin before this one's steps in all processes
                self._take(*waiting.pop())
        for bucket in waiting:
            self._take(*bucket)

    def _take(self, parameters: Sequence[nn.Parameter], old: list[Tensor], parts: list[Tensor], sent: Any) -> None:
        whole = sent.wait()
        whole = whole[0] if isinstance(whole, list) else whole
        for parameter, gradient, piece in zip(parameters, old, whole.split([p.numel() for p in parts]), strict=True):
            gradient.copy_(piece.view(gradient.shape))
            parameter.grad = gradient

    def forget(self) -> None:
        """Keep nothing of a gradient that was not finite: it would spoil all later ones."""
        for memory in (self._state.error_dict, self._state.p_memory_dict, self._state.q_memory_dict):
            memory.clear()

    # --- checkpoints

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of this process, by name; nothing before compression begins."""
        state = self._state
        return {
            **{f"unsent/{ranks.rank()}/{bucket}": t for bucket, t in state.error_dict.items()},
            **{f"p/{bucket}": t for bucket, t in state.p_memory_dict.items() if t.numel()},
            **{f"q/{bucket}": t for bucket, t in state.q_memory_dict.items() if t.numel()},
        }

    def facts(self) -> dict[str, int]:
        """Beside the tensors: updates so far, and of how many processes."""
        return {"updates": self._state.iter, "processes": ranks.world()}

    def load(self, checkpoint: Checkpoint) -> None:
        """Take up what ``tensors`` and ``facts`` gave. Raises TrainingError where the checkpoint is damaged."""
        facts = checkpoint.facts.get(PART)
        if facts is None:  # of one process, which sends nothing
            return
        state, processes = self._state, int(facts["processes"])
        state.iter = int(facts["updates"])
        if not checkpoint.has(PART):
            return
        same, mine = processes == ranks.world(), f"unsent/{ranks.rank()}/"
        found = checkpoint.load(PART, lambda name: not (same and name.startswith("unsent/")) or name.startswith(mine))
        unsent = {name: t for name, t in found.items() if name.startswith("unsent/")}
        kept = own_share(unsent, None if same else processes)
        sizes = {bucket: sum(p.numel() for p in parameters) for bucket, parameters in enumerate(self.buckets)}
        if {bucket: t.numel() for bucket, t in kept.items()} != sizes:
            got = {bucket: t.numel() for bucket, t in kept.items()}
            raise TrainingError(expected(f"{checkpoint.path}: {PART}", f"gradients of sizes {sizes}", got))
        device = self.buckets[0][0].device
        state.error_dict = {bucket: t.to(device) for bucket, t in kept.items()}
        for factor, memory in (("p", state.p_memory_dict), ("q", state.q_memory_dict)):
            for bucket in kept:  # a bucket without matrices has empty factors
                memory[bucket] = found.get(f"{factor}/{bucket}", torch.empty(0)).to(device)


def in_buckets(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """``parameters`` in their order, cut where ``BUCKET`` bytes are together or the number format changes."""
    buckets: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        if not buckets or size >= BUCKET or buckets[-1][0].dtype != parameter.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += parameter.numel() * parameter.element_size()
    return buckets


def own_share(unsent: Mapping[str, Tensor], processes: int | None) -> dict[int, Tensor]:
    """By bucket, what a process keeps of ``unsent/RANK/BUCKET``: its own (None), or the mean over ``processes``.

    Gradients are means over processes. Where there are more or fewer of them now, each takes the mean of what was not
    sent, so that the next gradient has all of it.
    """
    kept: dict[int, Tensor] = {}
    for name, tensor in sorted(unsent.items()):
        bucket = int(name.rsplit("/", 1)[1])
        part = tensor if processes is None else tensor / processes
        kept[bucket] = kept[bucket] + part if bucket in kept else part
    return kept
