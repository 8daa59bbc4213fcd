"""DALL·E's token step as an ONNX graph for onnxruntime, and the weights that it asks for by name.

The graph holds no weights: they are handed to onnxruntime beside it, float32 ones where the model holds them, so that
no size is too large and the graph itself is small. It is written with onnxruntime's own operations where they join
several of ONNX's (domain ``com.microsoft``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limner.models.block import Block
from limner.models.dalle import DALLE

OURS, THEIRS = "", "com.microsoft"
OPSETS = {OURS: 18, THEIRS: 1}
HAIR = 1.0 + 2.0**-23
"""A factor that is next to 1. With 1 itself onnxruntime multiplies a single row by an operation of its own, whose sums
have other bits than the same row among several; a batch of one would have to compute two rows."""
MIDDLE = 128
"""The byte that stands for 0. Bytes have no sign on either side of a product: signed ones by others are summed in 16
bits on chips without VNNI, and clipped."""


def weights_of(model: DALLE, *, as_int8: bool) -> dict[str, np.ndarray]:
    """What a graph of ``model`` reads, by name.

    A matrix (N, K) is ``NAME.weight``, in ``as_int8`` ``NAME.bytes`` (K, N) with ``NAME.scale`` (N,), and ``NAME.bias``
    where it has one. That scores are divided by √K is in what makes the queries.
    """
    found: dict[str, np.ndarray] = {}
    K = model.config.width // model.config.heads
    for number, block in enumerate(_blocks(model)):
        attention, mlp = block.attn, block.mlp
        weight: Tensor = attention.in_proj_weight
        bias: Tensor | None = attention.in_proj_bias
        if attention.q_norm is None or attention.k_norm is None:
            divisor = torch.ones(len(weight))
            divisor[: model.config.width] = math.sqrt(K)
            weight, bias = weight / divisor[:, None], None if bias is None else bias / divisor
        else:
            found[f"{number}.q_norm.weight"] = _array(attention.q_norm.weight / math.sqrt(K))
            found[f"{number}.k_norm.weight"] = _array(attention.k_norm.weight)
        matrices: dict[str, tuple[Tensor, Tensor | None]] = {
            "project": (weight, bias),
            "finish": (attention.out_proj.weight, attention.out_proj.bias),
            "expand": (mlp.c_fc.weight, mlp.c_fc.bias),
            "contract": (mlp.c_proj.weight, mlp.c_proj.bias),
        }
        for name, (matrix, offset) in matrices.items():
            found |= _matrix(f"{number}.{name}", matrix, offset, as_int8)
        found |= _norm(f"{number}.ln_1", block.ln_1) | _norm(f"{number}.ln_2", block.ln_2)
    return found | _norm("ln_final", model.ln_final) | _matrix("head", model.image_head(), None, as_int8)


class Graph:
    """Writes the graph for batches of one caption (``alone``) or several, one block after the other.

    Inputs and outputs are those of ``openvino_step.OpenVINOStep``, but new keys and values are (1, H, B, K).
    """

    def __init__(self, model: DALLE, weights: dict[str, np.ndarray], *, as_int8: bool, alone: bool) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self.helper, self.kinds, self.from_array = helper, TensorProto, numpy_helper.from_array
        self.model, self.config, self.as_int8, self.alone = model, model.config, as_int8, alone
        self.weights = weights
        self.heads, self.head_width = self.config.heads, self.config.width // self.config.heads
        self.text, self.width = self.config.text_length, self.config.width
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.constants: dict[str, Any] = {}

    def build(self) -> bytes:
        """The graph as a file's content."""
        helper, config, H, K = self.helper, self.config, self.heads, self.head_width
        x = self._input("x", ["B", self.width])
        turn = [self._input(name, ["B", K // 2]) for name in ("cos", "sin")] if config.rotary else []
        if not self.alone:
            self._input("spread", ["C", "n"], np.int64)
            self._input("back", ["B"], np.int64)
        lengths = {}
        for name in dict.fromkeys(config.pattern_names):
            bias = self._input(f"bias.{name}", ["B", f"S.{name}"])
            slots = self._node("Shape", bias, start=1, end=2)
            lengths[name] = self._node("Concat", self._ints(self.text), slots, self._ints(1), axis=0)
        results = [("logits", ["B", config.image_vocabulary])]
        for number, pattern in enumerate(config.pattern_names):
            attended = self._attend(number, self._normed(f"{number}.ln_1", x), turn, pattern, lengths[pattern])
            x = self._linear(f"{number}.finish", attended, onto=x)
            x = self._linear(f"{number}.contract", self._expand(number, self._normed(f"{number}.ln_2", x)), onto=x)
            results += [(f"new_{part}.{number}", [1, H, "B", K]) for part in ("keys", "values")]
        self._linear("head", self._normed("ln_final", x), output="logits")
        outputs = [helper.make_tensor_value_info(name, self.kinds.FLOAT, shape) for name, shape in results]
        held = [*self.constants.values(), *(self._placeholder(*item) for item in self.weights.items())]
        graph = helper.make_graph(self.nodes, "token_step", self.inputs, outputs, held)
        opsets = [helper.make_opsetid(*item) for item in OPSETS.items()]
        content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        return content

    def _attend(self, number: int, x: str, turn: Sequence[str], pattern: str, lengths: str) -> str:
        """Rows (B, D) → what the heads attended to, (B, D)."""
        H, K, L, node, slots = self.heads, self.head_width, self.text, self._node, f"S.{pattern}"
        # (B, 3D) → (3, H, B, K)
        qkv = node("Reshape", self._linear(f"{number}.project", x), self._ints(-1, 3, H, K))
        new_keys, new_values = f"new_keys.{number}", f"new_values.{number}"
        as_they_are = not (self.config.qk_norm or turn)
        q, k, v = f"q.{number}", new_keys if as_they_are else f"k.{number}", new_values
        self._add("Split", [node("Transpose", qkv, perm=[1, 2, 0, 3])], [q, k, v], axis=0, num_outputs=3)
        if self.config.qk_norm:
            q = self._normed(f"{number}.q_norm", q)
            k = self._normed(f"{number}.k_norm", k, output=None if turn else new_keys)
        if turn:
            # Rows take the place of a stream's tokens, each with its own angles.
            q, k = (
                node("RotaryEmbedding", part, self._ints(0), *turn, domain=THEIRS, output=output)
                for part, output in ((q, None), (k, new_keys))
            )
        past_keys = self._input(f"keys.{number}", [H, "B", slots, K])
        past_values = self._input(f"values.{number}", [H, "B", slots, K])
        several = [] if self.alone else ["C"]
        text_keys = self._input(f"text_keys.{number}", [H, *several, K, L])
        text_values = self._input(f"text_values.{number}", [H, *several, L, K])
        # Caption: rows of one caption read its keys together. (1, H, B, K) · (H, K, L) → (1, H, B, L)
        text = self._by_caption(q, text_keys, L)
        # Image: every row has its own keys, and a query is a column: a row by a matrix that has to be turned takes much
        # longer. (H, B, S, K) · (1, H, B, K, 1) → (1, H, B, S)
        image = node("MatMul", past_keys, node("Unsqueeze", q, self._ints(-1)))
        image = node("Add", node("Squeeze", image, self._ints(-1)), f"bias.{pattern}")
        own = node("ReduceSum", node("Mul", q, k), self._ints(-1))
        weights = node("Softmax", node("Concat", text, image, own, axis=-1), axis=-1)
        on_text, on_image, on_own = (f"on_{part}.{number}" for part in ("text", "image", "own"))
        self._add("Split", [weights, lengths], [on_text, on_image, on_own], axis=-1)
        text = self._by_caption(on_text, text_values, K)
        # (1, H, B, 1, S) · (H, B, S, K) → (1, H, B, K)
        image = node("MatMul", node("Unsqueeze", on_image, self._ints(-2)), past_values)
        out = node("Sum", text, node("Squeeze", image, self._ints(-2)), node("Mul", on_own, v))
        # (1, H, B, K) → (B, D)
        return node("Reshape", node("Transpose", out, perm=[0, 2, 1, 3]), self._ints(-1, self.width))

    def _by_caption(self, rows: str, matrices: str, last: int) -> str:
        """Rows (1, H, B, ·) times their captions' matrices: (1, H, B, last)."""
        if self.alone:
            return self._node("FusedMatMul", rows, matrices, alpha=HAIR, domain=THEIRS)
        # (1, H, C, n, ·) · (H, C, ·, last) → (1, H, C · n, last) → (1, H, B, last)
        spread = self._node("Gather", rows, "spread", axis=2)
        product = self._node("FusedMatMul", spread, matrices, alpha=HAIR, domain=THEIRS)
        flat = self._node("Reshape", product, self._ints(1, self.heads, -1, last))
        return self._node("Gather", flat, "back", axis=2)

    def _expand(self, number: int, x: str) -> str:
        """The MLP's wide layer and its nonlinearity."""
        kind, name = self.config.activation, f"{number}.expand"
        if kind == "gelu":
            if f"{name}.bias" in self.weights:
                return self._node("BiasGelu", self._linear(name, x, bias=False), f"{name}.bias", domain=THEIRS)
            return self._node("Gelu", self._linear(name, x), domain=THEIRS)
        inner = self._linear(name, x)
        if kind == "quick_gelu":
            return self._node("QuickGelu", inner, alpha=1.702, domain=THEIRS)
        gate, value = f"{name}.gate", f"{name}.value"
        self._add("Split", [inner], [gate, value], axis=-1, num_outputs=2)
        return self._node("Mul", self._node("QuickGelu", gate, alpha=1.0, domain=THEIRS), value)

    def _linear(self, name: str, x: str, *, bias: bool = True, onto: str = "", output: str | None = None) -> str:
        """(B, K) → (B, N) by the matrix ``name``, added to what is ``onto`` (B, N)."""
        offset = [f"{name}.bias"] if bias and f"{name}.bias" in self.weights else []
        if not self.as_int8:
            product = self._node("Gemm", x, f"{name}.weight", *offset, transB=1, output=None if onto else output)
            return self._node("Add", product, onto, output=output) if onto else product
        # One scale for each row, so that a row comes to the same whatever stands beside it: its largest number. A row
        # of zeros has none; what comes out for it is multiplied by 0.
        largest = self._node("ReduceMax", self._node("Abs", x), self._ints(-1), keepdims=1)
        step, middle = self._float(1 / 127), self._constant("middle", np.array(MIDDLE, np.uint8))
        rows = self._node("QuantizeLinear", self._node("Div", x, largest), step, middle)
        product = self._node(
            "MatMulIntegerToFloat", rows, f"{name}.bytes", step, f"{name}.scale", middle, middle, domain=THEIRS
        )
        terms = [*offset, onto] if onto else offset
        product = self._node("Mul", product, largest, output=None if terms else output)
        return self._node("Sum", product, *terms, output=output) if terms else product

    def _normed(self, norm: str, x: str, output: str | None = None) -> str:
        simple = self.config.norm == "rms" or norm.endswith(("q_norm", "k_norm"))
        kind = "SimplifiedLayerNormalization" if simple else "LayerNormalization"
        gains = [name for name in (f"{norm}.weight", f"{norm}.bias") if name in self.weights]
        return self._node(kind, x, *gains, axis=-1, epsilon=self._epsilon(norm), output=output)

    def _epsilon(self, norm: str) -> float:
        module: Any = self.model.ln_final
        if norm != "ln_final":
            number, part = norm.split(".")
            block = _blocks(self.model)[int(number)]
            module = getattr(block, part, None) or getattr(block.attn, part)
        return float(module.eps)

    def _input(self, name: str, shape: Sequence[int | str], kind: Any = np.float32) -> str:
        number = self.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        self.inputs.append(self.helper.make_tensor_value_info(name, number, shape))
        return name

    def _node(self, kind: str, *inputs: str, output: str | None = None, **settings: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self._add(kind, list(inputs), [output], **settings)
        return output

    def _add(self, kind: str, inputs: list[str], outputs: list[str], **settings: Any) -> None:
        self.nodes.append(self.helper.make_node(kind, inputs, outputs, **settings))

    def _ints(self, *values: int) -> str:
        return self._constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def _float(self, value: float) -> str:
        return self._constant(f"float_{value!r}", np.array(value, np.float32))

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.constants.setdefault(name, self.from_array(array, name))
        return name

    def _placeholder(self, name: str, array: np.ndarray) -> Any:
        """A weight that is said to lie in another file: onnxruntime is given it by name."""
        kind = self.helper.np_dtype_to_tensor_dtype(array.dtype)
        held = self.kinds(name=name, dims=array.shape, data_type=kind, data_location=self.kinds.EXTERNAL)
        held.external_data.add(key="location", value="beside")
        return held


def _blocks(model: DALLE) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]


def _matrix(name: str, weight: Tensor, bias: Tensor | None, as_int8: bool) -> dict[str, np.ndarray]:
    found = {} if bias is None else {f"{name}.bias": _array(bias)}
    if not as_int8:
        return {f"{name}.weight": _array(weight)} | found
    matrix = weight.detach().float()
    scale = matrix.abs().amax(dim=1).clamp_(min=1e-12) / 127
    whole = (matrix / scale[:, None]).round_().to(torch.int16) + MIDDLE
    return found | {f"{name}.bytes": _array(whole.to(torch.uint8).t()), f"{name}.scale": _array(scale)}


def _norm(name: str, module: nn.Module) -> dict[str, np.ndarray]:
    return {f"{name}.{part}": _array(value) for part, value in module.named_parameters()}


def _array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach()
    return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).contiguous().numpy())
