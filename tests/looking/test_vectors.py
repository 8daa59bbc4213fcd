"""Nearest neighbours: the small copies answer as the exact search does, whatever the vectors."""

from __future__ import annotations

import numpy as np
import pytest

from limner.errors import InputError
from limner.looking import vectors
from limner.looking.towers import unit
from limner.looking.vectors import Compact, Exact, near_duplicates


def clouds(kind: str, n: int = 3000, width: int = 48) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, width))
    if kind == "narrow":  # all in one direction, as CLIP's features are
        rows = 4.0 + rng.normal(size=(n, width))
    if kind == "twins":
        rows[n // 2 :] = rows[: n - n // 2] + 1e-4 * rng.normal(size=(n - n // 2, width))
    if kind == "spiky":
        rows *= rng.random((n, width)) < 0.05
        rows[:, 0] += 1e-3
    return unit(rows)


@pytest.mark.parametrize("kind", ["even", "narrow", "twins", "spiky"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("count", [1, 10, 500])
def test_the_copy_misses_nothing(kind: str, bits: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "CHUNK", 1000)
    features, queries = clouds(kind), unit(np.random.default_rng(1).normal(size=(5, 48)) + clouds(kind)[:5])
    exact, compact = Exact(features).nearest(queries, count), Compact(features, bits).nearest(queries, count)
    np.testing.assert_allclose(exact.scores, compact.scores, atol=1e-6)
    expected = -np.sort(-(queries @ features.T), axis=1)[:, :count]
    np.testing.assert_allclose(exact.scores, expected, atol=1e-6)
    for row in range(len(queries)):
        np.testing.assert_allclose(features[exact.indices[row]] @ queries[row], exact.scores[row], atol=1e-6)


def test_a_far_query_is_no_exception() -> None:
    features = clouds("narrow")
    query = -features[:1]
    np.testing.assert_allclose(
        Exact(features).nearest(query, 3).scores, Compact(features).nearest(query, 3).scores, atol=1e-6
    )


def test_fewer_vectors_than_asked_for() -> None:
    features = clouds("even", n=3)
    for store in (Exact(features), Compact(features)):
        assert store.nearest(features[:2], 10).indices.shape == (2, 3)
    empty = Exact(np.zeros((0, 48), np.float32)).nearest(features[:1], 5)
    assert empty.indices.shape == (1, 0)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="48"):
        Exact(clouds("even")).nearest(np.ones((1, 7), np.float32), 1)
    with pytest.raises(InputError, match="count"):
        Exact(clouds("even")).nearest(np.ones((1, 48), np.float32), 0)
    with pytest.raises(InputError, match="bits"):
        Compact(clouds("even"), 4)


def test_near_duplicates_are_grouped_through_links() -> None:
    base = clouds("even", n=40)
    features = np.concatenate([base, base[3:5], unit(base[3:4] + 0.02 * base[7:8]), base[10:11]])
    groups = near_duplicates(features, 0.99, block=7)
    assert groups == [[3, 40, 42], [4, 41], [10, 43]]
    with pytest.raises(InputError, match="threshold"):
        near_duplicates(features, 0.0)
