"""Captions as tokens: byte-level byte-pair encoding, learned from the captions that a model trains on.

The ``tokenizers`` library learns, encodes and decodes. The paper lowercases captions, uses a vocabulary of 16,384, at
most 256 tokens and 10 % BPE dropout (DALL·E paper, section 2.2). Byte-level means that no caption in any language is
impossible: what was never seen falls into bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limner.errors import InputError, ModelError
from limner.files import write_atomically

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHINESE_PARTICLES = "[的着和与在是有、，。]"
"""Chinese has no spaces; cut around these, "红色的帽子" is 红色 / 的 / 帽子, so that pairs do not grow over words."""


class BytePairs:
    """A byte-pair encoding: ``vocabulary`` ordinary ids, 0 … vocabulary − 1.

    Above them stand a padding id for each position in DALL·E's rows (``row``), or the start and the end of a text in
    CLIP's (``clip_row``).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    # Making, saving, loading

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int) -> BytePairs:
        """Learn at most ``vocabulary`` ids (256 bytes among them) from ``captions``. Raises InputError."""
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        if vocabulary < 257:
            raise InputError(f"vocabulary: expected at least 257 (256 bytes and one pair), got {vocabulary}")
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Strip(),
                normalizers.Prepend(" "),  # a word is the same token at the start of a caption as within it
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(CHINESE_PARTICLES), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path | str) -> BytePairs:
        """Read a ``tokenizer.json``. Raises ModelError."""
        from tokenizers import Tokenizer

        path = Path(path)
        if not path.is_file():
            raise ModelError(f"{path}: expected a tokenizer.json, got no such file; is the model folder complete?")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises plain Exception for everything
            raise ModelError(f"{path}: expected a tokenizer.json of the tokenizers library, got {error}") from error

    def save(self, path: Path | str) -> None:
        """Write a ``tokenizer.json``, whole or not at all."""
        write_atomically(path, self._tokenizer.to_str(pretty=True))

    # Encoding

    @property
    def vocabulary(self) -> int:
        """Number of ordinary ids; padding, start and end are not among them."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, caption: str, dropout: float = 0.0, seed: int | None = None) -> list[int]:
        """The ids of a caption. ``dropout`` leaves each merge out with that probability, by ``seed`` (BPE dropout).

        Raises InputError for anything but text and for a dropout outside [0, 1].
        """
        if not isinstance(caption, str):
            raise InputError(f"caption: expected text, got {type(caption).__name__}")
        if not 0.0 <= dropout <= 1.0:
            raise InputError(f"BPE dropout: expected 0 to 1, got {dropout}")
        # Lone surrogates cannot be written as UTF-8, so they cannot be tokens.
        caption = caption.encode("utf-8", "replace").decode("utf-8")
        if dropout == 0.0:
            return list(self._tokenizer.encode(caption, add_special_tokens=False).ids)
        return self._encode_with_dropout(caption, dropout, np.random.default_rng(seed))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary ids; padding, start and end are left out."""
        return str(self._tokenizer.decode([i for i in ids if 0 <= i < self.vocabulary])).strip()

    def row(
        self,
        captions: Sequence[str],
        length: int,
        *,
        cut: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
    ) -> np.ndarray:
        """Captions as DALL·E's rows: (B, length) int64, ids and then the padding id of each position that is left.

        The padding of position p is ``vocabulary + p``, each with a vector of its own (paper, section 2.2); the empty
        caption is all padding. Raises InputError for a caption of more than ``length`` tokens unless ``cut``.
        """
        rows = np.tile(self.vocabulary + np.arange(length, dtype=np.int64), (len(captions), 1))
        for i, caption in enumerate(captions):
            ids = self.encode(caption, dropout, None if seed is None else seed + i)
            if len(ids) > length and dropout:  # dropout makes captions longer: rather none of it than a cut caption
                ids = self.encode(caption)
            ids = _fit(ids, length, cut, caption)
            rows[i, : len(ids)] = ids
        return rows

    def clip_row(self, captions: Sequence[str], context: int, *, cut: bool = False) -> np.ndarray:
        """Captions as CLIP's rows: (B, context) int64, start, ids, end, zeros.

        Start is ``vocabulary``, end ``vocabulary + 1``, the highest id, where CLIP's text tower reads its answer.
        Raises InputError for a caption of more than ``context − 2`` tokens unless ``cut``.
        """
        rows = np.zeros((len(captions), context), dtype=np.int64)
        for i, caption in enumerate(captions):
            ids = _fit(self.encode(caption), context - 2, cut, caption)
            rows[i, : len(ids) + 2] = [self.vocabulary, *ids, self.vocabulary + 1]
        return rows

    def unknown_words(self, caption: str) -> tuple[str, ...]:
        """Words of the caption that the encoding does not know as a whole: they fall into fragments.

        A word with spaces around it is known if it is one token; a Chinese character, if it stands in any token.
        """
        unknown = [
            word
            for word in _words(caption)
            if word not in self._characters and len(self._tokenizer.encode(word, add_special_tokens=False).ids) > 1
        ]
        return tuple(dict.fromkeys(unknown))

    @cached_property
    def _characters(self) -> frozenset[str]:
        texts = (str(self._tokenizer.decode([i])) for i in range(self.vocabulary))
        return frozenset(character for text in texts for character in text if character > "\u2e7f") - {"\ufffd"}

    # BPE dropout, seeded: the library's own cannot be seeded, and a run must be a function of its seed.

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        merges = json.loads(self._tokenizer.to_str())["model"]["merges"]
        pairs = (m.split(" ") if isinstance(m, str) else m for m in merges)
        return {(first, second): rank for rank, (first, second) in enumerate(pairs)}

    def _encode_with_dropout(self, caption: str, dropout: float, random: np.random.Generator) -> list[int]:
        text = self._tokenizer.normalizer.normalize_str(caption)
        ids: list[int] = []
        for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text):
            symbols = list(word)
            while len(symbols) > 1:
                ranked = [(self._ranks.get(pair), i) for i, pair in enumerate(pairwise(symbols))]
                kept = [
                    (rank, i)
                    for (rank, i), luck in zip(ranked, random.random(len(ranked)))
                    if rank is not None and luck >= dropout
                ]
                if not kept:
                    break
                _, i = min(kept)
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
            ids += [int(self._tokenizer.token_to_id(symbol) or 0) for symbol in symbols]  # each is in the vocabulary
        return ids


def _fit(ids: list[int], room: int, cut: bool, caption: str) -> list[int]:
    if len(ids) <= room or cut:
        return ids[:room]
    start = caption if len(caption) <= 40 else caption[:37] + "…"
    raise InputError(
        f"caption {start!r}: expected at most {room} tokens, got {len(ids)}; shorten it, or allow cutting (--cut)"
    )


@lru_cache(maxsize=4096)
def _words(caption: str) -> tuple[str, ...]:
    import regex

    # One CJK character at a time, other letters in words; digits and punctuation are never unknown.
    return tuple(regex.findall(r"\p{Han}|[\p{L}\p{M}--\p{Han}]+", caption.lower(), flags=regex.V1))
