"""The index of a folder of pictures, kept beside them and brought up to date by what the files hold.

One file, ``FOLDER/.limner/index-MODEL.safetensors``: a row of features for each content, and the list of files with
their content's hash, size and time. A file whose size and time are as they were is not opened; a moved or copied one is
hashed and not embedded again; a changed one is; one that cannot be read is listed with the reason until it changes. The
file is replaced whole, and safe to delete.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from limner.errors import FileError, PictureError
from limner.files import make_folder, write_atomically
from limner.looking.embed import EXACT, Reading, stream_pictures
from limner.looking.read import pictures_of
from limner.looking.towers import Towers

FORMAT = 1
PLACE = ".limner"
SAVE_SECONDS = 30.0
"""A long build is kept this often: whoever stops it loses no more."""


@dataclass(frozen=True)
class Entry:
    """A file: ``path`` below the folder, size in bytes, time in nanoseconds, hash of its content, why it is broken."""

    path: str
    size: int
    time: int
    content: str
    broken: str | None = None


@dataclass(frozen=True)
class Changes:
    """What an update found: files that are new or changed, moved or copied, removed, unreadable, and the same."""

    added: int = 0
    moved: int = 0
    removed: int = 0
    broken: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Index:
    """``features`` float32 (n, E): a row for each of ``files`` that could be read; ``broken`` are the others."""

    folder: Path
    files: list[Entry]
    features: np.ndarray
    broken: list[Entry] = field(default_factory=list)
    changes: Changes = Changes()

    def path(self, i: int) -> Path:
        """The picture of row ``i``."""
        return self.folder / self.files[i].path


def update_index(
    towers: Towers,
    folder: Path | str,
    *,
    model: str,
    reading: Reading = EXACT,
    place: Path | str | None = None,
    begin: Callable[[int], None] | None = None,
    each: Callable[[int], None] | None = None,
) -> Index:
    """The index of ``folder``, brought up to date and written. ``model``: the fingerprint that features belong to.

    ``place``: another folder for the index (where ``folder`` cannot be written to); ``begin`` hears how many pictures
    are to be embedded, ``each`` how many more are done. Raises FileError (no such folder, no place to write).
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileError(f"{folder}: expected a folder of pictures, got {'a file' if folder.exists() else 'nothing'}")
    file = index_file(folder, model, place)
    old, rows = _read(file, towers.config.embedding)
    known = {entry.path: entry for entry in old}
    found = [_stat(folder, path, known) for path in pictures_of(folder)]
    entries = [_hashed(folder, entry) for entry in found]
    broken_before = {e.content: e.broken for e in old if e.broken is not None}
    entries = [_with_reason(e, broken_before.get(e.content)) for e in entries]
    missing = {e.content: e for e in entries if e.content not in rows and e.broken is None}
    if missing:
        _check_place(file)
    if begin is not None:
        begin(len(missing))
    reasons: dict[str, str] = {}
    saved = time.monotonic()
    for done, added, failed in _embed(towers, folder, list(missing.values()), reading):
        rows.update(added)
        reasons.update(failed)
        if each is not None:
            each(done)
        if time.monotonic() - saved > SAVE_SECONDS:
            _write(file, [_with_reason(e, reasons.get(e.content)) for e in entries], rows, model)
            saved = time.monotonic()
    entries = [_with_reason(e, reasons.get(e.content)) for e in entries]
    if entries != old or not file.is_file():
        _write(file, entries, rows, model)
    good = [e for e in entries if e.broken is None and e.content in rows]
    features = np.stack([rows[e.content] for e in good]) if good else np.zeros((0, towers.config.embedding), np.float32)
    bad = [e for e in entries if e.broken is not None]
    return Index(folder, good, features, bad, _changes(old, entries, set(missing)))


def index_file(folder: Path, model: str, place: Path | str | None = None) -> Path:
    """Where the index of ``folder`` for ``model`` is kept."""
    if place is None:
        return folder / PLACE / f"index-{model}.safetensors"
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return Path(place) / f"index-{name}-{model}.safetensors"


def graph_file(folder: Path, model: str, place: Path | str | None = None) -> Path:
    """Where an approximate index over it is kept."""
    return index_file(folder, model, place).with_suffix(".usearch")


def _check_place(file: Path) -> None:
    """Told before the work, not after it. Raises FileError."""
    try:
        make_folder(file.parent)
        if not os.access(file.parent, os.W_OK):
            raise FileError(f"{file.parent}: no permission to write")
    except FileError as error:
        raise FileError(f"{error}; the index of pictures may be kept elsewhere: --index DIR") from None


def _stat(folder: Path, path: Path, known: dict[str, Entry]) -> Entry:
    name = path.relative_to(folder).as_posix()
    try:
        about = path.stat()
    except OSError:  # gone since it was listed, or a link to nowhere
        return Entry(name, 0, 0, "")
    old = known.get(name)
    same = old is not None and (old.size, old.time) == (about.st_size, about.st_mtime_ns)
    return Entry(name, about.st_size, about.st_mtime_ns, old.content if old is not None and same else "")


def _hashed(folder: Path, entry: Entry) -> Entry:
    if entry.content:
        return entry
    digest = hashlib.blake2b(digest_size=20)
    try:
        with open(folder / entry.path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        return Entry(entry.path, entry.size, entry.time, "", f"cannot be read ({error.strerror or error})")
    return Entry(entry.path, entry.size, entry.time, digest.hexdigest())


def _with_reason(entry: Entry, reason: str | None) -> Entry:
    if reason is None or entry.broken is not None:
        return entry
    return Entry(entry.path, entry.size, entry.time, entry.content, reason)


def _embed(
    towers: Towers, folder: Path, entries: list[Entry], reading: Reading
) -> Iterator[tuple[int, dict[str, np.ndarray], dict[str, str]]]:
    for part in stream_pictures(towers, (folder / e.path for e in entries), reading):
        rows = {entries[i].content: row for i, row in zip(part.indices, part.features, strict=True)}
        reasons = {entries[b.index].content: _reason(folder / entries[b.index].path, b.reason) for b in part.broken}
        yield len(part.indices) + len(part.broken), rows, reasons


def _reason(path: Path, reason: str) -> str:
    # The reason is kept for every copy of the content, whatever its name.
    return reason.removeprefix(f"{path}: ")


def _changes(old: list[Entry], new: list[Entry], embedded: set[str]) -> Changes:
    before, after = {e.path: e.content for e in old}, {e.path: e.content for e in new}
    fresh = [e for e in new if before.get(e.path) != e.content]
    return Changes(
        added=sum(e.content in embedded and e.broken is None for e in fresh),
        moved=sum(e.content not in embedded and e.broken is None for e in fresh),
        removed=len(before.keys() - after.keys()),
        broken=sum(e.broken is not None for e in new),
        kept=len(new) - len(fresh),
    )


def _write(file: Path, entries: Iterable[Entry], rows: dict[str, np.ndarray], model: str) -> None:
    from safetensors.numpy import save

    entries = list(entries)
    contents = list(dict.fromkeys(e.content for e in entries if e.content in rows))
    table = {
        "limner_index": FORMAT,
        "model": model,
        "contents": contents,
        "files": [[e.path, e.size, e.time, e.content, e.broken] for e in entries],
    }
    packed = json.dumps(table, ensure_ascii=False).encode("utf-8", "surrogateescape")
    features = np.stack([rows[c] for c in contents]) if contents else np.zeros((0, 0), np.float32)
    make_folder(file.parent)
    tensors = {"features": features.astype(np.float32), "table": np.frombuffer(packed, np.uint8)}
    write_atomically(file, save(tensors))


def _read(file: Path, width: int) -> tuple[list[Entry], dict[str, np.ndarray]]:
    """What an index file holds; one that is damaged or of another format counts as none, for it can be made again."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not file.is_file():
        return [], {}
    try:
        tensors = load_file(file)
        table: Any = json.loads(tensors["table"].tobytes().decode("utf-8", "surrogateescape"))
        if table["limner_index"] != FORMAT:
            return [], {}
        features, contents = tensors["features"], table["contents"]
        if len(contents) != len(features) or (len(features) and features.shape[1] != width):
            return [], {}
        if not np.isfinite(features).all():
            return [], {}
        entries = [Entry(str(p), int(s), int(t), str(c), r) for p, s, t, c, r in table["files"]]
        return entries, dict(zip(map(str, contents), features, strict=True))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return [], {}


def picture_error(entry: Entry, folder: Path) -> PictureError:
    """The error that an unreadable file of the index stands for."""
    return PictureError(f"{folder / entry.path}: {entry.broken}")
