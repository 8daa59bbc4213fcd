"""Cross-entropy of a large head without its logits in memory.

The logits of 4,096 image tokens over 4,375 codes fill 72 MB; softmax, its gradient and the copies between precisions
were over a third of a small model's training step. Here rows go through in chunks that stay in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 128
"""Rows at a time: 128 rows of 4,375 logits in float32 are 2.2 MB."""


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        kind = hidden.device.type
        precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        with torch.autocast(kind, enabled=False):
            rows, table = hidden.to(precision), weight.to(precision)
            nats = torch.empty(len(rows), device=hidden.device, dtype=torch.promote_types(precision, torch.float32))
            wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
            errors = rows.new_empty(len(rows), len(table)) if wanted else None
            for start in range(0, len(rows), CHUNK):
                chunk = slice(start, start + CHUNK)
                shares = torch.softmax(F.linear(rows[chunk], table), dim=-1, dtype=nats.dtype)
                at = targets[chunk].unsqueeze(1)
                nats[chunk] = -shares.gather(1, at).clamp(min=1e-37).log().squeeze(1)
                if errors is not None:
                    shares.scatter_add_(1, at, shares.new_full(at.shape, -1.0))
                    errors[chunk] = shares
            if errors is not None:
                ctx.save_for_backward(errors, rows, table)
                ctx.precisions = hidden.dtype, weight.dtype
        return nats

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        errors, rows, table = ctx.saved_tensors
        a, b = ctx.precisions
        with torch.autocast(errors.device.type, enabled=False):
            # A mean's share of one row is often below float16's range: products are of shares of the largest.
            most = gradients[0].abs().max().clamp(min=1e-37)
            shares = (gradients[0] / most).unsqueeze(1)
            of_hidden = (errors @ table).to(gradients[0].dtype) * gradients[0].unsqueeze(1)
            of_weight = (errors.mT @ (rows * shares.to(rows.dtype))).to(gradients[0].dtype) * most
        return of_hidden.to(a), of_weight.to(b), None


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """``cross_entropy(hidden @ weight.T, targets, reduction="none")`` in nats: (n, D), (V, D), (n,) → (n,).

    Products are in autocast's precision, the softmax in float32. A target's loss above 85 nats counts as 85.
    """
    return _LinearCrossEntropy.apply(hidden, weight, targets)
