"""CLIP's encoding: known ids, typed special tokens, rows, windows, files. The owners' 683 captions: tests/parity."""

from __future__ import annotations

import gzip
import hashlib
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from limner.errors import InputError, ModelError
from limner.text.clip_bytepairs import ClipBytePairs, byte_alphabet


@pytest.fixture(scope="module")
def published() -> ClipBytePairs:
    return ClipBytePairs.published()


def small_parts() -> tuple[dict[str, int], list[tuple[str, str]]]:
    alphabet = list(byte_alphabet().values())
    merges = [("a", "t</w>"), ("c", "at</w>"), ("d", "o"), ("do", "g</w>")]
    tokens = [
        *alphabet,
        *(c + "</w>" for c in alphabet),
        *(a + b for a, b in merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    return {token: i for i, token in enumerate(tokens)}, merges


def test_the_shipped_vocabulary_is_openais() -> None:
    packed = resources.files("limner.text").joinpath("bpe_simple_vocab_16e6.txt.gz").read_bytes()
    assert hashlib.sha256(packed).hexdigest().startswith("924691ac288e")


@pytest.mark.parametrize(
    ("caption", "ids"),
    [
        ("a photo of a cat.", [320, 1125, 539, 320, 2368, 269]),
        ("  A   Photo\nof a CAT. ", [320, 1125, 539, 320, 2368, 269]),
        ("2024", [273, 271, 273, 275]),
        ("don't", [847, 713]),
        ("cafe\u0301", [15304]),
        ("&amp;amp;", [261]),
        ("", []),
        ("<|endoftext|>", [49407]),
        ("&lt;|ENDOFTEXT|&gt;", [49407]),
    ],
)
def test_known_ids(published: ClipBytePairs, caption: str, ids: list[int]) -> None:
    assert published.encode(caption) == ids


def test_sizes(published: ClipBytePairs) -> None:
    assert (published.size, published.vocabulary, published.start, published.end) == (49408, 49406, 49406, 49407)


def test_special_tokens_in_quotes_are_swallowed_by_the_punctuation(published: ClipBytePairs) -> None:
    assert 49407 not in published.encode("'<|endoftext|>'")
    assert 49407 in published.with_clean("transformers").encode("'<|endoftext|>'")


def test_open_clip_spells_the_special_tokens_otherwise(published: ClipBytePairs) -> None:
    other = published.with_clean("open_clip")
    assert other.encode("<end_of_text>") == [49407]
    assert 49407 not in other.encode("<|endoftext|>")
    assert 49407 not in published.encode("<end_of_text>")
    assert other.encode("a photo of a cat.") == published.encode("a photo of a cat.")


def test_canonical_captions_lose_punctuation(published: ClipBytePairs) -> None:
    plain = published.with_clean("open_clip_canonicalize")
    assert plain.encode("A dog's_life!") == plain.encode("a dogs life")


def test_rows_are_start_ids_end_zeros(published: ClipBytePairs) -> None:
    rows = published.clip_row(["a photo of a cat.", ""], 10)
    assert rows.dtype == np.int64
    assert rows.tolist() == [[49406, 320, 1125, 539, 320, 2368, 269, 49407, 0, 0], [49406, 49407, *[0] * 8]]


def test_a_caption_that_is_too_long(published: ClipBytePairs) -> None:
    long = "word " * 90
    with pytest.raises(InputError, match=r"at most 75 tokens, got 90"):
        published.clip_row([long], 77)
    assert published.clip_row([long], 77, cut=True)[0].tolist() == [49406, *[2653] * 75, 49407]


def test_windows_hold_every_token_once(published: ClipBytePairs) -> None:
    captions = ["a cat", "a photo of a dog on a red boat " * 30, ""]
    rows, owners = published.windows(captions, 20)
    assert rows.shape[1] == 20
    for i, caption in enumerate(captions):
        own = rows[owners == i]
        inside = [int(x) for row in own for x in row[1 : list(row).index(49407)]]
        assert inside == published.encode(caption)
    assert (owners == 0).sum() == 1 == (owners == 2).sum()


def test_decoding_gives_the_words_back(published: ClipBytePairs) -> None:
    text = "a photo of a cat, 2024; 一只猫 🐶"
    assert published.decode(published.encode(text)) == "a photo of a cat , 2 0 2 4 ; 一只猫 🐶"
    assert published.decode(published.clip_row(["a cat"], 9)[0]) == "a cat"


@pytest.mark.parametrize("clean", ["openai", "open_clip", "transformers_slow", "transformers"])
def test_saving_and_loading_keep_every_answer(published: ClipBytePairs, tmp_path: Path, clean: str) -> None:
    vocabulary, merges = small_parts()
    for encoding in (published, ClipBytePairs.from_parts(vocabulary, merges)):
        encoding.with_clean(clean).save(tmp_path / "tokenizer.json")
        again = ClipBytePairs.load(tmp_path / "tokenizer.json")
        assert (again.clean, again.start, again.end, again.size) == (clean, encoding.start, encoding.end, encoding.size)
        for caption in ("The cat &amp; the dog", "<|endoftext|> <end_of_text>", "猫\x00 ſ'ſ \ud800"):
            assert again.encode(caption) == encoding.with_clean(clean).encode(caption)


def test_transformers_reads_the_saved_files(published: ClipBytePairs, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    published.save(tmp_path / "tokenizer.json")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("A photo of a cat.")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 269, 49407]


def test_three_sources_give_the_same_encoding(published: ClipBytePairs, tmp_path: Path) -> None:
    packed = resources.files("limner.text").joinpath("bpe_simple_vocab_16e6.txt.gz").read_bytes()
    (tmp_path / "bpe.txt.gz").write_bytes(packed)
    lines = gzip.decompress(packed).decode().split("\n")[1:48895]
    alphabet = list(byte_alphabet().values())
    tokens = [*alphabet, *(c + "</w>" for c in alphabet), *("".join(m.split()) for m in lines)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    parts = ClipBytePairs.from_vocab_and_merges(tmp_path / "vocab.json", tmp_path / "merges.txt", clean="openai")
    packed_file = ClipBytePairs.from_gz(tmp_path / "bpe.txt.gz")
    for caption in ("a photo of a cat", "antidisestablishmentarianism", "caf&eacute; 一只猫"):
        assert parts.encode(caption) == packed_file.encode(caption) == published.encode(caption)


def test_unusable_files_are_named(tmp_path: Path) -> None:
    for content in (b"", b"no gzip", gzip.compress(b"#version\nonly-one-token\n")):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(ModelError):
            ClipBytePairs.from_gz(tmp_path / "x.gz")
    for text in ("", "[]", "[" * 5000, '{"version": "1.0"}'):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(ModelError, match=r"tokenizer\.json"):
            ClipBytePairs.load(tmp_path / "tokenizer.json")
    vocabulary, merges = small_parts()
    (tmp_path / "merges.txt").write_text("#version\na t</w>\n")
    for table in ([], {"a": -1}, {"a": 1, "b": 1}, {k: v for k, v in vocabulary.items() if k != "<|endoftext|>"}):
        (tmp_path / "vocab.json").write_text(json.dumps(table))
        with pytest.raises(ModelError):
            ClipBytePairs.from_vocab_and_merges(tmp_path / "vocab.json", tmp_path / "merges.txt")
    with pytest.raises(ModelError, match="known tokens"):
        ClipBytePairs.from_parts(vocabulary, [*merges, ("q", "zz")])
    with pytest.raises(InputError, match="openai"):
        ClipBytePairs.from_parts(vocabulary, merges, clean="mine")


def test_only_text_is_a_caption(published: ClipBytePairs) -> None:
    with pytest.raises(InputError, match="expected text"):
        published.encode(3)  # type: ignore[arg-type]
