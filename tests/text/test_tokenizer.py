"""A tokenizer.json is read as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.errors import ModelError
from limner.text.bytepairs import BytePairs
from limner.text.clip_bytepairs import ClipBytePairs
from limner.text.tokenizer import load_tokenizer


def test_each_encoding_comes_back_as_its_own_class(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    BytePairs.train(["a cat and a dog"] * 3, 260).save(path)
    assert isinstance(load_tokenizer(path), BytePairs)
    ClipBytePairs.published().save(path)
    encoding = load_tokenizer(path)
    assert isinstance(encoding, ClipBytePairs)
    assert encoding.clip_row(["a cat"], 5).tolist() == [[49406, 320, 2368, 49407, 0]]


@pytest.mark.parametrize("text", ["", "no json", "[" * 100_000, "[]", '{"model": 3}'])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")
