"""Files of ``torch.save`` and ``torch.jit.save``: the zip container, TorchScript archives, and the older container.

Each is checked before a number is taken from it: one pickle, no entry twice, nothing compressed, every storage as long
as the pickle says and inside the file, every tensor inside its storage, and no view that would take more memory than a
few times the file. Tensors are mapped from the file, not copied.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from limner.errors import FileError, ModelError
from limner.files import explain
from limner.formats.safe_unpickle import Bag, Reader, Storage, TensorRef

if TYPE_CHECKING:
    import torch

TORCHSCRIPT = ("__torch__.",)
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
PICKLE_BYTES = 64 << 20
ENTRIES = 100_000
SPARE = 128 << 20
"""Bytes that overlapping views may take beyond three times the file."""


class _Container(Protocol):
    def place(self, storage: Storage) -> int:
        """Where the storage's numbers begin in the file."""


@dataclass(frozen=True)
class TorchFile:
    """What a file holds: ``root`` in plain values, TensorRefs and Bags; ``kind`` zip, torchscript or legacy."""

    path: Path
    kind: str
    root: Any
    _map: mmap.mmap
    _container: _Container

    def tensor(self, ref: TensorRef) -> torch.Tensor:
        """The tensor that ``ref`` describes, mapped from the file (private: writing to it leaves the file alone)."""
        import torch

        dtype = getattr(torch, ref.storage.type.dtype)
        if not ref.numel:
            return torch.empty(ref.size, dtype=dtype)
        begin = self._container.place(ref.storage) + ref.storage.first * ref.storage.type.itemsize
        if begin % ref.storage.type.itemsize:
            nbytes = ref.storage.numel * ref.storage.type.itemsize
            flat = torch.frombuffer(bytearray(self._map[begin : begin + nbytes]), dtype=dtype)
        else:
            flat = torch.frombuffer(self._map, dtype=dtype, count=ref.storage.numel, offset=begin)
        return flat.as_strided(ref.size, ref.stride, ref.offset)


def read_torch(path: Path | str, *, classes: Collection[str] = TORCHSCRIPT) -> TorchFile:
    """Read a file of torch without running any of it; ``classes`` as in ``safe_unpickle.Reader``.

    Raises ModelError: not a file of torch, damaged, lying about sizes, or with anything but tensors and plain values.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, io.SEEK_END)
            if not size:
                raise ModelError(f"{path}: expected a file of torch.save, got an empty file")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(explain(error, path)) from error
    start = mapped[: len(LEGACY_START)]
    if start.startswith(b"PK"):
        return _read_zip(path, mapped, classes)
    if start == LEGACY_START:
        return _read_legacy(path, mapped, classes)
    if start[:1] in (b"\x80", b"c", b"(", b"}", b"]"):
        Reader(str(path)).read(io.BytesIO(mapped[:PICKLE_BYTES]))  # names what it would have run
        raise ModelError(f"{path}: expected a file of torch.save, got a plain pickle; save with torch.save")
    shown = start[:8].decode("ascii", "replace")
    raise ModelError(f"{path}: expected a file of torch.save, got one that begins {shown!r}; fetch it again")


# --- zip ------------------------------------------------------------------------------------------------------------


class _Zip:
    """The entries of a zip file whose contents lie in it as they are, each once."""

    def __init__(self, path: Path, mapped: mmap.mmap) -> None:
        self.path, self._map = path, mapped
        try:
            with zipfile.ZipFile(io.BufferedReader(_Mapped(mapped))) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error, UnicodeError) as error:
            raise ModelError(f"{path}: expected a zip file of torch, got a damaged one ({error})") from None
        if len(entries) > ENTRIES:
            raise ModelError(f"{path}: expected at most {ENTRIES} entries, got {len(entries)}")
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) != len(entries):
            places = {entry.filename: i for i, entry in enumerate(entries)}
            twice = next(entry.filename for i, entry in enumerate(entries) if places[entry.filename] != i)
            raise ModelError(f"{path}: expected each entry once, got {twice!r} twice")
        pickles = [name for name in self.entries if name.rsplit("/", 1)[-1] == "data.pkl"]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise ModelError(f"{path}: expected one NAME/data.pkl in the zip, got {len(pickles)}; is it a torch file?")
        self.root = pickles[0].removesuffix("data.pkl")
        self._places: dict[str, int] = {}
        self._stored = 0

    def pickle(self, name: str) -> bytes:
        """A pickle of the archive."""
        entry = self.entries[self.root + name]
        if entry.file_size > PICKLE_BYTES:
            raise ModelError(f"{self.path}: {name}: expected at most {PICKLE_BYTES} bytes, got {entry.file_size}")
        begin = self._begin(entry)
        return self._map[begin : begin + entry.file_size]

    def check(self, storage: Storage, folder: str = "data") -> None:
        """The storage is an entry, as long as it must be. Raises ModelError."""
        entry = self.entries.get(f"{self.root}{folder}/{storage.key}")
        if entry is None:
            raise ModelError(f"{self.path}: expected the storage {folder}/{storage.key}, got no such entry")
        nbytes = (storage.first + storage.numel) * storage.type.itemsize
        if entry.file_size < nbytes or (not storage.first and entry.file_size != nbytes):
            raise ModelError(
                f"{self.path}: {folder}/{storage.key}: expected {nbytes} bytes, got {entry.file_size}; fetch it again"
            )
        if folder == "data" and storage.key not in self._places:
            self._places[storage.key] = self._begin(entry)
            self._stored += entry.file_size
            if self._stored > len(self._map):
                raise ModelError(f"{self.path}: expected storages beside each other, got some over the same bytes")

    def place(self, storage: Storage) -> int:
        return self._places[storage.key]

    def _begin(self, entry: zipfile.ZipInfo) -> int:
        # Python's zipfile trusts the directory at the end; the numbers lie where the entry's own heading says.
        header = self._map[entry.header_offset : entry.header_offset + 30]
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            raise ModelError(f"{self.path}: {entry.filename}: expected an entry of the zip, got something else")
        flags, method = struct.unpack("<HH", header[6:10])
        if entry.compress_type or method or (flags | entry.flag_bits) & 1:
            raise ModelError(
                f"{self.path}: {entry.filename}: expected plain bytes, got a compressed or encrypted entry"
            )
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        begin = entry.header_offset + 30
        if self._map[begin : begin + name_length] != entry.orig_filename.encode("utf-8"):
            raise ModelError(f"{self.path}: {entry.filename}: expected the entry's name in its heading, got another")
        begin += name_length + extra_length
        if entry.compress_size != entry.file_size or begin + entry.file_size > len(self._map):
            raise ModelError(f"{self.path}: {entry.filename}: expected {entry.file_size} bytes, the file ends earlier")
        return begin


def _read_zip(path: Path, mapped: mmap.mmap, classes: Collection[str]) -> TorchFile:
    archive = _Zip(path, mapped)
    order = f"{archive.root}byteorder"
    if order in archive.entries and archive.pickle("byteorder") not in (b"little", b"little\n"):
        raise ModelError(f"{path}: expected numbers in little-endian order, got a file of a big-endian machine")
    script = archive.root + "constants.pkl" in archive.entries
    if script:
        # An importer needs no constants; but an archive that hides code there is not to be trusted at all.
        constants = Reader(f"{path}: constants.pkl", storage=lambda s: archive.check(s, "constants"))
        constants.read(io.BytesIO(archive.pickle("constants.pkl")))
    reader = Reader(f"{path}: data.pkl", classes=classes, storage=archive.check)
    root = reader.read(io.BytesIO(archive.pickle("data.pkl")))
    file = TorchFile(path, "torchscript" if script else "zip", root, mapped, archive)
    _check_views(file, len(mapped))
    return file


class _Mapped(io.RawIOBase):
    """A mapped file as a stream for zipfile."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map, self._place = mapped, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._map[self._place : self._place + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._map)}[whence]
        if base + offset < 0:
            raise ValueError("negative place")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place


# --- the older container --------------------------------------------------------------------------------------------


class _Legacy:
    """Five pickles, then the storages one after the other, each with its length before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.named: dict[str, Storage] = {}
        self._places: dict[str, int] = {}

    def check(self, storage: Storage) -> None:
        first = self.named.setdefault(storage.key, storage)
        if first.type != storage.type:
            raise ModelError(f"{self.path}: storage {storage.key}: expected one type, got two")

    def locate(self, keys: Any, mapped: mmap.mmap, place: int) -> None:
        """Find each storage behind the pickles. Raises ModelError."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
            raise ModelError(f"{self.path}: expected a list of storages, got something else")
        for key in keys:
            storage = self.named.get(key)
            if storage is None:
                raise ModelError(f"{self.path}: expected storages that tensors use, got {key[:60]!r}")
            head = mapped[place : place + 8]
            numel = int.from_bytes(head, "little", signed=True) if len(head) == 8 else -1
            place += 8
            nbytes = numel * storage.type.itemsize
            if numel < storage.first + storage.numel or place + nbytes > len(mapped):
                raise ModelError(
                    f"{self.path}: storage {key}: expected {storage.numel} numbers, the file ends or says {numel}"
                )
            self._places[key] = place
            place += nbytes
        if missing := set(self.named) - set(keys):
            raise ModelError(f"{self.path}: expected the storage {min(missing)}, got none")

    def place(self, storage: Storage) -> int:
        return self._places[storage.key]


def _read_legacy(path: Path, mapped: mmap.mmap, classes: Collection[str]) -> TorchFile:
    container = _Legacy(path)
    stream = io.BufferedReader(_Mapped(mapped))
    plain = Reader(str(path))
    head = [plain.read(stream) for _ in range(3)]
    if head[:2] != [MAGIC, PROTOCOL]:
        raise ModelError(f"{path}: expected protocol {PROTOCOL} of torch.save, got {head[1]!r:.60}")
    if not isinstance(head[2], dict) or head[2].get("little_endian") is not True:
        raise ModelError(f"{path}: expected numbers in little-endian order, got a file of another machine")
    root = Reader(str(path), classes=classes, storage=container.check).read(stream)
    keys = plain.read(stream)
    container.locate(keys, mapped, stream.tell())
    file = TorchFile(path, "legacy", root, mapped, container)
    _check_views(file, len(mapped))
    return file


# --- walking --------------------------------------------------------------------------------------------------------


def _check_views(file: TorchFile, size: int) -> None:
    # Overlapping strides make a large tensor of few numbers: legal, but a copy must stay in proportion to the file.
    seen: set[int] = set()
    todo, expanded = [file.root], 0
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, TensorRef):
            if value.numel > value.storage.numel:
                expanded += value.numel * value.storage.type.itemsize
                if expanded > 3 * size + SPARE:
                    raise ModelError(
                        f"{file.path}: expected tensors in proportion to the file of {size} bytes, got one of sizes "
                        f"{value.size} made of {value.storage.numel} numbers"
                    )
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            todo.extend(value)
        elif isinstance(value, Bag):
            todo.append(value.attributes)


def attribute_tensors(root: Any, where: object, *, skip: Collection[str] = ()) -> dict[str, TensorRef]:
    """The tensors of nested bags by dotted names, as ``state_dict`` has them; of ``torch.nn`` modules too, whose
    parameters, buffers and children lie in ``_parameters``, ``_buffers`` and ``_modules``. Raises ModelError.
    """
    tensors: dict[str, TensorRef] = {}
    todo: list[tuple[str, Any, tuple[int, ...]]] = [("", root, ())]
    while todo:
        prefix, bag, above = todo.pop()
        if id(bag) in above or len(above) > 64:
            raise ModelError(f"{where}: expected modules within modules, got a module that holds itself")
        children = []
        for name, value in _attributes(bag).items():
            full = f"{prefix}{name}"
            if isinstance(value, TensorRef) and full not in skip:
                tensors[full] = value
            elif isinstance(value, Bag):
                children.append((full + ".", value, (*above, id(bag))))
        todo.extend(reversed(children))
        if len(tensors) + len(todo) > ENTRIES:
            raise ModelError(f"{where}: expected at most {ENTRIES} tensors, got more")
    return tensors


def class_names(root: Bag) -> frozenset[str]:
    """The last part of the class name of every module within ``root``: Linear, LayerNorm, QuickGELU …"""
    seen: dict[int, Bag] = {}
    todo = [root]
    while todo:
        bag = todo.pop()
        if id(bag) not in seen:
            seen[id(bag)] = bag
            todo.extend(value for value in _attributes(bag).values() if isinstance(value, Bag))
    return frozenset(bag.name.rsplit(".", 1)[-1] for bag in seen.values())


def _attributes(bag: Bag) -> dict[str, Any]:
    values = dict(bag.attributes)
    for group in ("_parameters", "_buffers", "_modules"):
        inner = values.pop(group, None)
        if isinstance(inner, dict):
            values |= {name: value for name, value in inner.items() if isinstance(name, str)}
    return values
