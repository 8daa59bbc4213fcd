"""What the judge learns from: any scene of the storybook, and the truth about its drawing.

Scenes here are rolled more widely than captions are dealt (any two things, any colours, held-out combinations too): the
judge must know what a painter may get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner.storybook.dice import Dice
from limner.storybook.draw import layout
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
