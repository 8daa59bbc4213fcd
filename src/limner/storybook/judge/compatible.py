"""Whether one picture could be right for two captions; what ``verdict.decide`` accepts, said of scenes alone."""

from __future__ import annotations

from itertools import permutations

from limner.storybook.scene import DIRECTIONS, SENSES, TOUCHING, Scene, Thing

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
MAY_BE = {"on": ("above",), "inside": ("above",), "behind": ("above", "left of", "right of")}
"""The directions that the boxes of touching things may have."""


def compatible(one: Scene, two: Scene) -> bool:
    """Whether one drawn picture could be right for both captions.

    What a caption leaves unsaid contradicts nothing, but for what drawings then never have: garments, a texture, a
    shape, another's body, a baby, something done, a view from behind or upside down, panels.
    """
    for a, b in ((one.background, two.background), (one.style, two.style)):
        if a and b and a != b:
            return False
    if one.panel != two.panel or one.count != two.count or len(one.things) != len(two.things):
        return False
    if one.view != two.view and {one.view, two.view} != {None, "close-up"}:
        return False
    stacks = [scene.family == "stack" for scene in (one, two)]
    orders = permutations(range(len(two.things)))
    for order in orders:
        same = order == tuple(range(len(order)))
        if all(stacks) and not same:
            continue
        if not _arranged_alike(_relation(one), _relation(two), same):
            continue
        sizes = stacks[0] == stacks[1]
        if all(_alike(a, two.things[i], sizes) for a, i in zip(one.things, order, strict=True)):
            return True
    return False


def _relation(scene: Scene) -> str | None:
    return "on" if scene.family == "stack" and len(scene.things) == 2 else scene.relation


def _arranged_alike(one: str | None, two: str | None, same: bool) -> bool:
    """``two`` is said of the things in the same order as ``one``, or of the other order."""
    if one is None or two is None:
        return True
    if same:
        return one == two or one in MAY_BE.get(two, ()) or two in MAY_BE.get(one, ())
    if one in TOUCHING and two in TOUCHING:
        return False
    if one in DIRECTIONS and two in DIRECTIONS:
        return one == OPPOSITE[two]
    touching, direction = (one, two) if one in TOUCHING else (two, one)
    return OPPOSITE[direction] in MAY_BE[touching]


def _alike(one: Thing, two: Thing, sizes: bool) -> bool:
    for a, b in ((one.colour, two.colour), (one.size if sizes else None, two.size), (one.mood, two.mood)):
        if a and b and a != b:
            return False
    return bool(
        set(kinds(one)) & set(kinds(two))
        and (one.texture, one.shape, one.half, one.baby, one.doing)
        == (two.texture, two.shape, two.half, two.baby, two.doing)
        and _dressed_alike(one, two)
    )


def kinds(thing: Thing) -> tuple[str, ...]:
    """What the thing may be drawn as."""
    return SENSES.get(thing.kind, (thing.kind,))


def _dressed_alike(one: Thing, two: Thing) -> bool:
    worn, other = ({garment.kind: garment.colour for garment in thing.garments} for thing in (one, two))
    return worn.keys() == other.keys() and all(
        colour == other[kind] or None in (colour, other[kind]) for kind, colour in worn.items()
    )
