"""Attention of every query over every key, plain or under a mask, by the fastest way for device and precision.

In bfloat16 on a CPU torch's fused kernel multiplies no faster than in float32, and its backward pass is most of a
training step at 95 tokens; two batched products with a softmax between them take a quarter of its time
(``benchmarks/patterns.py``). Their scores are rounded to bfloat16 before the softmax, as in any unfused attention.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

_BLOCK = 128
"""Queries taken together where attention is causal: keys after a block are left out."""
_MOST_SCORES = 2**28
"""Scores that may be kept for the backward pass: 512 MB in bfloat16."""


def attend_dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √K) v: q (B, H, T, K), k, v (B, H, J, K) → (B, H, T, K).

    ``mask`` (T, J): bool, True where a query sees a key, or what is added to the scores (0 or -inf). ``causal``: query
    t sees keys 0 … t at most, and J = T; a mask may leave fewer, and must then be causal itself.
    """
    (B, H, T, _), J = q.shape, k.shape[2]
    products = q.device.type == "cpu" and q.dtype == torch.bfloat16 and B * H * T * J <= _MOST_SCORES
    if not products or torch.compiler.is_compiling():
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal and mask is None)
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, float("-inf"))
    return _Products.apply(q, k, v, mask, causal)


def exact_types(device: torch.device) -> AbstractContextManager[Any]:
    """Autocast off: products take and give the types they are handed."""
    if not torch.amp.is_autocast_available(device.type):  # the meta device has none
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class _Products(torch.autograd.Function):
    """The two products, with the backward pass written out; X = B × H."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        T, K = q.shape[2:]
        ctx.shapes, ctx.scale, ctx.spans = (q.shape, k.shape), K**-0.5, _spans(T, k.shape[2], causal)
        with exact_types(q.device):
            # (B, H, T, K) → (X, T, K)
            q, k, v = (q * ctx.scale).flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
            out = torch.empty_like(q, memory_format=torch.contiguous_format)
            weights = []
            for start, stop, seen in ctx.spans:
                scores = torch.bmm(q[:, start:stop], k[:, :seen].mT)
                if mask is not None:
                    scores += mask[start:stop, :seen]
                elif causal:
                    scores[:, :, start:] += _triangle(stop - start, q)
                weights.append(torch.softmax(scores, dim=-1))
                torch.bmm(weights[-1], v[:, :seen], out=out[:, start:stop])
        ctx.save_for_backward(q, k, v, *weights)
        return out.view(ctx.shapes[0])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *weights = ctx.saved_tensors
        grad = grads[0].flatten(0, 1)
        grad_q, grad_k, grad_v = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
        for (start, stop, seen), weight in zip(ctx.spans, weights, strict=True):
            grad_v[:, :seen].baddbmm_(weight.mT, grad[:, start:stop])
            scores = torch.bmm(grad[:, start:stop], v[:, :seen].mT)
            scores = torch._softmax_backward_data(scores, weight, -1, scores.dtype)
            torch.bmm(scores, k[:, :seen], out=grad_q[:, start:stop])
            grad_k[:, :seen].baddbmm_(scores.mT, q[:, start:stop])
        grad_q *= ctx.scale
        queries, keys = ctx.shapes
        return grad_q.view(queries), grad_k.view(keys), grad_v.view(keys), None, None


def _spans(queries: int, keys: int, causal: bool) -> list[tuple[int, int, int]]:
    """Blocks of queries (start, stop), and how many keys each sees."""
    if not causal:
        return [(0, queries, keys)]
    starts = range(0, queries, _BLOCK)
    return [(start, min(queries, start + _BLOCK), min(queries, start + _BLOCK)) for start in starts]


def _triangle(length: int, like: Tensor) -> Tensor:
    return torch.full((length, length), float("-inf"), dtype=like.dtype, device=like.device).triu(1)
