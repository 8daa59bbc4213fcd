"""The token step of a model through onnxruntime, as ``limner.sampling.engine_step`` takes it: for comparison only.

The same graph as ``limner.engines.openvino_step``'s for one caption: what it reads, what it gives back, the same order
of products, exported from torch. ``float32``; ``int8`` by onnxruntime's own ``quantize_dynamic`` (8-bit weights with a
scale for each output, one scale for all inputs of a product together); ``8bit`` by its ``MatMulNBits`` (8-bit weights
with a scale for each 32, inputs as 8 bits inside, by blocks of a row).
"""

from __future__ import annotations

import io
import math
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 32
"""Weights of a scale for ``8bit``."""


class ONNXRuntimeStep:
    """Does what ``OpenVINOStep`` does where all rows have one caption; ``precision`` float32, int8 or 8bit."""

    def __init__(self, model: Any, precision: str, *, threads: int) -> None:
        import onnxruntime

        if model.config.rotary:
            raise ValueError("the comparison has no rotary positions")
        self._runtime, self._config = onnxruntime, model.config
        graph = _exported(_Step(model))
        if precision != "float32":
            graph = _quantised(graph) if precision == "int8" else _in_blocks(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs: list[np.ndarray] = []

    def wrap(self, array: np.ndarray) -> object:
        # On a CPU the value reads the array where it lies.
        return array, self._runtime.OrtValue.ortvalue_from_numpy(array)

    def bind(self, arrays: Mapping[str, Any]) -> None:
        if "x" in arrays:
            if "spread" in arrays:
                raise ValueError("the comparison draws from one caption")
            self._binding, self._alive = self._session.io_binding(), {}
            config, B = self._config, len(arrays["x"][0])
            shape = config.heads, B, config.width // config.heads
            new = [np.empty(shape, np.float32) for _ in range(2 * config.layers)]
            self._outputs = [np.empty((B, config.image_vocabulary), np.float32), *new]
            for about, array in zip(self._session.get_outputs(), self._outputs, strict=True):
                self._alive[about.name] = value = self._runtime.OrtValue.ortvalue_from_numpy(array)
                self._binding.bind_ortvalue_output(about.name, value)
        for name, (array, value) in arrays.items():
            self._binding.bind_ortvalue_input(name, value)
            self._alive[name] = array, value

    def __call__(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        self._session.run_with_iobinding(self._binding)
        first, *rest = self._outputs
        return first, list(zip(rest[::2], rest[1::2], strict=True))


class _Step(nn.Module):
    """Inputs and outputs as ``OpenVINOStep`` names them, in the order of ``names``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.register_buffer("head", model.image_head().detach().clone())
        self.patterns = list(dict.fromkeys(self.config.pattern_names))
        parts = ("keys", "values", "text_keys", "text_values")
        self.names = ["x", *(f"bias.{name}" for name in self.patterns)]
        self.names += [f"{part}.{layer}" for layer in range(self.config.layers) for part in parts]

    def examples(self) -> tuple[tuple[Tensor, ...], dict[str, dict[int, str]]]:
        """Arrays to trace with, and which of their sides vary."""
        H, K, L, B = self.config.heads, self.config.width // self.config.heads, self.config.text_length, 2
        slots = {name: 3 + number for number, name in enumerate(self.patterns)}
        arrays = {"x": torch.randn(B, self.config.width)}
        axes = {"x": {0: "B"}}
        for name, count in slots.items():
            arrays[f"bias.{name}"], axes[f"bias.{name}"] = torch.zeros(B, count), {0: "B", 1: name}
        for layer, name in enumerate(self.config.pattern_names):
            for part in ("keys", "values"):
                arrays[f"{part}.{layer}"] = torch.randn(H, B, slots[name], K)
                axes[f"{part}.{layer}"] = {1: "B", 2: name}
            arrays[f"text_keys.{layer}"], arrays[f"text_values.{layer}"] = torch.randn(H, K, L), torch.randn(H, L, K)
        return tuple(arrays[name] for name in self.names), axes

    def forward(self, *given: Tensor) -> list[Tensor]:
        arrays = dict(zip(self.names, given, strict=True))
        x, new = arrays["x"], []
        H, K, L = self.config.heads, self.config.width // self.config.heads, self.config.text_length
        for layer, block in enumerate(self.model.blocks):
            attention = block.attn
            qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
            q, k, v = qkv.view(-1, 3, H, K).permute(1, 2, 0, 3).unbind(0)
            if attention.q_norm is not None:
                q, k = _rms(q, attention.q_norm), _rms(k, attention.k_norm)
            q = q * (1 / math.sqrt(K))
            bias = arrays[f"bias.{self.config.pattern_names[layer]}"]
            image = torch.matmul(q[:, :, None], arrays[f"keys.{layer}"].transpose(-1, -2)) + bias[:, None]
            own = (q * k).sum(-1, keepdim=True)[:, :, None]
            text = torch.matmul(q, arrays[f"text_keys.{layer}"])[:, :, None]
            weights = torch.softmax(torch.cat([text, image, own], -1), -1)
            out = torch.matmul(weights[:, :, 0, :L], arrays[f"text_values.{layer}"])
            out = out + torch.matmul(weights[..., L:-1], arrays[f"values.{layer}"])[:, :, 0] + weights[:, :, 0, -1:] * v
            x = x + attention.out_proj(out.transpose(0, 1).reshape(-1, self.config.width))
            x = x + block.mlp(block.ln_2(x))
            new += [k, v]
        return [F.linear(self.model.ln_final(x), self.head), *new]


def _rms(x: Tensor, norm: nn.RMSNorm) -> Tensor:
    # torch's own operator has no name in this version of ONNX.
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + norm.eps) * norm.weight


def _exported(step: _Step) -> bytes:
    arrays, axes = step.eval().examples()
    buffer = io.BytesIO()
    results = ["logits"] + [f"new_{part}.{layer}" for layer in range(step.config.layers) for part in ("keys", "values")]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            step, arrays, buffer, dynamo=False, input_names=step.names, output_names=results, dynamic_axes=axes,
            opset_version=17,
        )  # fmt: skip
    return buffer.getvalue()


def _quantised(graph: bytes) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        quantize_dynamic(
            onnx.load_from_string(graph), made, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
            weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        return made.read_bytes()


def _in_blocks(graph: bytes) -> bytes:
    """Every product by constant weights as a ``MatMulNBits`` of 8 bits."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(graph)
    constants = {one.name: one for one in model.graph.initializer}
    nodes, used = [], set()
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            nodes.append(node)
            continue
        name = node.input[1]
        weight = numpy_helper.to_array(constants[name])  # (K, N); of Gemm (N, K)
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        weight = weight if turned else weight.T
        N, K = weight.shape
        blocks = np.pad(weight, ((0, 0), (0, -K % BLOCK))).reshape(N, -1, BLOCK)
        scale = np.maximum(np.abs(blocks).max(axis=2), 1e-12) / 127
        whole = (np.rint(blocks / scale[..., None]) + 128).astype(np.uint8)
        if name not in used:
            used.add(name)
            model.graph.initializer.extend([
                numpy_helper.from_array(whole, f"{name}.8"),
                numpy_helper.from_array(scale.astype(np.float32).ravel(), f"{name}.scale"),
            ])  # fmt: skip
        product = f"{node.output[0]}.product" if node.op_type == "Gemm" and len(node.input) > 2 else node.output[0]
        settings = {"K": K, "N": N, "bits": 8, "block_size": BLOCK, "accuracy_level": 4, "domain": "com.microsoft"}
        inputs = [node.input[0], f"{name}.8", f"{name}.scale"]
        nodes.append(helper.make_node("MatMulNBits", inputs, [product], **settings))
        if product != node.output[0]:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name in used:
        model.graph.initializer.remove(constants[name])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model.SerializeToString()
