"""Graphs that OpenVINO has compiled, kept in the user's cache so that the next process does not wait for them.

One file for each graph, named by everything that it depends on, with a checksum at its end: a damaged graph would be
read without complaint and compute something else. What is damaged is compiled anew, and where nothing can be written
nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import limner
from limner.errors import FileError, MissingExtra
from limner.files import make_folder, write_atomically

_CHECKSUM = 4
"""Bytes of the CRC-32 after a graph."""


def openvino(instead: str) -> Any:
    """The library. Raises MissingExtra, which tells what to do ``instead`` of installing it."""
    try:
        import openvino as library
    except ImportError:
        raise MissingExtra(f"OpenVINO is not installed; pip install 'limner[openvino]', or {instead}") from None
    return library


def cache_folder() -> Path:
    """Where graphs are kept, safe to delete: ``openvino`` in the user's cache of limner."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("limner")) / "openvino"


def model_folder(library: Any, fingerprint: str, cache: Path | None = None) -> Path:
    """The folder of one model's graphs for one version of OpenVINO."""
    return (cache or cache_folder()) / f"{fingerprint}-ov{library.__version__.split('-')[0]}"


def compile_kept(
    library: Any, build: Callable[[], Any], settings: Mapping[str, Any], folder: Path | None, name: str, about: str = ""
) -> Any:
    """The graph that ``build`` gives, compiled for the CPU with ``settings``: from ``folder``, or made and kept there.

    ``folder`` belongs to one model (``model_folder``; None keeps nothing). Within it a graph is told by ``name``,
    ``settings``, the chip, limner's version, and ``about``: whatever else changes the graph.
    """
    core = library.Core()
    if folder is None:
        return core.compile_model(build(), "CPU", dict(settings))
    chip = core.get_property("CPU", "FULL_DEVICE_NAME"), core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    told = repr((sorted(settings.items()), platform.machine(), chip, limner.__version__, about))
    file = folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.blob"
    found = _read(library, file)
    if found is not None:
        # Of another build of the same version, say: then it is made again.
        with contextlib.suppress(RuntimeError):
            return core.import_model(found, "CPU", dict(settings))
    compiled = core.compile_model(build(), "CPU", dict(settings))
    with contextlib.suppress(FileError, RuntimeError):  # nothing can be written there, or this graph not be written
        graph = compiled.export_model().getvalue()
        make_folder(folder)
        write_atomically(file, graph + _checksum(graph))
    return compiled


def _read(library: Any, file: Path) -> Any:
    """The bytes of a graph as a tensor; None where there is no whole one."""
    try:
        with open(file, "rb") as opened:
            size = os.fstat(opened.fileno()).st_size - _CHECKSUM
            if size <= 0:
                return None
            # OpenVINO's own memory: the graph goes on reading there, and holds nothing of Python's.
            tensor = library.Tensor(library.Type.u8, [size])
            whole = opened.readinto(tensor.data) == size and _checksum(tensor.data) == opened.read()
    except OSError:
        return None
    return tensor if whole else None


def _checksum(graph: Any) -> bytes:
    return zlib.crc32(graph).to_bytes(4, "little")
