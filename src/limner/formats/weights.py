"""The one reader of weights: any file or folder that people keep tensors in becomes names and tensors.

safetensors go through the ``safetensors`` library after their heading was checked for what it lets pass; pickles go
through ``torch_files``, which runs nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from limner.errors import FileError, ModelError
from limner.files import explain
from limner.formats.read_json import parse_json, read_table
from limner.formats.safe_unpickle import Bag, TensorRef
from limner.formats.torch_files import TORCHSCRIPT, attribute_tensors, class_names, read_torch

if TYPE_CHECKING:
    import torch

HEADER_BYTES = 100_000_000
"""As the safetensors library has it."""
SHARDS = 1000


@dataclass(frozen=True)
class Weights:
    """Names and tensors in the file's order; ``kind`` safetensors, zip, torchscript or legacy; ``files`` read.

    ``beside``: the plain values at the top of a pickle that held the weights under one of its keys; ``classes``: names
    of the modules in a TorchScript archive.
    """

    tensors: dict[str, torch.Tensor]
    kind: str
    files: tuple[Path, ...]
    beside: dict[str, Any] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor; () where there is none of that name."""
        return tuple(self.tensors[name].shape) if name in self.tensors else ()


def read_weights(path: Path | str, *, keys: Collection[str] = ("state_dict",)) -> Weights:
    """Read a safetensors file, an index of several, or a file of torch. ``keys``: where a pickle may keep the weights
    beside other things. Raises ModelError, FileError.
    """
    path = Path(path)
    if path.name.endswith(".index.json"):
        return _read_index(path)
    if path.suffix == ".safetensors" or _looks_like_safetensors(path):
        return Weights(read_safetensors(path), "safetensors", (path,))
    return _read_pickled(path, keys)


# --- safetensors ----------------------------------------------------------------------------------------------------


def read_safetensors(path: Path | str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file. Raises ModelError: cut off, a heading that lies, a name twice."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    names = _check_heading(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path}: expected a safetensors file, got a damaged one ({_line(error)})") from None


def _check_heading(path: Path) -> list[str]:
    # The library takes the last of two tensors of one name without a word; a check of one is no check of the other.
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(size - 8, HEADER_BYTES):
                raise ModelError(f"{path}: expected a safetensors file, got {size} bytes and a heading of {length}")
            heading = parse_json(file.read(length), f"{path}: heading")
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(explain(error, path)) from error
    if not isinstance(heading, dict):
        raise ModelError(f"{path}: expected a table of tensors in the heading, got {type(heading).__name__}")
    return [name for name in heading if name != "__metadata__"]


def _looks_like_safetensors(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError as error:
        raise FileError(explain(error, path)) from error
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= HEADER_BYTES


def _read_index(path: Path) -> Weights:
    table = read_table(path).inner("weight_map").table
    if not table or not all(isinstance(name, str) for name in table.values()):
        raise ModelError(f"{path}: expected a weight_map from names to files, got something else")
    files = sorted(set(table.values()))
    if len(files) > SHARDS:
        raise ModelError(f"{path}: expected at most {SHARDS} files, got {len(files)}")
    tensors: dict[str, torch.Tensor] = {}
    for name in files:
        if name != PurePosixPath(name).name or "\\" in name or name.startswith("."):
            raise ModelError(f"{path}: expected names of files in its own folder, got {name[:80]!r}")
        shard = path.with_name(name)
        if not shard.is_file():
            raise ModelError(f"{shard}: expected a file, since {path.name} names it, got none; fetch it again")
        part = read_weights(shard).tensors
        strange = next((key for key in part if table.get(key) != name), None)
        if strange is not None:
            raise ModelError(f"{shard}: expected the tensors that {path.name} names, got {strange[:80]!r}")
        tensors |= part
    missing = next((key for key in table if key not in tensors), None)
    if missing is not None:
        raise ModelError(f"{path}: expected the tensor {missing[:80]!r} in {table[missing]}, got none")
    return Weights({name: tensors[name] for name in table}, "safetensors", tuple(path.with_name(n) for n in files))


# --- pickles --------------------------------------------------------------------------------------------------------


def _read_pickled(path: Path, keys: Collection[str]) -> Weights:
    file = read_torch(path, classes=TORCHSCRIPT)
    root, beside = file.root, {}
    classes: frozenset[str] = frozenset()
    if isinstance(root, Bag):
        refs = attribute_tensors(root, path)
        classes = class_names(root)
    else:
        if not isinstance(root, dict):
            raise ModelError(f"{path}: expected a table of tensors, got {type(root).__name__}")
        key = next((key for key in keys if isinstance(root.get(key), dict)), None)
        if key is not None:
            beside = {k: v for k, v in root.items() if k != key and isinstance(k, str)}
            root = root[key]
        strange = next((k for k, v in root.items() if not isinstance(k, str) or not isinstance(v, TensorRef)), None)
        if strange is not None:
            kind = type(root[strange]).__name__
            raise ModelError(f"{path}: expected tensors by name, got a {kind} under {str(strange)[:60]!r}")
        refs = root
    if not refs:
        raise ModelError(f"{path}: expected weights, got none")
    return Weights({name: file.tensor(ref) for name, ref in refs.items()}, file.kind, (path,), beside, classes)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:140]
