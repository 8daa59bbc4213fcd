"""Cross-entropy of a large head without its logits in memory.

The logits of 4,096 image tokens over 4,375 codes fill 72 MB; softmax, its gradient and the copies between precisions
were over a third of a small model's training step. Here rows go through in chunks that stay in the cache, and the
gradient is made in the same pass.
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
            total = torch.zeros((), device=hidden.device, dtype=torch.promote_types(precision, torch.float32))
            wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
            errors = rows.new_empty(len(rows), len(table)) if wanted else None
            for start in range(0, len(rows), CHUNK):
                chunk = slice(start, start + CHUNK)
                shares = torch.softmax(F.linear(rows[chunk], table), dim=-1, dtype=total.dtype)
                at = targets[chunk].unsqueeze(1)
                total -= shares.gather(1, at).clamp(min=1e-37).log().sum()
                if errors is not None:
                    shares.scatter_add_(1, at, shares.new_full(at.shape, -1.0))
                    errors[chunk] = shares
            if errors is not None:
                # The mean's share of one row is often below float16's range.
                wide = total.dtype if precision == torch.float16 else precision
                of_rows, of_table = (errors @ table).to(wide), (errors.mT @ rows).to(wide)
                ctx.save_for_backward(of_rows / len(rows), of_table / len(rows))
                ctx.precisions = hidden.dtype, weight.dtype
        return total / len(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_hidden, of_weight = ctx.saved_tensors
        a, b = ctx.precisions
        return (gradients[0] * of_hidden).to(a), (gradients[0] * of_weight).to(b), None


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """``cross_entropy(hidden @ weight.T, targets)``, the mean in nats: (n, D), (V, D), (n,) → ().

    Products are in autocast's precision, the softmax in float32. A target's loss above 85 nats counts as 85.
    """
    return _LinearCrossEntropy.apply(hidden, weight, targets)
