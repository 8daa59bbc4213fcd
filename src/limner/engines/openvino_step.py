"""DALL·E's token step as one OpenVINO graph on a CPU: matrices, norms and attention over keys that the caller keeps.

OpenVINO's own choices of precision are never left to chance: they are said for every graph. The graph of a batch is
made when the first such batch begins, and kept, compiled, in the user's cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limner.engines.kept import compile_kept, model_folder
from limner.errors import InputError
from limner.files import sha256
from limner.libraries import openvino
from limner.models.block import Block
from limner.models.dalle import DALLE

PRECISIONS: dict[str, dict[str, Any]] = {
    "float32": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32},
}
"""What each precision tells OpenVINO. int8: weights as int8 with a scale for each output, inputs of matrices as int8
with a scale for each 32 numbers of a row; the rest in float32."""


class OpenVINOStep:
    """The step of ``model`` in ``precision`` (one of ``PRECISIONS``), with ``threads`` threads.

    ``fingerprint`` names the weights in the cache (None: nothing is kept); ``cache``: another folder.

    Called with arrays by name, float32 unless said otherwise; rows B and captions C may differ from call to call:

    * ``x`` (B, D) embedded tokens; where the model is rotary, ``cos`` and ``sin`` (B, K / 2)
    * ``spread`` int64 (C, n): rows by caption, filled up with any row where a caption has fewer; ``back`` int64 (B):
      each row's place among these C · n; neither where all rows have one caption, which is a smaller graph
    * for each different pattern, by name: ``bias.row`` (B, S) …, what a query sees of its layers' keys (0 or -∞)
    * for each layer l: ``keys.l``, ``values.l`` (H, B, S, K) of earlier image tokens, ``text_keys.l`` (H, C, K, L),
      ``text_values.l`` (H, C, L, K); of one caption (H, K, L) and (H, L, K)

    It gives the logits (B, Vi), and each layer's new keys and values (H, B, K), which it has attended to already.
    Arrays stay bound by name until others are given. Raises MissingExtra, InputError.
    """

    def __init__(
        self,
        model: DALLE,
        precision: str,
        *,
        threads: int,
        fingerprint: str | None = None,
        cache: Path | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision: expected {', '.join(PRECISIONS)}, got {precision!r}")
        self._ov, self._model, self._precision = openvino("use engine torch"), model, precision
        self._folder = None if fingerprint is None else model_folder(self._ov, fingerprint, cache)
        self._settings = PRECISIONS[precision] | {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        self._layers = len(model.blocks)
        self._requests: dict[bool, Any] = {}
        self._alive: dict[str, Any] = {}
        self._outputs: list[np.ndarray] = []

    def wrap(self, array: np.ndarray) -> object:
        """An array as ``bind`` takes it: contiguous, read where it lies whenever the step is computed."""
        return array, self._ov.Tensor(array, shared_memory=True)

    def bind(self, arrays: Mapping[str, Any]) -> None:
        """Read these wrapped arrays from now on. Where ``x`` is among them, a new batch begins, and all are."""
        if "x" in arrays:
            alone = "spread" not in arrays
            if alone not in self._requests:
                self._requests[alone] = self.compiled(alone).create_infer_request()
            self._request = self._requests[alone]
            self._outputs.clear()
        for name, (_, tensor) in arrays.items():
            self._request.set_tensor(name, tensor)
        self._alive |= arrays  # a tensor does not keep the array whose memory it reads

    def compiled(self, alone: bool) -> Any:
        """OpenVINO's graph for batches of one caption (``alone``) or several, from the cache or made."""
        as_int8 = self._precision == "int8"
        name = f"step-{self._precision}-{'one' if alone else 'several'}"
        about = f"{self._model.config} {_source()}"

        def build() -> Any:
            return _Graph(self._ov, self._model, as_int8=as_int8, alone=alone).build()

        return compile_kept(self._ov, build, self._settings, self._folder, name, about)

    def __call__(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """Logits, and (keys, values) of each layer: views that the next call overwrites."""
        self._request.infer()
        if not self._outputs:  # they stay where they are while the batch has the same number of rows
            self._outputs += [self._request.get_output_tensor(i).data for i in range(1 + 2 * self._layers)]
        first, *rest = self._outputs
        return first, list(zip(rest[::2], rest[1::2], strict=True))


class _Graph:
    """Builds the graph with OpenVINO's operations, one block after the other."""

    def __init__(self, ov: Any, model: DALLE, *, as_int8: bool, alone: bool) -> None:
        from openvino import opset13

        self.ov, self.ops, self.model, self.as_int8, self.alone = ov, opset13, model, as_int8, alone
        config = model.config
        self.heads, self.head_width, self.width = config.heads, config.width // config.heads, config.width
        self.text = config.text_length
        self.inputs: list[Any] = []

    def build(self) -> Any:
        ops, config = self.ops, self.model.config
        x = self._input("x", [-1, self.width])
        turn = None
        if config.rotary:
            turn = self._input("cos", [-1, self.head_width // 2]), self._input("sin", [-1, self.head_width // 2])
        spread = back = None
        if not self.alone:
            spread, back = self._input("spread", [-1, -1], np.int64), self._input("back", [-1], np.int64)
        biases = {name: self._input(f"bias.{name}", [-1, -1]) for name in dict.fromkeys(config.pattern_names)}
        results = []
        for number, block in enumerate(self.model.blocks):
            assert isinstance(block, Block)
            bias = biases[config.pattern_names[number]]
            attended, keys, values = self._attend(number, block, x, turn, spread, back, bias)
            x = ops.add(x, self._linear(attended, block.attn.out_proj.weight, block.attn.out_proj.bias))
            inner = self._linear(self._norm(x, block.ln_2), block.mlp.c_fc.weight, block.mlp.c_fc.bias)
            inner = self._activation(inner)
            x = ops.add(x, self._linear(inner, block.mlp.c_proj.weight, block.mlp.c_proj.bias))
            results += [keys, values]
        logits = self._linear(self._norm(x, self.model.ln_final), self.model.image_head(), None)
        return self.ov.Model([logits, *results], self.inputs, "token_step")

    def _attend(
        self, number: int, block: Block, x: Any, turn: Any, spread: Any, back: Any, bias: Any
    ) -> tuple[Any, Any, Any]:
        ops, H, K, L = self.ops, self.heads, self.head_width, self.text
        attention = block.attn
        qkv = self._linear(self._norm(x, block.ln_1), attention.in_proj_weight, attention.in_proj_bias)
        # (B, 3D) → (3, H, B, K)
        qkv = ops.transpose(ops.reshape(qkv, self._ints(-1, 3, H, K), False), self._ints(1, 2, 0, 3))
        q, k, v = (ops.squeeze(part, self._ints(0)) for part in ops.split(qkv, self._int(0), 3).outputs())
        if attention.q_norm is not None and attention.k_norm is not None:
            q, k = self._norm(q, attention.q_norm), self._norm(k, attention.k_norm)
        if turn is not None:
            q, k = self._rotate(q, turn), self._rotate(k, turn)
        q = ops.multiply(q, self._floats(1 / math.sqrt(K)))
        past_keys = self._input(f"keys.{number}", [H, -1, -1, K])
        past_values = self._input(f"values.{number}", [H, -1, -1, K])
        several = [] if self.alone else [-1]
        text_keys = self._input(f"text_keys.{number}", [H, *several, K, L])
        text_values = self._input(f"text_values.{number}", [H, *several, L, K])
        # Image: every row has its own keys. (H, B, 1, K) · (H, B, S, K) → (H, B, 1, S)
        row = ops.unsqueeze(q, self._ints(2))
        image = ops.add(ops.matmul(row, past_keys, False, True), ops.unsqueeze(bias, self._ints(1)))
        # Itself: (H, B, K) · (H, B, K) → (H, B, 1, 1)
        own = ops.unsqueeze(ops.reduce_sum(ops.multiply(q, k), self._ints(-1), True), self._ints(2))
        # Caption: rows of one caption read its keys together. (H, C, n, K) · (H, C, K, L) → (H, B, L)
        text = self._by_caption(q, text_keys, spread, back, L)
        scores = ops.concat([ops.unsqueeze(text, self._ints(2)), image, own], -1)
        weights = ops.softmax(scores, -1)
        on_text, on_image, on_own = ops.variadic_split(weights, self._int(3), self._ints(L, -1, 1)).outputs()
        text = self._by_caption(ops.squeeze(on_text, self._ints(2)), text_values, spread, back, K)
        # (H, B, 1, S) · (H, B, S, K) → (H, B, K)
        image = ops.squeeze(ops.matmul(on_image, past_values, False, False), self._ints(2))
        own = ops.multiply(ops.squeeze(on_own, self._ints(2)), v)
        out = ops.add(ops.add(text, image), own)
        # (H, B, K) → (B, D)
        out = ops.reshape(ops.transpose(out, self._ints(1, 0, 2)), self._ints(-1, self.width), False)
        return out, k, v

    def _by_caption(self, rows: Any, matrices: Any, spread: Any, back: Any, last: int) -> Any:
        """Rows (H, B, ·) times their captions' matrices: (H, B, last)."""
        ops = self.ops
        if self.alone:
            return ops.matmul(rows, matrices, False, False)
        # (H, C, n, ·) · (H, C, ·, last) → (H, C · n, last) → (H, B, last)
        product = ops.matmul(ops.gather(rows, spread, self._int(1)), matrices, False, False)
        flat = ops.reshape(product, self._ints(self.heads, -1, last), False)
        return ops.gather(flat, back, self._int(1))

    def _norm(self, x: Any, module: nn.Module) -> Any:
        ops, axes = self.ops, self._ints(-1)
        if isinstance(module, nn.LayerNorm):
            normed = ops.mvn(x, axes, True, module.eps, "inside_sqrt")
        else:
            assert isinstance(module, nn.RMSNorm)
            mean = ops.reduce_mean(ops.multiply(x, x), axes, True)
            normed = ops.divide(x, ops.sqrt(ops.add(mean, self._floats(module.eps or 0.0))))
        if module.weight is not None:
            normed = ops.multiply(normed, self._constant(module.weight))
        bias = getattr(module, "bias", None)
        return normed if bias is None else ops.add(normed, self._constant(bias))

    def _rotate(self, x: Any, turn: tuple[Any, Any]) -> Any:
        """As ``positions.rotate``: the channel pairs (i, i + K/2) of (H, B, K)."""
        ops, (cos, sin) = self.ops, turn
        left, right = ops.split(x, self._int(-1), 2).outputs()
        turned = ops.subtract(ops.multiply(left, cos), ops.multiply(right, sin))
        across = ops.add(ops.multiply(left, sin), ops.multiply(right, cos))
        return ops.concat([turned, across], -1)

    def _activation(self, x: Any) -> Any:
        ops = self.ops
        kinds: dict[str, Callable[[], Any]] = {
            "gelu": lambda: ops.gelu(x, "erf"),
            "quick_gelu": lambda: ops.multiply(x, ops.sigmoid(ops.multiply(x, self._floats(1.702)))),
            "swiglu": lambda: self._swiglu(x),
        }
        return kinds[self.model.config.activation]()

    def _swiglu(self, x: Any) -> Any:
        gate, value = self.ops.split(x, self._int(-1), 2).outputs()
        return self.ops.multiply(self.ops.swish(gate), value)

    def _linear(self, x: Any, weight: Tensor, bias: Tensor | None) -> Any:
        ops = self.ops
        if self.as_int8:
            matrix = weight.detach().float()
            scale = matrix.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12) / 127
            integers = ops.constant((matrix / scale).round().to(torch.int8).numpy())
            held = ops.multiply(ops.convert(integers, "f32"), ops.constant(scale.numpy()))
        else:
            held = self._constant(weight)
        product = ops.matmul(x, held, False, True)
        return product if bias is None else ops.add(product, self._constant(bias))

    def _input(self, name: str, shape: Sequence[int], kind: Any = np.float32) -> Any:
        parameter = self.ops.parameter(list(shape), kind, name=name)
        parameter.output(0).get_tensor().set_names({name})
        self.inputs.append(parameter)
        return parameter

    def _constant(self, tensor: Tensor) -> Any:
        return self.ops.constant(np.ascontiguousarray(tensor.detach().float().numpy()))

    def _floats(self, *values: float) -> Any:
        return self.ops.constant(np.array(values, np.float32))

    def _ints(self, *values: int) -> Any:
        return self.ops.constant(np.array(values, np.int64))

    def _int(self, value: int) -> Any:
        return self.ops.constant(np.array(value, np.int64))


@lru_cache
def _source() -> str:
    """The hash of this file: another graph of the same weights is another graph."""
    return sha256(__file__)
