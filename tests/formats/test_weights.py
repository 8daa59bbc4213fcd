"""safetensors and indices of several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from limner.errors import FileError, ModelError
from limner.formats.weights import read_safetensors, read_weights


def raw(path: Path, heading: Any, body: bytes = bytes(16)) -> Path:
    text = heading if isinstance(heading, bytes) else json.dumps(heading).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def one(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes}


def test_a_sound_file_and_its_order(tmp_path: Path) -> None:
    save_file({"b": torch.ones(2), "a": torch.zeros(3, dtype=torch.float16)}, tmp_path / "x.safetensors")
    got = read_weights(tmp_path / "x.safetensors")
    assert set(got.tensors) == {"a", "b"}
    assert got.kind == "safetensors"
    assert got.shape("b") == (2,)
    assert got.shape("absent") == ()
    (tmp_path / "x.bin").write_bytes((tmp_path / "x.safetensors").read_bytes())
    assert read_weights(tmp_path / "x.bin").kind == "safetensors"  # known by its bytes, whatever its name


@pytest.mark.parametrize(
    "heading",
    [
        one(shape=[2, 3]),
        one(shape=[-2, 2]),
        one(shape=[1 << 32, 1 << 32]),
        one(dtype="F33"),
        one(data_offsets=[16, 0]),
        one(data_offsets=[0, 64]),
        one() | {"v": {"dtype": "F32", "shape": [2, 2], "data_offsets": [8, 24]}},
        {"w": 3},
        {"w": None},
        [],
        b"{",
        b"[" * 50_000,
        b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
    ],
)
def test_headings_that_lie(heading: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        read_safetensors(raw(tmp_path / "x.safetensors", heading))


def test_cut_files(tmp_path: Path) -> None:
    sound = raw(tmp_path / "x.safetensors", one()).read_bytes()
    for length in range(len(sound)):
        (tmp_path / "x.safetensors").write_bytes(sound[:length])
        with pytest.raises(ModelError):
            read_safetensors(tmp_path / "x.safetensors")
    with pytest.raises(FileError):
        read_safetensors(tmp_path / "absent.safetensors")


def index(folder: Path, table: dict[str, str]) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return path


def test_an_index_of_two_files(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "1.safetensors")
    save_file({"b": torch.zeros(2)}, tmp_path / "2.safetensors")
    got = read_weights(index(tmp_path, {"b": "2.safetensors", "a": "1.safetensors"}))
    assert list(got.tensors) == ["b", "a"]
    assert [file.name for file in got.files] == ["1.safetensors", "2.safetensors"]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"a": "../1.safetensors"}, "own folder"),
        ({"a": "/etc/hostname"}, "own folder"),
        ({"a": "sub/1.safetensors"}, "own folder"),
        ({"a": "..\\1.safetensors"}, "own folder"),
        ({"a": "3.safetensors"}, "got none"),
        ({"a": "1.safetensors", "c": "1.safetensors"}, "'c'"),
        ({"b": "1.safetensors"}, "'a'"),
        ({"a": 3}, "weight_map"),
        ({}, "weight_map"),
    ],
)
def test_an_index_that_lies(table: dict[str, Any], what: str, tmp_path: Path) -> None:
    inside = tmp_path / "folder"
    (inside / "sub").mkdir(parents=True)
    for place in (tmp_path, inside, inside / "sub"):
        save_file({"a": torch.ones(2)}, place / "1.safetensors")
    with pytest.raises(ModelError, match=what):
        read_weights(index(inside, table))


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 3}, {"state_dict": {"a": "text"}}, {}, {"state_dict": {}}, {1: torch.ones(1)}]
)
def test_pickles_without_weights(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"x\.pt: expected"):
        read_weights(tmp_path / "x.pt")
