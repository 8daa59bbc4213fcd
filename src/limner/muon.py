"""Muon for matrices and convolutions, and for CPUs without bf16.

PyTorch's optimiser takes matrices alone and makes updates orthogonal in bf16, which such CPUs emulate: a product takes
some fifty times a float32 one's time there (``device.working_precision``), so that the optimiser took most of a step.
The same iteration in float32 has the same states and the same names.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from limner.device import working_precision


class Float32Muon(torch.optim.Muon):
    """``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, its products in float32."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; ``closure`` must be None."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p.grad, memory_format=torch.preserve_format)
                buffer = state["momentum_buffer"]
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer
                update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(p.shape)))


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """``matrix`` (out, in) with singular values near 1, by Newton-Schulz steps of the fifth order."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def muon_for(device: torch.device) -> type[torch.optim.Muon]:
    """PyTorch's optimiser where bf16 is computed, else the same in float32."""
    return Float32Muon if working_precision(device, "bf16") == "float32" else torch.optim.Muon


def as_matrix(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself, or a view of a convolution's weights as a matrix (out, k · k · in) in the same memory."""
    if parameter.ndim == 2:
        return parameter
    # Convolutions lie in memory channels last, so that only this order of dimensions can be flattened without a copy.
    if not parameter.data.permute(0, 2, 3, 1).is_contiguous():
        parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(flat(parameter.data))


def flat(weights: Tensor) -> Tensor:
    """A convolution's weights or gradient (out, in, k, k) as the matrix (out, k · k · in)."""
    return weights.permute(0, 2, 3, 1).reshape(weights.shape[0], -1)
