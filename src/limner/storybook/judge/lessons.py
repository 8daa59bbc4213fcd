"""What the judge learns from: any scene of the storybook, and the truth about its drawing as its networks say it.

Scenes here are rolled more widely than captions are dealt (every family alike, held-out combinations too, and half of
all scenes with something changed as no caption would have it): the judge must know what a painter may get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner.storybook.deal import roll
from limner.storybook.dice import Dice
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.judge.network import PICTURE_QUESTIONS, SIDE, THING_QUESTIONS, number
from limner.storybook.judge.truth import truth
from limner.storybook.judge.verdict import Answers, Found
from limner.storybook.scene import FAMILIES, GARMENTS, Scene

CHANGED = 0.5
"""Share of scenes with one change."""
_FAMILIES = tuple(FAMILIES)


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one picture, in outputs' numbers.

    ``boxes`` (n, 3: x, y, side in pixels), ``names`` (n, T: one a thing's question), ``whole`` (P: one a picture's).
    """

    boxes: np.ndarray
    names: np.ndarray
    whole: np.ndarray


def roll_scene(dice: Dice) -> Scene:
    """Any scene of the storybook, its families alike."""
    scene = roll(dice.pick(_FAMILIES), dice)
    if dice.chance(CHANGED):
        changes = [changed for _, changed in near_misses(scene, dice.below(2**31))]
        if changes:
            return dice.pick(changes)
    return scene


def truth_of(scene: Scene, draw_seed: int) -> Truth:
    """The truth about ``draw(scene, seed=draw_seed)``."""
    return numbered(truth(scene, draw_seed))


def numbered(answers: Answers) -> Truth:
    """``answers`` as the networks' outputs."""
    boxes = np.array([found.box for found in answers.things], np.float32).reshape(-1, 3) * SIDE
    names = [[number(THING_QUESTIONS, q, word) for q, word in _of_thing(found).items()] for found in answers.things]
    whole = [number(PICTURE_QUESTIONS, q, word) for q, word in _of_picture(answers).items()]
    shape = (len(boxes), len(THING_QUESTIONS))
    return Truth(boxes, np.array(names, np.int64).reshape(shape), np.array(whole, np.int64))


def _of_thing(found: Found) -> dict[str, str | None]:
    said = {
        "kind": found.kind, "body": found.body, "colour": found.colour, "texture": found.texture,
        "shape": found.shape, "mood": found.mood, "doing": found.doing, "style": found.style,
        "baby": _yes(found.baby), "upside down": _yes(found.upside_down), "from behind": _yes(found.from_behind),
    }  # fmt: skip
    said |= {kind: found.garments[kind] for kind in GARMENTS}
    return {question: said[question] for question in THING_QUESTIONS}


def _of_picture(answers: Answers) -> dict[str, str | None]:
    said = {
        "background": answers.background, "style": answers.style, "close-up": _yes(answers.close_up),
        "arrangement": answers.arrangement,
    }  # fmt: skip
    return {question: said[question] for question in PICTURE_QUESTIONS}


def _yes(answer: bool | None) -> str | None:
    return None if answer is None else "yes" if answer else "no"
