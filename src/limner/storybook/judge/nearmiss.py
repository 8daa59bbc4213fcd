"""Near misses: the same scene with one thing changed, so that its caption is wrong for the picture, but only just."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import TypeVar

from limner.storybook.dice import Dice
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    GARMENTS,
    MOST,
    RELATIONS,
    SIZES,
    THINGS,
    Garment,
    Scene,
    Thing,
)

T = TypeVar("T")

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def near_misses(scene: Scene, seed: int | str = 0) -> Iterator[tuple[str, Scene]]:
    """Every kind of change that ``scene`` allows, one example of each: (name of the change, changed scene).

    Changes: kind, colour, colours swapped, size, count, relation, relation turned, garment colour, garment colours
    swapped, garment more, garment less, background. The changed scene is never right for a picture of ``scene``.
    """
    dice = Dice("near miss", seed)
    for name, changed in _changes(scene, dice):
        if not compatible(scene, changed):
            yield name, changed


def _changes(scene: Scene, dice: Dice) -> Iterator[tuple[str, Scene]]:
    at = dice.below(len(scene.things))
    thing = scene.things[at]
    same_sort = THINGS if thing.kind in THINGS else ANIMALS
    yield "kind", _with_thing(scene, at, replace(thing, kind=_other(dice, same_sort, thing.kind)))
    coloured = [i for i, t in enumerate(scene.things) if t.colour]
    if coloured:
        spot = dice.pick(coloured)
        colour = _other(dice, COLOURS, scene.things[spot].colour)
        yield "colour", _with_thing(scene, spot, replace(scene.things[spot], colour=colour))
    if len(coloured) == 2:
        one, two = scene.things
        swapped = (replace(one, colour=two.colour), replace(two, colour=one.colour))
        yield "colours swapped", replace(scene, things=swapped)
    sized = [i for i, t in enumerate(scene.things) if t.size]
    if sized:
        spot = dice.pick(sized)
        size = _other(dice, SIZES, scene.things[spot].size)
        yield "size", _with_thing(scene, spot, replace(scene.things[spot], size=size))
    if len(scene.things) == 1 and not thing.garments:
        yield "count", replace(scene, family="counting", count=_other(dice, _neighbours(scene.count), scene.count))
    if scene.relation:
        yield "relation", replace(scene, relation=OPPOSITE[scene.relation])
        turned = [r for r in RELATIONS if r not in (scene.relation, OPPOSITE[scene.relation])]
        yield "relation turned", replace(scene, relation=dice.pick(turned))
    if scene.background:
        yield "background", replace(scene, background=_other(dice, BACKGROUNDS, scene.background))
    dressed = [i for i, t in enumerate(scene.things) if t.garments]
    if dressed:
        spot = dice.pick(dressed)
        for name, garments in _garment_changes(scene.things[spot].garments, dice):
            yield name, _with_thing(scene, spot, replace(scene.things[spot], garments=garments))


def _garment_changes(garments: tuple[Garment, ...], dice: Dice) -> Iterator[tuple[str, tuple[Garment, ...]]]:
    at = dice.below(len(garments))
    recoloured = replace(garments[at], colour=_other(dice, COLOURS, garments[at].colour))
    yield "garment colour", garments[:at] + (recoloured,) + garments[at + 1 :]
    pairs = [(i, j) for i, j in combinations(range(len(garments)), 2) if garments[i].colour != garments[j].colour]
    if pairs:
        i, j = dice.pick(pairs)
        swapped = list(garments)
        swapped[i] = replace(garments[i], colour=garments[j].colour)
        swapped[j] = replace(garments[j], colour=garments[i].colour)
        yield "garment colours swapped", tuple(swapped)
    missing = [kind for kind in GARMENTS if kind not in {g.kind for g in garments}]
    if missing:
        yield "garment more", garments + (Garment(dice.pick(missing), dice.pick(COLOURS)),)
    if len(garments) > 1:
        yield "garment less", garments[:at] + garments[at + 1 :]


def compatible(one: Scene, two: Scene) -> bool:
    """Whether one drawn picture could be right for both captions (what a caption leaves unsaid contradicts nothing)."""
    if one.background and two.background and one.background != two.background:
        return False
    if one.count != two.count or len(one.things) != len(two.things):
        return False
    for order in permutations(range(len(two.things))):
        relation = two.relation
        if order != tuple(range(len(order))) and relation:
            relation = OPPOSITE[relation]
        # A drawn relation is never a diagonal: two said relations are both right only where they are the same.
        apart = one.relation and relation and relation != one.relation
        if not apart and all(_alike(a, two.things[i]) for a, i in zip(one.things, order)):
            return True
    return False


def _alike(one: Thing, two: Thing) -> bool:
    # Garments unsaid are garments not worn: the judge asks for exactly the said ones.
    return (
        one.kind == two.kind
        and (one.colour == two.colour or None in (one.colour, two.colour))
        and (one.size == two.size or None in (one.size, two.size))
        and set(one.garments) == set(two.garments)
    )


def _with_thing(scene: Scene, at: int, thing: Thing) -> Scene:
    return replace(scene, things=scene.things[:at] + (thing,) + scene.things[at + 1 :])


def _neighbours(count: int) -> tuple[int, ...]:
    return tuple(n for n in (count - 1, count + 1) if 1 <= n <= MOST)


def _other(dice: Dice, options: Sequence[T], one: T | None) -> T:
    return dice.pick([option for option in options if option != one])
