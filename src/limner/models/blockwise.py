"""Attention in blocks: an image query's few image keys, and the whole caption, under one softmax.

Masked dense attention costs (caption + image)² whatever the mask; here a query costs the caption and its block's keys.
Shapes: B batch, H heads, K head width, L caption tokens, M image tokens (a prefix of the grid is enough), blocks of
G queries, each with J image keys.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention


def attend_band(
    q: Tensor, k: Tensor, v: Tensor, *, text: int, block: int, reach: int, mask: Callable[[int, int], Tensor]
) -> Tensor:
    """Image queries see image keys at most ``reach`` before them, as ``mask(blocks, block)`` (blocks, G, J) says.

    ``q``, ``k``, ``v`` (B, H, T, K) of the whole stream, T > ``text``; gives (B, H, T, K).
    """
    B, H, T, K = q.shape
    M = T - text
    blocks = -(-M // block)
    fill = blocks * block - M
    qb = pad(q[:, :, text:], (0, 0, 0, fill)).view(B, H, blocks, block, K)
    # Block b's keys start reach before it: overlapping windows of one padded row of keys.
    kb, vb = (pad(x[:, :, text:], (0, 0, reach, fill)).unfold(2, reach + block, block).mT for x in (k, v))
    out = _joint(qb, kb, vb, k[:, :, :text], v[:, :, :text], mask(blocks, block))
    image = out.reshape(B, H, blocks * block, K)[:, :, :M]
    return _with_text(image, q, k, v, text)


def attend_columns(
    q: Tensor, k: Tensor, v: Tensor, *, text: int, columns: int, mask: Callable[[int], Tensor]
) -> Tensor:
    """Image queries see the keys of their own column, as ``mask(rows)`` (1, rows, rows) says; else as attend_band."""
    B, H, T, K = q.shape
    M = T - text
    rows = -(-M // columns)
    fill = rows * columns - M
    qb, kb, vb = (pad(x[:, :, text:], (0, 0, 0, fill)).view(B, H, rows, columns, K).transpose(2, 3) for x in (q, k, v))
    out = _joint(qb, kb, vb, k[:, :, :text], v[:, :, :text], mask(rows))
    image = out.transpose(2, 3).reshape(B, H, rows * columns, K)[:, :, :M]
    return _with_text(image, q, k, v, text)


def _with_text(image: Tensor, q: Tensor, k: Tensor, v: Tensor, text: int) -> Tensor:
    if not text:
        return image
    head = scaled_dot_product_attention(q[:, :, :text], k[:, :, :text], v[:, :, :text], is_causal=True)
    return torch.cat([head, image], dim=2)


def _joint(q: Tensor, k: Tensor, v: Tensor, text_k: Tensor, text_v: Tensor, mask: Tensor) -> Tensor:
    """One softmax over a block's image keys and the caption: q (B, H, n, G, K), k, v (B, H, n, J, K) → like q."""
    B, H, n, G, K = q.shape
    L = text_k.shape[2]
    q = q * K**-0.5
    near = (q @ k.mT).masked_fill(~mask, float("-inf"))
    if not L:
        return near.float().softmax(-1).to(v.dtype) @ v
    far = (q.reshape(B, H, n * G, K) @ text_k.mT).view(B, H, n, G, L)
    weights = torch.cat([far, near], dim=-1).float().softmax(-1).to(v.dtype)
    far_out = (weights[..., :L].reshape(B, H, n * G, L) @ text_v).view(B, H, n, G, K)
    return far_out + weights[..., L:] @ v
