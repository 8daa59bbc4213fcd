"""Every word that a caption of this world can have: what a painter of the storybook has met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache

from limner.storybook import chinese, chinese_forms, chinese_phrase, english, english_forms, english_phrase
from limner.storybook.scene import COLOURS, SIZES
from limner.storybook.wording import Forms
from limner.storybook.world import (
    animals,
    colours,
    doing,
    garments,
    moods,
    plants,
    settings,
    shapes,
    styles,
    textures,
    things,
    words,
)

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+")
_LINKING = (
    "a an and or but is are no not in with without wearing each baby half body head of the on top then pair pairs "
    "shape shaped imitating background these"
)
_LINKING_CHINESE = "的和一两三半是个只没有正在着宝身体脑袋长动物像样形状坐站放摆几场景"
"""What the grammar itself puts between the entries' words (``english_phrase``, ``chinese_phrase``, ``say``)."""
_SAID = ("noun", "words", "phrases", "english", "chinese", "singular", "plural", "others", "measure", "chinese_verb")
"""The fields of entries that hold words; others hold drawings."""


@cache
def known_words() -> frozenset[str]:
    """English words and single Chinese characters, lower case."""
    tables = (
        *(animals.ANIMAL_KINDS, plants.PLANT_KINDS, things.THING_KINDS, garments.GARMENT_KINDS, shapes.SHAPES),
        *(textures.TEXTURES, moods.MOODS, doing.DOINGS, styles.STYLES, settings.SETTINGS, words.SENSE_NOUNS),
        *(colours.COLOURS, colours.BACKGROUNDS),
    )
    said = [text for table in tables for entry in table.values() for text in _texts(entry)]
    said += [*COLOURS, *SIZES, *colours.BACKGROUNDS, *english_phrase.NUMBERS, *chinese_phrase.NUMBERS]
    said += [text for pair in chinese_phrase.SIZES.values() for text in pair]
    for forms in (english_forms, chinese_forms):
        said += [text for name, value in vars(forms).items() if name.isupper() for text in _texts(value)]
        said += [text for flags in _FLAGS[forms.__name__] for text in _texts(forms.of_character(*flags))]
    said += [text for module in (english, chinese) for text in _texts((module._PLACES, getattr(module, "_CHAINS", ())))]
    return frozenset(
        word
        for text in (*said, _LINKING, _LINKING_CHINESE)
        for word in _WORD.findall(re.sub(r"\{\w*\}", " ", text.lower()))
    )


_FLAGS: dict[str, tuple[tuple[bool, ...], ...]] = {
    english_forms.__name__: ((True, False, False), (False, True, False), (False, False, True), (False, False, False)),
    chinese_forms.__name__: ((True,), (False,)),
}


def _texts(value: object) -> Iterator[str]:
    """All texts in an entry, a template or a table of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value):
        for field in fields(value):
            if isinstance(value, Forms) or field.name in _SAID:
                yield from _texts(getattr(value, field.name))


def unknown_words(caption: str) -> tuple[str, ...]:
    """The caption's words (single characters of Chinese) that no caption of this world has, each once."""
    known = known_words()
    return tuple(dict.fromkeys(word for word in _WORD.findall(caption.lower()) if word not in known))
