"""Nearest neighbours among unit vectors: exact in float32, or over a small copy with the best rescored, still exact.

The small copy reads a quarter of the bytes. Its error is bounded row by row, every row that could be among the best is
scored again in float32, and so nothing is missed. Beyond what one machine's memory bandwidth can scan, ``graph.Graph``
hands the vectors to an approximate engine behind the same call.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch

from limner.errors import InputError

CHUNK = 262_144


class Found(NamedTuple):
    """``indices`` int64 and ``scores`` float32 (cosines), both (Q, k), best first; of equal scores the lower index."""

    indices: np.ndarray
    scores: np.ndarray


class Vectors(Protocol):
    """N vectors that can be searched."""

    def nearest(self, queries: np.ndarray, count: int) -> Found:
        """The ``count`` nearest of unit ``queries`` float32 (Q, E)."""
        ...


class Exact:
    """All of ``features`` float32 (N, E), unit length, scored for each query."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = checked(features)

    def nearest(self, queries: np.ndarray, count: int) -> Found:
        """The ``count`` nearest (all, if there are fewer) of ``queries`` (Q, E)."""
        count = checked_count(count, len(self.features))
        asked = torch.from_numpy(checked_queries(queries, self.features))
        parts = []
        for start in range(0, len(self.features), CHUNK):
            rows = torch.from_numpy(self.features[start : start + CHUNK])
            cosines = torch.mv(rows, asked[0])[None] if len(asked) == 1 else asked @ rows.T
            best, where = torch.topk(cosines, min(count, cosines.shape[1]), dim=1)
            parts.append((best.numpy(), where.numpy() + start))
        scores = np.concatenate([p[0] for p in parts], axis=1) if parts else np.zeros((len(asked), 0), np.float32)
        indices = np.concatenate([p[1] for p in parts], axis=1) if parts else np.zeros((len(asked), 0), np.int64)
        return best_of(indices, scores, count)


class Compact:
    """``features`` beside a copy of 8 bits a number (or ``bits`` 16); the best by the copy are rescored in float32.

    The answer is ``Exact``'s: for the copy x̂ of a row x and a query q of length 1, |x·q - x̂·q| ≤ ‖x - x̂‖.
    """

    def __init__(self, features: np.ndarray, bits: int = 8) -> None:
        if bits not in (8, 16):
            raise InputError(f"compact copy: expected 8 or 16 bits, got {bits}")
        self.features, self.bits = checked(features), bits
        self._copy = torch.empty(self.features.shape, dtype=torch.int8 if bits == 8 else torch.float16)
        self._scales = torch.ones(len(self.features))
        self._errors = torch.empty(len(self.features))
        for start in range(0, len(self.features), CHUNK):
            rows = torch.from_numpy(self.features[start : start + CHUNK])
            part = slice(start, start + len(rows))
            if bits == 8:
                scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
                self._copy[part] = (rows / scale[:, None]).round_().to(torch.int8)
                self._scales[part] = scale
                back = self._copy[part].float() * scale[:, None]
            else:
                self._copy[part] = rows.half()
                back = self._copy[part].float()
            self._errors[part] = (rows - back).norm(dim=1)
        # What rounding in the scan itself may add.
        self._errors += 1e-5 if bits == 8 else 4e-3

    def nearest(self, queries: np.ndarray, count: int) -> Found:
        """As ``Exact.nearest``, from a scan of the copy."""
        count = checked_count(count, len(self.features))
        found = [self._one(query, count) for query in checked_queries(queries, self.features)]
        if not found:
            return Found(np.zeros((0, count), np.int64), np.zeros((0, count), np.float32))
        return Found(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    def _one(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        if not count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        scores, error = self._scan(torch.from_numpy(query))
        # Every row above the count-th best lower bound may belong to the answer.
        margin = self._errors + error
        floor = torch.topk(scores - margin, count).values[-1]
        candidates = torch.nonzero(scores + margin >= floor).squeeze(1).numpy()
        exact = (self.features[candidates] @ query).astype(np.float32)
        best = best_of(candidates[None], exact[None], count)
        return best.indices[0], best.scores[0]

    def _scan(self, query: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Scores of the copy (N,), and how far rounding the query moves any of them at most."""
        if self.bits == 16:
            return torch.mv(self._copy, query.half()).float(), float((query - query.half().float()).norm()) * 1.01
        scale = float(query.abs().max()) / 127 or 1.0
        small = (query / scale).round().to(torch.int8)
        error = float((query - small.float() * scale).norm()) * 1.05  # rows of the copy are a little above length 1
        return torch._int_mm(self._copy, small[:, None]).squeeze(1) * (self._scales * scale), error


def near_duplicates(features: np.ndarray, threshold: float = 0.95, block: int = 2048) -> list[list[int]]:
    """Groups of rows (two or more, ascending) that are linked by cosines of ``threshold`` or more, largest first.

    Raises InputError for a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise InputError(f"near-duplicates: expected a threshold above 0, at most 1, got {threshold}")
    features = checked(features)
    leader = np.arange(len(features))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = int(leader[i])
        return i

    # A shade of rounding must not part two copies of the same picture.
    limit = np.float32(threshold - 1e-6)
    for row in range(0, len(features), block):
        for column in range(row, len(features), block):
            close = features[row : row + block] @ features[column : column + block].T >= limit
            for i, j in np.argwhere(np.triu(close, 1) if row == column else close):
                left, right = find(row + int(i)), find(column + int(j))
                leader[max(left, right)] = min(left, right)
    groups: dict[int, list[int]] = {}
    for i in range(len(features)):
        groups.setdefault(find(i), []).append(i)
    return sorted((g for g in groups.values() if len(g) > 1), key=lambda g: (-len(g), g[0]))


def best_of(indices: np.ndarray, scores: np.ndarray, count: int) -> Found:
    """The ``count`` best of candidates (Q, n) with their scores, in order."""
    order = np.stack([np.lexsort((i, -s))[:count] for i, s in zip(indices, scores, strict=True)])
    return Found(
        np.take_along_axis(indices, order, axis=1).astype(np.int64),
        np.take_along_axis(scores, order, axis=1).astype(np.float32),
    )


def checked(features: np.ndarray) -> np.ndarray:
    """Vectors (N, E) as float32 in one block. Raises InputError."""
    if features.ndim != 2:
        raise InputError(f"vectors: expected (N, E), got {features.shape}")
    return np.ascontiguousarray(features, np.float32)


def checked_queries(queries: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Queries (Q, E) as float32; one may come as (E,). Raises InputError where E differs."""
    queries = np.ascontiguousarray(np.atleast_2d(queries), np.float32)
    if queries.shape[1] != features.shape[1]:
        raise InputError(f"queries: expected {features.shape[1]} numbers each, got {queries.shape[1]}; same model?")
    return queries


def checked_count(count: int, total: int) -> int:
    """``count``, at most ``total``. Raises InputError."""
    if count < 1:
        raise InputError(f"count: expected 1 or more, got {count}")
    return min(count, total)
