"""Files that are there whole or not at all: written beside their place and renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from limner.errors import FileError


def write_atomically(path: Path | str, content: bytes | str | Callable[[IO[bytes]], None]) -> Path:
    """Write ``content`` (bytes, text, or a function that writes to an open binary file) to ``path``, whole or not.

    Raises FileError (missing folder, no permission, full disk); what stood at ``path`` before is kept then.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with open(beside, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and not isinstance(error, FileError):
            raise FileError(explain(error, path)) from error
        raise
    return path


@contextlib.contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Fill the folder that is yielded; at the end it stands at ``path``, and after an error nothing of it remains.

    A folder that stands at ``path`` already is replaced at the end. Raises FileError.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.mkdir(parents=True)
        yield beside
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FileError):
            raise FileError(explain(error, path)) from error
        raise


def make_folder(path: Path | str) -> Path:
    """``path`` as a folder, made if it is not there. Raises FileError."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(explain(error, path)) from error
    return path


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileError(explain(error, path)) from error
    return digest.hexdigest()


def explain(error: OSError, path: Path | str) -> str:
    """One line for the user about an error of the file system."""
    reasons = {
        errno.ENOSPC: "the disk is full; free some room or write elsewhere",
        errno.EDQUOT: "the disk quota is used up; free some room or write elsewhere",
        errno.EACCES: "no permission; choose a place that you may use",
        errno.EPERM: "no permission; choose a place that you may use",
        errno.EROFS: "the file system is read-only; choose another place",
        errno.ENOENT: "no such file or folder; check the path",
        errno.ENOTDIR: "a part of the path is a file; check the path",
        errno.EEXIST: "something else stands there already; choose another place",
        errno.EISDIR: "it is a folder where a file is needed; check the path",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    }
    return f"{path}: {reasons.get(error.errno or 0, error.strerror or str(error))}"
