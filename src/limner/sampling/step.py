"""The token step: image tokens in, logits of the next ones out, with cached keys and values.

The same maths as ``models.dalle`` run over one position at a time (``naive`` is the twin without a cache), laid out for
few rows: the caption's keys are shared by all candidates, weights are packed in the precision that is asked for, and
what a row comes to does not depend on its batch (see ``linear``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.errors import InputError
from limner.models.block import Block
from limner.models.dalle import DALLE
from limner.models.positions import Rotation, rotate
from limner.sampling.cache import Position, Shape, Store, make_store
from limner.sampling.captions import Captions, same_bits_in_pieces
from limner.sampling.linear import FLOAT32, MOST_ROWS, Linear, Precision, least_rows, steady_multiple


@dataclass(frozen=True)
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


@dataclass
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


class _Layer(NamedTuple):
    """One block's parts, ready for rows (B, D)."""

    norm_1: Callable[[Tensor], Tensor]
    project: Linear
    q_norm: nn.Module | None
    k_norm: nn.Module | None
    finish: Linear
    norm_2: Callable[[Tensor], Tensor]
    expand: Linear
    activation: Callable[[Tensor], Tensor]
    contract: Linear


class TokenStep:
    """The token step of ``model`` in torch.

    ``precision`` is one of ``linear`` (FLOAT32, BFLOAT16, INT8): it holds for the blocks' and the head's matrices
    while drawing; a caption is read in the model's own precision, keys and values are float32.
    """

    def __init__(self, model: DALLE, precision: Precision = FLOAT32) -> None:
        self.model = model
        self.layout = model.config.layout
        self.heads = model.config.heads
        self.head_width = model.config.width // model.config.heads
        self.device = model.image_embedding.weight.device
        with torch.inference_mode():
            cells = torch.arange(self.layout.image, device=self.device)
            self.table = model.image_table()
            self.places = model.embed_image(torch.zeros_like(cells)[None], cells)[0] - self.table[0]
            turn = model.rotation(cells + self.layout.text)
            self.turn = turn
            self.layers = [_layer(block, precision) for block in _blocks(model)]
            self.norm = _norm(model.ln_final)
            self.head = precision.pack(model.image_head(), None)
            # Every shape of matrix there is, once.
            first = self.layers[0]
            width, hidden = model.config.width, _blocks(model)[0].mlp.c_proj.in_features
            matrices = [(first.project, width), (first.finish, width), (first.expand, width), (self.head, width)]
            self.least = least_rows([*matrices, (first.contract, hidden)], precision.fewest)
            self.text_rows = self._text_rows()

    def read(self, text: Tensor, codes: Tensor | None = None) -> Context:
        """Read a caption's row (L,) of ids and the first codes (n,), 0 ≤ n < N. Raises InputError."""
        length = 0 if codes is None else len(codes)
        if length >= self.layout.image:
            raise InputError(
                f"given codes: expected fewer than {self.layout.image}, got {length}; nothing is left to draw"
            )
        text_keys, text_values, image_keys, image_values = [], [], [], []
        L = self.layout.text
        with torch.inference_mode():
            x = self.model.embed_text(text.to(self.device)[None])
            if codes is not None and length:
                x = torch.cat([x, self.model.embed_image(codes.to(self.device)[None])], dim=1)
            turn = self.model.rotation(torch.arange(x.shape[1], device=self.device))
            for block in _blocks(self.model):
                q, k, v = block.attn.project(block.ln_1(x), turn)
                text_keys.append(_fill_up(k[0, :, :L].transpose(1, 2)))
                text_values.append(_fill_up(v[0, :, :L]))
                image_keys.append(k[0, :, L:].contiguous())
                image_values.append(v[0, :, L:].contiguous())
                x = x + block.ls_1(block.attn.finish(block.attn.pattern.attend(q, k, v, self.layout)))
                x = x + block.ls_2(block.mlp(block.ln_2(x)))
            logits = self.model.image_logits(self.model.ln_final(x[:, -1]))[0].float()
        return Context(
            tuple(text_keys), tuple(text_values), tuple(image_keys), tuple(image_values), length, logits
        )  # fmt: skip

    def begin(self, contexts: Sequence[tuple[Context, int]]) -> State:
        """A batch whose first rows draw from the first context, and so on: (context, number of rows) each."""
        spans, start = [], 0
        for context, rows in contexts:
            spans.append(Span(context, start, start + rows))
            start += rows
        # Rows that are there only to reach the least number draw along with the last caption.
        rows = max(start, self.least)
        spans[-1] = spans[-1]._replace(stop=rows)
        shape = Shape(rows, self.heads, self.head_width, self.device, torch.float32)
        with torch.inference_mode():
            stores = [make_store(pattern, self.layout, shape) for pattern in self.model.config.patterns]
            for layer, store in enumerate(stores):
                for context, first, last in spans:
                    if context.length:
                        store.fill(context.image_keys[layer], context.image_values[layer], slice(first, last))
        return State(spans, stores, rows)

    @torch.inference_mode()
    def advance(self, state: State, tokens: Tensor, position: Position) -> Tensor:
        """Put in image tokens (B,) at raster ``position`` (one, or (B,)), below N - 1 → logits of the next, (B, Vi).

        B is the number of rows that ``begin`` was asked for.
        """
        asked = len(tokens)
        if asked < state.rows:
            tokens = F.pad(tokens, (0, state.rows - asked))
            if not isinstance(position, int):
                position = F.pad(position, (0, state.rows - asked))
        x = F.embedding(tokens, self.table) + self.places[position]
        turn = None if self.turn is None else Rotation(self.turn.cos[position], self.turn.sin[position])
        captions = self._captions(state)
        for number, (layer, store) in enumerate(zip(self.layers, state.stores, strict=True)):
            x += layer.finish(self._attend(layer, number, captions, store, x, position, turn))
            x += layer.contract(layer.activation(layer.expand(layer.norm_2(x))))
        return self.head(self.norm(x))[:asked]

    def _attend(
        self,
        layer: _Layer,
        number: int,
        captions: Captions | Context,
        store: Store,
        x: Tensor,
        position: Position,
        turn: Rotation | None,
    ) -> Tensor:
        B, D = x.shape
        # (B, 3D) → (3, H, B, K)
        qkv = layer.project(layer.norm_1(x)).view(B, 3, self.heads, self.head_width).permute(1, 2, 0, 3)
        q, k, v = qkv.unbind(0)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = layer.q_norm(q), layer.k_norm(k)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        store.write(k, v, position)
        keys, values, bias = store.read(position)
        slots, L = keys.shape[2], self.layout.text
        # (H, B, 1, K) · (H, B, K, S) → (H · B, 1, S); keys may be a slice of their store, so no copy by matmul
        image = torch.bmm(
            q.reshape(-1, 1, self.head_width), keys.reshape(-1, slots, self.head_width).transpose(1, 2)
        ).view(self.heads, B, slots)
        if bias is not None:
            image += bias
        if isinstance(captions, Captions):
            text = captions.scores(q, number)[..., :L]
        else:
            text = self._text_product(q, captions.text_keys[number])[..., :L]
        weights = torch.softmax(torch.cat([text, image], dim=-1), dim=-1)
        out = torch.bmm(
            weights[..., L:].reshape(-1, 1, slots), values.reshape(-1, slots, self.head_width)
        ).view(self.heads, B, self.head_width)  # fmt: skip
        if isinstance(captions, Captions):
            out += captions.values(weights[..., :L], number)[..., : self.head_width]
        else:
            out += self._text_product(weights[..., :L], captions.text_values[number])[..., : self.head_width]
        # (H, B, K) → (B, D)
        return out.transpose(0, 1).reshape(B, D)

    def _captions(self, state: State) -> Captions | Context:
        """The captions of the batch; where there is only one, that one."""
        one = state.spans[0].context
        if all(span.context is one for span in state.spans):
            return one
        if state.captions is None:
            state.captions = Captions(self.text_rows)
        if state.captions.spans is not state.spans:
            state.captions.arrange(state.spans)
        return state.captions

    def _text_product(self, rows: Tensor, matrix: Tensor) -> Tensor:
        count = rows.shape[1]
        missing = -count % self.text_rows
        return torch.bmm(F.pad(rows, (0, 0, 0, missing)) if missing else rows, matrix)[:, :count]

    def _text_rows(self) -> int:
        """The number whose multiples of rows give steady bits when the caption's keys and values are read."""
        generator = torch.Generator().manual_seed(0)
        sizes = (self.head_width, self.layout.text), (self.layout.text, self.head_width)
        needed = []
        for inner, outer in sizes:
            matrix = _fill_up(torch.randn(self.heads, inner, outer, generator=generator)).to(self.device)
            rows = steady_multiple(_read_by(matrix), inner)
            while rows < MOST_ROWS and not same_bits_in_pieces(matrix, inner, rows):
                rows *= 2
            needed.append(rows)
        return max(needed)


def _fill_up(matrix: Tensor) -> Tensor:
    # The leftover columns of a matrix product are summed in an order that depends on a row's place in the batch.
    return F.pad(matrix, (0, -matrix.shape[-1] % 8)).contiguous()


def _read_by(matrix: Tensor) -> Linear:
    # (B, I) → (B, H, O), every head reading the same row
    return lambda x: torch.bmm(x.expand(len(matrix), -1, -1), matrix).transpose(0, 1)


def _blocks(model: DALLE) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]


def _layer(block: Block, precision: Precision) -> _Layer:
    attention, width = block.attn, block.attn.width
    scale = 1 / math.sqrt(width // attention.heads)
    weight = attention.in_proj_weight.clone()
    bias: Tensor | None = attention.in_proj_bias
    q_norm, k_norm = attention.q_norm, attention.k_norm
    if q_norm is None:
        # Scores are divided by √K once for all, in the queries' rows.
        weight[:width] *= scale
        if bias is not None:
            bias = torch.cat([bias[:width] * scale, bias[width:]])
        scaled_norm = None
    else:
        scaled_norm = nn.RMSNorm(width // attention.heads, eps=q_norm.eps, device=weight.device)
        scaled_norm.weight.copy_(q_norm.weight * scale)
    return _Layer(
        norm_1=_norm(block.ln_1),
        project=precision.pack(weight, bias),
        q_norm=scaled_norm,
        k_norm=k_norm,
        finish=precision.pack(*_gained(block.attn.out_proj, block.ls_1)),
        norm_2=_norm(block.ln_2),
        expand=precision.pack(block.mlp.c_fc.weight, block.mlp.c_fc.bias),
        activation=block.mlp.activation,
        contract=precision.pack(*_gained(block.mlp.c_proj, block.ls_2)),
    )


def _gained(matrix: nn.Linear, gain: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias with a LayerScale, where there is one, multiplied in."""
    gamma = getattr(gain, "gamma", None)
    if gamma is None:
        return matrix.weight, matrix.bias
    return matrix.weight * gamma[:, None], None if matrix.bias is None else matrix.bias * gamma


def _norm(module: nn.Module) -> Callable[[Tensor], Tensor]:
    if isinstance(module, nn.LayerNorm):
        shape, weight, bias, eps = module.normalized_shape, module.weight, module.bias, module.eps
        return lambda x: F.layer_norm(x, list(shape), weight, bias, eps)
    return module
