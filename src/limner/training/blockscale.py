"""A gradient scale for every residual branch, for devices that compute in float16 (DALL·E paper, section 2.4, D).

Deep in a large transformer gradients grow smaller from block to block and leave float16's range, each at another depth:
one scale for the loss cannot serve them all. Here the gradient that enters a branch (attention or MLP) is multiplied by
the branch's own scale, and divided by it where it leaves, before it joins the float32 residual stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from limner import ranks
from limner.errors import RecipeError
from limner.models.block import Block
from limner.training.parallel import local

START, LEAST, MOST = 2.0**13, 2.0**7, 2.0**24
"""Times the number of processes, as the paper has it."""
GROWTH, CUT, PAUSE = 2.0 ** (1 / 1000), 2.0**-0.5, 125
"""Per clean update; where a gradient is not finite; updates after a cut without another."""
CUTS = round(math.log(START / LEAST, 1 / CUT))
"""From the start to the least."""


@dataclass
class _Branch:
    """One branch: its scale, updates since its last cut, whether gradients in it were not finite."""

    name: str
    parameters: list[nn.Parameter]
    scale: float
    since: int = PAUSE
    spoiled: list[Tensor] = field(default_factory=list)
    bad: bool = False


class BlockScales:
    """The scales of a model's ``Block``s, at work from now on. Raises RecipeError for a model without such."""

    def __init__(self, model: nn.Module) -> None:
        self.branches: list[_Branch] = []
        for name, block in model.named_modules():
            if isinstance(block, Block):
                for part, first, middle, last in (
                    ("attn", block.ln_1, block.attn, block.ls_1),
                    ("mlp", block.ln_2, block.mlp, block.ls_2),
                ):
                    own = [*first.parameters(), *middle.parameters(), *last.parameters()]
                    self._add(f"{name}.{part}", own, first, last)
        if not self.branches:
            raise RecipeError("training.precision: float16 is for models of transformer blocks; take bf16 or float32")

    def _add(self, name: str, parameters: list[nn.Parameter], first: nn.Module, last: nn.Module) -> None:
        branch = _Branch(name, [p for p in parameters if p.requires_grad], START * ranks.world())
        self.branches.append(branch)
        first.register_forward_pre_hook(lambda _module, given: (_Leave.apply(given[0], branch), *given[1:]))
        last.register_forward_hook(lambda _module, _given, out: _Enter.apply(out, branch))

    def unscale(self) -> bool:
        """Divide the parameters' gradients by their branches' scales; whether all were finite, in all processes."""
        device = next(p for b in self.branches for p in b.parameters).device
        flags = torch.zeros(len(self.branches), device=device)
        for number, branch in enumerate(self.branches):
            gradients = [local(p.grad) for p in branch.parameters if p.grad is not None]
            if gradients:
                torch._foreach_mul_(gradients, 1 / branch.scale)
                branch.spoiled += [~torch.isfinite(g).all() for g in gradients]
            if branch.spoiled:
                flags[number] = torch.stack(branch.spoiled).any()
            branch.spoiled.clear()
        for branch, flag in zip(self.branches, ranks.mean(flags).tolist(), strict=True):
            branch.bad = flag > 0
        return not any(b.bad for b in self.branches)

    def update(self) -> None:
        """Grow the scales of clean branches, cut those of the others."""
        for branch in self.branches:
            branch.since += 1
            if not branch.bad:
                branch.scale *= GROWTH
            elif branch.since > PAUSE:
                branch.scale *= CUT
                branch.since = 0
            branch.scale = min(max(branch.scale, LEAST * ranks.world()), MOST * ranks.world())

    def state(self) -> dict[str, list[float]]:
        """Plain numbers for a checkpoint; scales without the number of processes."""
        return {b.name: [b.scale / ranks.world(), b.since] for b in self.branches}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` gave."""
        for branch in self.branches:
            if branch.name in state:
                scale, since = state[branch.name]
                branch.scale, branch.since = float(scale) * ranks.world(), int(since)


class _Enter(torch.autograd.Function):
    """The branch's end, in float32 so that its gradient arrives as that: scaled first, then made narrow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: _Branch) -> Tensor:
        ctx.branch, ctx.dtype = branch, x.dtype
        return x.float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return (gradients[0] * ctx.branch.scale).to(ctx.dtype), None


class _Leave(torch.autograd.Function):
    """The branch's beginning: backward, its gradient leaves; what is not finite is left out, and noted."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: _Branch) -> Tensor:
        ctx.branch = branch
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        finite = torch.isfinite(gradients[0])
        ctx.branch.spoiled.append(~finite.all())
        return torch.where(finite, gradients[0], 0).float() / ctx.branch.scale, None
