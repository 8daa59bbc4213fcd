"""Matrix products of the token step, by precision: each a function that turns weights into a callable (B, K) → (B, N).

What a row comes to must not depend on how many rows stand beside it, else a picture would depend on its batch. Matrix
libraries choose other orders of summation for very few rows, so ``least_rows`` measures from how many rows on this
machine's bits stay, and the token step never computes fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Linear = Callable[[Tensor], Tensor]
"""Float32 (B, K) → float32 (B, N)."""


class Precision(NamedTuple):
    """``pack`` makes a Linear of a weight (N, K) and a bias (N,) or None; ``fewest`` rows may give steady bits."""

    name: str
    pack: Callable[[Tensor, Tensor | None], Linear]
    fewest: int


MOST_ROWS = 64
"""Rows of one step at most; more pictures are drawn in several batches."""


def _float32(weight: Tensor, bias: Tensor | None) -> Linear:
    """The reference: float32 throughout, on a CPU with weights packed once for oneDNN."""
    if not _packs(weight):
        return lambda x: F.linear(x, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 8)
    product = torch.ops.mkldnn._linear_pointwise
    return lambda x: product(x, packed, bias, "none", [], "")


def _bfloat16(weight: Tensor, bias: Tensor | None) -> Linear:
    """Weights and inputs rounded to bfloat16 (8 bits of mantissa), sums in float32."""
    half = weight.detach().to(torch.bfloat16).contiguous()
    if not _packs(weight) or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return lambda x: F.linear(x.to(torch.bfloat16), half).float() if bias is None else (
            F.linear(x.to(torch.bfloat16), half).float().add_(bias)
        )  # fmt: skip
    packed = torch.ops.mkldnn._reorder_linear_weight(half, 8)
    product = torch.ops.mkldnn._linear_pointwise
    return lambda x: product(x.to(torch.bfloat16), packed, bias, "none", [], "").float()


def _int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """Weights as int8 with a scale for each output, inputs as int8 with a scale for each row, exact sums in int32.

    The integer sums are exact, so rows, threads and machines agree to the bit up to the scales.
    """
    weight = weight.detach().float()
    scale = weight.abs().amax(dim=1).clamp_(min=1e-12) / 127
    # (K, N), column-major: as the integer product reads it.
    quantised = (weight / scale[:, None]).round_().to(torch.int8).t()
    if not _sums_exactly(weight.device):
        restored = quantised.t().float() * scale[:, None]
        return _float32(restored, bias)
    offset = torch.zeros_like(scale) if bias is None else bias

    def product(x: Tensor) -> Tensor:
        row_scale = x.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-12).div_(127)
        rows = (x / row_scale).round_().to(torch.int8)
        return torch.addcmul(offset, torch._int_mm(rows, quantised) * row_scale, scale)

    return product


# Products of one row go another way than those of several, so floats begin at two; sums of integers are exact.
FLOAT32 = Precision("float32", _float32, fewest=2)
BFLOAT16 = Precision("bf16", _bfloat16, fewest=2)
INT8 = Precision("int8", _int8, fewest=1)
PRECISIONS = {precision.name: precision for precision in (FLOAT32, BFLOAT16, INT8)}
"""By the names that settings and metadata use."""


def least_rows(linears: Sequence[tuple[Linear, int]], fewest: int) -> int:
    """The fewest rows, ``fewest`` · 2ⁿ, from which on rows come to the same bits in any batch up to ``MOST_ROWS``.

    ``linears``: callables with their input width. ``MOST_ROWS`` where no fewer do: then all batches have one size.
    """
    rows = fewest
    while rows < MOST_ROWS and not all(_steady(linear, width, rows) for linear, width in linears):
        rows *= 2
    return min(rows, MOST_ROWS)


def steady_multiple(product: Linear, width: int) -> int:
    """The least of 8, 16, 32, ``MOST_ROWS`` such that batches of its multiples give rows the same bits."""
    rows = 8
    while rows < MOST_ROWS and not _same_bits(product, width, rows, range(rows, MOST_ROWS, rows)):
        rows *= 2
    return rows


def _steady(linear: Linear, width: int, rows: int) -> bool:
    sizes = (rows + 1, 2 * rows - 1, 17, MOST_ROWS // 2, MOST_ROWS - 1)
    return _same_bits(linear, width, rows, [size for size in sizes if rows <= size < MOST_ROWS])


def _same_bits(linear: Linear, width: int, rows: int, sizes: Iterable[int]) -> bool:
    """Whether batches of ``rows``, and of ``sizes`` from other places, give each row what ``MOST_ROWS`` together do."""
    x = torch.randn(MOST_ROWS, width, generator=torch.Generator().manual_seed(0)).to(_device_of(linear))
    whole = linear(x)
    if not torch.equal(torch.cat([linear(part) for part in x.split(rows)]), whole):
        return False
    # A row's place within a batch must not count either.
    shifts = [linear(x.roll(shift, 0)).roll(-shift, 0) for shift in (1, 2, 5)]
    ends = [(linear(x[-size:]), whole[-size:]) for size in sizes]
    return all(torch.equal(shift, whole) for shift in shifts) and all(torch.equal(one, two) for one, two in ends)


def _device_of(linear: Linear) -> torch.device:
    cells = getattr(linear, "__closure__", None) or ()
    tensors = [cell.cell_contents for cell in cells if isinstance(cell.cell_contents, Tensor)]
    return tensors[0].device if tensors else torch.device("cpu")


def _packs(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


@lru_cache(maxsize=8)
def _sums_exactly(device: torch.device) -> bool:
    """Whether the integer product is there and exact: on CPUs without VNNI it may saturate at 16 bits on the way."""
    rows = torch.full((32, 256), 127, dtype=torch.int8, device=device)
    columns = torch.full((64, 256), 127, dtype=torch.int8, device=device)
    columns[::2] = -127
    try:
        sums = torch._int_mm(rows, columns.t())
    except (RuntimeError, NotImplementedError):
        return False
    expected = torch.where(torch.arange(64, device=device) % 2 == 0, -1, 1) * 127 * 127 * 256
    return bool((sums == expected).all())
