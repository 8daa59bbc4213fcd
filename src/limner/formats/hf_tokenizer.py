"""The tokenizer that lies in somebody's folder, as far as it is CLIP's byte-pair encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limner.errors import ModelError
from limner.formats.read_json import read_json
from limner.text.clip_bytepairs import END, START, ClipBytePairs

GZ = "bpe_simple_vocab_16e6.txt.gz"


def folder_tokenizer(
    folder: Path, size: int, told: str | None = None, *, slow: bool = False, named: str | None = None
) -> tuple[ClipBytePairs | None, tuple[str, ...]]:
    """The encoding of ``tokenizer.json``, or of ``vocab.json`` and ``merges.txt``, or of OpenAI's list of merges.

    ``size``: rows of the model's token table, which no id may pass. ``told``: whose cleaning, if the user says.
    ``slow``: a vocabulary with merges alone was read by transformers' Python tokenizer. ``named``: the tokenizer that
    the configuration names, for the note. Gives None and a note where the folder has none, or another kind. Raises
    ModelError: damaged, or made for more tokens than the model has.
    """
    if (folder / "tokenizer.json").is_file():
        table = read_json(folder / "tokenizer.json")
        model = table.get("model") if isinstance(table, dict) else None
        if not isinstance(model, dict) or model.get("end_of_word_suffix") != "</w>":
            return None, (_other(folder / "tokenizer.json", named),)
        tokenizer = ClipBytePairs.load(folder / "tokenizer.json", clean=told)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = _from_files(folder, told or ("transformers_slow" if slow else "transformers"))
    elif (folder / GZ).is_file():
        tokenizer = ClipBytePairs.from_gz(folder / GZ, clean=told or "openai")
    else:
        return None, (_other(folder, named) if named else no_tokenizer(size),)
    if tokenizer.size > size:
        raise ModelError(
            f"{folder}: expected a tokenizer with ids below the model's {size} tokens, got one with ids up to "
            f"{tokenizer.size - 1}; it belongs to another model"
        )
    return tokenizer, ()


def no_tokenizer(size: int) -> str:
    """The note for a vocabulary that nobody's file describes."""
    return f"no tokenizer: none came with the {size} tokens of this model; it can be fed token ids only"


def _other(where: Path, named: str | None) -> str:
    which = f" ({named})" if named else ""
    return f"no tokenizer: {where} has none of CLIP's kind{which}; the model can be fed token ids only"


def _from_files(folder: Path, clean: str) -> ClipBytePairs:
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            table = read_json(folder / name)
            settings |= {k: v for k, v in table.items() if v is not None} if isinstance(table, dict) else {}
    vocabulary = read_json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(type(i) is int and 0 <= i < 1 << 31 for i in vocabulary.values()):
        raise ModelError(f"{folder / 'vocab.json'}: expected a table of tokens and their ids, got something else")
    start, end = _token(settings, "bos_token", START), _token(settings, "eos_token", END)
    pad = vocabulary.get(_token(settings, "pad_token", end), 0)
    added = _added(folder)
    return ClipBytePairs.from_vocab_and_merges(
        folder / "vocab.json", folder / "merges.txt", clean, start=start, end=end, pad=pad, added=added
    )


def _added(folder: Path) -> list[str]:
    if not (folder / "added_tokens.json").is_file():
        return []
    table = read_json(folder / "added_tokens.json")
    if not isinstance(table, dict) or not all(type(i) is int for i in table.values()):
        raise ModelError(
            f"{folder / 'added_tokens.json'}: expected a table of tokens and their ids, got something else"
        )
    return sorted(table, key=lambda token: table[token])


def _token(settings: dict[str, Any], key: str, default: str) -> str:
    token = settings.get(key, default)
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else default
