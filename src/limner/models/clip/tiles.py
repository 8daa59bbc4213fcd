"""The contrastive losses tile by tile: exact, with memory linear in the batch.

Of the N × N similarities S = s · A · Bᵀ a loss needs the log-sum-exps of rows and columns; its gradient needs S once
more. Both passes walk over tiles that stay in the cache, so that they are not slower than the plain loss, which writes
and reads whole matrices. Where autocast is on, the products run in its precision and everything else in float32.

One exponential serves a tile's rows and columns: exp(S - c) with c the largest similarity of all. That is exact enough
as long as no row's or column's log-sum-exp lies further than ``_reach`` below c; otherwise each row and column is
shifted by its own maximum (two exponentials, slower, always exact).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# A tile of 8 MB in float32 on a CPU, of 128 MB on a GPU, which wants larger products.
_ROWS, _COLUMNS = 1024, 2048
_CUDA_ROWS, _CUDA_COLUMNS = 4096, 8192


class PairLoss(torch.autograd.Function):
    """½ (cross-entropy of rows + of columns) of s · A · Bᵀ against the diagonal: A, B (N, E), s scalar, groups (N,)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, groups: Tensor | None) -> Tensor:
        """Scalar loss."""
        low = _precision(a)
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s = a.to(low), b.to(low), float(scale)
            rows, columns, shift = _log_sums(a_low, b_low, s, groups, _working(a))
            diagonal = s * (a * b).sum(dim=1, dtype=rows.dtype)
            value = 0.5 * (rows.mean() + columns.mean()) - diagonal.mean()
        ctx.save_for_backward(a, b, scale, rows, columns, groups)
        ctx.low, ctx.shift = low, shift
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of A, B and the scale."""
        a, b, scale, rows, columns, groups = ctx.saved_tensors
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s, n = a.to(ctx.low), b.to(ctx.low), float(scale), len(a)
            shared = ctx.shift is not None
            row_factor = torch.exp(ctx.shift - rows) if shared else rows
            column_factor = torch.exp(ctx.shift - columns) if shared else columns
            grad_a, grad_b = torch.zeros_like(a, dtype=rows.dtype), torch.zeros_like(b, dtype=rows.dtype)
            for r, c in _tiles(n, n, a.device):
                tile = _similarities(a_low, b_low, s, groups, groups, r, c, 0, rows.dtype)
                if shared:
                    # exp(S - row) + exp(S - column) = exp(S - c) · (exp(c - row) + exp(c - column)).
                    weight = tile.sub_(ctx.shift).exp_().mul_(row_factor[r, None] + column_factor[None, c])
                else:
                    weight = (tile - row_factor[r, None]).exp_().add_(tile.sub_(column_factor[None, c]).exp_())
                weight = _less_own(weight, r, c, 0, 2.0).to(ctx.low)
                _add_product(grad_a[r], weight, b_low[c])
                _add_product(grad_b[c], weight.T, a_low[r])
            grad_a = grad_a.mul_(0.5 * s / n)
            grad_b = grad_b.mul_(0.5 * s / n)
            # s · dL/ds = Σ A ⊙ dL/dA, since the loss sees A only through s · A.
            grad_scale = (a * grad_a).sum() / s
        return (grad_a * gradient).to(a.dtype), (grad_b * gradient).to(b.dtype), grad_scale * gradient, None


class RowLoss(torch.autograd.Function):
    """Cross-entropy of the rows of s · A · Bᵀ: A (n, E) a rank's own, B (N, E) all; row i's pair is offset + i."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, scale: Tensor, offset: int, groups: Tensor | None, all_groups: Tensor | None
    ) -> Tensor:
        """Scalar loss, the mean over the n rows."""
        low = _precision(a)
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s = a.to(low), b.to(low), float(scale)
            rows = _row_log_sums(a_low, b_low, s, groups, all_groups, offset, _working(a))
            value = (rows - s * (a * b[offset : offset + len(a)]).sum(dim=1, dtype=rows.dtype)).mean()
        ctx.save_for_backward(a, b, scale, rows, groups, all_groups)
        ctx.low, ctx.offset = low, offset
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of A, B and the scale."""
        a, b, scale, rows, groups, all_groups = ctx.saved_tensors
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s, n = a.to(ctx.low), b.to(ctx.low), float(scale), len(a)
            grad_a, grad_b = torch.zeros_like(a, dtype=rows.dtype), torch.zeros_like(b, dtype=rows.dtype)
            for r, c in _tiles(n, len(b), a.device):
                tile = _similarities(a_low, b_low, s, groups, all_groups, r, c, ctx.offset, rows.dtype)
                weight = _less_own(tile.sub_(rows[r, None]).exp_(), r, c, ctx.offset, 1.0).to(ctx.low)
                _add_product(grad_a[r], weight, b_low[c])
                _add_product(grad_b[c], weight.T, a_low[r])
            grad_a = grad_a.mul_(s / n)
            grad_b = grad_b.mul_(s / n)
            grad_scale = (a * grad_a).sum() / s
        return (grad_a * gradient).to(a.dtype), (grad_b * gradient).to(b.dtype), grad_scale * gradient, None, None, None


class SigmoidLoss(torch.autograd.Function):
    """-1/n Σ log σ(z · (s · A · Bᵀ + bias)) with z = 1 at column offset + i of row i and -1 elsewhere."""

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        b: Tensor,
        scale: Tensor,
        bias: Tensor,
        offset: int,
        groups: Tensor | None,
        all_groups: Tensor | None,
    ) -> Tensor:
        """Scalar loss."""
        low = _precision(a)
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s, shift, n = a.to(low), b.to(low), float(scale), float(bias), len(a)
            total = torch.zeros((), dtype=torch.float64, device=a.device)
            for r, c in _tiles(n, len(b), a.device):
                tile = _similarities(a_low, b_low, s, groups, all_groups, r, c, offset, _working(a))
                total += F.softplus(tile.add_(shift)).sum(dtype=torch.float64)
            positive = s * (a * b[offset : offset + n]).sum(dim=1, dtype=_working(a)) + shift
            # softplus(-x) - softplus(x) = -x turns the diagonal's negative term into the positive one.
            value = ((total - positive.sum(dtype=torch.float64)) / n).to(_working(a))
        ctx.save_for_backward(a, b, scale, bias, groups, all_groups)
        ctx.low, ctx.offset = low, offset
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of A, B, the scale and the bias."""
        a, b, scale, bias, groups, all_groups = ctx.saved_tensors
        with torch.autocast(a.device.type, enabled=False):
            a_low, b_low, s, shift, n = a.to(ctx.low), b.to(ctx.low), float(scale), float(bias), len(a)
            work = _working(a)
            grad_a, grad_b = torch.zeros_like(a, dtype=work), torch.zeros_like(b, dtype=work)
            grad_bias = torch.zeros((), dtype=work, device=a.device)
            for r, c in _tiles(n, len(b), a.device):
                tile = _similarities(a_low, b_low, s, groups, all_groups, r, c, ctx.offset, work)
                weight = _less_own(tile.add_(shift).sigmoid_(), r, c, ctx.offset, 1.0)
                grad_bias += weight.sum()
                weight = weight.to(ctx.low)
                _add_product(grad_a[r], weight, b_low[c])
                _add_product(grad_b[c], weight.T, a_low[r])
            grad_a = grad_a.mul_(s / n)
            grad_b = grad_b.mul_(s / n)
            grad_bias = grad_bias / n
            grad_scale = (a * grad_a).sum() / s
        none = None
        grads = ((grad_a * gradient).to(a.dtype), (grad_b * gradient).to(b.dtype))
        return *grads, grad_scale * gradient, grad_bias * gradient, none, none, none


def _precision(a: Tensor) -> torch.dtype:
    kind = a.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else a.dtype


def _working(a: Tensor) -> torch.dtype:
    return torch.float64 if a.dtype == torch.float64 else torch.float32


def _reach(dtype: torch.dtype) -> float:
    # exp underflows 87 (float32) or 708 (float64) below its maximum; the rest is the precision that must be left.
    return 600.0 if dtype == torch.float64 else 55.0


def _tiles(rows: int, columns: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    high, wide = (_CUDA_ROWS, _CUDA_COLUMNS) if device.type == "cuda" else (_ROWS, _COLUMNS)
    for r in range(0, rows, high):
        for c in range(0, columns, wide):
            yield slice(r, min(r + high, rows)), slice(c, min(c + wide, columns))


def _similarities(
    a: Tensor,
    b: Tensor,
    scale: float,
    groups: Tensor | None,
    all_groups: Tensor | None,
    r: slice,
    c: slice,
    offset: int,
    work: torch.dtype,
) -> Tensor:
    """A fresh tile of s · A · Bᵀ in the working precision; duplicates of a pair (not itself) are -inf."""
    tile = (a[r] @ b[c].T).to(work).mul_(scale)
    if groups is not None and all_groups is not None:
        same = groups[r, None] == all_groups[None, c]
        own = torch.arange(r.start, r.stop, device=a.device)[:, None] + offset
        same &= own != torch.arange(c.start, c.stop, device=a.device)[None, :]
        tile.masked_fill_(same, float("-inf"))
    return tile


def _less_own(tile: Tensor, r: slice, c: slice, offset: int, amount: float) -> Tensor:
    """``tile`` with ``amount`` taken from each row's own pair, in place and before it is rounded to fewer bits:

    what is left there is small where the model is sure, and would be lost in the rounding of the difference.
    """
    low, high = max(r.start + offset, c.start), min(r.stop + offset, c.stop)
    if low < high:
        tile[low - offset - r.start : high - offset - r.start, low - c.start : high - c.start].diagonal().sub_(amount)
    return tile


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)


def _log_sums(
    a: Tensor, b: Tensor, scale: float, groups: Tensor | None, work: torch.dtype
) -> tuple[Tensor, Tensor, float | None]:
    """Log-sum-exps of rows and columns (N,), and the shift c that serves all of them (None: there is no such)."""
    n = len(a)
    rows = torch.zeros(n, dtype=work, device=a.device)
    columns = torch.zeros(n, dtype=work, device=a.device)
    shift = float("-inf")
    for r, c in _tiles(n, n, a.device):
        tile = _similarities(a, b, scale, groups, groups, r, c, 0, work)
        top = float(tile.max())
        if top > shift:
            if shift > float("-inf"):
                factor = torch.exp(torch.tensor(shift - top, dtype=work)).item()
                rows.mul_(factor)
                columns.mul_(factor)
            shift = top
        tile.sub_(shift).exp_()
        rows[r] += tile.sum(dim=1)
        columns[c] += tile.sum(dim=0)
    if float(torch.minimum(rows.min(), columns.min()).log()) > -_reach(work):
        return rows.log_().add_(shift), columns.log_().add_(shift), shift
    return (
        _row_log_sums(a, b, scale, groups, groups, 0, work),
        _row_log_sums(b, a, scale, groups, groups, 0, work),
        None,
    )


def _row_log_sums(
    a: Tensor, b: Tensor, scale: float, groups: Tensor | None, all_groups: Tensor | None, offset: int, work: torch.dtype
) -> Tensor:
    total = torch.full((len(a),), float("-inf"), dtype=work, device=a.device)
    for r, c in _tiles(len(a), len(b), a.device):
        tile = _similarities(a, b, scale, groups, all_groups, r, c, offset, work)
        total[r] = torch.logaddexp(total[r], torch.logsumexp(tile, dim=1))
    return total
