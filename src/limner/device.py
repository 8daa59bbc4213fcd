"""Which chip works, in which precision, with how many threads."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from limner.errors import InputError

if TYPE_CHECKING:
    import torch


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``auto`` is CUDA, then Apple's MPS, then the CPU. Raises InputError."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: {name!r} was asked for, but this torch sees no CUDA device; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device: 'mps' was asked for, but this torch sees no Apple GPU; use --device cpu")
    return device


def autocast(device: torch.device, precision: str = "bf16") -> contextlib.AbstractContextManager[Any]:
    """Mixed precision on ``device``: ``bf16`` or ``float16`` by autocast, ``float32`` as it is.

    On a CPU without bf16, ``bf16`` is float32 (``working_precision``). Raises InputError.
    """
    import torch

    precision = working_precision(device, precision)
    if precision == "float32":
        return contextlib.nullcontext()
    if precision in ("bf16", "float16"):
        return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)
    raise InputError(f"precision: expected float32, bf16 or float16, got {precision!r}")


def has_bf16(device: torch.device) -> bool:
    """Whether products of bfloat16 are native on ``device``, hence faster than float32.

    Without, they are emulated: on an AVX2 CPU at a fiftieth of float32's rate.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    can = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def sums_int8_exactly() -> bool:
    """Whether this CPU sums products of bytes in 32 bits: x86 without VNNI keeps pairs in 16, and clips them."""
    import torch

    can = torch.cpu.get_capabilities()
    names = ("avx512_vnni", "avx_vnni", "amx_int8")
    return can.get("architecture") != "x86_64" or any(can.get(name) for name in names)


def working_precision(device: torch.device, precision: str) -> str:
    """``precision``, but float32 for bf16 on a CPU that has none: there it is the faster one, and exact."""
    return "float32" if precision == "bf16" and device.type == "cpu" and not has_bf16(device) else precision


def default_threads() -> int:
    """Threads to compute with: ``OMP_NUM_THREADS`` where it is set, else the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def keep_memory() -> bool:
    """Let glibc keep what this process frees for the next step; whether it could be asked (not on other systems).

    Otherwise large tensors are mapped anew in every step and the kernel clears each page again, for some per cent of a
    CPU's training step, and for more where much is allocated (``benchmarks/training.py``). The process stays at its
    peak.
    """
    import ctypes

    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD of <malloc.h>
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, 2**31 - 1))


def matrix_rate(device: torch.device, precision: str = "bf16", size: int = 0) -> float:
    """Operations/s that ``device`` reaches in a product of two square matrices; by default of 1,024, on a GPU 8,192.

    precision: bf16, float16 or float32, as ``autocast`` takes it. Takes some hundredths of a second.
    """
    import torch

    precision = working_precision(device, precision)

    size = size or (8192 if device.type == "cuda" else 1024)
    types = {"bf16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    a = torch.ones(size, size, device=device, dtype=types[precision])
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        _ = a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2.0 * size**3 / min(seconds)


def set_threads(count: int | None) -> int:
    """Let torch use ``count`` threads (None: ``default_threads``); returns the number. Raises InputError."""
    import torch

    count = default_threads() if count is None else count
    if count < 1:
        raise InputError(f"threads: expected 1 or more, got {count}")
    torch.set_num_threads(count)
    return count
