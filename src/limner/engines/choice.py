"""Which engine and precision run the token step where that is left to limner."""

from __future__ import annotations

import importlib.util

import torch

from limner.device import has_bf16
from limner.errors import InputError, expected

ENGINES = ("torch", "openvino", "onnxruntime")
GAINS_FROM = 5_000_000
"""Parameters from which on another engine than torch is taken unasked: a small model draws faster than one starts."""

_NEEDS = {"openvino": ("openvino",), "onnxruntime": ("onnx", "onnxruntime")}
_PRECISIONS = {"openvino": ("float32", "bf16", "int8"), "onnxruntime": ("float32", "int8")}


def choose_step(engine: str, precision: str, device: torch.device, parameters: int) -> tuple[str, str]:
    """Engine and precision where "auto" stands for one; ``parameters`` of the transformer. Raises InputError.

    On CPUs the engine that is ahead in ``benchmarks/sampling.py`` (docs/sampling.md) and installed, and has the
    precision that is asked for: OpenVINO where the chip computes bf16, which onnxruntime does not do on CPUs,
    onnxruntime on all others; then the other one of the two, then torch.
    """
    bf16 = has_bf16(device)
    if engine == "auto":
        order = ("openvino", "onnxruntime") if bf16 else ("onnxruntime", "openvino")
        gains = device.type == "cpu" and parameters >= GAINS_FROM
        able = [name for name in order if precision in ("auto", *_PRECISIONS[name]) and _installed(name)]
        engine = able[0] if gains and able else "torch"
    if engine not in ENGINES:
        raise InputError(expected("engine", "auto, torch, openvino or onnxruntime", repr(engine)))
    if engine != "torch" and device.type != "cpu":
        raise InputError(expected(f"engine {engine}", "the CPU", f"device {device}; use engine torch"))
    if precision == "auto":
        # Within the noise of float32 (benchmarks/sampling.py --quality).
        precision = "bf16" if engine == "openvino" and bf16 else "float32"
    return engine, precision


def _installed(engine: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in _NEEDS[engine])
