"""What is out of doors: house, tree, flower, boat, car."""

from __future__ import annotations

from math import cos, pi, sin

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import CREAM, RGB, WOOD, Tone
from limner.storybook.world.thing_kind import ThingKind
from limner.storybook.world.words import Noun

_LEAF: RGB = (92, 172, 92)
_PANE: RGB = (206, 232, 248)


def _house(brush: Brush, colour: Tone) -> None:
    brush.shape("M 0.17 -0.42 L 0.30 -0.42 L 0.30 -0.12 L 0.17 -0.22 Z", colour.dark)
    brush.shape("M -0.36 -0.10 L 0.36 -0.10 L 0.36 0.46 L -0.36 0.46 Z", colour.main)
    brush.shape(
        "M -0.47 -0.06 Q -0.49 -0.09 -0.46 -0.12 L -0.03 -0.46 Q 0 -0.48 0.03 -0.46 "
        "L 0.46 -0.12 Q 0.49 -0.09 0.47 -0.06 Z",
        colour.dark,
    )
    brush.shape("M -0.23 0.46 L -0.23 0.21 Q -0.23 0.11 -0.13 0.11 Q -0.03 0.11 -0.03 0.21 L -0.03 0.46 Z", CREAM)
    brush.shape("M 0.08 0.07 L 0.27 0.07 L 0.27 0.25 L 0.08 0.25 Z", CREAM)
    brush.edge("M 0.175 0.07 L 0.175 0.25 M 0.08 0.16 L 0.27 0.16", 0.6)


_CROWN = (
    "M -0.20 0.20 C -0.40 0.22 -0.47 0.05 -0.37 -0.07 C -0.47 -0.21 -0.35 -0.35 -0.22 -0.33 "
    "C -0.17 -0.51 0.17 -0.51 0.22 -0.33 C 0.35 -0.35 0.47 -0.21 0.37 -0.07 C 0.47 0.05 0.40 0.22 0.20 0.20 "
    "C 0.12 0.27 -0.12 0.27 -0.20 0.20 Z"
)


def _tree(brush: Brush, colour: Tone) -> None:
    brush.shape(
        "M -0.075 0.12 L 0.075 0.12 L 0.085 0.40 Q 0.09 0.46 0.15 0.48 L -0.15 0.48 Q -0.09 0.46 -0.085 0.40 Z", WOOD
    )
    brush.patch(_CROWN, colour.main)
    brush.patch(
        "M 0.37 -0.07 C 0.47 0.05 0.40 0.22 0.20 0.20 C 0.12 0.27 -0.12 0.27 -0.20 0.20 "
        "C -0.33 0.22 -0.40 0.16 -0.41 0.09 C -0.28 0.14 -0.18 0.12 -0.10 0.09 C 0.08 0.17 0.28 0.10 0.37 -0.07 Z",
        colour.dark,
    )
    brush.oval(-0.10, -0.25, 0.11, 0.075, colour.light)
    brush.oval(-0.25, -0.15, 0.05, 0.045, colour.light)
    brush.edge(_CROWN)


_PETALS = tuple((sin(2 * pi * i / 6), -cos(2 * pi * i / 6)) for i in range(6))


def draw_blossom(brush: Brush, colour: Tone, y: float, size: float) -> None:
    """Six petals round a middle at height ``y``, ``size`` from the middle to the petals' centres."""
    for px, py in _PETALS:
        brush.blob(px * size, y + py * size, size * 0.62, size * 0.62, colour.main)
    for px, py in _PETALS:
        brush.oval(px * size * 0.72, y + py * size * 0.72, size * 0.36, size * 0.36, colour.dark)
    warm = colour.main[0] > 240 and colour.main[1] > 120 and colour.main[2] < 90
    brush.blob(0, y, size * 0.6, size * 0.6, (140, 88, 52) if warm else (250, 202, 70))


def _flower(brush: Brush, colour: Tone) -> None:
    brush.band("M 0 -0.05 Q 0.03 0.22 0 0.46", 0.07, _LEAF)
    brush.shape("M 0.02 0.34 Q 0.08 0.14 0.30 0.16 Q 0.28 0.36 0.02 0.36 Z", _LEAF)
    brush.shape("M 0 0.40 Q -0.08 0.22 -0.28 0.26 Q -0.24 0.44 0 0.42 Z", _LEAF)
    draw_blossom(brush, colour, -0.18, 0.195)


_HULL = "M -0.48 0.07 L 0.48 0.07 Q 0.45 0.46 0.24 0.46 L -0.24 0.46 Q -0.45 0.46 -0.48 0.07 Z"


def _hull(brush: Brush, colour: Tone) -> None:
    brush.patch(_HULL, colour.main)
    brush.patch(
        "M -0.425 0.30 L 0.425 0.30 Q 0.365 0.46 0.24 0.46 L -0.24 0.46 Q -0.365 0.46 -0.425 0.30 Z", colour.dark
    )
    brush.patch("M -0.465 0.09 L 0.465 0.09 L 0.462 0.13 L -0.462 0.13 Z", colour.light)
    brush.edge(_HULL)


def _boat(brush: Brush, colour: Tone) -> None:
    brush.edge("M -0.02 -0.46 L -0.02 0.07", 1.6)
    brush.shape("M -0.02 -0.47 L 0.15 -0.415 L -0.02 -0.36 Z", colour.main)
    brush.shape("M 0.035 -0.31 Q 0.31 -0.19 0.34 -0.01 L 0.035 -0.01 Z", CREAM)
    brush.shape("M -0.075 -0.27 Q -0.27 -0.15 -0.30 -0.01 L -0.075 -0.01 Z", CREAM)
    _hull(brush, colour)


_BODY = (
    "M -0.48 0.10 Q -0.48 0.02 -0.40 0.01 L -0.30 0.0 L -0.20 -0.20 Q -0.17 -0.26 -0.10 -0.26 L 0.13 -0.26 "
    "Q 0.19 -0.26 0.23 -0.20 L 0.33 0.0 Q 0.48 0.02 0.48 0.12 L 0.48 0.27 Q 0.48 0.33 0.42 0.33 L -0.42 0.33 "
    "Q -0.48 0.33 -0.48 0.27 Z"
)


def _car(brush: Brush, colour: Tone) -> None:
    brush.patch(_BODY, colour.main)
    brush.patch(
        "M -0.48 0.20 L 0.48 0.20 L 0.48 0.27 Q 0.48 0.33 0.42 0.33 L -0.42 0.33 Q -0.48 0.33 -0.48 0.27 Z", colour.dark
    )
    brush.edge(_BODY)
    brush.shape("M -0.20 0.0 L -0.13 -0.15 Q -0.12 -0.18 -0.09 -0.18 L -0.01 -0.18 L -0.01 0.0 Z", _PANE)
    brush.shape("M 0.055 -0.18 L 0.11 -0.18 Q 0.14 -0.18 0.155 -0.15 L 0.225 0.0 L 0.055 0.0 Z", _PANE)
    brush.blob(0.44, 0.11, 0.04, 0.045, (255, 236, 150))
    for x in (-0.27, 0.27):
        brush.blob(x, 0.33, 0.135, 0.135, (84, 80, 92))
        brush.blob(x, 0.33, 0.06, 0.06, (222, 222, 228))


OUTDOORS: dict[str, ThingKind] = {
    "house": ThingKind(Noun("house", "houses", "房子", "座"), _house),
    "tree": ThingKind(Noun("tree", "trees", "树", "棵"), _tree),
    "flower": ThingKind(Noun("flower", "flowers", "花", "朵"), _flower),
    "boat": ThingKind(Noun("boat", "boats", "船", "艘"), _boat, holds=0.07, front=_hull),
    "car": ThingKind(Noun("car", "cars", "汽车", "辆"), _car),
}
