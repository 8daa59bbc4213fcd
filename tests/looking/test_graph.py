"""Approximate search by usearch: it finds nearly all, and a kept graph follows its folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError, MissingExtra
from limner.looker import Looker
from limner.looking.graph import Graph
from limner.looking.towers import unit
from limner.looking.vectors import Exact

pytest.importorskip("usearch")


def cloud(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(20, 32))[rng.integers(0, 20, n)] + 0.7 * rng.normal(size=(n, 32)))


def test_nearly_all_are_found_and_scored_exactly() -> None:
    features, queries = cloud(3000), cloud(20, seed=1)
    exact, found = Exact(features).nearest(queries, 10), Graph(features).nearest(queries, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.indices, found.indices, strict=True)]
    assert sum(shared) >= 0.95 * 200
    np.testing.assert_allclose(found.scores[:, 0], (features[found.indices[:, 0]] * queries).sum(1), atol=1e-6)
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_copies_are_all_found() -> None:
    features = np.repeat(cloud(30), 3, axis=0)
    names = [str(i // 3) for i in range(90)]
    assert sorted(Graph(features, names).nearest(features[6:7], 3).indices[0]) == [6, 7, 8]
    assert Graph(features, names).nearest(features[:2], 500).indices.shape == (2, 90)


def test_a_kept_graph_takes_in_what_is_new_and_drops_what_is_gone(tmp_path: Path) -> None:
    file, features = tmp_path / "deep" / "index.usearch", cloud(400)
    names = [f"n{i}" for i in range(400)]
    Graph(features[:300], names[:300], file)
    first = file.read_bytes()
    Graph(features[:300], names[:300], file)
    assert file.read_bytes() == first  # nothing new, nothing written
    moved = Graph(features[100:], names[100:], file)
    assert moved.nearest(features[350:351], 1).indices.tolist() == [[250]]
    assert moved.nearest(features[5:6], 300).indices.max() < 300
    for damage in (b"", file.read_bytes()[:-200], b"junk" * 100):
        file.write_bytes(damage)
        assert Graph(features, names, file).nearest(features[7:8], 1).indices.tolist() == [[7]]
    narrow = unit(features[:, :8])
    assert Graph(narrow, names, file).nearest(narrow[3:4], 1).scores[0, 0] == pytest.approx(1, abs=1e-5)
    assert not list(file.parent.glob("*.part"))


def test_wrong_input_and_no_usearch(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="400"):
        Graph(cloud(400), ["a"])
    with pytest.raises(InputError, match="32"):
        Graph(cloud(40)).nearest(np.ones((1, 7), np.float32), 1)
    assert Graph(np.zeros((0, 32), np.float32)).nearest(cloud(1), 3).indices.shape == (1, 0)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingExtra, match="search"):
        Graph(cloud(40))


def test_a_folder_is_searched_by_its_graph(looker: Looker, album: Path, noise) -> None:
    exact = looker.search(album, "a red cube", count=3)
    found = looker.search(album, "a red cube", count=3, approximate=True)
    assert [hit.path for hit in found] == [hit.path for hit in exact]
    assert [f.suffix for f in sorted((album / ".limner").iterdir())] == [".safetensors", ".usearch", ".sha256"]
    noise(91).save(album / "new.png")
    (album / "0.png").unlink()
    found = looker.search(album, Image.open(album / "new.png"), count=9, approximate=True)
    assert found[0].path.name == "new.png"
    assert len(found) == 5
    part = looker.search(album, "a red cube", only=["dusk/*"], approximate=True)
    assert {hit.path.parent.name for hit in part} == {"dusk"}
