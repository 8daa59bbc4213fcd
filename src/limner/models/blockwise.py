"""Attention in blocks: an image query's few image keys and the whole caption, under one softmax.

Attention under a mask costs (caption + image)² whatever the mask; here an image query costs the caption's keys and its
block's. Backward passes are written out, since autograd's would fill and add whole tensors for every slice.

Shapes: B batch, H heads, X = B × H, K head width, L caption tokens, M image tokens (any prefix of the grid), n blocks
of G queries, each with J image keys. Biases are added to scores: 0 where a query sees a key, -inf where not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from limner.models.dense import attend_dense, exact_types

_SCORES_BYTES = 2**24
"""Scores held at once on a CPU: larger blocks of memory go back to the system each time, and come back page by page."""


def band(
    q: Tensor, k: Tensor, v: Tensor, *, text: int, block: int, reach: int, bias: Callable[[int], Tensor]
) -> Tensor:
    """Image queries see the caption, and image keys at most ``reach`` before them, as ``bias(n)`` (n, G, J) says.

    ``q``, ``k``, ``v`` (B, H, T, K) of the whole stream, T > ``text``; image queries go in n blocks of G = ``block``,
    and J = reach + G: the keys from ``reach`` before a block to its end. Gives (B, H, T, K).
    """
    M = q.shape[2] - text
    n = -(-M // block)
    (q_text, q), (k_text, k), (v_text, v) = (x.split([text, M], dim=2) for x in (q, k, v))
    # (B, H, M, K) → (B, H, n, G, K)
    q, k, v = (pad(x, (0, 0, 0, n * block - M)).unflatten(2, (n, block)) for x in (q, k, v))
    image = _joint(q, k, v, k_text, v_text, reach, bias(n)).flatten(2, 3)[:, :, :M]
    return _with_text(image, q_text, k_text, v_text)


def columns(q: Tensor, k: Tensor, v: Tensor, *, text: int, columns: int, bias: Callable[[int], Tensor]) -> Tensor:
    """Image queries see the caption and the keys of their own column, as ``bias(rows)`` (1, rows, rows) says."""
    M = q.shape[2] - text
    rows = -(-M // columns)
    (q_text, q), (k_text, k), (v_text, v) = (x.split([text, M], dim=2) for x in (q, k, v))
    # (B, H, M, K) → (B, H, columns, rows, K): a column is a block
    q, k, v = (pad(x, (0, 0, 0, rows * columns - M)).unflatten(2, (rows, columns)).transpose(2, 3) for x in (q, k, v))
    image = _joint(q, k, v, k_text, v_text, 0, bias(rows)).transpose(2, 3).flatten(2, 3)[:, :, :M]
    return _with_text(image, q_text, k_text, v_text)


def _with_text(image: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The captions' own causal attention, before the image's."""
    return torch.cat([attend_dense(q, k, v, causal=True), image], dim=2) if q.shape[2] else image


def _joint(q: Tensor, k: Tensor, v: Tensor, far_k: Tensor, far_v: Tensor, reach: int, bias: Tensor) -> Tensor:
    """One softmax over a block's keys and the caption: (B, H, n, G, K) and (B, H, L, K) → (B, H, n, G, K)."""
    if torch.compiler.is_compiling():
        return _joint_plain(q, k, v, far_k, far_v, reach, bias)
    B, H, n, G, _ = q.shape
    rows = B
    if q.device.type == "cpu":
        rows = at_once(H, n * G, far_k.shape[2] + reach + G, q.element_size())
    if rows >= B:
        return _Joint.apply(q, k, v, far_k, far_v, reach, bias)
    parts = zip(*(x.split(rows) for x in (q, k, v, far_k, far_v)), strict=True)
    return torch.cat([_Joint.apply(*part, reach, bias) for part in parts])


def at_once(heads: int, queries: int, keys: int, size: int) -> int:
    """Pictures whose scores of ``size`` bytes each are held at once on a CPU."""
    return max(1, _SCORES_BYTES // (heads * queries * keys * size))


def _joint_plain(q: Tensor, k: Tensor, v: Tensor, far_k: Tensor, far_v: Tensor, reach: int, bias: Tensor) -> Tensor:
    """``_Joint`` in plain operations, which a compiler fuses; the tests' reference too."""
    n, G, L = q.shape[2], q.shape[3], far_k.shape[2]
    if reach:
        k, v = (pad(x.flatten(2, 3), (0, 0, reach, 0)).unfold(2, reach + G, G).mT for x in (k, v))
    q = q * q.shape[-1] ** -0.5
    near = (q @ k.mT).float() + bias
    far = (q.flatten(2, 3) @ far_k.mT).unflatten(2, (n, G))
    weights = torch.cat([far.float(), near], dim=-1).softmax(-1).to(v.dtype)
    far_out = (weights[..., :L].flatten(2, 3) @ far_v).unflatten(2, (n, G))
    return far_out + weights[..., L:] @ v


class _Joint(torch.autograd.Function):
    """One softmax over a block's image keys and the caption's, by products on batches of blocks.

    Windows of keys overlap in one long row of all heads' keys and are never copied: a head's first windows reach into
    the head before, where the bias gives them weight 0 exactly.
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, far_k: Tensor, far_v: Tensor, reach: int, bias: Tensor
    ) -> Tensor:
        B, H, n, G, K = q.shape
        X, L, J, scale = B * H, far_k.shape[2], reach + G, K**-0.5
        with exact_types(q.device):
            q = (q * scale).reshape(X, n * G, K).contiguous()
            far_k, far_v = far_k.reshape(X, L, K), far_v.reshape(X, L, K)
            k, v = _long_row(k, reach), _long_row(v, reach)
            # Caption first, then the window: (X, n · G, L + J)
            scores = q.new_empty(X, n * G, L + J)
            near = scores.view(X * n, G, L + J)[:, :, L:]
            torch.bmm(q.view(X * n, G, K), _windows(k, X * n, G, J).mT, out=near)
            near.view(X, n, G, J).add_(bias)
            if L:
                torch.bmm(q, far_k.mT, out=scores[:, :, :L])
            weights = torch.softmax(scores, dim=-1)
            near = weights.view(X * n, G, L + J)[:, :, L:]
            out = torch.bmm(near, _windows(v, X * n, G, J))
            if L:
                out.view(X, n * G, K).baddbmm_(weights[:, :, :L], far_v)
        ctx.save_for_backward(q, k, v, far_k, far_v, weights)
        ctx.sizes = (B, H, n, G, K, L, J, scale)
        return out.view(B, H, n, G, K)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, far_k, far_v, weights = ctx.saved_tensors
        B, H, n, G, K, L, J, scale = ctx.sizes
        X, blocks = B * H, B * H * n
        grad = grads[0].reshape(X, n * G, K).contiguous()
        near = weights.view(blocks, G, L + J)[:, :, L:]
        grad_v = _fold(torch.bmm(near.mT, grad.view(blocks, G, K)), G)
        scores = torch.empty_like(weights)
        torch.bmm(grad.view(blocks, G, K), _windows(v, blocks, G, J).mT, out=scores.view(blocks, G, L + J)[:, :, L:])
        if L:
            torch.bmm(grad, far_v.mT, out=scores[:, :, :L])
        scores = torch._softmax_backward_data(scores, weights, -1, scores.dtype)
        near = scores.view(blocks, G, L + J)[:, :, L:]
        grad_q = torch.bmm(near, _windows(k, blocks, G, J))
        grad_k = _fold(torch.bmm(near.mT, q.view(blocks, G, K)), G)
        if L:
            grad_q.view(X, n * G, K).baddbmm_(scores[:, :, :L], far_k)
            grad_far_k = torch.bmm(scores[:, :, :L].mT, q)
            grad_far_v = torch.bmm(weights[:, :, :L].mT, grad)
        else:
            grad_far_k, grad_far_v = torch.zeros_like(far_k), torch.zeros_like(far_v)
        grad_q *= scale
        image, text = (B, H, n, G, K), (B, H, L, K)
        return (
            grad_q.view(image), grad_k.view(image), grad_v.view(image), grad_far_k.view(text), grad_far_v.view(text),
            None, None,
        )  # fmt: skip


def _long_row(x: Tensor, reach: int) -> Tensor:
    """(B, H, n, G, K) → (reach + B·H·n·G, K) behind ``reach`` zeros."""
    row = x.new_empty(reach + x.numel() // x.shape[-1], x.shape[-1])
    row[:reach] = 0
    row[reach:].view(x.shape).copy_(x)
    return row


def _windows(row: Tensor, blocks: int, step: int, width: int) -> Tensor:
    """Overlapping windows (blocks, width, K) of a long row, ``step`` apart, without a copy."""
    K = row.shape[-1]
    return row.as_strided((blocks, width, K), (step * K, K, 1))


def _fold(windows: Tensor, step: int) -> Tensor:
    """The gradient of ``_windows`` after a ``_long_row``: (blocks, width, K) → (blocks · step, K), overlaps added."""
    blocks, width, K = windows.shape
    if width == step:
        return windows
    row = windows.new_zeros(blocks * step + width - step, K)
    for start in range(0, width, step):
        # Pieces no longer than a step don't overlap among each other.
        piece = windows[:, start : start + step]
        row.as_strided(piece.shape, (step * K, K, 1), start * K).add_(piece)
    return row[width - step :]
