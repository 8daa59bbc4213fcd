"""Multi-head self-attention whose pattern is a value.

Parameters are named as in ``torch.nn.MultiheadAttention`` (``in_proj_weight``, ``in_proj_bias``, ``out_proj``), as
OpenAI's CLIP files name them. A sampler that keeps keys and values calls ``project`` and ``finish`` itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.errors import InputError
from limner.models.patterns import Pattern
from limner.models.positions import Rotation, rotate
from limner.shapes import Layout


class Attention(nn.Module):
    """(B, T, D) → (B, T, D) with ``heads`` heads; D must be a multiple of ``heads``.

    ``qk_norm`` norms each head's queries and keys (RMS, learned gain; after arXiv 2010.04245): not the papers'.
    """

    def __init__(self, width: int, heads: int, *, pattern: Pattern, bias: bool = True, qk_norm: bool = False) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise InputError(f"attention: expected a width that {heads} heads divide, got {width}")
        self.width, self.heads, self.pattern = width, heads, pattern
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width)) if bias else None
        self.out_proj = nn.Linear(width, width, bias=bias)
        # As torch.nn.MultiheadAttention begins.
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)
        self.q_norm = nn.RMSNorm(width // heads, eps=1e-6) if qk_norm else None
        self.k_norm = nn.RMSNorm(width // heads, eps=1e-6) if qk_norm else None

    def project(self, x: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of ``x`` (B, T, D): three of (B, H, T, K)."""
        B, T, _ = x.shape
        # (B, T, 3D) → (3, B, H, T, K)
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.q_norm is not None and self.k_norm is not None:
            # In float32, as the gains are, whatever the products' precision.
            q, k = self.q_norm(q.float()).to(v.dtype), self.k_norm(k.float()).to(v.dtype)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        return q, k, v

    def finish(self, out: Tensor) -> Tensor:
        """The output projection of what the heads attended to: (B, H, T, K) → (B, T, D)."""
        B, _, T, _ = out.shape
        return self.out_proj(out.transpose(1, 2).reshape(B, T, self.width))

    def forward(self, x: Tensor, layout: Layout | None = None, rotation: Rotation | None = None) -> Tensor:
        q, k, v = self.project(x, rotation)
        return self.finish(self.pattern.attend(q, k, v, layout))
