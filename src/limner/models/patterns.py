"""Attention patterns as values: what a token sees, in a stream of caption tokens and a grid of image tokens.

DALL·E's patterns (arXiv 2102.12092, §2.2 and appendix B.1, figure 11) are for a stream of ``layout.text`` caption
tokens and then ``layout.rows × layout.columns`` image tokens in raster order. The caption is causal and never sees the
image; every image token sees the whole caption; among image tokens, a query at raster index q sees a key at k where

* ``Full``    k ≤ q
* ``Row``     0 ≤ q-k ≤ W: itself and the W tokens before it, across row edges (the last is the one straight above)
* ``Column``  k ≤ q in the same column
* ``Conv``    q-k = W·dr + dc ≥ 0 with 0 ≤ dr ≤ h and -h ≤ dc ≤ h, h = kernel // 2, wrapping as ``Row`` does

``Causal`` and ``Bidirectional`` know no image and serve CLIP's towers and Image GPT. One softmax goes over caption and
image keys together. A pattern has

* ``sees(query, key, layout)``: the rule above for raster indices, ints or tensors that broadcast
* ``mask(layout)``: bool (T, T) of the whole stream, True where the query (row) sees the key; the reference
* ``attend(q, k, v, layout)``: (B, H, T, K) each; the same as attention with that mask, at the cost of what is seen;
  T is any length up to the stream's
* ``visible(layout, position)``: raster indices of the image keys that the image query ``position`` sees, with itself
* ``window(layout)``: how many of the newest image keys a sampler must keep for the tokens still to come
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from limner.errors import InputError
from limner.models import blockwise
from limner.models.dense import attend_dense
from limner.shapes import Layout

_WORTH_BLOCKS = 2.6
"""Attention goes in blocks where that computes this many times fewer scores (``benchmarks/patterns.py``)."""


class Blocks(NamedTuple):
    """How a pattern's image queries are taken together: ``queries`` of a row's order with the keys up to ``reach``
    before the first of them, or a column each."""

    queries: int
    reach: int = 0
    by_column: bool = False


class Pattern(Protocol):
    """What every pattern can do; see the head of this file."""

    def sees(self, query: Any, key: Any, layout: Layout) -> Any: ...

    def mask(self, layout: Layout) -> Tensor: ...

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor: ...

    def visible(self, layout: Layout, position: int) -> list[int]: ...

    def window(self, layout: Layout) -> int: ...


@dataclass(frozen=True)
class Bidirectional:
    """Every token sees every token (the ViT)."""

    def sees(self, query: Any, key: Any, layout: Layout) -> Any:
        return (query >= 0) & (key >= 0)

    def mask(self, layout: Layout) -> Tensor:
        return torch.ones(layout.total, layout.total, dtype=torch.bool)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor:
        return attend_dense(q, k, v)

    def visible(self, layout: Layout, position: int) -> list[int]:
        return list(range(layout.image))

    def window(self, layout: Layout) -> int:
        return layout.image


@dataclass(frozen=True)
class Causal:
    """A token sees itself and all before it; text, or pixels in raster order."""

    def sees(self, query: Any, key: Any, layout: Layout) -> Any:
        return query >= key

    def mask(self, layout: Layout) -> Tensor:
        return torch.ones(layout.total, layout.total, dtype=torch.bool).tril()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor:
        return attend_dense(q, k, v, causal=True)

    def visible(self, layout: Layout, position: int) -> list[int]:
        return list(range(position + 1))

    def window(self, layout: Layout) -> int:
        return layout.image


# Over caption and image in one causal stream, DALL·E's full attention is the causal one.
Full = Causal


@dataclass(frozen=True)
class Row:
    """Itself and the W image tokens before it."""

    def sees(self, query: Any, key: Any, layout: Layout) -> Any:
        return (query >= key) & (query - key <= layout.columns)

    def mask(self, layout: Layout) -> Tensor:
        return _mask(self, layout)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor:
        return _attend_grid(self, Blocks(_grid(layout).columns, reach=_grid(layout).columns), q, k, v, _grid(layout))

    def visible(self, layout: Layout, position: int) -> list[int]:
        return list(range(max(0, position - layout.columns), position + 1))

    def window(self, layout: Layout) -> int:
        return min(layout.columns + 1, layout.image)


@dataclass(frozen=True)
class Column:
    """The image tokens of its own column, down to itself."""

    def sees(self, query: Any, key: Any, layout: Layout) -> Any:
        return (query >= key) & ((query - key) % layout.columns == 0)

    def mask(self, layout: Layout) -> Tensor:
        return _mask(self, layout)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor:
        return _attend_grid(self, Blocks(_grid(layout).rows, by_column=True), q, k, v, _grid(layout))

    def visible(self, layout: Layout, position: int) -> list[int]:
        return list(range(position % layout.columns, position + 1, layout.columns))

    def window(self, layout: Layout) -> int:
        # A step reads one key per row, but the next row reads the other columns: all are kept.
        return layout.image


@dataclass(frozen=True)
class Conv:
    """The image tokens above and before it in a ``kernel`` × ``kernel`` window around it."""

    kernel: int = 11

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"attention window: expected an odd number of tokens, got {self.kernel}")

    @property
    def half(self) -> int:
        return self.kernel // 2

    def sees(self, query: Any, key: Any, layout: Layout) -> Any:
        distance = query - key
        # The nearest multiple of W is the row offset that leaves the smallest column offset.
        rows_up = (distance + self.half) // layout.columns
        aside = distance - rows_up * layout.columns
        within = (aside >= -self.half) & (aside <= self.half) & (rows_up <= self.half)
        if layout.columns <= self.half * 2:
            # Windows of neighbouring rows overlap: any distance up to the farthest is inside one.
            within = distance <= self.half * layout.columns + self.half
        return (distance >= 0) & within

    def mask(self, layout: Layout) -> Tensor:
        return _mask(self, layout)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layout: Layout | None = None) -> Tensor:
        columns = _grid(layout).columns
        reach = self.half * columns + self.half
        # As many rows as make a block about half as long as its reach: fewer waste keys, more waste masks.
        block = columns * max(1, round(reach / 2 / columns))
        return _attend_grid(self, Blocks(block, reach), q, k, v, _grid(layout))

    def visible(self, layout: Layout, position: int) -> list[int]:
        return [key for key in range(position + 1) if self.sees(position, key, layout)]

    def window(self, layout: Layout) -> int:
        return min(self.half * layout.columns + self.half + 1, layout.image)


def _mask(pattern: Pattern, layout: Layout, device: torch.device | None = None) -> Tensor:
    query = torch.arange(layout.total, device=device)[:, None]
    key = torch.arange(layout.total, device=device)[None, :]
    text = layout.text
    seen = pattern.sees(query - text, key - text, layout)
    # Captions are causal among themselves, and every image token sees the whole caption.
    return torch.where(key < text, query >= key, (query >= text) & seen)


def _bias(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


# Biases are kept: a run needs few, again and again. Autograd saves them, so they must never be inference tensors.
@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _dense_bias(pattern: Hashable, layout: Layout, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _bias(_mask(cast(Pattern, pattern), layout, device), dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _band_bias(
    pattern: Hashable, layout: Layout, count: int, blocks: Blocks, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """(count, queries, reach + queries) for the keys from ``reach`` before a block to its end."""
    start = torch.arange(count, device=device)[:, None, None] * blocks.queries
    query = start + torch.arange(blocks.queries, device=device)[None, :, None]
    key = start - blocks.reach + torch.arange(blocks.reach + blocks.queries, device=device)[None, None, :]
    return _bias((key >= 0) & cast(Pattern, pattern).sees(query, key, layout), dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _column_bias(rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _bias(torch.ones(1, rows, rows, dtype=torch.bool, device=device).tril(), dtype)


@contextlib.contextmanager
def own_biases() -> Iterator[None]:
    """Keep biases for this block alone, as one that traces tensors without data must."""
    kept = (_dense_bias, _band_bias, _column_bias)
    try:
        for function in kept:
            function.cache_clear()
        yield
    finally:
        for function in kept:
            function.cache_clear()


def _attend_grid(pattern: Pattern, blocks: Blocks, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
    """Captions alone are causal; small streams are fastest whole, under a mask; long ones in blocks."""
    text, length = layout.text, q.shape[2]
    if length <= text:
        return attend_dense(q, k, v, causal=True)
    keys = text + blocks.reach + blocks.queries
    if length**2 < _WORTH_BLOCKS * (text**2 + (length - text) * keys):
        bias = _dense_bias(cast(Hashable, pattern), layout, q.dtype, q.device)[:length, :length]
        return attend_dense(q, k, v, bias, causal=True)
    if blocks.by_column:
        return blockwise.columns(
            q, k, v, text=text, columns=layout.columns, bias=lambda rows: _column_bias(rows, q.dtype, q.device)
        )
    return blockwise.band(
        q, k, v, text=text, block=blocks.queries, reach=blocks.reach,
        bias=lambda n: _band_bias(cast(Hashable, pattern), layout, n, blocks, q.dtype, q.device),
    )  # fmt: skip


def _grid(layout: Layout | None) -> Layout:
    if layout is None:
        raise InputError("attention pattern: expected the layout of caption and grid, got none; pass layout=")
    return layout
