"""What the judge learns from: any scene of the storybook, and the truth about its drawing as its networks say it.

Scenes here are rolled more widely than captions are dealt (families by how hard they are, held-out combinations too,
characters in moods and things in styles that nobody mentioned, half of all scenes with something changed as no caption
would have it): the judge must know what a painter may get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from limner.storybook.deal import roll
from limner.storybook.dice import Dice
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.judge.network import PICTURE_QUESTIONS, SIDE, THING_QUESTIONS, number
from limner.storybook.judge.truth import truth
from limner.storybook.judge.verdict import Answers, Found
from limner.storybook.scene import CHARACTERS, FAMILIES, GARMENTS, MOODS, STYLES, Scene

CHANGED = 0.5
"""Share of scenes with one change."""
MOODY = 0.4
"""Share of scenes whose characters each have some mood or none."""
STYLED, _ALONE = 0.35, ("single", "garments", "character", "texture", "shape", "chimera")
"""Share of scenes of one thing that are drawn in some style."""
_HARD = ("garments", "character", "texture", "style", "view", "panels", "relation", "relation", "shape")
_FAMILIES = (*FAMILIES, *_HARD, *_HARD)


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one picture, in outputs' numbers.

    ``boxes`` (n, 3: x, y, side in pixels), ``names`` (n, T: one a thing's question), ``whole`` (P: one a picture's).
    """

    boxes: np.ndarray
    names: np.ndarray
    whole: np.ndarray


def roll_scene(dice: Dice) -> Scene:
    """Any scene of the storybook."""
    scene = roll(dice.pick(_FAMILIES), dice)
    if scene.family != "character" and dice.chance(MOODY):
        moods = [dice.pick((None, *MOODS)) if thing.kind in CHARACTERS else None for thing in scene.things]
        scene = replace(scene, things=tuple(replace(t, mood=m) for t, m in zip(scene.things, moods, strict=True)))
    if scene.family in _ALONE and dice.chance(STYLED):
        scene = replace(scene, family="style", style=dice.pick(STYLES))
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
