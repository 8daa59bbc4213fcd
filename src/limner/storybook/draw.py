"""A scene becomes a picture: vector drawing, anti-aliased, any size, the same for the same scene and seed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limner.errors import InputError, expected
from limner.storybook.dice import Dice
from limner.storybook.place import FEET, Box, place
from limner.storybook.scene import CHARACTERS, LOWER_STYLES, SENSES, Scene, Thing
from limner.storybook.world.body import Pose
from limner.storybook.world.brush import Brush
from limner.storybook.world.character import draw_character
from limner.storybook.world.colours import BACKGROUNDS, COLOURS, INK, mix, tone
from limner.storybook.world.settings import SETTINGS
from limner.storybook.world.shapes import SHAPES, draw_in_shape
from limner.storybook.world.styles import STYLES, Style
from limner.storybook.world.textures import TEXTURES
from limner.storybook.world.things import THING_KINDS

SMALLEST, LARGEST = 8, 4096
_COLOUR_NAMES = tuple(COLOURS)
_BACKGROUND_NAMES = tuple(BACKGROUNDS)
_CHARACTERS = frozenset(CHARACTERS)
_PAPER = "white"
_ARMS = (-0.03, 0.01, 0.05)
"""How arms are held."""
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing as it will be drawn, nothing left open.

    ``colour`` is None in a character's natural fur and where a texture or a shape has colours of its own; ``dyes`` are
    the garments' colours. ``grounded``: a shadow lies under it. ``style`` is that of a lower panel.
    """

    thing: Thing
    box: Box
    colour: str | None
    dyes: tuple[str, ...]
    flip: bool
    pose: Pose
    grounded: bool = True
    upside_down: bool = False
    from_behind: bool = False
    style: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """All that a drawing decides, the said and the unsaid; ``figures`` in the order of ``place``."""

    background: str
    figures: tuple[Figure, ...]


def layout(scene: Scene, seed: int = 0) -> Layout:
    """What ``draw`` will draw: places, sizes, background, unsaid colours."""
    dice = Dice("draw", seed)
    background = scene.background
    if background is None:
        plain = scene.style or scene.panel or dice.chance(0.7)
        background = _PAPER if plain else dice.pick(_BACKGROUND_NAMES[1:])
    boxes = place(scene, dice)
    taken: list[str] = [thing.colour for thing in scene.things if thing.colour]
    meant = [_decided(thing, dice, taken) for thing in scene.things]
    if scene.family == "collection":
        meant = [meant[0]] * (len(boxes) - 1) + [meant[1]]
    elif scene.count > 1 or scene.panel:
        meant = meant * len(boxes)
    figures: list[Figure] = []
    for number, ((thing, colour, dyes), box) in enumerate(zip(meant, boxes, strict=True)):
        pose = Pose(dice.pick(_ARMS), dice.pick(_ARMS))
        flip = dice.chance(0.5) and thing.kind in _CHARACTERS
        if scene.panel and number:  # the exact same thing again
            pose, flip = figures[0].pose, figures[0].flip
        figures.append(
            Figure(
                thing,
                box,
                colour,
                dyes,
                flip,
                pose,
                grounded=_grounded(scene, number, len(boxes)),
                upside_down=scene.view == "upside down" or bool(number and scene.panel == "upside down"),
                from_behind=scene.view == "from behind",
                style=LOWER_STYLES.get(scene.panel) if scene.panel and number else None,
            )
        )
    return Layout(background, tuple(figures))


def _decided(thing: Thing, dice: Dice, taken: list[str]) -> tuple[Thing, str | None, tuple[str, ...]]:
    """The thing in one of its senses, its colour, and its garments' colours; unsaid colours are unlike the said."""
    if thing.kind in SENSES:
        thing = replace(thing, kind=dice.pick(SENSES[thing.kind]))
    colour = thing.colour
    if thing.in_own_colour:
        colour = None
    elif colour is None and thing.kind not in _CHARACTERS and not thing.texture and not thing.shape:
        colour = dice.pick([name for name in _COLOUR_NAMES if name not in taken])
        taken.append(colour)
    worn = [garment.colour for garment in thing.garments if garment.colour]
    dyes = tuple(
        garment.colour or dice.pick([name for name in _COLOUR_NAMES if name not in worn]) for garment in thing.garments
    )
    return thing, colour, dyes


def _grounded(scene: Scene, number: int, count: int) -> bool:
    """Whether figure ``number`` has a shadow: what stands on something, is inside of it or turned over has none."""
    if scene.view or scene.style in ("sketch", "emoji"):
        return False
    if scene.family == "stack":
        return number == count - 1
    if scene.family == "collection":
        return number == count - 1
    if scene.relation in ("on", "inside"):
        return number == 1
    return not (scene.panel and number)


def draw(scene: Scene, *, size: int = 128, seed: int = 0) -> np.ndarray:
    """Draws a scene.

    ``size``: side of the square picture in pixels, 8–4096. ``seed``: decides what the scene leaves unsaid.
    Returns uint8 (size, size, 3), sRGB. Raises InputError for sizes out of range.
    """
    if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise InputError(expected("size of a drawing", f"a whole number from {SMALLEST} to {LARGEST}", size))
    plan = layout(scene, seed)
    style = STYLES[scene.style] if scene.style else None
    if not scene.panel:
        return _paint(scene, plan.background, plan.figures, style, size, seed)
    # Two panels are the halves of two pictures, each drawn whole.
    upper, *lower = plan.figures
    picture = _paint(scene, plan.background, (upper,), None, size, seed)
    below = STYLES[LOWER_STYLES[scene.panel]].below() if scene.panel in LOWER_STYLES else None
    picture[size // 2 :] = _paint(scene, plan.background, tuple(lower), below, size, seed, size // 2)
    return picture


def _paint(
    scene: Scene,
    background: str,
    figures: tuple[Figure, ...],
    style: Style | None,
    size: int,
    seed: int,
    start: int = 0,
) -> np.ndarray:
    """The figures on their background in one style: the picture's rows from ``start`` on."""
    pixels, canvas, brush = _surface(size)
    setting = SETTINGS.get(background)
    rgb = setting.rgb if setting else BACKGROUNDS[background].rgb
    if style:
        rgb = style.ground(rgb)
        style.dress(brush)
    canvas.clear(brush.colour(rgb))
    if setting:
        setting.draw(brush)
    if style:
        style.scenery(brush)
    shadow = mix(rgb, INK, 0.10)
    for figure in _from_behind_forward(scene, figures):
        _draw_figure(brush, figure, shadow)
    if scene.relation == "inside":
        _draw_wall(brush, figures[-1])
    if style:
        style.undress(brush)
    picture = np.empty((size - start, size, 3), np.uint8)
    for channel in range(3):  # seven times as fast as copying pixels[..., :3]
        picture[..., channel] = pixels[start:, :, channel]
    return style.after(picture, Dice("style", seed)) if style else picture


def _from_behind_forward(scene: Scene, figures: tuple[Figure, ...]) -> tuple[Figure, ...]:
    """The figures in the order in which they are drawn: what is stood on, or covered, comes first."""
    if scene.relation in ("on", "inside") or scene.family == "stack":
        return figures[::-1]
    return figures


def _draw_figure(brush: Brush, figure: Figure, shadow: tuple[int, int, int]) -> None:
    thing, box = figure.thing, figure.box
    brush.enter(box.x, box.y, box.side, figure.flip, figure.upside_down)
    if figure.grounded:
        brush.oval(0, FEET, 0.34, 0.035, shadow)
    if thing.kind in _CHARACTERS:
        draw_character(brush, thing, figure.colour, figure.pose, figure.dyes, figure.from_behind)
    else:
        _draw_thing(brush, thing, figure.colour)
    brush.leave()


def _draw_thing(brush: Brush, thing: Thing, colour: str | None) -> None:
    kind = THING_KINDS[thing.kind]
    if thing.shape:
        assert kind.host is not None
        draw_in_shape(brush, kind.host, SHAPES[thing.shape], tone(COLOURS[colour].rgb) if colour else None)
    elif thing.texture:
        texture = TEXTURES[thing.texture]
        shades = tone(COLOURS[colour].rgb if colour else texture.natural)
        with brush.covered(texture.cover, shades):
            kind.draw(brush, shades)
    else:
        kind.draw(brush, tone(COLOURS[colour or "white"].rgb))


def _draw_wall(brush: Brush, figure: Figure) -> None:
    """The front wall of a container again, over what is inside."""
    front = THING_KINDS[figure.thing.kind].front
    if front is None:
        return
    brush.enter(figure.box.x, figure.box.y, figure.box.side)
    front(brush, tone(COLOURS[figure.colour or "white"].rgb))
    brush.leave()


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
