"""Files of torch.save with whatever pickle inside, sound and armed."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from limner.formats.torch_files import MAGIC, PROTOCOL

MARKER = "PWNED"
TOUCH = f"open({MARKER!r}, 'w').close()"


class Runs:
    """Unpickled freely, calls ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


class SetsState:
    """Unpickled freely, runs its own ``__setstate__`` with a state that is a call."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return object, (), self.state


def write_zip(path: Path, data: bytes, storages: dict[str, bytes] | None = None, **extra: bytes) -> Path:
    """A zip as torch writes it, with ``data`` as its pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", b"3\n")
        for name, content in extra.items():
            archive.writestr(f"archive/{name.replace('__', '.')}", content)
    return path


def write_legacy(path: Path, data: bytes, keys: list[str] | None = None, tail: bytes = b"") -> Path:
    """The older container: magic, protocol, system, the pickle, keys, storages."""
    head = b"".join(
        pickle.dumps(value, protocol=2)
        for value in (MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}})
    )
    path.write_bytes(head + data + pickle.dumps(keys or [], protocol=2) + tail)
    return path


def tensor_pickle(
    *,
    numel: Any = 4,
    offset: Any = 0,
    size: Any = (2, 2),
    stride: Any = (2, 1),
    key: Any = "0",
    kind: str = "FloatStorage",
) -> bytes:
    """The pickle of ``{"w": tensor}`` with whatever it claims."""
    out = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", getattr(torch, kind), key, "cpu", numel) if value is marker else None

    marker = object.__new__(Marker)
    Pickler(out, protocol=2).dump({"w": Runs(torch._utils._rebuild_tensor_v2, marker, offset, size, stride, False, {})})
    return out.getvalue()


class Marker:
    """Stands for a storage."""


def floats(*values: float) -> bytes:
    """Little-endian float32."""
    return struct.pack(f"<{len(values)}f", *values)
