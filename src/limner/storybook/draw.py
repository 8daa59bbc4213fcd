"""A scene becomes a picture: vector drawing, anti-aliased, any size, the same for the same scene and seed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.errors import InputError, expected
from limner.storybook.dice import Dice
from limner.storybook.place import Box, place
from limner.storybook.scene import Scene, Thing
from limner.storybook.world.animals import ANIMAL_KINDS, AnimalKind
from limner.storybook.world.body import Pose, draw_body, dyed
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import BACKGROUNDS, COLOURS, INK, mix, tone
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.things import THING_KINDS

SMALLEST, LARGEST = 8, 4096
_COLOUR_NAMES = tuple(COLOURS)
_BACKGROUND_NAMES = tuple(BACKGROUNDS)
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Layout:
    """All that a drawing decides: the said and the unsaid. ``boxes`` and ``colours`` have one entry per drawn thing;
    a colour is None for an animal in its natural fur."""

    background: str
    boxes: tuple[Box, ...]
    colours: tuple[str | None, ...]
    flips: tuple[bool, ...]
    poses: tuple[Pose, ...]


def layout(scene: Scene, seed: int = 0) -> Layout:
    """What ``draw`` will draw: places, sizes, background, unsaid colours."""
    dice = Dice("draw", seed)
    background = scene.background
    if background is None:
        background = "white" if dice.chance(0.7) else dice.pick(_BACKGROUND_NAMES[1:])
    boxes = place(scene, dice)
    colours: list[str | None] = []
    for thing in scene.things:
        if thing.colour is None and thing.kind in THING_KINDS:
            colours.append(dice.pick([name for name in _COLOUR_NAMES if name not in colours]))
        else:
            colours.append(thing.colour)
    if scene.count > 1:
        colours = colours * scene.count
    flips = tuple(dice.chance(0.5) for _ in boxes)
    poses = tuple(Pose(dice.between(-0.04, 0.06), dice.between(-0.04, 0.06)) for _ in boxes)
    return Layout(background, boxes, tuple(colours), flips, poses)


def draw(scene: Scene, *, size: int = 128, seed: int = 0) -> np.ndarray:
    """Draws a scene.

    ``size``: side of the square picture in pixels, 8–4096. ``seed``: decides what the scene leaves unsaid.
    Returns uint8 (size, size, 3), sRGB. Raises InputError for sizes out of range.
    """
    if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise InputError(expected("size of a drawing", f"a whole number from {SMALLEST} to {LARGEST}", size))
    plan = layout(scene, seed)
    pixels, canvas, brush = _surface(size)
    canvas.clear(brush.colour(BACKGROUNDS[plan.background].rgb))
    shadow = mix(BACKGROUNDS[plan.background].rgb, INK, 0.10)
    things = scene.things * scene.count if scene.count > 1 else scene.things
    for thing, box, colour, flip, pose in zip(things, plan.boxes, plan.colours, plan.flips, plan.poses):
        animal = ANIMAL_KINDS.get(thing.kind)
        brush.enter(box.x, box.y, box.side, flip and animal is not None)
        brush.oval(0, 0.465, 0.34, 0.035, shadow)
        if animal is None:
            kind = THING_KINDS[thing.kind]
            kind.draw(brush, tone(COLOURS[colour or "white"].rgb))
        else:
            _draw_animal(brush, thing, animal, colour, pose)
        brush.leave()
    picture = np.empty((size, size, 3), np.uint8)
    for channel in range(3):  # seven times as fast as copying pixels[..., :3]
        picture[..., channel] = pixels[..., channel]
    return picture


def _draw_animal(brush: Brush, thing: Thing, animal: AnimalKind, colour: str | None, pose: Pose) -> None:
    fur = animal.fur if colour is None else dyed(COLOURS[colour].rgb, animal.fur)
    frame = animal.frame
    wardrobe = sorted(((GARMENT_KINDS[worn.kind], worn.colour) for worn in thing.garments), key=lambda g: g[0].layer)
    animal.behind(brush, frame, fur)
    draw_body(brush, frame, fur, pose)
    for kind, dye in wardrobe:
        if kind.layer < 10:
            kind.draw(brush, frame, pose, tone(COLOURS[dye].rgb))
    brush.blob(0, frame.head_y, frame.head_rx, frame.head_ry, fur.coat)
    animal.face(brush, frame, fur)
    for kind, dye in wardrobe:
        if kind.layer >= 10:
            kind.draw(brush, frame, pose, tone(COLOURS[dye].rgb))


def _surface(size: int) -> tuple[np.ndarray, Any, Brush]:
    """This thread's pixels, canvas and brush of a size; the last few sizes are kept."""
    import skia

    kept = _own.__dict__.setdefault("kept", {})
    if size not in kept:
        if len(kept) >= 4:
            kept.clear()
        pixels = np.zeros((size, size, 4), np.uint8)
        info = skia.ImageInfo.Make(size, size, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRasterDirect(info, pixels)
        canvas = surface.getCanvas()
        kept[size] = (pixels, canvas, Brush(canvas, size), surface)
    return kept[size][:3]
