"""The storybook's endless stream: scene and caption number ``index`` of a seed, in splits that do not meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from limner.errors import InputError, expected
from limner.storybook import chinese, english
from limner.storybook.dice import Dice
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    FAMILIES,
    GARMENTS,
    RELATIONS,
    THINGS,
    Garment,
    Scene,
    Thing,
    held_out,
)

SPLITS = ("train", "test", "heldout")
LANGUAGES = {"en": english.caption, "zh": chinese.caption}
FAMILY_WEIGHTS = {"garments": 0.35, "relation": 0.25, "two": 0.15, "single": 0.15, "counting": 0.10}
LANGUAGE_WEIGHTS = {"en": 0.7, "zh": 0.3}
GARMENT_COUNTS = {1: 0.2, 2: 0.4, 3: 0.2, 4: 0.2}
SIZE_SAID, BACKGROUND_SAID, ANIMAL_SHARE = 0.25, 0.20, 0.20
_ATTEMPTS = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dealt:
    """A scene with its caption, and the seed that draws it: ``draw(dealt.scene, seed=dealt.draw_seed)``."""

    scene: Scene
    caption: str
    language: str
    draw_seed: int
    index: int


def _weighted(dice: Dice, weights: dict[T, float]) -> T:
    rest = dice.unit() * sum(weights.values())
    for option, weight in weights.items():
        rest -= weight
        if rest < 0:
            return option
    return option


def _size(dice: Dice, sizes: Sequence[str] = ("small", "medium", "large")) -> str | None:
    return dice.pick(sizes) if dice.chance(SIZE_SAID) else None


def _single(dice: Dice) -> Scene:
    if dice.chance(0.6):
        thing = Thing(dice.pick(THINGS), dice.pick(COLOURS), _size(dice))
    else:
        thing = Thing(dice.pick(ANIMALS), dice.pick(COLOURS) if dice.chance(0.4) else None, _size(dice))
    return Scene("single", (thing,), background=_background(dice))


def _counting(dice: Dice) -> Scene:
    count = 1 + dice.below(4)
    size = _size(dice, ("small", "medium"))
    if dice.chance(ANIMAL_SHARE):
        thing = Thing(dice.pick(ANIMALS), dice.pick(COLOURS) if dice.chance(0.4) else None, size)
    else:
        thing = Thing(dice.pick(THINGS), dice.pick(COLOURS), size)
    return Scene("counting", (thing,), count=count, background=_background(dice))


def _pair(dice: Dice) -> tuple[Thing, Thing]:
    """Two things that a caption tells apart: different colours, and not both in natural fur if of one kind."""
    kinds = [dice.pick(ANIMALS) if dice.chance(ANIMAL_SHARE) else dice.pick(THINGS) for _ in range(2)]
    colours: list[str | None] = list(dice.sample(COLOURS, 2))
    for i, kind in enumerate(kinds):
        if kind in ANIMALS and kinds[0] != kinds[1] and dice.chance(0.6):
            colours[i] = None
    return Thing(kinds[0], colours[0], _size(dice)), Thing(kinds[1], colours[1], _size(dice))


def _two(dice: Dice) -> Scene:
    return Scene("two", _pair(dice), background=_background(dice))


def _relation(dice: Dice) -> Scene:
    return Scene("relation", _pair(dice), relation=dice.pick(RELATIONS), background=_background(dice))


def _garments(dice: Dice) -> Scene:
    kinds = dice.sample(GARMENTS, _weighted(dice, GARMENT_COUNTS))
    colours = dice.sample(COLOURS, len(kinds))
    if len(kinds) > 1 and dice.chance(0.05):  # rarely two garments are of one colour
        colours[0] = colours[1]
    worn = tuple(Garment(kind, colour) for kind, colour in zip(kinds, colours))
    return Scene("garments", (Thing(dice.pick(ANIMALS), garments=worn),), background=_background(dice))


def _background(dice: Dice) -> str | None:
    return dice.pick(BACKGROUNDS) if dice.chance(BACKGROUND_SAID) else None


_DEALERS: dict[str, Callable[[Dice], Scene]] = {
    "single": _single,
    "counting": _counting,
    "two": _two,
    "relation": _relation,
    "garments": _garments,
}


def _one_of(what: str, words: Sequence[str], known: Sequence[str]) -> None:
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        raise InputError(expected(what, "some of " + ", ".join(known), ", ".join(map(repr, wrong)) or "none"))


def deal(
    index: int,
    *,
    seed: int = 0,
    split: str = "train",
    families: Sequence[str] | None = None,
    languages: Sequence[str] = ("en", "zh"),
    wording: str | None = None,
) -> Dealt:
    """Scene and caption number ``index``: a pure function of its arguments, the same on every machine.

    ``split``: "train" never has a held-out combination, "heldout" has only those, "test" has combinations that training
    may see, under seeds of its own. ``families``: which to deal, by ``FAMILY_WEIGHTS``; all if None ("heldout": all but
    single, of which nothing is held out). ``wording``: "seen", "kept" or "any"; None is "seen" in training, else "any".
    Raises InputError for unknown words and negative indices.
    """
    if split not in SPLITS:
        raise InputError(expected("split", "one of " + ", ".join(SPLITS), repr(split)))
    if index < 0:
        raise InputError(expected("index of a scene", "0 or more", index))
    if families is None:
        families = FAMILIES if split != "heldout" else tuple(name for name in FAMILIES if name != "single")
    _one_of("families", families, FAMILIES)
    _one_of("languages", languages, tuple(LANGUAGES))
    if split == "heldout" and tuple(families) == ("single",):
        raise InputError("families: expected one with held-out combinations, got single; use another split")
    dice = Dice("deal", split, seed, index)
    weights = {name: FAMILY_WEIGHTS[name] for name in FAMILIES if name in families}
    for _ in range(_ATTEMPTS):
        scene = _DEALERS[_weighted(dice, weights)](dice)
        if held_out(scene) == (split == "heldout"):
            break
    else:
        raise InputError(expected("families", "some with combinations in the split " + split, ", ".join(families)))
    language = _weighted(dice, {name: LANGUAGE_WEIGHTS[name] for name in LANGUAGES if name in languages})
    draw_seed = dice.below(2**31)
    said = LANGUAGES[language](scene, draw_seed, wording or ("seen" if split == "train" else "any"))
    return Dealt(scene, said, language, draw_seed, index)


def stream(
    seed: int = 0,
    split: str = "train",
    *,
    start: int = 0,
    step: int = 1,
    families: Sequence[str] | None = None,
    languages: Sequence[str] = ("en", "zh"),
) -> Iterator[Dealt]:
    """``deal`` without end from index ``start``, every ``step``-th (one of ``step`` processes)."""
    index = start
    while True:
        yield deal(index, seed=seed, split=split, families=families, languages=languages)
        index += step
