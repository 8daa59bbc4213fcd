"""Where things stand and how large they are: what the caption says, the rest from the dice.

Lengths are shares of the canvas. A thing's *side* is the side of the square it is drawn in. Sides and places come in
steps, so that the same thing lies in few ways on the grid of a tokenizer's codes: a small model has less to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from limner.storybook.dice import Dice
from limner.storybook.scene import CHARACTERS, SEVERAL, Scene, Thing
from limner.storybook.world.textures import TEXTURES
from limner.storybook.world.things import THING_KINDS

SIDES: dict[str, tuple[float, float]] = {
    "small": (0.28, 0.29),
    "medium": (0.35, 0.42),
    "large": (0.46, 0.70),
    "huge": (0.82, 0.94),
}
"""Each said size's range; the ranges do not meet, so that a size can be told from one picture."""

_SIDES, _SPOTS = 32, 16
"""Steps of sides (and slight shifts) and of centres on the canvas: half a code and one where sixteen stand in a row."""
MARGIN = 0.015
"""Kept free along the canvas' edges."""
_TAIL_MARGIN, _STYLE_MARGIN = 0.03, 0.045
"""The same where a tail or a leash, or a style's rim or thick outlines reach over the box."""
_QUILLS = 0.13
"""How far what is made of porcupine or fur reaches over its box, in units of its side."""

VISIBLE = 0.7
"""How much of a thing inside of another looks out over the rim, from its top."""
FEET = 0.465
"""Where a thing meets the ground, in units of its side below its centre."""


@dataclass(frozen=True, slots=True)
class Box:
    """Centre and side of the square that a thing is drawn in."""

    x: float
    y: float
    side: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two squares share a point."""
        reach = (self.side + other.side) / 2
        return abs(self.x - other.x) < reach and abs(self.y - other.y) < reach


def _stepped(low: float, high: float, dice: Dice) -> float:
    """One of the steps of sides between the two; the last one below ``high`` where there is none."""
    last = floor(high * _SIDES + 1e-9)
    first = min(ceil(low * _SIDES - 1e-9), last)
    return (first + dice.below(last - first + 1)) / _SIDES


def _side(thing: Thing, dice: Dice, unsaid: tuple[float, float], most: float) -> float:
    low, high = unsaid if thing.size is None else SIDES[thing.size]
    return _stepped(low, min(high, most), dice)


def _inside(centre: float, side: float, margin: float = MARGIN) -> float:
    """The centre moved so that the thing stays on the canvas."""
    low = min(side / 2 + margin, 0.5)
    return min(max(centre, low), 1 - low)


def _spot(centre: float, side: float, margin: float = MARGIN) -> float:
    """The nearest step of centres at which the thing stays on the canvas."""
    low = min(side / 2 + margin, 0.5)
    first, last = ceil(low * _SPOTS - 1e-9), floor((1 - low) * _SPOTS + 1e-9)
    return min(max(round(centre * _SPOTS), first), last) / _SPOTS


def _lowered(y: float) -> float:
    """The next step of sides at or above ``y`` on the canvas."""
    return floor(y * _SIDES + 1e-9) / _SIDES


def _nudge(dice: Dice) -> float:
    """A step of sides to the left or right, or none."""
    return (dice.below(3) - 1) / _SIDES


def _over(thing: Thing) -> float:
    """How far it reaches over its box, in units of its side."""
    return _QUILLS if thing.texture and TEXTURES[thing.texture].cover.quill else 0.0


def _quilled(thing: Thing, box: Box) -> Box:
    """The box moved so that the quills stay on the canvas too."""
    wide = box.side * (1 + 2 * _over(thing))
    return replace(box, x=_inside(box.x, wide), y=_inside(box.y, wide))


def place(scene: Scene, dice: Dice) -> tuple[Box, ...]:
    """One box for each drawn thing: as many as are counted, or one for each of ``scene.things``.

    A collection's boxes are its members' and then its support's; two panels have a box in the upper half and one
    (three for "sketches") in the lower.
    """
    if scene.family == "stack":
        return _place_stack(scene.things, dice)
    if scene.family == "collection":
        return _place_collection(scene.things[1], dice)
    if scene.family == "panels":
        return _place_panels(scene.panel == "sketches", dice)
    if scene.family == "several":
        return _place_some(scene.things, dice)
    if scene.relation in _TOUCHING:
        first, second = scene.things
        return _TOUCHING[scene.relation](first, second, dice)
    if len(scene.things) == 2:
        return _place_two(scene, dice)
    if scene.count > 1:
        return _place_some(scene.things * scene.count, dice)
    if scene.view == "close-up":
        return (_place_close(scene.things[0], dice),)
    return (_place_one(scene.things[0], scene, dice),)


def _place_one(thing: Thing, scene: Scene, dice: Dice) -> Box:
    margin = _STYLE_MARGIN if scene.style else MARGIN
    if thing.size is None and (thing.shape or thing.texture):  # what is to be seen is in the detail
        side = _stepped(0.62, min(0.86, (1 - 2 * margin) / (1 + 2 * _over(thing))), dice)
        x, y = (_spot(0.5 + dice.between(-0.06, 0.06), side, margin) for _ in range(2))
        return _quilled(thing, Box(x, y, side))
    if thing.size is None and (
        thing.garments or thing.baby or thing.mood or thing.doing or thing.half or scene.style or scene.view
    ):
        margin = max(margin, _TAIL_MARGIN)
        side = _stepped(0.87, min(0.93, 1 - 2 * margin), dice)
        x, y = (_spot(0.5 + dice.between(-most, most), side, margin) for most in (0.03, 0.02))
        return Box(x, y, side)
    most = SIDES["huge" if thing.size == "huge" else "large"][1]
    if thing.size == "large":
        side = _stepped(0.54, most, dice)
    else:
        side = _side(thing, dice, (SIDES["medium"][1], most), most)
    reach = max(min(0.12, (1 - side) / 2 - MARGIN), 0.0)
    x, y = (_spot(0.5 + dice.between(-reach, reach), side) for _ in range(2))
    return _quilled(thing, Box(x, y, side))


def _place_close(thing: Thing, dice: Dice) -> Box:
    """So near that the edges cut it off: of a character the face is seen, of a thing enough to tell a block by."""
    face = thing.kind in CHARACTERS
    side = _stepped(1.65, 1.9, dice) if face else _stepped(1.2, 1.4, dice)
    down = 0.17 * side if face else dice.between(-0.12, 0.12)
    x, y = dice.between(-0.06, 0.06), down + dice.between(-0.04, 0.04)
    return Box(0.5 + round(x * _SPOTS) / _SPOTS, 0.5 + round(y * _SPOTS) / _SPOTS, side)


# A face, limbs or a pattern at a third of the canvas are two or three codes of the tokenizer.
_UNSAID_BESIDE = (0.40, 0.47)


def _place_two(scene: Scene, dice: Dice) -> tuple[Box, ...]:
    first, second = scene.things
    a, b = (_side(thing, dice, _UNSAID_BESIDE, 0.48) for thing in (first, second))
    # What has quills needs room for them at the edge; a thing of no said size makes it.
    for thing in (second, first):
        while thing.size is None and a * (1 + _over(first)) + b * (1 + _over(second)) > 1 - 2 * MARGIN:
            a, b = (a, b - 1 / _SIDES) if thing is second else (a - 1 / _SIDES, b)
    relation = scene.relation
    upright = relation in ("above", "below") if relation else dice.chance(0.4)
    reverse = relation in ("right of", "below") if relation else dice.chance(0.5)
    if reverse:
        a, b = b, a
    # Along the axis: edge, a, gap, b, edge. What is left over is shared out by the dice.
    free = 1 - 2 * MARGIN - a - b
    gap = min(max(0.32 - (a + b) / 2, 0.01) + dice.between(0.0, 0.14), free)
    start = MARGIN + (free - gap) * dice.between(0.15, 0.85)
    along_a, along_b = start + a / 2, start + a + gap + b / 2
    distance = along_b - along_a
    skew = min(0.10, 0.35 * distance) if relation else min(0.20, 0.6 * distance)
    middle, offset = 0.5 + dice.between(-0.06, 0.06), dice.between(-skew, skew)
    one, two = (second, first) if reverse else (first, second)
    wide_a, wide_b = a * (1 + 2 * _over(one)), b * (1 + 2 * _over(two))
    across_a, across_b = _spot(middle - offset / 2, wide_a), _spot(middle + offset / 2, wide_b)
    along_a, along_b = _beside(along_a, along_b, (a, b), (wide_a, wide_b))
    box_a = Box(across_a, along_a, a) if upright else Box(along_a, across_a, a)
    box_b = Box(across_b, along_b, b) if upright else Box(along_b, across_b, b)
    boxes = (box_b, box_a) if reverse else (box_a, box_b)
    return tuple(_quilled(thing, box) for thing, box in zip(scene.things, boxes))


def _beside(first: float, second: float, sides: tuple[float, float], wide: tuple[float, float]) -> tuple[float, float]:
    """Two centres along an axis at their nearest steps, apart; as far apart as can be where no steps are.

    ``wide``: the sides with what reaches over them, which must stay on the canvas.
    """
    (a, b), (wide_a, wide_b) = sides, wide
    apart = ceil(max((a + b) / 2, 0.32) * _SPOTS + 1e-6) / _SPOTS
    low, high = _spot(0.0, wide_a), _spot(1.0, wide_b)
    if high - low < apart - 1e-9:
        return _inside(0.0, wide_a), _inside(1.0, wide_b)
    one = min(_spot(first, wide_a), high - apart)
    return one, max(_spot(second, wide_b), one + apart)


def _standing(x: float, ground: float, side: float) -> Box:
    """A box whose thing stands with its feet at height ``ground``."""
    return Box(x, ground - FEET * side, side)


def _place_on(thing: Thing, support: Thing, dice: Dice) -> tuple[Box, ...]:
    below = _side(support, dice, (0.50, 0.58), 0.60)
    x, y = 0.5 + dice.between(-0.08, 0.08), 1 - MARGIN - below / 2 - dice.between(0.0, 0.03)
    base = Box(_spot(x, below), _lowered(y), below)
    top = THING_KINDS[support.kind].top
    assert top is not None
    ground = base.y + top * below
    most = min((ground - MARGIN) / (FEET + 0.5 + _over(thing)), 0.46)
    side = _side(thing, dice, (min(0.34, most), most), most)
    return _standing(base.x + _nudge(dice), ground, side), base


def _place_within(thing: Thing, container: Thing, dice: Dice) -> tuple[Box, ...]:
    around = _side(container, dice, (0.58, 0.68), 0.70)
    x, y = 0.5 + dice.between(-0.08, 0.08), 1 - MARGIN - around / 2 - dice.between(0.0, 0.05)
    base = Box(_spot(x, around), _lowered(y), around)
    rim = THING_KINDS[container.kind].holds
    assert rim is not None
    edge = base.y + rim * around
    low, high = (0.54 * around, 0.60 * around) if thing.size is None else SIDES["small"]
    side = _stepped(low, min(high, (edge - MARGIN) / (VISIBLE + _over(thing))), dice)
    return Box(base.x, edge - (VISIBLE - 0.5) * side, side), base


def _place_behind(thing: Thing, cover: Thing, dice: Dice) -> tuple[Box, ...]:
    front = _side(cover, dice, (0.42, 0.48), 0.52)
    back = _side(thing, dice, (0.46, 0.54), 0.56)
    sign = 1 if dice.chance(0.5) else -1
    apart = 0.30 * (front + back) * dice.between(0.62, 0.82)
    x, y = 0.5 + dice.between(-0.04, 0.04), 0.60 + dice.between(-0.02, 0.04)
    rise = 0.19 + dice.between(0.0, 0.05)
    return (
        _quilled(thing, Box(_spot(x + sign * apart / 1.6, back), _spot(y - rise, back), back)),
        _quilled(cover, Box(_spot(x - sign * apart / 1.6, front), _spot(y + 0.08, front), front)),
    )


_TOUCHING = {"on": _place_on, "inside": _place_within, "behind": _place_behind}

_STACKED = {"small": (0.20, 0.23), "medium": (0.28, 0.31), "large": (0.38, 0.43), "huge": (0.52, 0.56)}


def _place_stack(blocks: Sequence[Thing], dice: Dice) -> tuple[Box, ...]:
    unsaid = min(0.90 / len(blocks), 0.36)
    plain = _stepped(0.82 * unsaid, unsaid, dice)
    sides = [_stepped(*_STACKED[block.size], dice) if block.size else plain for block in blocks]
    x, ground = _spot(0.5 + dice.between(-0.12, 0.12), max(sides)), 1 - MARGIN - dice.between(0.0, 0.04)
    ground = _lowered(min(ground, 0.5 + sum(sides) / 2 + 0.12))
    boxes: list[Box] = []
    for side in reversed(sides):
        boxes.append(Box(_inside(x + _nudge(dice), side), ground - side / 2, side))
        ground -= side
    return tuple(reversed(boxes))


def _place_collection(support: Thing, dice: Dice) -> tuple[Box, ...]:
    top = THING_KINDS[support.kind].top
    assert top is not None
    count = 3 + dice.chance(0.2)  # the fewer they are, the larger
    below = _stepped(0.93, 0.94, dice)
    while (y := _lowered(1 - MARGIN - (0.5 - top) * below - FEET * (side := _member(below, count)))) < side / 2:
        below -= 1 / _SIDES  # what is tall leaves no room above itself: it is drawn smaller
    # The members, which are small, lie on the steps; the support is moved by less than one to touch them.
    base = Box(0.5, y + FEET * side - top * below, below)
    members = [Box(0.5 + (i - (count - 1) / 2) * side, y, side) for i in range(count)]
    return (*members, base)


def _member(support: float, count: int) -> float:
    """The side of one of ``count`` things in a row on a support of a side."""
    return floor(0.97 * support / count * _SIDES) / _SIDES


def _place_panels(sketches: bool, dice: Dice) -> tuple[Box, ...]:
    side = _stepped(0.42, 0.45, dice)
    top = Box(_spot(0.5 + dice.between(-0.05, 0.05), side), 0.25, side)
    if not sketches:
        return top, Box(top.x, 0.75, side)
    small = _stepped(0.29, 0.32, dice)
    return (top, *(Box(0.5 + x, 0.75 + 2 * _nudge(dice), small) for x in (-0.3125, 0.0, 0.3125)))


def _with_room(thing: Thing, side: float) -> float:
    """The side, or the largest whose quills stay in a quarter of the canvas, nearly."""
    return min(side, floor(0.5 / (1 + 2 * _over(thing)) * _SIDES) / _SIDES)


_ROWS: dict[int, tuple[tuple[tuple[float, float], ...], ...]] = {
    2: (((-0.25, 0.0), (0.25, 0.0)), ((-0.25, -0.25), (0.25, 0.25)), ((0.25, -0.25), (-0.25, 0.25))),
    3: (
        ((0.0, -0.25), (-0.25, 0.25), (0.25, 0.25)),
        ((-0.25, -0.25), (0.25, -0.25), (0.0, 0.25)),
    ),
    4: (((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)),),
    5: (
        ((-0.3125, -0.1875), (0.0, -0.1875), (0.3125, -0.1875), (-0.1875, 0.1875), (0.1875, 0.1875)),
        ((-0.1875, -0.1875), (0.1875, -0.1875), (-0.3125, 0.1875), (0.0, 0.1875), (0.3125, 0.1875)),
        ((-0.3125, -0.3125), (0.3125, -0.3125), (0.0, 0.0), (-0.3125, 0.3125), (0.3125, 0.3125)),
    ),
    6: (
        ((-0.3125, -0.1875), (0.0, -0.1875), (0.3125, -0.1875), (-0.3125, 0.1875), (0.0, 0.1875), (0.3125, 0.1875)),
        ((-0.1875, -0.3125), (0.1875, -0.3125), (-0.1875, 0.0), (0.1875, 0.0), (-0.1875, 0.3125), (0.1875, 0.3125)),
    ),
}
_UNSAID_SOME = {2: (0.40, 0.45), 3: (0.40, 0.45), 4: (0.40, 0.45), 5: (0.28, 0.30), 6: (0.28, 0.30)}


def _place_some(things: Sequence[Thing], dice: Dice) -> tuple[Box, ...]:
    """Several things, alike or not, each on a spot of its own."""
    count, alike = len(things), len(set(things)) == 1
    spots = dice.pick(_ROWS[count])
    apart = _apart(spots)
    if apart < 0.4 and count < 5 and (not alike or things[0].size not in (None, "small")):
        spots, apart = _ROWS[count][0], 0.47
    low, high = _UNSAID_SOME[count]
    unsaid, most = (min(low, apart - 0.06), high), apart - 0.02
    sides = [_side(thing, dice, unsaid, most) for thing in things[: 1 if alike else count]]
    sides = [_with_room(thing, side) for thing, side in zip(things, sides * (count if alike else 1), strict=True)]
    # All are moved alike, so that they stay apart.
    across, down = (2 * _nudge(dice) for _ in range(2))
    wide = [side * (1 + 2 * _over(thing)) for thing, side in zip(things, sides, strict=True)]
    reach = max(max(abs(x + across), abs(y + down)) + side / 2 for (x, y), side in zip(spots, wide, strict=True))
    if reach > 0.5 - MARGIN:
        across = down = 0.0
    boxes = []
    for thing, (x, y), side in zip(things, spots, sides, strict=True):
        box = Box(_inside(0.5 + x + across, side), _inside(0.5 + y + down, side), side)
        boxes.append(_quilled(thing, box))
    return tuple(boxes)


def _apart(spots: Sequence[tuple[float, float]]) -> float:
    """The least distance of two spots, along the farther of the two axes."""
    return min(max(abs(p[0] - q[0]), abs(p[1] - q[1])) for i, p in enumerate(spots) for q in spots[:i])


def drawn_count(scene: Scene, boxes: Sequence[Box]) -> int:
    """How many of a scene's first thing are drawn."""
    return len(boxes) - 1 if scene.count == SEVERAL else scene.count
