"""The token step: image tokens in, logits of the next ones out, with cached keys and values.

The same maths as ``models.dalle`` run over one position at a time (``naive`` is the twin without a cache), laid out for
few rows: the caption's keys are shared by all candidates, weights are packed in the precision that is asked for, and
what a row comes to does not depend on its batch (see ``linear``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.models.block import Block
from limner.models.dalle import DALLE
from limner.models.positions import Rotation, rotate
from limner.sampling.cache import Position, Store
from limner.sampling.captions import Captions, same_bits_in_pieces
from limner.sampling.context import Context, Embedding, State, begin, blocks_of, fill_up, read
from limner.sampling.linear import FLOAT32, MOST_ROWS, Linear, Precision, least_rows, steady_multiple


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
            self._embed = Embedding(model)
            self.layers = [_layer(block, precision) for block in blocks_of(model)]
            self.norm = _norm(model.ln_final)
            self.head = precision.pack(model.image_head(), None)
            # Every shape of matrix there is, once.
            first = self.layers[0]
            width, hidden = model.config.width, blocks_of(model)[0].mlp.c_proj.in_features
            matrices = [(first.project, width), (first.finish, width), (first.expand, width), (self.head, width)]
            self.least = least_rows([*matrices, (first.contract, hidden)], precision.fewest)
            self.text_rows = self._text_rows()

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
            out += captions.mix(weights[..., :L], number)[..., : self.head_width]
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
            matrix = fill_up(torch.randn(self.heads, inner, outer, generator=generator)).to(self.device)
            rows = steady_multiple(_read_by(matrix), inner)
            while rows < MOST_ROWS and not same_bits_in_pieces(matrix, inner, rows):
                rows *= 2
            needed.append(rows)
        return max(needed)


def _read_by(matrix: Tensor) -> Linear:
    # (B, I) → (B, H, O), every head reading the same row
    return lambda x: torch.bmm(x.expand(len(matrix), -1, -1), matrix).transpose(0, 1)


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
