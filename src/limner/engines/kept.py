"""Graphs that an engine has made, kept in the user's cache so that the next process does not wait for them.

One file for each graph, named by everything that it depends on, with a checksum at its end: a damaged graph would be
read without complaint and compute something else. What is damaged is made anew, and where nothing can be written
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
from limner.errors import FileError
from limner.files import make_folder, write_atomically

_CHECKSUM = 4
"""Bytes of the CRC-32 after a graph."""
_SHORT = {"openvino": "ov", "onnxruntime": "ort"}


def cache_folder(engine: str) -> Path:
    """Where graphs are kept, safe to delete: ``openvino`` or ``onnxruntime`` in the user's cache of limner."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("limner")) / engine


def model_folder(library: Any, fingerprint: str, cache: Path | None = None) -> Path:
    """The folder of one model's graphs for one version of ``library``."""
    engine: str = library.__name__
    return (cache or cache_folder(engine)) / f"{fingerprint}-{_SHORT[engine]}{library.__version__.split('-')[0]}"


def compile_kept(
    library: Any, build: Callable[[], Any], settings: Mapping[str, Any], folder: Path | None, name: str, about: str = ""
) -> Any:
    """The graph that ``build`` gives, compiled by OpenVINO for the CPU: from ``folder``, or made and kept there.

    ``folder`` belongs to one model (``model_folder``; None keeps nothing). Within it a graph is told by ``name``,
    ``settings``, the chip, limner's version, and ``about``: whatever else changes the graph.
    """
    core = library.Core()
    if folder is None:
        return core.compile_model(build(), "CPU", dict(settings))
    chip = core.get_property("CPU", "FULL_DEVICE_NAME"), core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    file = folder / _named(name, (sorted(settings.items()), platform.machine(), chip), about, "blob")
    # OpenVINO's own memory: the graph goes on reading there, and holds nothing of Python's.
    found = _read(file, lambda size: library.Tensor(library.Type.u8, [size]), lambda tensor: tensor.data)
    if found is not None:
        # Of another build of the same version, say: then it is made again.
        with contextlib.suppress(RuntimeError):
            return core.import_model(found, "CPU", dict(settings))
    compiled = core.compile_model(build(), "CPU", dict(settings))
    with contextlib.suppress(RuntimeError):  # where this graph cannot be written
        _keep(file, compiled.export_model().getvalue())
    return compiled


def open_kept(
    build: Callable[[], bytes], open_graph: Callable[[bytes], Any], folder: Path | None, name: str, about: str = ""
) -> Any:
    """What ``open_graph`` makes of the graph that ``build`` writes: from ``folder``, or written and kept there.

    For graphs that hold nothing of the chip's; within ``folder`` they are told by ``name``, limner's version and
    ``about``.
    """
    if folder is None:
        return open_graph(build())
    file = folder / _named(name, (), about, "onnx")
    found = _read(file, bytearray, lambda buffer: buffer)
    if found is not None:
        # Whatever does not open is written again; what is wrong with that is told below.
        with contextlib.suppress(Exception):
            return open_graph(bytes(found))
    content = build()
    opened = open_graph(content)
    _keep(file, content)
    return opened


def _named(name: str, told: tuple[Any, ...], about: str, kind: str) -> str:
    text = repr((*told, limner.__version__, about))
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{kind}"


def _read(file: Path, allocate: Callable[[int], Any], memory: Callable[[Any], Any]) -> Any:
    """A graph in what ``allocate`` gives for its size; None where there is no whole one."""
    try:
        with open(file, "rb") as opened:
            size = os.fstat(opened.fileno()).st_size - _CHECKSUM
            if size <= 0:
                return None
            held = allocate(size)
            whole = opened.readinto(memory(held)) == size and _checksum(memory(held)) == opened.read()
    except OSError:
        return None
    return held if whole else None


def _keep(file: Path, graph: bytes) -> None:
    with contextlib.suppress(FileError):  # nothing can be written there
        make_folder(file.parent)
        write_atomically(file, graph + _checksum(graph))


def _checksum(graph: Any) -> bytes:
    return zlib.crc32(graph).to_bytes(4, "little")
