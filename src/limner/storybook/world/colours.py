"""The palette: one entry per colour, with its name in both languages and the shades it is drawn in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

RGB = tuple[int, int, int]

INK: RGB = (70, 54, 66)
"""Outlines, eyes and mouths: a soft dark plum, so that black and white things both have an edge."""

CREAM: RGB = (255, 245, 222)
"""Sails, windows and the whites of things whose colour is said elsewhere."""

BLUSH: RGB = (244, 150, 150)
WOOD: RGB = (158, 112, 74)


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour that captions can say: its value (sRGB) and its Chinese name (without 的)."""

    rgb: RGB
    chinese: str


COLOURS: dict[str, Colour] = {
    "red": Colour((220, 40, 44), "红色"),
    "orange": Colour((250, 140, 24), "橙色"),
    "yellow": Colour((254, 220, 50), "黄色"),
    "green": Colour((58, 166, 76), "绿色"),
    "blue": Colour((44, 104, 216), "蓝色"),
    "purple": Colour((132, 62, 188), "紫色"),
    "pink": Colour((255, 152, 196), "粉色"),
    "brown": Colour((128, 80, 46), "棕色"),
    "black": Colour((48, 46, 52), "黑色"),
    "white": Colour((250, 250, 250), "白色"),
}

BACKGROUNDS: dict[str, Colour] = {
    "white": Colour((255, 255, 255), "白色"),
    "grey": Colour((212, 212, 216), "灰色"),
    "light blue": Colour((200, 228, 252), "浅蓝色"),
    "light green": Colour((206, 240, 204), "浅绿色"),
    "light yellow": Colour((255, 246, 194), "浅黄色"),
    "light pink": Colour((255, 222, 232), "浅粉色"),
}


class Tone(NamedTuple):
    """One colour in the three shades a thing is modelled with."""

    main: RGB
    light: RGB
    dark: RGB


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """``a`` with ``share`` (0–1) of ``b`` in it."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


@cache
def tone(rgb: RGB) -> Tone:
    """A colour's shades: close enough to it that no shade can be taken for another of the ten colours."""
    if min(rgb) > 225:  # white is modelled by cool greys, as nothing is lighter
        return Tone(rgb, (255, 255, 255), mix(rgb, (150, 156, 184), 0.34))
    if max(rgb) < 70:  # black is modelled by its highlights
        return Tone(rgb, mix(rgb, (160, 160, 184), 0.30), mix(rgb, (0, 0, 0), 0.35))
    return Tone(rgb, mix(rgb, (255, 255, 255), 0.24), mix(rgb, INK, 0.26))


def luminance(rgb: RGB) -> float:
    """Perceived lightness, 0–255."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
