"""How the owners of CLIP's encoding clean a caption before it is cut into words. They differ, so it is a value:

=====================  ===========================================================================================
``openai``             ftfy, HTML entities twice, whitespace, lower case; ``<|startoftext|>`` and ``<|endoftext|>``
                       typed in a caption become the special tokens, where the word pattern finds them
``open_clip``          the same, but the special tokens are spelt ``<start_of_text>`` and ``<end_of_text>``
``transformers``       what ``tokenizer.json`` itself says: NFC, whitespace, lower case; special tokens anywhere
``transformers_slow``  ftfy without HTML entities (transformers' Python tokenizer); special tokens anywhere
=====================  ===========================================================================================

``open_clip_whitespace`` and ``open_clip_canonicalize`` are open_clip's options that keep capitals, or drop punctuation.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _fix(text: str) -> str:
    import ftfy

    return ftfy.fix_text(text)


def _spaces(text: str) -> str:
    import regex

    return regex.sub(r"\s+", " ", text).strip()


def _basic(text: str) -> str:
    # Plain ASCII without entities and control characters is what most captions are, and nothing of it changes.
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.strip()
    return html.unescape(html.unescape(_fix(text))).strip()


def clean_openai(text: str) -> str:
    """ftfy, HTML entities twice, strip, whitespace runs to one space, lower case: OpenAI's order."""
    return _spaces(_basic(text)).lower()


def _clean_open_clip(text: str) -> str:
    return " ".join(_basic(text).split()).lower()


def _clean_whitespace(text: str) -> str:
    return " ".join(_basic(text).split())


def _clean_canonicalize(text: str) -> str:
    text = _basic(text).replace("_", " ").translate(str.maketrans("", "", string.punctuation))
    return " ".join(text.lower().split())


def _clean_slow(text: str) -> str:
    return _spaces(_fix(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass"))).lower()


_OPENAI = (START, END)
_OPEN_CLIP = ("<start_of_text>", "<end_of_text>")

CLEANERS: dict[str, tuple[Callable[[str], str] | None, tuple[str, str], bool]] = {
    "openai": (clean_openai, _OPENAI, False),
    "open_clip": (_clean_open_clip, _OPEN_CLIP, False),
    "open_clip_whitespace": (_clean_whitespace, _OPEN_CLIP, False),
    "open_clip_canonicalize": (_clean_canonicalize, _OPEN_CLIP, False),
    "transformers": (None, _OPENAI, True),
    "transformers_slow": (_clean_slow, _OPENAI, True),
}
"""For each name: the cleaning, how special tokens are typed, and whether they are found before the words are cut."""


@lru_cache(maxsize=8)
def word_pattern(special: tuple[str, str]) -> regex.Pattern[str]:
    """Special tokens as they may be typed, then words; all without regard to case."""
    import regex

    return regex.compile("|".join([*map(regex.escape, special), WORDS]), regex.IGNORECASE)
