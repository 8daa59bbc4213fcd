"""Millions of vectors through ``usearch``: an approximate index (HNSW), kept on disk and brought up to date."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.device import default_threads
from limner.errors import InputError, MissingExtra
from limner.files import make_folder, sha256, write_atomically
from limner.looking.vectors import Found, best_of, checked, checked_count, checked_queries


class Graph:
    """``features`` float32 (N, E), unit length, behind ``nearest`` as ``vectors.Exact`` has it; recall is high, not 1.

    ``contents``: a name for each row's content, so that a graph kept in ``file`` takes in what is new, drops what is
    gone, and is built again only where it is damaged. Raises MissingExtra, InputError, FileError.
    """

    def __init__(
        self, features: np.ndarray, contents: Sequence[str] | None = None, file: Path | str | None = None
    ) -> None:
        self.features = checked(features)
        if contents is not None and len(contents) != len(self.features):
            raise InputError(f"graph: expected a content for each of {len(self.features)} rows, got {len(contents)}")
        names = contents if contents is not None else [str(i) for i in range(len(self.features))]
        keys = np.array([_key(name) for name in names], np.uint64)
        # Copies of a picture share one key and one point; ``rows`` are those of each key.
        order = np.argsort(keys, kind="stable")
        self._keys, starts = np.unique(keys[order], return_index=True)
        self._rows = np.split(order, starts[1:]) if len(order) else []
        self._index = self._read(Path(file)) if file is not None else self._new()
        if self._bring_up() and file is not None:
            self._write(Path(file))

    def nearest(self, queries: np.ndarray, count: int) -> Found:
        """The ``count`` nearest of unit ``queries`` (Q, E) that the graph finds, scored exactly."""
        count = checked_count(count, len(self.features))
        queries = checked_queries(queries, self.features)
        if not count:
            return Found(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32))
        indices, scores = np.zeros((0, count), np.int64), np.zeros((0, count), np.float32)
        for query in queries:
            keys = np.asarray(self._index.search(query, min(count, len(self._keys))).keys, np.uint64)
            places = np.searchsorted(self._keys, keys)
            rows = np.concatenate([self._rows[i] for i in places])
            best = best_of(rows[None], (self.features[rows] @ query)[None], count)
            indices, scores = np.concatenate([indices, best.indices]), np.concatenate([scores, best.scores])
        return Found(indices, scores)

    def _new(self) -> Any:
        return _usearch()(ndim=self.features.shape[1], metric="ip", dtype="f16")

    def _bring_up(self) -> bool:
        """Drop the points that are gone, add those that are new; whether there were any."""
        known = np.asarray(self._index.keys, np.uint64) if len(self._index) else np.zeros(0, np.uint64)
        gone = np.setdiff1d(known, self._keys)
        new = np.flatnonzero(~np.isin(self._keys, known))
        if len(gone):
            self._index.remove(gone)
        if len(new):
            first = np.array([self._rows[i][0] for i in new])
            self._index.add(self._keys[new], self.features[first], threads=default_threads())
        return bool(len(gone) or len(new))

    def _read(self, file: Path) -> Any:
        """The kept graph where it is whole and of this width, else an empty one."""
        try:
            if sha256(file) == _sum(file).read_text(encoding="ascii").strip():
                kept = _usearch().restore(str(file))
                if kept is not None and kept.ndim == self.features.shape[1]:
                    return kept
        except (OSError, ValueError, RuntimeError):
            pass
        return self._new()

    def _write(self, file: Path) -> None:
        make_folder(file.parent)
        beside = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            self._index.save(str(beside))
            total = sha256(beside)
            os.replace(beside, file)
            write_atomically(_sum(file), total + "\n")
        finally:
            beside.unlink(missing_ok=True)


def _key(content: str) -> int:
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "little")


def _sum(file: Path) -> Path:
    return file.with_name(file.name + ".sha256")


def _usearch() -> Any:
    try:
        from usearch.index import Index
    except ImportError:
        raise MissingExtra(
            "approximate search needs usearch; pip install 'limner[search]', or search exactly"
        ) from None
    return Index
