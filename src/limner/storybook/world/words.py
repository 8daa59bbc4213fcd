"""The words of one thing in both languages, kept beside the drawing that they name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noun:
    """How a thing is called.

    ``singular``, ``plural``: English; a pair of gloves has no singular in captions (``paired``: "blue gloves", no "a").
    ``others``: further English names with the same number, used in some paraphrases.
    ``chinese``, ``measure``: the Chinese noun and its measure word ("一只猫": 猫, 只).
    """

    singular: str
    plural: str
    chinese: str
    measure: str
    paired: bool = False
    others: tuple[str, ...] = ()
