"""Means with bootstrap intervals, and best-of-N curves that use every candidate instead of one lucky draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

DRAWS = 1000
SPREAD = (2.5, 97.5)


def interval(rows: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean over all values; ``rows`` (one a prompt) are what is drawn again.

    Pictures of one prompt are alike, so that prompts, not pictures, are resampled. An empty list gives (0, 1); where
    all are right or all wrong, resampling shows no spread and Clopper and Pearson's exact bound is given.
    """
    values = {value for row in rows for value in row}
    if values in ({0.0}, {1.0}):
        bound = 0.025 ** (1 / len(rows))
        return (bound, 1.0) if 1.0 in values else (0.0, 1.0 - bound)
    return interval_of_means({"": rows}, seed)


def interval_of_means(groups: Mapping[str, Sequence[Sequence[float]]], seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the plain mean of the groups' means (GenEval's overall)."""
    groups = {name: rows for name, rows in groups.items() if rows}
    if not groups:
        return 0.0, 1.0
    chance = np.random.default_rng(seed)
    total = np.zeros(DRAWS)
    for rows in groups.values():
        sums = np.array([float(sum(row)) for row in rows])
        sizes = np.array([len(row) for row in rows], dtype=float)
        drawn = chance.integers(0, len(rows), (DRAWS, len(rows)))
        total += sums[drawn].sum(1) / np.maximum(sizes[drawn].sum(1), 1.0)
    low, high = np.percentile(total / len(groups), SPREAD)
    return float(low), float(high)


def mean(rows: Sequence[Sequence[float]]) -> float:
    """The mean over all values of all rows; 0 of nothing."""
    values = [value for row in rows for value in row]
    return float(sum(values) / len(values)) if values else 0.0


def share(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """How many are right, as a report shows it: ``accuracy`` with its ``interval``, and the ``count`` of prompts."""
    return {"accuracy": mean(rows), "interval": list(interval(rows)), "count": len(rows)}


def best_of(right: Sequence[bool], scores: Sequence[float], n: int) -> tuple[float, float]:
    """Chance that the best of ``n`` candidates is right: chosen by ``scores``, and chosen by an oracle.

    Exact over all subsets of ``n`` of the candidates drawn: candidate number i (from the worst, 0) is the best of a
    random subset with probability C(i, n − 1) / C(total, n). Among equal scores all orders count alike.
    """
    total = len(right)
    if not 1 <= n <= total:
        raise ValueError(f"best of {n} from {total} candidates")
    order = np.argsort(np.asarray(scores, dtype=float), kind="stable")
    values = np.asarray(right, dtype=float)[order]
    ranked = np.asarray(scores, dtype=float)[order]
    for score in np.unique(ranked):
        tied = ranked == score
        values[tied] = values[tied].mean()
    by_score = sum(comb(i, n - 1) * values[i] for i in range(n - 1, total)) / comb(total, n)
    wrong = total - int(sum(map(bool, right)))
    return float(by_score), 1.0 - comb(wrong, n) / comb(total, n)


def powers_of_two(most: int) -> tuple[int, ...]:
    """1, 2, 4 … up to ``most``, which is always the last."""
    return tuple(sorted({2**k for k in range(most.bit_length()) if 2**k <= most} | {most}))
