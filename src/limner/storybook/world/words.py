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


@dataclass(frozen=True, slots=True)
class Phrases:
    """How something other than a thing is said, in each language one or several ways; captions pick one of them.

    A texture, round the noun: ``"wooden {}", "{} made of wood"``; ``"木制{}", "木头做的{}"`` (with 的 where one is
    wanted). A style, round the whole phrase with its "a" or 一只: ``"a pencil sketch of {}"``; ``"{}的铅笔素描"``. A
    mood: ``"happy"``; ``"高兴的"``. What somebody does: ``"walking a dog"``; ``"遛狗"``. A place: ``"on a meadow"``;
    ``"在草地上"``.
    """

    english: tuple[str, ...]
    chinese: tuple[str, ...]


SENSE_NOUNS: dict[str, Noun] = {
    "glasses": Noun("glasses", "glasses", "眼镜或玻璃杯", "个", paired=True),
}
"""Words with two senses; where a language has no such word, it names both."""
