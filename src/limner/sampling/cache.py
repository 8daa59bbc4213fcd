"""Keys and values of the image tokens drawn so far: each layer keeps what its pattern can still see, and no more.

A layer's store has *slots*. A query reads all slots of its store at once, and a table of biases (0 or -∞) hides those
that its pattern doesn't see, so that rows of a batch may stand at different positions and a row's sum never depends on
where the others stand. There are three stores:

* ``Ring``     the newest ``window`` keys, the oldest overwritten (row: W + 1 slots; conv: its window)
* ``Columns``  one slot per row of the grid and column; a query reads its own column
* ``Whole``    a slot for every image token; a query reads the slots up to the farthest row of the batch

The caption's keys are not here: they are computed and held once for all candidates (``step.Context``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from limner.models.patterns import Column, Pattern
from limner.shapes import Layout

Position = int | Tensor
"""Raster index of the token that is put in: one for all rows, or int64 (B,), one for each."""

BUCKET = 64
"""``Whole`` reads multiples of so many slots."""


class Read(NamedTuple):
    """What a query sees: keys and values (H, B, S, K), and a bias that broadcasts to (H, B, S), None for all zeros."""

    keys: Tensor
    values: Tensor
    bias: Tensor | None


class Store(Protocol):
    """One layer's image keys and values for B rows; ``bias`` is what queries see of the slots, 0 or -∞."""

    keys: Tensor
    values: Tensor
    bias: Tensor

    def slot(self, position: int) -> tuple[int | slice, ...]:
        """Where ``keys`` and ``values`` have all rows' tokens at one position: an index that gives (H, B, K)."""

    def write(self, keys: Tensor, values: Tensor, position: Position) -> None:
        """Keep the keys and values (H, B, K) of the tokens at ``position``."""

    def read(self, position: Position) -> Read:
        """What the queries at ``position`` see, themselves among it."""

    def fill(self, keys: Tensor, values: Tensor, rows: slice) -> None:
        """Begin ``rows`` with the same first n tokens, (H, n, K)."""

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes what row ``rows[i]`` was, int64 (B,)."""


_ALL = slice(None)


class Shape(NamedTuple):
    """Of a store: B, H, K, and where and how numbers are kept."""

    rows: int
    heads: int
    head_width: int
    device: torch.device
    dtype: torch.dtype

    def zeros(self, *slots: int) -> Tensor:
        return torch.zeros(*slots, self.head_width, device=self.device, dtype=self.dtype)


def make_store(pattern: Pattern, layout: Layout, shape: Shape) -> Store:
    """The smallest store that serves ``pattern``."""
    if isinstance(pattern, Column):
        return Columns(layout, shape)
    if pattern.window(layout) < layout.image:
        return Ring(pattern, layout, shape)
    return Whole(pattern, layout, shape)


def slots_kept(patterns: Sequence[Pattern], layout: Layout) -> int:
    """Image keys that one picture holds, over all layers; × 2 · D · bytes of a number is its memory."""
    return sum(layout.image if isinstance(pattern, Column) else pattern.window(layout) for pattern in patterns)


class Ring:
    """Slot of token i: i mod window."""

    def __init__(self, pattern: Pattern, layout: Layout, shape: Shape) -> None:
        self.slots = pattern.window(layout)
        self.keys = shape.zeros(shape.heads, shape.rows, self.slots)
        self.values = torch.zeros_like(self.keys)
        self.bias = _ring_bias(pattern, layout, self.slots, shape.device)  # type: ignore[arg-type]
        self.clear = _clear_rows(pattern, layout, self.slots)  # type: ignore[arg-type]

    def slot(self, position: int) -> tuple[int | slice, ...]:
        return _ALL, _ALL, position % self.slots

    def write(self, keys: Tensor, values: Tensor, position: Position) -> None:
        if isinstance(position, int):
            slot = self.slot(position)
            self.keys[slot], self.values[slot] = keys, values
        else:
            row = torch.arange(len(position), device=position.device)
            self.keys[:, row, position % self.slots] = keys
            self.values[:, row, position % self.slots] = values

    def read(self, position: Position) -> Read:
        if isinstance(position, int):
            return Read(self.keys, self.values, None if self.clear[position] else self.bias[position])
        return Read(self.keys, self.values, self.bias[position])

    def fill(self, keys: Tensor, values: Tensor, rows: slice) -> None:
        length = keys.shape[1]
        newest = torch.arange(max(0, length - self.slots), length, device=keys.device)
        self.keys[:, rows, newest % self.slots] = keys[:, None, newest]
        self.values[:, rows, newest % self.slots] = values[:, None, newest]

    def reorder(self, rows: Tensor) -> None:
        self.keys = self.keys.index_select(1, rows)
        self.values = self.values.index_select(1, rows)


class Columns:
    """Slot of token i: its row in the grid, in the store of its column; (columns, H, B, rows, K)."""

    def __init__(self, layout: Layout, shape: Shape) -> None:
        self.columns = layout.columns
        self.keys = shape.zeros(layout.columns, shape.heads, shape.rows, layout.rows)
        self.values = torch.zeros_like(self.keys)
        self.bias = _column_bias(layout.rows, shape.device)

    def slot(self, position: int) -> tuple[int | slice, ...]:
        return position % self.columns, _ALL, _ALL, position // self.columns

    def write(self, keys: Tensor, values: Tensor, position: Position) -> None:
        if isinstance(position, int):
            slot = self.slot(position)
            self.keys[slot], self.values[slot] = keys, values
        else:
            row = torch.arange(len(position), device=position.device)
            # With indices apart, their axis comes first: (B, H, K).
            self.keys[position % self.columns, :, row, position // self.columns] = keys.transpose(0, 1)
            self.values[position % self.columns, :, row, position // self.columns] = values.transpose(0, 1)

    def read(self, position: Position) -> Read:
        if isinstance(position, int):
            r, c = divmod(position, self.columns)
            return Read(self.keys[c], self.values[c], self.bias[r])
        row = torch.arange(len(position), device=position.device)
        column = position % self.columns
        # (B, H, rows, K) → (H, B, rows, K)
        keys = self.keys[column, :, row].transpose(0, 1)
        values = self.values[column, :, row].transpose(0, 1)
        return Read(keys, values, self.bias[position // self.columns])

    def fill(self, keys: Tensor, values: Tensor, rows: slice) -> None:
        for c in range(min(self.columns, keys.shape[1])):
            column = keys[:, None, c :: self.columns]
            self.keys[c, :, rows, : column.shape[2]] = column
            self.values[c, :, rows, : column.shape[2]] = values[:, None, c :: self.columns]

    def reorder(self, rows: Tensor) -> None:
        self.keys = self.keys.index_select(2, rows)
        self.values = self.values.index_select(2, rows)


class Whole:
    """Slot of token i: i."""

    def __init__(self, pattern: Pattern, layout: Layout, shape: Shape) -> None:
        self.slots = layout.image
        self.keys = shape.zeros(shape.heads, shape.rows, self.slots)
        self.values = torch.zeros_like(self.keys)
        self.bias = _ring_bias(pattern, layout, self.slots, shape.device)  # type: ignore[arg-type]

    def slot(self, position: int) -> tuple[int | slice, ...]:
        return _ALL, _ALL, position

    def write(self, keys: Tensor, values: Tensor, position: Position) -> None:
        if isinstance(position, int):
            slot = self.slot(position)
            self.keys[slot], self.values[slot] = keys, values
        else:
            row = torch.arange(len(position), device=position.device)
            self.keys[:, row, position] = keys
            self.values[:, row, position] = values

    def read(self, position: Position) -> Read:
        farthest = position if isinstance(position, int) else int(position.max())
        end = min(self.slots, (farthest // BUCKET + 1) * BUCKET)
        return Read(self.keys[:, :, :end], self.values[:, :, :end], self.bias[position, :end])

    def fill(self, keys: Tensor, values: Tensor, rows: slice) -> None:
        self.keys[:, rows, : keys.shape[1]] = keys[:, None]
        self.values[:, rows, : values.shape[1]] = values[:, None]

    def reorder(self, rows: Tensor) -> None:
        self.keys = self.keys.index_select(1, rows)
        self.values = self.values.index_select(1, rows)


@lru_cache(maxsize=64)
def _ring_bias(pattern: Pattern, layout: Layout, slots: int, device: torch.device) -> Tensor:
    """(N, slots): 0 where the query at i sees what slot s holds then, -∞ elsewhere."""
    with torch.inference_mode(False):
        query = torch.arange(layout.image)[:, None]
        slot = torch.arange(slots)[None, :]
        # The newest token up to the query that has this slot; none yet where it is negative.
        key = query - (query - slot) % slots
        seen = (key >= 0) & pattern.sees(query, key, layout)
        return torch.where(seen, 0.0, float("-inf")).to(device)


@lru_cache(maxsize=64)
def _clear_rows(pattern: Pattern, layout: Layout, slots: int) -> list[bool]:
    """For each position, whether its query sees every slot."""
    bias = _ring_bias(pattern, layout, slots, torch.device("cpu"))  # type: ignore[arg-type]
    return [bool(clear) for clear in (bias == 0).all(dim=1)]


@lru_cache(maxsize=64)
def _column_bias(rows: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        seen = torch.ones(rows, rows, dtype=torch.bool).tril()
        return torch.where(seen, 0.0, float("-inf")).to(device)
