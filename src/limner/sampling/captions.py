"""The captions of a batch side by side, so that attention to all of them is one matrix product for each layer.

Rows are dealt out in pieces of equal length, each piece to one caption; a product for each caption costs more calls
than arithmetic where every row has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from limner.sampling.linear import MOST_ROWS


class Captions:
    """Keys and values of the captions that rows (H, B, ·) of a batch draw from; ``arrange`` says which.

    After it ``order`` int64 (P · ``rows``) are the rows by pieces of ``rows`` rows, ``back`` (B) each row's place among
    them, ``keys`` (H, P, K, L) and ``values`` (H, P, L, K) of each layer the pieces' captions.

    Pieces are multiples of ``multiple`` rows, the number whose multiples give a row the same bits wherever it stands.
    """

    def __init__(self, multiple: int) -> None:
        self.spans: Sequence[Any] | None = None
        self._multiple, self.rows = multiple, 0
        self._held: list[Any] = []  # each piece's context
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def arrange(self, spans: Sequence[Any]) -> None:
        """Serve the rows of ``spans`` (``context.Span``); captions may repeat, those that were there are not copied."""
        members: dict[int, tuple[Any, list[int]]] = {}
        for context, start, stop in spans:
            members.setdefault(id(context), (context, []))[1].extend(range(start, stop))
        rows = -(-min(len(at) for _, at in members.values()) // self._multiple) * self._multiple
        counts = {key: -(-len(at) // rows) for key, (_, at) in members.items()}
        if rows != self.rows or sum(counts.values()) > len(self._held):
            pieces = self._stack([members[key][0] for key, count in counts.items() for _ in range(count)], rows)
        else:
            pieces = self._replace({key: (members[key][0], count) for key, count in counts.items()})
        order, back = [spans[0].start] * (rows * len(self._held)), [0] * spans[-1].stop
        for key, (_, at) in members.items():
            for place, row in enumerate(at):
                number, inside = divmod(place, rows)
                back[row] = pieces[key][number] * rows + inside
                order[back[row]] = row  # what is missing to whole pieces is computed along and thrown away
        device = self.keys[0].device
        self.order, self.back = torch.tensor(order, device=device), torch.tensor(back, device=device)
        self.spans = spans

    def _stack(self, contexts: list[Any], rows: int) -> dict[int, list[int]]:
        self._held, self.rows = contexts, rows
        layers = range(len(contexts[0].text_keys))
        # (H, P, K, L) and (H, P, L, K) of P pieces
        self.keys = [torch.stack([context.text_keys[layer] for context in contexts], dim=1) for layer in layers]
        self.values = [torch.stack([context.text_values[layer] for context in contexts], dim=1) for layer in layers]
        pieces: dict[int, list[int]] = {}
        for piece, context in enumerate(contexts):
            pieces.setdefault(id(context), []).append(piece)
        return pieces

    def _replace(self, wanted: dict[int, tuple[Any, int]]) -> dict[int, list[int]]:
        pieces: dict[int, list[int]] = {key: [] for key in wanted}
        free = []
        for piece, context in enumerate(self._held):
            mine = pieces.get(id(context))
            if mine is None or len(mine) == wanted[id(context)][1]:
                free.append(piece)
            else:
                mine.append(piece)
        for key, (context, count) in wanted.items():
            while len(pieces[key]) < count:
                piece = free.pop()
                self._held[piece] = context
                pieces[key].append(piece)
                for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
                    keys[:, piece], values[:, piece] = context.text_keys[layer], context.text_values[layer]
        return pieces

    def scores(self, queries: Tensor, layer: int) -> Tensor:
        """Queries (H, B, K) × each row's caption's keys → (H, B, L), L filled up to a multiple of 8."""
        return self._product(queries, self.keys[layer])

    def mix(self, weights: Tensor, layer: int) -> Tensor:
        """Weights (H, B, L) × each row's caption's values → (H, B, K), K filled up to a multiple of 8."""
        return self._product(weights, self.values[layer])

    def _product(self, rows: Tensor, matrices: Tensor) -> Tensor:
        heads, _, inner = rows.shape
        pieces = rows.index_select(1, self.order).view(-1, self.rows, inner)
        product = torch.bmm(pieces, matrices.flatten(0, 1))
        return product.view(heads, -1, product.shape[-1]).index_select(1, self.back)


def same_bits_in_pieces(matrix: Tensor, inner: int, rows: int) -> bool:
    """Whether rows (B, I) come to the same bits by ``matrix`` (H, I, O) in one product and in pieces of ``rows``."""
    x = torch.randn(MOST_ROWS, inner, generator=torch.Generator().manual_seed(1)).to(matrix.device)
    whole = torch.bmm(x.expand(len(matrix), -1, -1), matrix)
    for count in (2, 3, 5, MOST_ROWS // rows):
        part = x[: min(count * rows, MOST_ROWS)]
        pieces = part.expand(len(matrix), -1, -1).reshape(-1, rows, inner)
        matrices = matrix.repeat_interleave(len(part) // rows, dim=0)
        product = torch.bmm(pieces, matrices).view(len(matrix), len(part), -1)
        if not torch.equal(product, whole[:, : len(part)]):
            return False
    return True
