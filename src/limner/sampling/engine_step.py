"""The token step through another engine's compiled graph; captions, keys and values stay here, as for ``TokenStep``.

The graph attends to the keys of earlier tokens and to the new ones, which it gives back to be kept. It is handed in, so
that nothing here knows an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from limner.models.dalle import DALLE
from limner.sampling.cache import Columns, Position, Store
from limner.sampling.captions import Captions
from limner.sampling.context import Context, Embedding, State, begin, read
from limner.sampling.linear import MOST_ROWS

PIECE = 8
"""Rows that read a caption together, at least, where there are several captions."""


class Compiled(Protocol):
    """A compiled step; ``engines.openvino_step`` says what the arrays are."""

    def wrap(self, array: np.ndarray) -> object: ...

    def bind(self, arrays: Mapping[str, object]) -> None: ...

    def __call__(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]: ...


class EngineStep:
    """Does what ``TokenStep`` does, by ``compiled``, on the CPU."""

    def __init__(self, model: DALLE, compiled: Compiled) -> None:
        self.model, self._compiled = model, compiled
        self.layout, self.device = model.config.layout, torch.device("cpu")
        self.heads, self.head_width = model.config.heads, model.config.width // model.config.heads
        self._bound: object = None
        self._holds: list[Tensor] = []
        self._embed = Embedding(model)
        self.least = 1
        with torch.inference_mode():
            self.least = self._least_rows()

    def read(self, text: Tensor, codes: Tensor | None = None) -> Context:
        """See ``Step``."""
        return read(self.model, text, codes)

    def begin(self, contexts: Sequence[tuple[Context, int]]) -> State:
        """See ``Step``."""
        return begin(self.model, contexts, self.least)

    @torch.inference_mode()
    def advance(self, state: State, tokens: Tensor, position: Position) -> Tensor:
        """See ``Step``."""
        asked = len(tokens)
        x, turn, position = self._embed(state, tokens, position)
        self._bind(state)
        self._x.copy_(x)
        if turn is not None:
            self._cos.copy_(turn.cos)
            self._sin.copy_(turn.sin)
        for table, columns, bias in self._biases.values():
            bias.copy_(table[position // columns])
        for layer, column in self._columns.items():
            self._bind_column(layer, column, position)
        logits, new = self._compiled()
        if isinstance(position, int):
            for store, views, (keys, values) in zip(state.stores, self._views, new, strict=True):
                slot = store.slot(position)
                views[0][slot], views[1][slot] = keys, values
        else:
            for store, (keys, values) in zip(state.stores, new, strict=True):
                store.write(torch.from_numpy(keys), torch.from_numpy(values), position)
        # The engine's own memory: the next call writes over it.
        return torch.from_numpy(logits)[:asked].clone()

    def _bind(self, state: State) -> None:
        """Point the graph to what ``state`` holds, where that has changed."""
        # Tensors by their identity; they are held, so that none is taken for another.
        holds = [store.keys for store in state.stores]
        bound = (state, state.rows, list(state.spans), [id(keys) for keys in holds])
        if bound == self._bound:
            return
        self._bound, self._holds = bound, holds
        rows, config = state.rows, self.model.config
        self._x = torch.empty(rows, config.width)
        arrays = {"x": self._x} | self._bind_text(state)
        if config.rotary:
            half = self.head_width // 2
            self._cos, self._sin = torch.empty(rows, half), torch.empty(rows, half)
            arrays |= {"cos": self._cos, "sin": self._sin}
        self._biases: dict[str, tuple[Tensor, int, Tensor]] = {}
        self._columns: dict[int, Columns] = {}
        self._wrapped: dict[tuple[int, int], dict[str, object]] = {}
        # Numpy writes a slot in a fraction of the time that torch takes.
        self._views = [(store.keys.numpy(), store.values.numpy()) for store in state.stores]
        for layer, (name, store) in enumerate(zip(config.pattern_names, state.stores, strict=True)):
            if name not in self._biases:
                table = _earlier(store)
                step = store.columns if isinstance(store, Columns) else 1
                self._biases[name] = (table, step, torch.empty(rows, table.shape[1]))
                arrays[f"bias.{name}"] = self._biases[name][2]
            if isinstance(store, Columns):
                self._columns[layer] = store
            else:
                arrays |= {f"keys.{layer}": store.keys, f"values.{layer}": store.values}
        self._compiled.bind({name: self._compiled.wrap(array.numpy()) for name, array in arrays.items()})

    def _bind_text(self, state: State) -> dict[str, Tensor]:
        contexts: list[Context] = [span.context for span in state.spans]
        L, K, layers = self.layout.text, self.head_width, range(len(state.stores))
        if all(context is contexts[0] for context in contexts):
            one = contexts[0]
            keys = {f"text_keys.{layer}": one.text_keys[layer][..., :L].contiguous() for layer in layers}
            return keys | {f"text_values.{layer}": one.text_values[layer][..., :K].contiguous() for layer in layers}
        if state.captions is None:
            state.captions = Captions(PIECE)
        captions = state.captions
        if captions.spans is not state.spans:
            captions.arrange(state.spans)
        arrays = {"spread": captions.order.view(-1, captions.rows), "back": captions.back}
        for layer in layers:
            arrays[f"text_keys.{layer}"] = captions.keys[layer][..., :L].contiguous()
            arrays[f"text_values.{layer}"] = captions.values[layer][..., :K].contiguous()
        return arrays

    def _bind_column(self, layer: int, store: Columns, position: Position) -> None:
        column = position % store.columns if isinstance(position, int) else None
        bound = self._wrapped.get((layer, column)) if column is not None else None
        if bound is None:
            keys, values, _ = store.read(position)
            wrap = self._compiled.wrap
            bound = {
                f"keys.{layer}": wrap(keys.contiguous().numpy()),
                f"values.{layer}": wrap(values.contiguous().numpy()),
            }
            if column is not None:  # a view of the store, good for the whole batch
                self._wrapped[layer, column] = bound
        self._compiled.bind(bound)

    def _least_rows(self) -> int:
        """The fewest rows of a batch from which on a row has the same bits in any."""
        generator = torch.Generator().manual_seed(0)
        heads, width, L = self.heads, self.head_width, self.layout.text
        layers = len(self.model.config.patterns)

        def some(*shape: int) -> tuple[Tensor, ...]:
            return tuple(torch.randn(*shape, generator=generator) for _ in range(layers))

        context = Context(some(heads, width, L), some(heads, L, width), (), (), 0, torch.empty(0))
        tokens = torch.randint(0, self.model.config.image_vocabulary, (MOST_ROWS,), generator=generator)

        def logits(first: int, rows: int) -> Tensor:
            state = self.begin([(context, rows)])
            return self.advance(state, tokens[first : first + rows], 0)

        if self.layout.image < 2:
            return 1
        whole = logits(0, MOST_ROWS)
        sizes = (1, 2, 3, 5, 8, 17, 32)
        same = [all(torch.equal(logits(at, size), whole[at : at + size]) for at in (0, 9)) for size in sizes]
        rows = [size for at, size in enumerate(sizes) if all(same[at:])]
        return rows[0] if rows else MOST_ROWS


def _earlier(store: Store) -> Tensor:
    """What queries see of a store before their own key stands in it: 0 or -∞; by row of the grid for columns."""
    table = store.bias.clone()
    place = torch.arange(len(table))
    table[place, place % table.shape[1]] = float("-inf")
    return table
