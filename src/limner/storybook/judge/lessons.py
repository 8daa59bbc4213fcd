"""What the judge learns from: drawn scenes with the truth about them, and drawn scenes with something broken in them.

Scenes here are rolled more widely than captions are dealt (any two things, any colours, held-out combinations too): the
judge must know what a painter may get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from limner.storybook.dice import Dice
from limner.storybook.draw import draw, layout
from limner.storybook.judge.network import BACKGROUND_ANSWERS, COLOUR_ANSWERS, GARMENT_ANSWERS, KINDS, SIDE
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    FAMILIES,
    GARMENTS,
    RELATIONS,
    SIZES,
    THINGS,
    Garment,
    Scene,
    Thing,
)

UNKNOWN = KINDS.index("nothing known")
IGNORED = -100
"""A question without an answer; cross-entropy skips it."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one picture: ``boxes`` (n, 3: x, y, side in pixels), ``names`` (n, 6: kind, colour, garments)."""

    boxes: np.ndarray
    names: np.ndarray
    background: int


def roll_scene(dice: Dice) -> Scene:
    """Any scene of the storybook: families, kinds, colours, sizes and garments all alike."""
    family = dice.pick(FAMILIES)
    background = dice.pick(BACKGROUNDS) if dice.chance(0.6) else None
    if family == "garments":
        count = 1 + dice.below(len(GARMENTS))
        worn = tuple(Garment(kind, dice.pick(COLOURS)) for kind in dice.sample(GARMENTS, count))
        colour = dice.pick(COLOURS) if dice.chance(0.3) else None
        return Scene(family, (Thing(dice.pick(ANIMALS), colour, None, worn),), background=background)
    pair = family in ("two", "relation")
    things = tuple(_roll_thing(dice) for _ in range(1 + pair))
    relation = dice.pick(RELATIONS) if family == "relation" else None
    return Scene(family, things, relation, 1 + dice.below(4) if family == "counting" else 1, background)


def _roll_thing(dice: Dice) -> Thing:
    kind = dice.pick(THINGS) if dice.chance(0.55) else dice.pick(ANIMALS)
    colour = dice.pick(COLOURS) if kind in THINGS or dice.chance(0.6) else None
    return Thing(kind, colour, dice.pick(SIZES) if dice.chance(0.6) else None)


def lesson(seed: int, *, whole: bool = False) -> tuple[np.ndarray, Truth]:
    """A drawn picture (uint8 (128, 128, 3)) and its truth; one in sixteen, unless ``whole``, has a broken thing."""
    dice = Dice("lesson", seed)
    scene, draw_seed = roll_scene(dice), dice.below(2**31)
    picture, truth = draw(scene, size=SIDE, seed=draw_seed), truth_of(scene, draw_seed)
    return _broken(picture, truth, dice) if not whole and dice.chance(1 / 16) else (picture, truth)


def truth_of(scene: Scene, draw_seed: int) -> Truth:
    """The truth about ``draw(scene, seed=draw_seed)``."""
    plan = layout(scene, draw_seed)
    things = scene.things * scene.count if scene.count > 1 else scene.things
    names = []
    for thing, colour in zip(things, plan.colours, strict=True):
        worn = {garment.kind: garment.colour for garment in thing.garments}
        answers = [GARMENT_ANSWERS.index(worn.get(kind, "absent")) for kind in GARMENTS]
        names.append([KINDS.index(thing.kind), COLOUR_ANSWERS.index(colour or "natural"), *answers])
    boxes = np.array([(box.x, box.y, box.side) for box in plan.boxes], np.float32) * SIDE
    return Truth(boxes, np.array(names, np.int64), BACKGROUND_ANSWERS.index(plan.background))


def _broken(picture: np.ndarray, truth: Truth, dice: Dice) -> tuple[np.ndarray, Truth]:
    """One thing loses about half of itself to the background: still something, but nothing that has a name."""
    at = dice.below(len(truth.boxes))
    x, y, side = truth.boxes[at]
    share = dice.between(0.42, 0.58)
    low_x, low_y = max(0, int(x - side / 2) - 2), max(0, int(y - side / 2) - 2)
    high_x, high_y = int(x + side / 2) + 3, int(y + side / 2) + 3
    cut_x, cut_y = int(x + side * (share - 0.5)), int(y + side * (share - 0.5))
    part, shift = dice.pick(
        (
            ((slice(low_y, high_y), slice(low_x, cut_x)), (share / 2, 0.0)),
            ((slice(low_y, high_y), slice(cut_x, high_x)), ((share - 1) / 2, 0.0)),
            ((slice(low_y, cut_y), slice(low_x, high_x)), (0.0, share / 2)),
        )
    )
    picture, boxes, names = picture.copy(), truth.boxes.copy(), truth.names.copy()
    # A corner of the canvas is always background: things keep a margin, shadows lie below them.
    picture[part] = picture[0, 0]
    boxes[at] = (x + shift[0] * side, y + shift[1] * side, side * 0.8)
    names[at, 0], names[at, 1:] = UNKNOWN, IGNORED
    return picture, replace(truth, boxes=boxes, names=names)
