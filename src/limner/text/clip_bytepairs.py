"""CLIP's byte-pair encoding (Radford et al. 2021, section 2.4; the released ``simple_tokenizer.py``) and relatives.

A caption is cleaned (``clip_cleaning``), cut into words by a regular expression, and each word's bytes are merged by
rank; the last byte of a word carries ``</w>``. The ``tokenizers`` library merges.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limner.errors import InputError, ModelError
from limner.files import write_atomically
from limner.text.clip_cleaning import CLEANERS, END, START, WORDS, word_pattern

if TYPE_CHECKING:
    import regex
    from tokenizers import Tokenizer

MERGES = 49152 - 256 - 2
"""Merges that OpenAI's vocabulary uses of the file's 262,145 lines."""
SETTINGS = "tokenizer_config.json"
SUFFIX = "</w>"


class ClipBytePairs:
    """CLIP's encoding: ids of words, a ``start`` and an ``end`` id.

    ``tokenizer`` is a byte-level BPE with ``</w>``; ``clean`` one of the names in ``clip_cleaning``; ``start``, ``end``
    and ``pad`` are ids; ``pad`` fills the rows of ``clip_row``.
    """

    def __init__(self, tokenizer: Tokenizer, *, clean: str = "openai", start: int, end: int, pad: int = 0) -> None:
        if clean not in CLEANERS:
            raise InputError(f"tokenizer: expected one of {', '.join(CLEANERS)}, got {clean!r}")
        self._tokenizer = tokenizer
        self.clean, self.start, self.end, self.pad = clean, start, end, pad

    # Making, saving, loading

    @classmethod
    def published(cls, clean: str = "openai") -> ClipBytePairs:
        """OpenAI's vocabulary of 49,408 ids, which ships with limner."""
        file = resources.files("limner.text").joinpath("bpe_simple_vocab_16e6.txt.gz")
        return cls._of_published(file.read_bytes(), clean)

    @classmethod
    def from_gz(cls, path: Path | str, clean: str = "openai") -> ClipBytePairs:
        """Read a ``bpe_simple_vocab_16e6.txt.gz``. Raises ModelError."""
        try:
            return cls._of_published(Path(path).read_bytes(), clean)
        except (OSError, EOFError, ValueError) as error:
            raise ModelError(f"{path}: expected a gzipped list of merges, got {type(error).__name__}") from error

    @classmethod
    def _of_published(cls, packed: bytes, clean: str) -> ClipBytePairs:
        with gzip.open(_stream(packed), "rt", encoding="utf-8") as file:
            lines = file.read(64 << 20).split("\n")[1 : MERGES + 1]
        if len(lines) != MERGES:
            raise ModelError(f"merges: expected a heading and {MERGES} lines, got {len(lines)} lines")
        merges = [_pair(line, "merges") for line in lines]
        alphabet = list(byte_alphabet().values())
        tokens = [*alphabet, *(c + SUFFIX for c in alphabet), *(a + b for a, b in merges), START, END]
        return cls.from_parts({token: i for i, token in enumerate(tokens)}, merges, clean=clean)

    @classmethod
    def from_vocab_and_merges(
        cls,
        vocab: Path | str,
        merges: Path | str,
        clean: str = "transformers",
        *,
        start: str = START,
        end: str = END,
        pad: int = 0,
        added: Sequence[str] = (),
    ) -> ClipBytePairs:
        """Read ``vocab.json`` and ``merges.txt``, transformers' form; ``added``: tokens behind the vocabulary, in order
        of their ids. Raises ModelError.
        """
        try:
            table = json.loads(Path(vocab).read_text(encoding="utf-8"))
            lines = Path(merges).read_text(encoding="utf-8").strip().split("\n")[1 : MERGES + 2]
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{vocab}: expected a vocabulary and its merges, got {error}") from error
        if not isinstance(table, dict) or not all(type(i) is int and 0 <= i < 1 << 31 for i in table.values()):
            raise ModelError(f"{vocab}: expected a table of tokens and their ids, got something else")
        if len(set(table.values())) != len(table):
            raise ModelError(f"{vocab}: expected an id of its own for each token, got the same id twice")
        pairs = [_pair(line, merges) for line in lines if line.strip()]
        encoding = cls.from_parts(table, pairs, clean=clean, start=start, end=end, pad=pad)
        if added:
            encoding._tokenizer.add_tokens(list(added))
        return encoding

    @classmethod
    def from_parts(
        cls,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        clean: str = "openai",
        start: str = START,
        end: str = END,
        pad: int = 0,
    ) -> ClipBytePairs:
        """Build the encoding from a table of tokens and the merges in order of rank. Raises ModelError."""
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

        for token in (start, end):
            if token not in vocabulary:
                raise ModelError(f"tokenizer: expected {token} in the vocabulary, got none; it is not CLIP's")
        for token in _needed(vocabulary):
            raise ModelError(f"tokenizer: expected all 256 bytes in the vocabulary, got none for {token!r}")
        try:
            model = models.BPE(
                vocab=dict(vocabulary),
                merges=list(merges),
                end_of_word_suffix=SUFFIX,
                continuing_subword_prefix="",
                unk_token=end,
            )
        except Exception as error:  # the library raises plain Exception for a merge without a token
            raise ModelError(f"tokenizer: expected merges of known tokens, got {error}") from error
        # The pipeline is the one of transformers, so that tokenizer.json works there as well.
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        pattern = "|".join([_escape(START), _escape(END), WORDS])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in (start, end)])
        first, last = vocabulary[start], vocabulary[end]
        tokenizer.post_processor = processors.RobertaProcessing((end, last), (start, first), False, False)
        return cls(tokenizer, clean=clean, start=first, end=last, pad=pad)

    @classmethod
    def load(cls, path: Path | str, clean: str | None = None) -> ClipBytePairs:
        """Read a ``tokenizer.json`` with the ``tokenizer_config.json`` beside it, limner's or transformers'.

        ``clean`` wins over what the folder says; a folder that says nothing is ``transformers``. Raises ModelError.
        """
        from tokenizers import Tokenizer

        path = Path(path)
        settings = _settings(path.with_name(SETTINGS))
        own = settings.get("limner")
        own = own if isinstance(own, dict) else {}
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises plain Exception, and panics beside it
            raise ModelError(f"{path}: expected a tokenizer.json, got {error}") from error
        if not is_clip(tokenizer):
            raise ModelError(f"{path}: expected CLIP's byte-pair encoding (BPE with {SUFFIX}), got another tokenizer")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        ids: dict[str, int] = {}
        for key, default in (("bos_token", START), ("eos_token", END), ("pad_token", END)):
            token = settings.get(key, default)
            token = token.get("content") if isinstance(token, dict) else token
            number = tokenizer.token_to_id(token) if isinstance(token, str) else None
            if number is None:
                raise ModelError(f"{path}: expected {token!r} ({key}) among the tokens, got none")
            ids[key] = int(number)
        pad = own.get("pad", ids["pad_token"])
        if not isinstance(pad, int) or not 0 <= pad < tokenizer.get_vocab_size():
            raise ModelError(f"{path.with_name(SETTINGS)}: expected an id for padding, got {pad!r}")
        clean = clean or str(own.get("clean", "transformers"))
        return cls(tokenizer, clean=clean, start=ids["bos_token"], end=ids["eos_token"], pad=pad)

    def save(self, path: Path | str) -> None:
        """Write ``tokenizer.json`` and, beside it, ``tokenizer_config.json``; transformers reads both."""
        path = Path(path)
        settings = {
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": self._tokenizer.id_to_token(self.start),
            "eos_token": self._tokenizer.id_to_token(self.end),
            "unk_token": self._tokenizer.id_to_token(self.end),
            "pad_token": self._tokenizer.id_to_token(self.pad if self.pad else self.end),
            "limner": {"kind": "clip_bytepairs", "clean": self.clean, "pad": self.pad},
        }
        write_atomically(path, self._tokenizer.to_str())
        write_atomically(path.with_name(SETTINGS), json.dumps(settings, indent=2, ensure_ascii=False) + "\n")

    def with_clean(self, clean: str) -> ClipBytePairs:
        """The same vocabulary under another owner's cleaning. Raises InputError for an unknown one."""
        return ClipBytePairs(self._tokenizer, clean=clean, start=self.start, end=self.end, pad=self.pad)

    def has_vocabulary_of(self, other: ClipBytePairs) -> bool:
        """Whether every token has the same id in both (whoever cleans the captions)."""
        return bool(self._tokenizer.get_vocab() == other._tokenizer.get_vocab())

    # Encoding

    @cached_property
    def size(self) -> int:
        """Rows that an embedding needs: the highest id and one."""
        return int(max(self._tokenizer.get_vocab(with_added_tokens=True).values())) + 1

    @property
    def vocabulary(self) -> int:
        """Number of ordinary ids; start and end are not among them."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True)) - 2

    def encode(self, caption: str) -> list[int]:
        """The ids of a caption, without start and end. Raises InputError for anything but text."""
        if not isinstance(caption, str):
            raise InputError(f"caption: expected text, got {type(caption).__name__}")
        clean, special, anywhere = CLEANERS[self.clean]
        if clean is None:  # tokenizer.json does it all
            return self._whole(caption)
        if not anywhere:
            return self._words(clean(caption), special)
        ids: list[int] = []
        for piece in self._added_split.split(caption):
            if piece in self._added:
                ids.append(self._added[piece])
            elif piece:
                ids += self._words(clean(piece), special)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; start, end and padding after the end are left out."""
        ids = [int(i) for i in ids]
        if self.end in ids:
            ids = ids[: ids.index(self.end)]
        tokens = (self._tokenizer.id_to_token(i) for i in ids if i not in (self.start, self.end))
        back = {c: b for b, c in byte_alphabet().items()}
        text = b"".join(
            bytes(back[c] for c in token.removesuffix(SUFFIX) if c in back) + b" " * token.endswith(SUFFIX)
            for token in tokens
            if token is not None
        )
        return text.decode("utf-8", errors="replace").strip()

    def clip_row(self, captions: Sequence[str], context: int, *, cut: bool = False) -> np.ndarray:
        """Captions as CLIP's rows: (B, context) int64, start, ids, end, padding.

        Raises InputError for a caption of more than ``context − 2`` tokens, unless ``cut``: then it keeps its first
        tokens, and the end (as OpenAI's ``truncate``).
        """
        rows = np.full((len(captions), context), self.pad, dtype=np.int64)
        for i, caption in enumerate(captions):
            ids = self.encode(caption)
            if len(ids) > context - 2 and not cut:
                shown = caption if len(caption) <= 40 else caption[:37] + "…"
                raise InputError(
                    f"caption {shown!r}: expected at most {context - 2} tokens, got {len(ids)}; "
                    "shorten it, or allow cutting (--cut) or windows (--windows)"
                )
            ids = ids[: context - 2]
            rows[i, : len(ids) + 2] = [self.start, *ids, self.end]
        return rows

    def windows(self, captions: Sequence[str], context: int) -> tuple[np.ndarray, np.ndarray]:
        """Captions of any length as rows: (N, context) int64, and (N,) int64, which caption each row belongs to.

        A caption of more than ``context − 2`` tokens takes several rows, of equal length up to one token; the mean of
        their features is the caption's.
        """
        rows, owners = [], []
        room = context - 2
        for i, caption in enumerate(captions):
            ids = self.encode(caption)
            parts = max(1, -(-len(ids) // room))
            bounds = [len(ids) * p // parts for p in range(parts + 1)]
            for begin, stop in pairwise(bounds):
                row = np.full(context, self.pad, dtype=np.int64)
                row[: stop - begin + 2] = [self.start, *ids[begin:stop], self.end]
                rows.append(row)
                owners.append(i)
        return np.stack(rows) if rows else np.zeros((0, context), np.int64), np.array(owners, dtype=np.int64)

    # Inside

    def _whole(self, text: str) -> list[int]:
        # Lone surrogates cannot be written as UTF-8: transformers fails on them, here they become question marks.
        return list(self._tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids)

    def _words(self, text: str, special: tuple[str, str]) -> list[int]:
        ids: list[int] = []
        run: list[str] = []
        typed = dict(zip(special, (self.start, self.end)))
        for word in word_pattern(special).findall(text):
            if word in typed:
                ids += self._merge(run)
                ids.append(typed[word])
                run = []
            else:
                run.append(word)
        return ids + self._merge(run)

    def _merge(self, words: list[str]) -> list[int]:
        if not words:
            return []
        return list(self._merger.encode(words, is_pretokenized=True, add_special_tokens=False).ids)

    @cached_property
    def _merger(self) -> Tokenizer:
        # The merges alone: words come in cut and cleaned, and no special token may be found in them.
        from tokenizers import Tokenizer, pre_tokenizers

        merger = Tokenizer(self._tokenizer.model)
        merger.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return merger

    @cached_property
    def _added(self) -> dict[str, int]:
        return {token.content: i for i, token in self._tokenizer.get_added_tokens_decoder().items()}

    @cached_property
    def _added_split(self) -> regex.Pattern[str]:
        import regex

        # Longest first, as a trie of tokens would find them.
        tokens = sorted(self._added, key=len, reverse=True)
        return regex.compile("(" + "|".join(map(regex.escape, tokens)) + ")")


def is_clip(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer of the library is a BPE whose words end in ``</w>``."""
    return getattr(tokenizer.model, "end_of_word_suffix", None) == SUFFIX


@lru_cache(maxsize=1)
def byte_alphabet() -> dict[int, str]:
    """The 256 bytes as printable characters, in the order of CLIP's vocabulary (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in set(printable)]
    return {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _needed(vocabulary: Mapping[str, int]) -> list[str]:
    return [t for c in byte_alphabet().values() for t in (c, c + SUFFIX) if t not in vocabulary]


def _pair(line: str, where: object) -> tuple[str, str]:
    parts = line.split()
    if len(parts) != 2:
        raise ModelError(f"{where}: expected two tokens on each line, got {line[:40]!r}")
    return parts[0], parts[1]


def _stream(packed: bytes) -> Any:
    import io

    return io.BytesIO(packed)


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(settings, dict):
        raise ModelError(f"{path}: expected a table of settings, got {type(settings).__name__}")
    return settings
