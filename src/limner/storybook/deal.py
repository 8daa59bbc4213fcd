"""The storybook's endless stream: scene and caption number ``index`` of a seed, in splits that do not meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from limner.errors import InputError, expected
from limner.storybook import chinese, english
from limner.storybook.dice import Dice
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    CONTAINERS,
    DIRECTIONS,
    DOINGS,
    FAMILIES,
    GARMENTS,
    HOSTS,
    MOODS,
    MOST,
    PANELS,
    SEVERAL,
    SHAPES,
    STYLES,
    SUPPORTS,
    TEXTURES,
    THINGS,
    TOUCHING,
    VIEWS,
    Garment,
    Scene,
    Thing,
)
from limner.storybook.splits import held_out
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.textures import TEXTURES as TEXTURE_ENTRIES

SPLITS = ("train", "test", "heldout")
LANGUAGES = {"en": english.caption, "zh": chinese.caption}
FAMILY_WEIGHTS = {
    "single": 0.07,
    "counting": 0.07,
    "two": 0.06,
    "relation": 0.13,
    "several": 0.07,
    "garments": 0.16,
    "character": 0.07,
    "texture": 0.07,
    "shape": 0.03,
    "chimera": 0.04,
    "stack": 0.03,
    "collection": 0.02,
    "style": 0.10,
    "view": 0.03,
    "panels": 0.05,
}
LANGUAGE_WEIGHTS = {"en": 0.7, "zh": 0.3}
GARMENT_COUNTS = {1: 0.2, 2: 0.3, 3: 0.2, 4: 0.3}
SIZE_SAID, BACKGROUND_SAID, CHARACTER_SHARE, TOUCHING_SHARE, TEXTURE_SHARE = 0.25, 0.20, 0.25, 0.35, 0.12
_ATTEMPTS = 1000
_MEMBERS = tuple(kind for kind in THINGS if kind not in SUPPORTS or kind == "block")
"""What stands in a collection."""

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
    return dice.pick(sizes) if sizes and dice.chance(SIZE_SAID) else None


def _background(dice: Dice) -> str | None:
    return dice.pick(BACKGROUNDS) if dice.chance(BACKGROUND_SAID) else None


def _thing(dice: Dice, size: str | None = None) -> Thing:
    """A coloured thing, or now and then one of a texture."""
    kind = dice.pick(THINGS)
    if dice.chance(TEXTURE_SHARE):
        return _textured(dice, kind, size)
    return Thing(kind, dice.pick(COLOURS), size)


def _textured(dice: Dice, kind: str, size: str | None = None) -> Thing:
    texture = dice.pick(TEXTURES)
    dyed = TEXTURE_ENTRIES[texture].dyed and dice.chance(0.6)
    return Thing(kind, dice.pick(COLOURS) if dyed else None, size, texture=texture)


def _character(dice: Dice, size: str | None = None, colour: float = 0.4) -> Thing:
    return Thing(dice.pick(CHARACTERS), dice.pick(COLOURS) if dice.chance(colour) else None, size)


def _worn(dice: Dice, count: int) -> tuple[Garment, ...]:
    """``count`` garments that go together, nearly always in different colours."""
    kinds: list[str] = []
    for kind in dice.sample(GARMENTS, len(GARMENTS)):
        if not any(kind in GARMENT_KINDS[other].excludes or other in GARMENT_KINDS[kind].excludes for other in kinds):
            kinds.append(kind)
    kinds = kinds[:count]
    colours = dice.sample(COLOURS, len(kinds))
    if len(kinds) > 1 and dice.chance(0.05):  # rarely two garments are of one colour
        colours[0] = colours[1]
    return tuple(
        Garment(kind, None if len(kinds) == 1 and dice.chance(0.15) else colour) for kind, colour in zip(kinds, colours)
    )


def _dressed(dice: Dice, kind: str | None = None, counts: dict[int, float] = GARMENT_COUNTS) -> Thing:
    return Thing(kind or dice.pick(CHARACTERS), garments=_worn(dice, _weighted(dice, counts)))


def _single(dice: Dice) -> Scene:
    size = _size(dice, ("small", "medium", "large", "huge"))
    if dice.chance(0.55):
        thing = Thing(dice.pick(THINGS), dice.pick(COLOURS) if dice.chance(0.9) else None, size)
    else:
        thing = _character(dice, size)
    return Scene("single", (thing,), background=_background(dice))


def _counting(dice: Dice) -> Scene:
    count = 1 + dice.below(MOST)
    size = _size(dice, ("small", "medium") if count < 5 else ("small",))
    thing = _character(dice, size) if dice.chance(CHARACTER_SHARE) else _thing(dice, size)
    return Scene("counting", (thing,), count=count, background=_background(dice))


def _some(dice: Dice, count: int, sizes: Sequence[str] = ("small", "medium", "large")) -> tuple[Thing, ...]:
    """Things that a caption tells apart: different colours, and natural fur only once of a kind."""
    colours = dice.sample(COLOURS, count)
    things: list[Thing] = []
    for colour in colours:
        if dice.chance(CHARACTER_SHARE):
            thing = Thing(dice.pick(CHARACTERS), colour, _size(dice, sizes))
            if thing.kind not in (other.kind for other in things) and dice.chance(0.6):
                thing = replace(thing, colour=None)
        elif dice.chance(TEXTURE_SHARE):
            thing = _textured(dice, dice.pick(THINGS), _size(dice, sizes))
            if any((thing.kind, thing.texture) == (other.kind, other.texture) for other in things):
                thing = replace(thing, texture=None, colour=colour)
            thing = replace(thing, colour=colour if thing.colour else None)
        else:
            thing = Thing(dice.pick(THINGS), colour, _size(dice, sizes))
        things.append(thing)
    return tuple(things)


def _two(dice: Dice) -> Scene:
    return Scene("two", _some(dice, 2), background=_background(dice))


def _relation(dice: Dice) -> Scene:
    if not dice.chance(TOUCHING_SHARE):
        return Scene("relation", _some(dice, 2), relation=dice.pick(DIRECTIONS), background=_background(dice))
    relation = dice.pick(TOUCHING)
    first, second = _some(dice, 2, ("small",))
    if relation == "behind":
        first, second = replace(first, size=None), replace(second, size=None)
    else:
        kind = dice.pick(SUPPORTS if relation == "on" else CONTAINERS)
        colour = dice.pick([name for name in COLOURS if name != first.colour])
        second = Thing(kind, colour, "large" if relation == "on" and dice.chance(0.2) else None)
    return Scene("relation", (first, second), relation=relation, background=_background(dice))


def _several(dice: Dice) -> Scene:
    return Scene("several", _some(dice, 3 + dice.below(2), ()), background=_background(dice))


def _garments(dice: Dice) -> Scene:
    thing = _dressed(dice)
    if dice.chance(0.08):
        worn = [garment.kind for garment in thing.garments]
        absent = dice.pick([kind for kind in GARMENTS if kind not in worn])
        garments = thing.garments[: dice.below(3)]
        thing = replace(thing, garments=garments, without=(absent,))
    return Scene("garments", (thing,), background=_background(dice))


def _acting(dice: Dice) -> Thing:
    """A character that is a baby, has a mood, does something; often dressed."""
    thing = _dressed(dice, counts={1: 0.6, 2: 0.4}) if dice.chance(0.4) else _character(dice, colour=0.3)
    what = dice.below(5)
    return replace(
        thing,
        baby=what in (0, 3),
        mood=dice.pick(MOODS) if what in (1, 4) else None,
        doing=dice.pick(DOINGS) if what in (2, 3, 4) else None,
    )


def _acted(dice: Dice) -> Scene:
    return Scene("character", (_acting(dice),), background=_background(dice))


def _texture(dice: Dice) -> Scene:
    return Scene(
        "texture", (_textured(dice, dice.pick(THINGS), _size(dice, ("medium", "large"))),), background=_background(dice)
    )


def _shaped(dice: Dice) -> Thing:
    host = dice.pick(HOSTS)
    shape = dice.pick([name for name in SHAPES if name != host])
    return Thing(host, dice.pick(COLOURS) if dice.chance(0.3) else None, _size(dice), shape=shape)


def _shape(dice: Dice) -> Scene:
    return Scene("shape", (_shaped(dice),), background=_background(dice))


def _half(dice: Dice) -> Thing:
    head, body = dice.sample(ANIMALS, 2)
    return Thing(head, half=body)


def _chimera(dice: Dice) -> Scene:
    thing = _half(dice)
    if dice.chance(0.2):
        thing = replace(thing, garments=_worn(dice, 1))
    return Scene("chimera", (thing,), background=_background(dice))


def _stack(dice: Dice) -> Scene:
    count = _weighted(dice, {2: 0.4, 3: 0.4, 4: 0.2})
    sizes = (
        [dice.pick(("small", "medium", "large")) for _ in range(2)] if count == 2 and dice.chance(0.6) else [None] * 4
    )
    colours = dice.sample(COLOURS, count)
    blocks = tuple(Thing("block", colour, size) for colour, size in zip(colours, sizes))
    return Scene("stack", blocks, background=_background(dice))


def _collection(dice: Dice) -> Scene:
    colour = dice.pick(COLOURS) if dice.chance(0.4) else None
    base = dice.pick(COLOURS) if dice.chance(0.3) else None
    things = (Thing(dice.pick(_MEMBERS), colour), Thing(dice.pick(("table", "table", "book")), base))
    return Scene("collection", things, relation="on", count=SEVERAL, background=_background(dice))


_ANYONE: dict[Callable[[Dice], Thing], float] = {
    _dressed: 0.36,
    _thing: 0.27,
    _character: 0.17,
    _acting: 0.10,
    _half: 0.05,
    _shaped: 0.05,
}


def _anyone(dice: Dice) -> Thing:
    """Any single thing or character, as a style, a view or a panel shows it."""
    return _weighted(dice, _ANYONE)(dice)


def _uncoloured(thing: Thing) -> Thing:
    """As a pencil sketch can show it."""
    garments = tuple(Garment(garment.kind) for garment in thing.garments)
    return replace(thing, colour=None, garments=garments)


def _style(dice: Dice) -> Scene:
    style = dice.pick(STYLES)
    thing = replace(_anyone(dice), size=None)
    if style == "sketch":
        thing = _uncoloured(thing)
    elif style == "emoji" and dice.chance(0.5):
        thing = replace(_dressed(dice), baby=dice.chance(0.4))
    return Scene("style", (thing,), style=style)


def _view(dice: Dice) -> Scene:
    view = dice.pick(VIEWS)
    thing = replace(_anyone(dice), size=None)
    if view == "from behind":
        thing = _dressed(dice) if dice.chance(0.6) else _character(dice)
        thing = replace(thing, garments=tuple(g for g in thing.garments if g.kind != "glasses"))  # they are not seen
    elif view == "close-up":  # only what is near the face is seen
        thing = _character(dice) if dice.chance(0.7) else Thing(dice.pick(THINGS), dice.pick(COLOURS))
    return Scene("view", (thing,), view=view, background=_background(dice))


def _panels(dice: Dice) -> Scene:
    """Half a canvas, or less, shows a figure with a garment at most."""
    panel = dice.pick(PANELS)
    thing = replace(_anyone(dice), size=None, doing=None)
    worn = thing.garments[: 0 if panel in ("sketches", "pixel art") else 1]
    return Scene("panels", (replace(thing, garments=worn),), panel=panel)


_DEALERS: dict[str, Callable[[Dice], Scene]] = {
    "single": _single,
    "counting": _counting,
    "two": _two,
    "relation": _relation,
    "several": _several,
    "garments": _garments,
    "character": _acted,
    "texture": _texture,
    "shape": _shape,
    "chimera": _chimera,
    "stack": _stack,
    "collection": _collection,
    "style": _style,
    "view": _view,
    "panels": _panels,
}


def roll(family: str, dice: Dice) -> Scene:
    """Any scene of ``family``, held out of training or not."""
    return _DEALERS[family](dice)


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
    may see, under seeds of its own. ``families``: which to deal, by ``FAMILY_WEIGHTS``; all if None.
    ``wording``: "seen", "kept" or "any"; None is "seen" in training, else "any".
    Raises InputError for unknown words and negative indices.
    """
    if split not in SPLITS:
        raise InputError(expected("split", "one of " + ", ".join(SPLITS), repr(split)))
    if index < 0:
        raise InputError(expected("index of a scene", "0 or more", index))
    if families is None:
        families = tuple(FAMILIES)
    _one_of("families", families, tuple(FAMILIES))
    _one_of("languages", languages, tuple(LANGUAGES))
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
