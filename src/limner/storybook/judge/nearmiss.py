"""Near misses: the same scene with one thing changed, so that its caption is wrong for the picture, but only just."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

from limner.storybook.dice import Dice
from limner.storybook.judge.compatible import OPPOSITE, compatible, kinds
from limner.storybook.judge.verdict import uncoloured
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    CONTAINERS,
    DIRECTIONS,
    DOINGS,
    GARMENTS,
    HOSTS,
    KINDS,
    MOODS,
    MOST,
    PANELS,
    PLANTS,
    SENSES,
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
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.textures import TEXTURES as TEXTURE_ENTRIES

__all__ = ["compatible", "near_misses"]

T = TypeVar("T")
Change = tuple[str, Scene]

_DYED = tuple(name for name, entry in TEXTURE_ENTRIES.items() if entry.dyed)
_PLAIN_SIZES = ("small", "medium", "large")
_SIZES_OF = {"single": (*_PLAIN_SIZES, "huge")} | dict.fromkeys(("two", "texture", "shape", "stack"), _PLAIN_SIZES)


def near_misses(scene: Scene, seed: int | str = 0) -> Iterator[Change]:
    """Every kind of change that ``scene`` allows, one example of each: (name of the change, changed scene).

    The changed scene is never right for a picture of ``scene``. Changes: kind, colour, colours swapped, size, sizes
    swapped, count, relation, relation turned, things swapped, order swapped, background, texture, texture more, shape,
    body, head and body swapped, mood, doing, baby, style, view, panel, garment kind, garment colour, garment colours
    swapped, garment more, garment less.
    """
    dice = Dice("near miss", seed)
    for changes in (_of_things, _of_number, _of_arrangement, _of_picture, _of_one, _of_garments):
        for name, changed in changes(scene, dice):
            if not compatible(scene, changed):
                yield name, changed


def _of_things(scene: Scene, dice: Dice) -> Iterator[Change]:
    """Kinds, colours and sizes, and those of two things swapped."""
    things = scene.things
    at = dice.below(len(things))
    options = _kinds_like(scene, at)
    if options:
        yield "kind", _with(scene, at, replace(things[at], kind=dice.pick(options)))
    coloured = [i for i, thing in enumerate(things) if thing.colour]
    if coloured:
        at = dice.pick(coloured)
        yield "colour", _with(scene, at, replace(things[at], colour=_other(dice, COLOURS, things[at].colour)))
    sizes = _sizes(scene)
    sized = [i for i, thing in enumerate(things) if thing.size in sizes]
    if sized:
        at = dice.pick(sized)
        yield "size", _with(scene, at, replace(things[at], size=_other(dice, sizes, things[at].size)))
    for name, word in (("colours swapped", "colour"), ("sizes swapped", "size")):
        said = [(i, j) for i, j in combinations(range(len(things)), 2) if _both_differ(things[i], things[j], word)]
        if said:
            i, j = dice.pick(said)
            one, two = getattr(things[i], word), getattr(things[j], word)
            swapped = _with(scene, i, replace(things[i], **{word: two}))
            yield name, _with(swapped, j, replace(things[j], **{word: one}))


def _kinds_like(scene: Scene, at: int) -> list[str]:
    """What a thing could be instead."""
    thing = scene.things[at]
    options: Sequence[str]
    if scene.family == "stack":
        return []
    if thing.kind in CHARACTERS:
        options = ANIMALS if thing.kind in ANIMALS else PLANTS
    elif thing.shape:
        options = HOSTS
    elif at == 1 and scene.relation in ("on", "inside"):
        options = SUPPORTS if scene.relation == "on" else CONTAINERS
    else:
        options = THINGS
    return [
        kind
        for kind in options
        if kind not in (thing.kind, thing.half, thing.shape) and not set(SENSES.get(kind, (kind,))) & set(kinds(thing))
    ]


def _sizes(scene: Scene) -> Sequence[str]:
    """The sizes that a scene's things can be drawn in."""
    if scene.family == "counting":
        return _PLAIN_SIZES[:2] if scene.count < 5 else ()
    return _PLAIN_SIZES if scene.relation in DIRECTIONS else _SIZES_OF.get(scene.family, ())


def _both_differ(one: Thing, two: Thing, word: str) -> bool:
    a, b = getattr(one, word), getattr(two, word)
    return a is not None and b is not None and a != b


def _of_number(scene: Scene, dice: Dice) -> Iterator[Change]:
    thing = scene.things[0]
    if scene.family in ("single", "counting", "texture", "shape"):
        count = dice.pick([n for n in (scene.count - 1, scene.count + 1) if 1 <= n <= MOST])
        if (count > 1 and thing.size in ("large", "huge")) or count > 4:
            thing = replace(thing, size=None)
        yield "count", replace(scene, family="counting", count=count, things=(thing,))
    elif len(scene.things) > (2 if scene.family == "stack" else 3):
        at = dice.below(len(scene.things))
        yield "count", replace(scene, things=scene.things[:at] + scene.things[at + 1 :])


def _of_arrangement(scene: Scene, dice: Dice) -> Iterator[Change]:
    """Relations, and the order of a stack."""
    if scene.family == "stack":
        i, j = dice.pick(list(combinations(range(len(scene.things)), 2)))
        things = list(scene.things)
        things[i], things[j] = things[j], things[i]
        yield "order swapped", replace(scene, things=tuple(things))
    if scene.family != "relation" or scene.relation is None:
        return
    relation, (one, two) = scene.relation, scene.things
    if relation in DIRECTIONS:
        yield "relation", replace(scene, relation=OPPOSITE[relation])
        turned = [r for r in DIRECTIONS if r not in (relation, OPPOSITE[relation])]
        yield "relation turned", replace(scene, relation=dice.pick(turned))
    else:
        others = [r for r in TOUCHING if r != relation and _possible(r, two)] or ["below"]
        yield "relation", replace(scene, relation=dice.pick(others))
        yield "relation turned", replace(scene, relation=dice.pick(("left of", "right of", "below")))
        if _possible(relation, one):
            yield "things swapped", replace(scene, things=(two, one))


def _possible(relation: str, base: Thing) -> bool:
    """Whether something can be so on, in or behind ``base``."""
    places = {"on": SUPPORTS, "inside": CONTAINERS}.get(relation, KINDS)
    return base.kind in places and not (relation == "inside" and base.texture)


def _of_picture(scene: Scene, dice: Dice) -> Iterator[Change]:
    """Background, style, view and panels."""
    thing = scene.things[0]
    if scene.background:
        yield "background", replace(scene, background=_other(dice, BACKGROUNDS, scene.background))
    if scene.style:
        style = _other(dice, STYLES, scene.style)
        yield "style", replace(scene, style=style, things=(uncoloured(thing) if style == "sketch" else thing,))
    if scene.view:
        plain = replace(thing, colour=None) == Thing(thing.kind)
        turned = thing.kind in CHARACTERS and not thing.mood
        allowed = {"close-up": plain, "from behind": turned, "upside down": True}
        views = [view for view in VIEWS if view != scene.view and allowed[view]]
        if views:
            yield "view", replace(scene, view=dice.pick(views))
    if scene.panel:
        yield "panel", replace(scene, panel=_other(dice, PANELS, scene.panel))


def _of_one(scene: Scene, dice: Dice) -> Iterator[Change]:
    """What only one thing, the first, has: texture, shape, body, mood, doing, baby."""
    thing = scene.things[0]
    if thing.texture:
        textures = _DYED if thing.colour else TEXTURES
        yield "texture", _with(scene, 0, replace(thing, texture=_other(dice, textures, thing.texture)))
    elif scene.family in ("single", "counting") and thing.kind in THINGS and thing.colour and not thing.shape:
        family = "texture" if scene.family == "single" else scene.family
        size = None if thing.size == "huge" else thing.size
        changed = replace(thing, size=size, texture=dice.pick(_DYED))
        yield "texture more", replace(scene, family=family, things=(changed,))
    if thing.shape:
        shapes = [name for name in SHAPES if name not in (thing.shape, thing.kind)]
        yield "shape", _with(scene, 0, replace(thing, shape=dice.pick(shapes)))
    if thing.half:
        bodies = [kind for kind in ANIMALS if kind not in (thing.kind, thing.half)]
        yield "body", _with(scene, 0, replace(thing, half=dice.pick(bodies)))
        yield "head and body swapped", _with(scene, 0, replace(thing, kind=thing.half, half=thing.kind))
    if thing.mood:
        yield "mood", _with(scene, 0, replace(thing, mood=_other(dice, MOODS, thing.mood)))
    if thing.doing:
        yield "doing", _with(scene, 0, replace(thing, doing=_other(dice, DOINGS, thing.doing)))
    if scene.family in ("single", "garments", "character", "style") and thing.kind in CHARACTERS and not thing.half:
        size = thing.size if scene.family == "single" and thing.baby else None
        grown = replace(thing, baby=not thing.baby, size=size)
        yield "baby", replace(scene, family=_family(scene, grown), things=(grown,))


def _family(scene: Scene, thing: Thing) -> str:
    """The family of a scene of one character that is changed to ``thing``."""
    if scene.style:
        return scene.family
    if thing.baby or thing.mood or thing.doing:
        return "character"
    return "garments" if thing.garments or thing.without else "single"


def _of_garments(scene: Scene, dice: Dice) -> Iterator[Change]:
    dressed = [i for i, thing in enumerate(scene.things) if thing.garments or thing.without]
    if not dressed:
        return
    at = dice.pick(dressed)
    thing = scene.things[at]
    for name, garments in _redressed(thing, dice, coloured=scene.style != "sketch"):
        worn = {garment.kind for garment in garments}
        without = tuple(kind for kind in thing.without if kind not in worn)
        if garments or without or scene.family != "garments":
            yield name, _with(scene, at, replace(thing, garments=garments, without=without))


def _redressed(thing: Thing, dice: Dice, coloured: bool) -> Iterator[tuple[str, tuple[Garment, ...]]]:
    garments = thing.garments
    more = [kind for kind in thing.without if _goes_with(kind, garments)] or [
        kind for kind in GARMENTS if _goes_with(kind, garments)
    ]
    if more:
        new = Garment(dice.pick(more), dice.pick(COLOURS) if coloured else None)
        yield "garment more", (*garments, new)
    if not garments:
        return
    at = dice.below(len(garments))
    rest = garments[:at] + garments[at + 1 :]
    yield "garment less", rest
    others = [kind for kind in GARMENTS if kind != garments[at].kind and _goes_with(kind, rest)]
    if others:
        yield "garment kind", garments[:at] + (replace(garments[at], kind=dice.pick(others)),) + garments[at + 1 :]
    dyed = [i for i, garment in enumerate(garments) if garment.colour]
    if dyed:
        at = dice.pick(dyed)
        recoloured = replace(garments[at], colour=_other(dice, COLOURS, garments[at].colour))
        yield "garment colour", garments[:at] + (recoloured,) + garments[at + 1 :]
    pairs = [(i, j) for i, j in combinations(dyed, 2) if garments[i].colour != garments[j].colour]
    if pairs:
        i, j = dice.pick(pairs)
        swapped = list(garments)
        swapped[i] = replace(garments[i], colour=garments[j].colour)
        swapped[j] = replace(garments[j], colour=garments[i].colour)
        yield "garment colours swapped", tuple(swapped)


def _goes_with(kind: str, garments: Sequence[Garment]) -> bool:
    """Whether a garment can be put on too."""
    worn = [garment.kind for garment in garments]
    return kind not in worn and not any(
        kind in GARMENT_KINDS[other].excludes or other in GARMENT_KINDS[kind].excludes for other in worn
    )


def _with(scene: Scene, at: int, thing: Thing) -> Scene:
    return replace(scene, things=scene.things[:at] + (thing,) + scene.things[at + 1 :])


def _other(dice: Dice, options: Sequence[T], one: T | None) -> T:
    return dice.pick([option for option in options if option != one])
