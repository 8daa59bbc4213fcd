"""The styles a picture can be drawn in: one entry each. A new one is one more entry.

A style is a medium for the brush, a ground, perhaps a backdrop and a rim around all things, and what is done to the
pixels in the end. Without a style a picture is flat colours in ink outlines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from limner.storybook.dice import Dice
from limner.storybook.world.brush import Brush, Medium, Tile
from limner.storybook.world.colours import INK, RGB, luminance, mix
from limner.storybook.world.words import Phrases

Pixels = np.ndarray
_WHITE: RGB = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Style:
    """How a picture is drawn: its words, and in the order of drawing what makes the style.

    ``ground``: a background's colour as this style has it. ``place``: the medium for settings, None for ``medium``.
    ``backdrop``: drawn in the unit box before the things. ``rim``: width (shares of the canvas) of a white rim around
    all things, as stickers have it, 0 for none. ``finish``: (pixels uint8 (H, W, 3)) → pixels of the same shape.
    ``lower``: the medium where a lower panel shows the upper one's thing, smaller; None for ``medium``.
    """

    words: Phrases
    medium: Medium
    ground: Callable[[RGB], RGB]
    place: Medium | None = None
    backdrop: Callable[[Brush], None] | None = None
    rim: float = 0.0
    finish: Callable[[Pixels], Pixels] | None = None
    lower: Medium | None = None

    def below(self) -> Style:
        """The style as a lower panel has it."""
        return replace(self, medium=self.lower or self.medium)

    def dress(self, brush: Brush) -> None:
        """First of all: a setting, and all that follows, is drawn in this style."""
        brush.use(self.place or self.medium)

    def scenery(self, brush: Brush) -> None:
        """After a setting, before the things."""
        if self.backdrop is not None:
            brush.use(None)
            brush.enter(0.5, 0.5, 1.0)
            self.backdrop(brush)
            brush.leave()
        brush.use(self.medium)
        if self.rim:
            brush.begin_sticker()

    def undress(self, brush: Brush) -> None:
        """After the things."""
        if self.rim:
            brush.end_sticker(self.rim, 178)
        brush.use(None)

    def after(self, pixels: Pixels, dice: Dice) -> Pixels:
        """The finished picture from the drawn one, uint8 (H, W, 3)."""
        return pixels if self.finish is None else self.finish(pixels)


# --- noise: fixed fields, one for a size, that grain and bleeding are taken from -------------------------------------

_REPEATS = 8
"""How often noise repeats along a side: a tokenizer's codes, sixteen in a row, then see few kinds of it."""


@cache
def _noise(size: int, cells: int, seed: int, repeats: int = _REPEATS) -> np.ndarray:
    """Smooth noise, float32 (size, size) in about [−1, 1]: random values on a grid, between them smooth curves."""
    period = max(1, cells // repeats)
    values = np.random.RandomState(seed).uniform(-1, 1, (period, period))  # a stream that NumPy keeps as it is
    again = np.arange(cells + 1) % period
    values = values[again[:, None], again]
    at = np.arange(size) * cells / size
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = values[low] * (1 - part)[:, None] + values[low + 1] * part[:, None]
    return np.asarray(rows[:, low] * (1 - part) + rows[:, low + 1] * part, np.float32)


def _grained(pixels: Pixels, gain: np.ndarray) -> Pixels:
    """Pixels (H, W, 3) times the upper left of a field (S, S), clipped."""
    return np.minimum(pixels * gain[: pixels.shape[0], : pixels.shape[1], None], 255).astype(np.uint8)


# --- sketch ----------------------------------------------------------------------------------------------------------

_LEAD: RGB = (72, 72, 80)


def _strokes(brush: Brush, colour: RGB) -> None:
    brush.stripe("M -0.6 0.1 L 0.1 -0.6 M -0.1 0.6 L 0.6 -0.1", 0.11, mix(colour, (60, 60, 66), 0.35))
    brush.stripe("M -0.5 0.5 L 0.5 -0.5", 0.11, mix(colour, (60, 60, 66), 0.3))


def _pencil(colour: RGB) -> RGB | tuple[Tile, RGB]:
    if colour == INK:
        return _LEAD
    light = luminance(colour)
    if light > 170:
        return (253, 253, 252)
    return _HATCH, (246, 246, 246) if light > 105 else (222, 222, 224) if light > 60 else (170, 170, 176)


_HATCH = Tile(_strokes, 1 / 16, fixed=True)


def _paper(pixels: Pixels) -> Pixels:
    return _grained(pixels, _grain(pixels.shape[1]))


@cache
def _grain(size: int) -> np.ndarray:
    return 0.988 + 0.014 * _noise(size, min(64, size), 7)


# --- emoji -----------------------------------------------------------------------------------------------------------


def _gloss(brush: Brush, colour: RGB) -> None:
    for i in range(16):
        y = -0.5 + i / 16
        shade = mix(mix(colour, _WHITE, 0.34), mix(colour, INK, 0.10), i / 15)
        brush.patch(f"M -0.5 {y} L 0.5 {y} L 0.5 {y + 0.0626} L -0.5 {y + 0.0626} Z", shade)


_GLOSS = Tile(_gloss, 1.0)


def _glossy(colour: RGB) -> RGB | tuple[Tile, RGB]:
    return colour if colour == INK else (_GLOSS, colour)


def _own_edge(colour: RGB) -> RGB:
    return mix(colour, (190, 190, 214), 0.35) if max(colour) < 80 else mix(colour, INK, 0.34)


# --- pixel art -------------------------------------------------------------------------------------------------------


_GRID = 32
"""Squares along a picture's side, about: a square is a whole number of pixels wide."""


def _blocks(pixels: Pixels) -> Pixels:
    """One colour, of a few, for each square: that of its middle."""
    height, width = pixels.shape[:2]
    square = max(1, round(width / _GRID - 0.1))
    rows, columns = ((np.arange(side) // square * square + square // 2).clip(max=side - 1) for side in (height, width))
    return np.asarray(_LEVELS[pixels[rows[:, None], columns]])


_LEVELS = ((np.arange(256) + 8) // 17 * 17).clip(0, 255).astype(np.uint8)


# --- watercolour -----------------------------------------------------------------------------------------------------

_PAPER: RGB = (254, 252, 246)


def _wash(brush: Brush, colour: RGB) -> None:
    brush.oval(-0.2, -0.25, 0.34, 0.26, mix(colour, _PAPER, 0.26))
    brush.oval(0.28, 0.22, 0.30, 0.24, mix(colour, _PAPER, 0.17))
    brush.oval(0.30, -0.32, 0.16, 0.14, mix(colour, INK, 0.05))
    brush.oval(-0.26, 0.30, 0.2, 0.15, mix(colour, INK, 0.05))


_WASH = Tile(_wash, 0.5, 0.94)


def _watered(colour: RGB) -> RGB | tuple[Tile, RGB]:
    return mix(INK, _PAPER, 0.12) if colour == INK else (_WASH, mix(colour, _PAPER, 0.14))


def _bleed(pixels: Pixels) -> Pixels:
    """Edges stray, pigment gathers in the paper's grain."""
    height, width = pixels.shape[:2]
    where, gain = _bleeding(height, width)
    return _grained(np.take(pixels.reshape(-1, 3), where, axis=0).reshape(pixels.shape), gain)


@cache
def _bleeding(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    reach, cells, fine = 0.012 * width, min(16, width), min(width, 56)
    dx = reach * (_noise(width, cells, 1) + 0.4 * _noise(width, fine, 3))[:height]
    dy = reach * (_noise(width, cells, 2) + 0.4 * _noise(width, fine, 4))[:height]
    y = np.clip(np.rint(np.arange(height)[:, None] + dy), 0, height - 1).astype(int)
    x = np.clip(np.rint(np.arange(width)[None, :] + dx), 0, width - 1).astype(int)
    gain = 0.99 + 0.02 * _noise(width, min(width, 16), 5) + 0.022 * _noise(width, min(width, 88), 6)
    return (y * width + x).ravel(), gain


# --- night -----------------------------------------------------------------------------------------------------------

_DARK: RGB = (22, 26, 66)


def _moonlit(colour: RGB) -> RGB:
    red, green, blue = colour
    return min(255, round(red * 0.58 + 6)), min(255, round(green * 0.60 + 8)), min(255, round(blue * 0.70 + 30))


def _far(colour: RGB) -> RGB:
    """A setting's colour at night, darker than a thing's."""
    return mix((26, 32, 84), _moonlit(colour), 0.34)


def _night_ground(colour: RGB) -> RGB:
    return mix((30, 38, 94), _moonlit(colour), 0.10)


def _moon_and_stars(brush: Brush) -> None:
    brush.patch(
        "M 0.33 -0.455 C 0.41 -0.47 0.465 -0.41 0.455 -0.34 C 0.445 -0.27 0.36 -0.235 0.295 -0.28 "
        "C 0.39 -0.285 0.41 -0.39 0.33 -0.455 Z",
        (255, 240, 176),
    )
    for star in _STAR_PATHS:
        brush.patch(star, (255, 246, 206))


_STARS = (
    (-0.42, -0.40, 0.05),
    (-0.18, -0.45, 0.034),
    (0.12, -0.41, 0.044),
    (-0.45, -0.12, 0.034),
    (0.44, -0.10, 0.044),
    (-0.43, 0.2, 0.044),
    (0.45, 0.24, 0.034),
    (-0.36, 0.44, 0.034),
    (0.34, 0.45, 0.044),
)


_STAR_PATHS = tuple(
    f"M {x} {y - r} Q {x} {y} {x + r} {y} Q {x} {y} {x} {y + r} Q {x} {y} {x - r} {y} Q {x} {y} {x} {y - r} Z"
    for x, y, r in _STARS
)


# --- crayon ----------------------------------------------------------------------------------------------------------


def _wax(brush: Brush, colour: RGB) -> None:
    gap = mix(colour, _WHITE, 0.44 + 0.22 * (1 - luminance(colour) / 255)) if min(colour) < 225 else (222, 224, 232)
    brush.stripe("M -0.7 0.7 L 0.7 -0.7", 0.30, gap)
    brush.stripe("M -0.7 0.06 L 0.06 -0.7 M -0.06 0.7 L 0.7 -0.06", 0.09, mix(colour, INK, 0.16))


_WAX = Tile(_wax, 1 / 8, fixed=True)


def _waxed(colour: RGB) -> RGB | tuple[Tile, RGB]:
    return colour if colour == INK else (_WAX, colour)


def _pitted(pixels: Pixels) -> Pixels:
    """Wax leaves the paper's pits white."""
    pits = _pits(pixels.shape[1])[: pixels.shape[0], :, None]
    return np.asarray((pixels + (255 - pixels.astype(np.float32)) * pits).astype(np.uint8))


@cache
def _pits(size: int) -> np.ndarray:
    return np.asarray(np.maximum(_noise(size, min(size, 80), 8, 2 * _REPEATS) - 0.3, 0) * 0.5)


_SQUARES = Medium(lambda c: c, lambda c: INK, least=1.1 / _GRID)

STYLES: dict[str, Style] = {
    "sketch": Style(
        Phrases(
            ("a sketch of {}", "a pencil sketch of {}", "{} as a sketch"), ("{}的素描", "{}的铅笔素描", "一幅{}的素描")
        ),
        Medium(_pencil, lambda c: _LEAD, width=0.75, wobble=0.006, twice=True, fixed=True),
        lambda c: _WHITE,
        finish=_paper,
    ),
    "emoji": Style(
        Phrases(("an emoji of {}", "{} as an emoji"), ("{}的表情符号", "{}表情")),
        Medium(_glossy, _own_edge, width=0.7),
        lambda c: c,
        rim=0.03,
    ),
    "pixel art": Style(
        Phrases(("pixel art of {}", "{} as pixel art", "a pixel art picture of {}"), ("{}的像素画", "一幅{}的像素画")),
        _SQUARES,
        lambda c: c,
        finish=_blocks,
        lower=replace(_SQUARES, least=0.55 / _GRID),
    ),
    "watercolour": Style(
        Phrases(
            ("a watercolour of {}", "a watercolour painting of {}", "{} in watercolour"),
            ("{}的水彩画", "一幅{}的水彩画"),
        ),
        Medium(_watered, lambda c: mix(mix(c, _PAPER, 0.1), INK, 0.22), width=0.6),
        lambda c: _PAPER if c == _WHITE else mix(_PAPER, c, 0.6),
        finish=_bleed,
    ),
    "night": Style(
        Phrases(("{} at night", "a picture of {} at night"), ("夜晚的{}", "夜里的{}", "{}的夜景")),
        Medium(_moonlit, lambda c: _DARK),
        _night_ground,
        place=Medium(_far, lambda c: _DARK),
        backdrop=_moon_and_stars,
    ),
    "crayon": Style(
        Phrases(("a crayon drawing of {}", "{} drawn in crayon"), ("{}的蜡笔画", "一幅{}的蜡笔画")),
        Medium(_waxed, lambda c: mix(c, INK, 0.6) if max(c) >= 80 else INK, width=1.7, wobble=0.007, fixed=True),
        lambda c: c,
        finish=_pitted,
    ),
}
