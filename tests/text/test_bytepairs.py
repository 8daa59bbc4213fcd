"""Byte pairs: nothing is lost, rows are as the papers lay them out, dropout is seeded."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InputError, ModelError
from limner.text.bytepairs import BytePairs

CAPTIONS = [
    "a red cube to the left of a blue ball",
    "a cat wearing a red hat and blue gloves",
    "一只戴着红色帽子的猫",
    "three green stars on a light blue background",
] * 20


@pytest.fixture(scope="module")
def pairs() -> BytePairs:
    return BytePairs.train(CAPTIONS, 400)


def test_known_words_are_single_tokens(pairs: BytePairs) -> None:
    assert len(pairs.encode("a red cube")) == 3
    assert pairs.encode("A Red  cube") != []
    assert pairs.encode("a RED cube") == pairs.encode("a red cube")


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.one_of(st.characters(exclude_categories=["C", "Z"]), st.just(" ")), max_size=40))
def test_any_text_survives(pairs: BytePairs, text: str) -> None:
    ids = pairs.encode(text)
    assert all(0 <= i < pairs.vocabulary for i in ids)
    words = " ".join(unicodedata.normalize("NFC", text).lower().split())
    assert pairs.decode(ids) == words


def test_chinese_comes_back(pairs: BytePairs) -> None:
    assert pairs.decode(pairs.encode("一只戴着红色帽子的猫")) == "一只戴着红色帽子的猫"


def test_rows_pad_each_position_with_its_own_id(pairs: BytePairs) -> None:
    rows = pairs.row(["a red cube", ""], 8)
    assert rows.shape == (2, 8)
    assert rows.dtype == np.int64
    assert list(rows[0, 3:]) == [pairs.vocabulary + p for p in range(3, 8)]
    assert list(rows[1]) == [pairs.vocabulary + p for p in range(8)]


def test_clip_rows_end_with_the_highest_id(pairs: BytePairs) -> None:
    rows = pairs.clip_row(["a red cube", ""], 8)
    assert list(rows[0, :5]) == [pairs.vocabulary, *pairs.encode("a red cube"), pairs.vocabulary + 1]
    assert rows.argmax(axis=1).tolist() == [4, 1]
    assert rows[0, 5:].sum() == 0


def test_too_long_is_refused_with_the_limit_or_cut(pairs: BytePairs) -> None:
    with pytest.raises(InputError, match="at most 4 tokens, got 9"):
        pairs.row(["a red cube to the left of a ball"], 4)
    assert pairs.row(["a red cube to the left of a ball"], 4, cut=True)[0].tolist() == pairs.encode("a red cube to")
    with pytest.raises(InputError, match="at most 4 tokens"):
        pairs.clip_row(["a red cube to the left of a ball"], 6)


def test_dropout_is_seeded_and_decodes_to_the_same_text(pairs: BytePairs) -> None:
    plain = pairs.encode(CAPTIONS[0])
    one, two = (pairs.encode(CAPTIONS[0], dropout=0.3, seed=5) for _ in range(2))
    assert one == two != plain
    assert pairs.decode(one) == CAPTIONS[0]
    assert pairs.encode(CAPTIONS[0], dropout=1e-9, seed=1) == plain


def test_unknown_words_are_named(pairs: BytePairs) -> None:
    assert pairs.unknown_words("a red zeppelin") == ("zeppelin",)
    assert pairs.unknown_words("a red cube") == ()
    assert pairs.unknown_words("红色的龙") == ("龙",)


def test_saved_is_loaded(pairs: BytePairs, tmp_path: Path) -> None:
    pairs.save(tmp_path / "tokenizer.json")
    again = BytePairs.load(tmp_path / "tokenizer.json")
    assert again.encode(CAPTIONS[1]) == pairs.encode(CAPTIONS[1])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError):
        BytePairs.load(tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="no such file"):
        BytePairs.load(tmp_path / "nothing.json")


@pytest.mark.parametrize("bad", [3, None, b"a cat"])
def test_only_text_is_a_caption(pairs: BytePairs, bad: object) -> None:
    with pytest.raises(InputError, match="expected text"):
        pairs.encode(bad)  # type: ignore[arg-type]
