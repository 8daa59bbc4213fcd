"""What is known before a token is drawn: a caption read once for all candidates, and the batch that draws from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from limner.errors import InputError
from limner.models.block import Block
from limner.models.dalle import DALLE
from limner.models.positions import Rotation
from limner.sampling.cache import Position, Shape, Store, make_store
from limner.sampling.captions import Captions
from limner.shapes import Layout


@dataclass(frozen=True, eq=False)
class Context:
    """A caption, and the first ``length`` image codes where some are given, read once for all candidates.

    Per layer: the caption's keys (H, K, L) and values (H, L, K), last sides filled up with zeros to multiples of 8, and
    the codes' keys and values (H, length, K). ``logits`` (Vi,) are of the next code.
    """

    text_keys: tuple[Tensor, ...]
    text_values: tuple[Tensor, ...]
    image_keys: tuple[Tensor, ...]
    image_values: tuple[Tensor, ...]
    length: int
    logits: Tensor


class Span(NamedTuple):
    """Rows ``start`` … ``stop`` of a batch draw from ``context``."""

    context: Context
    start: int
    stop: int


@dataclass(eq=False)
class State:
    """What a batch remembers: the spans of its rows, every layer's store, and the spans' captions side by side."""

    spans: list[Span]
    stores: list[Store]
    rows: int
    captions: Captions | None = None

    def reorder(self, rows: Tensor) -> None:
        """Row i goes on from what row ``rows[i]`` was, int64 (rows,); the spans stay, so keep within them."""
        for store in self.stores:
            store.reorder(rows)


class Step(Protocol):
    """A token step, whatever computes it (``step.TokenStep``, ``engine_step.EngineStep``).

    ``least``: a batch has so many rows at least, so that what a row comes to does not depend on how many there are.
    """

    layout: Layout
    device: torch.device
    least: int

    def read(self, text: Tensor, codes: Tensor | None = None) -> Context:
        """Read a caption's row (L,) of ids and the first codes (n,), 0 ≤ n < N. Raises InputError."""

    def begin(self, contexts: Sequence[tuple[Context, int]]) -> State:
        """A batch whose first rows draw from the first context, and so on: (context, number of rows) each."""

    def advance(self, state: State, tokens: Tensor, position: Position) -> Tensor:
        """Put in image tokens (B,) at raster ``position`` (one, or (B,)), below N - 1 → logits of the next, (B, Vi).

        B is the number of rows that ``begin`` was asked for.
        """


class Embedding:
    """Image tokens as a step takes them in: codes' vectors, those of their places, and how keys there are turned."""

    def __init__(self, model: DALLE) -> None:
        with torch.inference_mode():
            cells = torch.arange(model.config.layout.image, device=model.image_embedding.weight.device)
            self._codes = model.image_table()
            self._places = model.embed_image(torch.zeros_like(cells)[None], cells)[0] - self._codes[0]
            self._turn = model.rotation(cells + model.config.layout.text)

    def __call__(self, state: State, tokens: Tensor, position: Position) -> tuple[Tensor, Rotation | None, Position]:
        """Vectors (rows, D), the turn of their keys and their position, for every row of ``state``.

        Rows that nobody asked for, beyond the tokens (B,), take token 0 at place 0.
        """
        missing = state.rows - len(tokens)
        if missing > 0:
            tokens = F.pad(tokens, (0, missing))
            if not isinstance(position, int):
                position = F.pad(position, (0, missing))
        x = F.embedding(tokens, self._codes) + self._places[position]
        turn = self._turn
        return x, None if turn is None else Rotation(turn.cos[position], turn.sin[position]), position


@torch.inference_mode()
def read(model: DALLE, text: Tensor, codes: Tensor | None = None) -> Context:
    """See ``Step.read``; in the model's own precision."""
    layout, device = model.config.layout, model.row_positions.weight.device
    length = 0 if codes is None else len(codes)
    if length >= layout.image:
        raise InputError(f"given codes: expected fewer than {layout.image}, got {length}; nothing is left to draw")
    text_keys, text_values, image_keys, image_values = [], [], [], []
    L = layout.text
    x = model.embed_text(text.to(device)[None])
    if codes is not None and length:
        x = torch.cat([x, model.embed_image(codes.to(device)[None])], dim=1)
    turn = model.rotation(torch.arange(x.shape[1], device=device))
    for block in blocks_of(model):
        q, k, v = block.attn.project(block.ln_1(x), turn)
        text_keys.append(fill_up(k[0, :, :L].transpose(1, 2)))
        text_values.append(fill_up(v[0, :, :L]))
        image_keys.append(k[0, :, L:].contiguous())
        image_values.append(v[0, :, L:].contiguous())
        x = x + block.ls_1(block.attn.finish(block.attn.pattern.attend(q, k, v, layout)))
        x = x + block.ls_2(block.mlp(block.ln_2(x)))
    logits = model.image_logits(model.ln_final(x[:, -1]))[0].float()
    return Context(
        tuple(text_keys), tuple(text_values), tuple(image_keys), tuple(image_values), length, logits
    )  # fmt: skip


@torch.inference_mode()
def begin(model: DALLE, contexts: Sequence[tuple[Context, int]], least: int) -> State:
    """See ``Step.begin``."""
    spans, start = [], 0
    for context, rows in contexts:
        spans.append(Span(context, start, start + rows))
        start += rows
    # Rows that are there only to reach the least number draw along with the last caption.
    rows = max(start, least)
    spans[-1] = spans[-1]._replace(stop=rows)
    config = model.config
    shape = Shape(rows, config.heads, config.width // config.heads, model.row_positions.weight.device, torch.float32)
    stores = [make_store(pattern, config.layout, shape) for pattern in config.patterns]
    for layer, store in enumerate(stores):
        for context, first, last in spans:
            if context.length:
                store.fill(context.image_keys[layer], context.image_values[layer], slice(first, last))
    return State(spans, stores, rows)


def blocks_of(model: DALLE) -> list[Block]:
    """The model's blocks, as what they are."""
    return [block for block in model.blocks if isinstance(block, Block)]


def fill_up(matrix: Tensor) -> Tensor:
    """Zeros after the last columns, up to a multiple of 8."""
    # The leftover columns of a matrix product are summed in an order that depends on a row's place in the batch.
    return F.pad(matrix, (0, -matrix.shape[-1] % 8)).contiguous()
