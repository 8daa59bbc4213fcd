"""Which engine and precision run the token step where that is left to limner."""

from __future__ import annotations

import importlib.util

import torch

from limner.device import has_bf16
from limner.errors import InputError, expected

ENGINES = ("torch", "openvino")
GAINS_FROM = 5_000_000
"""Parameters from which on OpenVINO is taken without being asked for: a small model draws faster than it starts."""


def choose_step(engine: str, precision: str, device: torch.device, parameters: int) -> tuple[str, str]:
    """Engine and precision where "auto" stands for one; ``parameters`` of the transformer. Raises InputError."""
    if engine == "auto":
        gains = device.type == "cpu" and parameters >= GAINS_FROM
        engine = "openvino" if gains and importlib.util.find_spec("openvino") is not None else "torch"
    if engine not in ENGINES:
        raise InputError(expected("engine", "auto, torch or openvino", repr(engine)))
    if engine == "openvino" and device.type != "cpu":
        raise InputError(expected("engine openvino", "the CPU", f"device {device}; use engine torch"))
    if precision == "auto":
        # Within the noise of float32 (benchmarks/sampling.py --quality).
        precision = "bf16" if engine == "openvino" and has_bf16(device) else "float32"
    return engine, precision
