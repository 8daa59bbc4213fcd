"""Attention of every query over every key under a mask: the plain form, by the fastest way for its size.

On a CPU torch's fused kernel is made for long sequences; at 95 tokens its backward pass is most of a training step.
Two batched products with a softmax between them take a quarter of its time there (``benchmarks/patterns.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

SHORT = 384
"""Up to so many keys a CPU holds the scores of all queries at once."""


def attend_dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √K) v: q (B, H, T, K), k, v (B, H, J, K) → (B, H, T, K).

    ``mask`` (T, J) bool: True where a query sees a key; ``causal``: query t sees keys 0 … t, and no mask is given.
    """
    if q.device.type != "cpu" or max(q.shape[2], k.shape[2]) > SHORT:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    B, H, T, K = q.shape
    J = k.shape[2]
    if causal:
        mask = torch.ones(T, J, dtype=torch.bool).tril()
    blocked = torch.zeros(T, J, dtype=q.dtype)
    if mask is not None:
        blocked.masked_fill_(~mask, float("-inf"))
    scores = torch.baddbmm(blocked.expand(B * H, T, J), q.flatten(0, 1), k.flatten(0, 1).mT, alpha=K**-0.5)
    return torch.bmm(scores.softmax(dim=-1), v.flatten(0, 1)).view(B, H, T, K)
