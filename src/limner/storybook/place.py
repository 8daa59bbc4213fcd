"""Where things stand and how large they are: what the caption says, the rest from the dice.

Lengths are shares of the canvas. A thing's *side* is the side of the square it is drawn in.
"""

from __future__ import annotations

from dataclasses import dataclass

from limner.storybook.dice import Dice
from limner.storybook.scene import ANIMALS, Scene, Thing

SIDES: dict[str, tuple[float, float]] = {"small": (0.25, 0.29), "medium": (0.35, 0.42), "large": (0.46, 0.70)}
"""Each said size's range; the ranges do not meet, so that a size can be told from one picture."""

MARGIN = 0.015
"""Kept free along the canvas' edges."""


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


def _side(thing: Thing, dice: Dice, unsaid: tuple[float, float], most: float) -> float:
    low, high = unsaid if thing.size is None else SIDES[thing.size]
    high = min(high, most)
    return dice.between(min(low, high), high)


def _inside(centre: float, side: float) -> float:
    """The centre moved so that the thing stays on the canvas."""
    low = side / 2 + MARGIN
    return min(max(centre, low), 1 - low)


def place(scene: Scene, dice: Dice) -> tuple[Box, ...]:
    """One box for each drawn thing: ``scene.count`` of them, or one for each of ``scene.things``."""
    if len(scene.things) == 2:
        return _place_two(scene, dice)
    if scene.count > 1:
        return _place_alike(scene.things[0], scene.count, dice)
    return (_place_one(scene.things[0], dice),)


def _place_one(thing: Thing, dice: Dice) -> Box:
    if thing.garments:
        side = dice.between(0.87, 0.93)
        return Box(_inside(0.5 + dice.between(-0.03, 0.03), side), _inside(0.5 + dice.between(-0.02, 0.02), side), side)
    most = SIDES["large"][1]
    side = dice.between(0.54, most) if thing.size == "large" else _side(thing, dice, (SIDES["medium"][1], most), most)
    reach = min(0.12, (1 - side) / 2 - MARGIN)
    return Box(0.5 + dice.between(-reach, reach), 0.5 + dice.between(-reach, reach), side)


# An animal has a face and limbs to show, which at 0.3 of 128 pixels are two or three codes of the tokenizer.
_UNSAID_BESIDE = {False: (0.30, 0.45), True: (0.39, 0.47)}


def _place_two(scene: Scene, dice: Dice) -> tuple[Box, ...]:
    first, second = scene.things
    a, b = (_side(thing, dice, _UNSAID_BESIDE[thing.kind in ANIMALS], 0.48) for thing in (first, second))
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
    across_a, across_b = _inside(middle - offset / 2, a), _inside(middle + offset / 2, b)
    box_a = Box(across_a, along_a, a) if upright else Box(along_a, across_a, a)
    box_b = Box(across_b, along_b, b) if upright else Box(along_b, across_b, b)
    return (box_b, box_a) if reverse else (box_a, box_b)


_ROWS = {
    2: (((-0.24, 0.0), (0.24, 0.0)), ((-0.22, -0.22), (0.22, 0.22)), ((0.22, -0.22), (-0.22, 0.22))),
    3: (
        ((0.0, -0.235), (-0.235, 0.235), (0.235, 0.235)),
        ((-0.235, -0.235), (0.235, -0.235), (0.0, 0.235)),
        ((-0.32, 0.0), (0.0, 0.0), (0.32, 0.0)),
    ),
    4: (((-0.235, -0.235), (0.235, -0.235), (-0.235, 0.235), (0.235, 0.235)),),
}
_UNSAID_ALIKE = {2: (0.32, 0.44), 3: (0.28, 0.42), 4: (0.28, 0.42)}


def _place_alike(thing: Thing, count: int, dice: Dice) -> tuple[Box, ...]:
    spots = dice.pick(_ROWS[count])
    apart = min(max(abs(p[0] - q[0]), abs(p[1] - q[1])) for i, p in enumerate(spots) for q in spots[:i])
    if apart < 0.4 and thing.size not in (None, "small"):
        spots, apart = _ROWS[count][0], 0.47
    low, high = _UNSAID_ALIKE[count]
    side = _side(thing, dice, (min(low, apart - 0.06), high), apart - 0.02)
    jitter = min(0.03, (apart - side) / 2 - 0.005)
    boxes = []
    for x, y in spots:
        boxes.append(
            Box(
                _inside(0.5 + x + dice.between(-jitter, jitter), side),
                _inside(0.5 + y + dice.between(-jitter, jitter), side),
                side,
            )
        )
    return tuple(boxes)
