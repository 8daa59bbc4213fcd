"""Drawn pictures with something wrong in them, so that the judge learns to abstain: broken, mixed and stray things.

A painter that has half learned its world paints one red and one blue glove, a cat with a bear's ears, a smudge in a
corner. Here the same faults are made of drawn pictures alone, and their truth is known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from limner.storybook.dice import Dice
from limner.storybook.draw import draw
from limner.storybook.judge.lessons import Truth, roll_scene, truth_of
from limner.storybook.judge.network import COLOUR_ANSWERS, GARMENT_ANSWERS, KINDS, SIDE
from limner.storybook.scene import ANIMALS, COLOURS, GARMENTS, THINGS, Garment, Scene, Thing

UNKNOWN = KINDS.index("nothing known")
UNCLEAR_COLOUR = COLOUR_ANSWERS.index("unclear")
UNCLEAR_GARMENT = GARMENT_ANSWERS.index("unclear")
IGNORED = -100
"""A question without an answer; cross-entropy skips it."""

MIXED, BROKEN, STRAY = 0.25, 0.07, 0.10
"""How often a lesson has such a fault."""
CLEAR, UNCLEAR = 0.10, 0.28
"""Up to the one share of something else, a thing is still what it was; from the other on it is unclear what it is."""

Lesson = tuple[np.ndarray, Truth]


def lesson(seed: int, *, whole: bool = False) -> Lesson:
    """A drawn picture (uint8 (128, 128, 3)) and its truth, with a fault now and then unless ``whole``."""
    dice = Dice("lesson", seed)
    scene, draw_seed = roll_scene(dice), dice.below(2**31)
    done = draw(scene, size=SIDE, seed=draw_seed), truth_of(scene, draw_seed)
    if whole:
        return done
    fate = dice.unit()
    if fate < MIXED:
        return _mixed(*done, scene, draw_seed, dice)
    if fate < MIXED + BROKEN:
        return _broken(*done, dice)
    if fate < MIXED + BROKEN + STRAY:
        return _stray(*done, dice)
    return done


def _broken(picture: np.ndarray, truth: Truth, dice: Dice) -> Lesson:
    """One thing loses about half of itself to the background: still something, but nothing that has a name."""
    at = dice.below(len(truth.boxes))
    x, y, side = truth.boxes[at]
    share = dice.between(0.36, 0.6)
    low_x, low_y = max(0, int(x - side / 2) - 2), max(0, int(y - side / 2) - 2)
    high_x, high_y = int(x + side / 2) + 3, int(y + side / 2) + 3
    left, right = int(x + side * (share - 0.5)), int(x - side * (share - 0.5))
    top, bottom = int(y + side * (share - 0.5)), int(y - side * (share - 0.5))
    rows, columns = slice(low_y, high_y), slice(low_x, high_x)
    part, shift = dice.pick(
        (
            ((rows, slice(low_x, left)), (share / 2, 0.0)),
            ((rows, slice(right, high_x)), (-share / 2, 0.0)),
            ((slice(low_y, top), columns), (0.0, share / 2)),
            ((slice(bottom, high_y), columns), (0.0, -share / 2)),
        )
    )
    picture, boxes, names = picture.copy(), truth.boxes.copy(), truth.names.copy()
    # A corner of the canvas is always background: things keep a margin, shadows lie below them.
    picture[part] = picture[0, 0]
    boxes[at] = (x + shift[0] * side, y + shift[1] * side, side * 0.85)
    names[at, 0], names[at, 1:] = UNKNOWN, IGNORED
    return picture, replace(truth, boxes=boxes, names=names)


def _stray(picture: np.ndarray, truth: Truth, dice: Dice) -> Lesson:
    """Something more stands where nothing should: a spot, a bar, or a piece of another picture."""
    picture, size = picture.copy(), dice.between(9, 30)
    width, height = (max(5, int(size * dice.between(0.5, 1.0))) if dice.chance(0.5) else int(size) for _ in range(2))
    for _ in range(20):
        x, y = dice.between(size / 2, SIDE - size / 2), dice.between(size / 2, SIDE - size / 2)
        apart = np.abs(truth.boxes[:, :2] - (x, y)).max(1) - truth.boxes[:, 2] / 2
        if float(apart.min()) > size / 2 + 1:
            break
    else:
        return picture, truth
    left, top = int(x - width / 2), int(y - height / 2)
    spot = picture[top : top + height, left : left + width]
    if dice.chance(0.4):
        other = roll_scene(dice)
        piece = draw(other, size=SIDE, seed=dice.below(2**31))
        # From where a thing is, and on this picture's ground.
        at_x, at_y, side = truth_of(other, 0).boxes[0]
        low_x = min(SIDE - width, max(0, int(at_x + side * dice.between(-0.2, 0.1))))
        low_y = min(SIDE - height, max(0, int(at_y + side * dice.between(-0.2, 0.1))))
        piece = piece[low_y : low_y + height, low_x : low_x + width]
        shows = (np.abs(piece.astype(int) - picture[0, 0]).max(2) > 40) & (piece != piece[0, 0]).any(2)
        if shows.mean() < 0.3:
            return picture, truth
        spot[shows] = piece[shows]
    else:
        colour = np.array([dice.below(256) for _ in range(3)])
        if np.abs(colour - picture[0, 0].astype(int)).max() < 60:
            return picture, truth
        rows, columns = np.mgrid[0:height, 0:width]
        round_ = ((rows + 0.5) / height * 2 - 1) ** 2 + ((columns + 0.5) / width * 2 - 1) ** 2 <= 1
        spot[round_ if dice.chance(0.6) else np.ones_like(round_)] = colour
    box = np.array([[x, y, max(width, height)]], np.float32)
    name = np.full((1, truth.names.shape[1]), IGNORED)
    name[0, 0] = UNKNOWN
    return picture, replace(truth, boxes=np.concatenate((truth.boxes, box)), names=np.concatenate((truth.names, name)))


def _mixed(picture: np.ndarray, truth: Truth, scene: Scene, draw_seed: int, dice: Dice) -> Lesson:
    """Parts of the picture are taken from the same scene with one attribute changed.

    How much of what differs is the other's tells, for each thing, whether it is still the one, the other, or unclear.
    """
    changed, column = _changed(scene, dice)
    other, other_truth = draw(changed, size=SIDE, seed=draw_seed), truth_of(changed, draw_seed)
    mask = _mask(truth, dice)
    differs = (picture != other).any(2)
    mixed = np.where(mask[..., None], other, picture)
    names = truth.names.copy()
    unclear = UNKNOWN if column == 0 else UNCLEAR_COLOUR if column == 1 else UNCLEAR_GARMENT
    for i, (x, y, side) in enumerate(truth.boxes):
        rows = slice(max(0, int(y - side / 2)), int(y + side / 2) + 1)
        columns = slice(max(0, int(x - side / 2)), int(x + side / 2) + 1)
        area = differs[rows, columns]
        if not area.any() or names[i, column] == other_truth.names[i, column]:
            continue
        share = float(mask[rows, columns][area].mean())
        if share > 1 - CLEAR:
            names[i, column] = other_truth.names[i, column]
        elif share > CLEAR:
            names[i, column] = unclear if UNCLEAR < share < 1 - UNCLEAR else IGNORED
    return mixed, replace(truth, names=names)


def _changed(scene: Scene, dice: Dice) -> tuple[Scene, int]:
    """``scene`` with one attribute of one thing changed, and the column of ``Truth.names`` that tells it.

    Kinds stay things or animals and colours stay said or unsaid, so that the drawer's dice fall as before.
    """
    at = dice.below(len(scene.things))
    thing = scene.things[at]
    column = dice.pick((2, 2, 3, 3, 4, 5, 0)) if thing.garments else dice.below(2)
    if column == 1 and thing.colour is None:
        column = 0
    if column == 0:
        sort = THINGS if thing.kind in THINGS else ANIMALS
        new = replace(thing, kind=dice.pick([kind for kind in sort if kind != thing.kind]))
    elif column == 1:
        new = replace(thing, colour=dice.pick([colour for colour in COLOURS if colour != thing.colour]))
    else:
        new, column = _redressed(thing, dice)
    things = scene.things[:at] + (new,) + scene.things[at + 1 :]
    return replace(scene, things=things), column


def _redressed(thing: Thing, dice: Dice) -> tuple[Thing, int]:
    """Another colour for one garment, or one garment more or less."""
    kind = dice.pick(GARMENTS)
    worn = {garment.kind: garment.colour for garment in thing.garments}
    if kind in worn and (len(worn) == 1 or dice.chance(0.75)):
        worn[kind] = dice.pick([colour for colour in COLOURS if colour != worn[kind]])
    elif kind in worn:
        del worn[kind]
    else:
        worn[kind] = dice.pick(COLOURS)
    garments = tuple(Garment(name, colour) for name, colour in worn.items())
    return replace(thing, garments=garments), 2 + GARMENTS.index(kind)


def _mask(truth: Truth, dice: Dice) -> np.ndarray:
    """Which pixels (128, 128) come from the other picture: a side, patches, or a round part of a thing."""
    x, y, side = truth.boxes[dice.below(len(truth.boxes))]
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    way = dice.below(4)
    if way == 0:
        return (columns > x + side * dice.between(-0.25, 0.25)) ^ dice.chance(0.5)
    if way == 1:
        return (rows > y + side * dice.between(-0.35, 0.35)) ^ dice.chance(0.5)
    if way == 2:
        patch = dice.pick((8, 16, 32))
        cells, share = SIDE // patch, dice.between(0.2, 0.8)
        chosen = np.array([dice.chance(share) for _ in range(cells * cells)]).reshape(cells, cells)
        return np.kron(chosen, np.ones((patch, patch), bool))
    middle_x, middle_y = x + side * dice.between(-0.4, 0.4), y + side * dice.between(-0.4, 0.4)
    reach = side * dice.between(0.15, 0.4)
    return (columns - middle_x) ** 2 + (rows - middle_y) ** 2 < reach**2
