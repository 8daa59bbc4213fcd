"""The things: one entry each, its words and how it is drawn in the unit box. A new thing is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import CREAM, WOOD, Tone
from limner.storybook.world.words import Noun

Drawing = Callable[[Brush, Tone], None]


@dataclass(frozen=True, slots=True)
class ThingKind:
    """A thing's words and its drawing: a function of the brush (unit box) and the said colour's shades."""

    noun: Noun
    draw: Drawing


def _cube(brush: Brush, colour: Tone) -> None:
    brush.patch("M 0 -0.47 L 0.44 -0.25 L 0 -0.03 L -0.44 -0.25 Z", colour.light)
    brush.patch("M -0.44 -0.25 L 0 -0.03 L 0 0.47 L -0.44 0.25 Z", colour.main)
    brush.patch("M 0.44 -0.25 L 0.44 0.25 L 0 0.47 L 0 -0.03 Z", colour.dark)
    brush.edge("M 0 -0.47 L 0.44 -0.25 L 0.44 0.25 L 0 0.47 L -0.44 0.25 L -0.44 -0.25 Z")
    brush.edge("M -0.44 -0.25 L 0 -0.03 L 0.44 -0.25 M 0 -0.03 L 0 0.47", 0.7)


def _ball(brush: Brush, colour: Tone) -> None:
    brush.oval(0, 0, 0.45, 0.45, colour.dark)
    brush.oval(-0.045, -0.045, 0.385, 0.385, colour.main)
    brush.oval(-0.16, -0.18, 0.13, 0.10, colour.light)
    brush.oval(-0.18, -0.20, 0.06, 0.045, (255, 255, 255))
    brush.edge(
        "M 0.45 0 C 0.45 0.2485 0.2485 0.45 0 0.45 C -0.2485 0.45 -0.45 0.2485 -0.45 0 "
        "C -0.45 -0.2485 -0.2485 -0.45 0 -0.45 C 0.2485 -0.45 0.45 -0.2485 0.45 0 Z"
    )


def _cone(brush: Brush, colour: Tone) -> None:
    outline = "M -0.40 0.32 L -0.03 -0.44 Q 0 -0.49 0.03 -0.44 L 0.40 0.32 C 0.38 0.51 -0.38 0.51 -0.40 0.32 Z"
    brush.patch(outline, colour.main)
    brush.patch("M 0.03 -0.44 L 0.40 0.32 C 0.39 0.42 0.22 0.455 0.10 0.462 Q 0.10 0 0 -0.46 Z", colour.dark)
    brush.patch("M -0.05 -0.30 L -0.28 0.30 Q -0.22 0.36 -0.15 0.38 Z", colour.light)
    brush.edge(outline)


_STAR = polygon(
    [
        ((0.48 if i % 2 == 0 else 0.225) * sin(i * pi / 5), 0.03 - (0.48 if i % 2 == 0 else 0.225) * cos(i * pi / 5))
        for i in range(10)
    ]
)


def _star(brush: Brush, colour: Tone) -> None:
    brush.edge(_STAR, 2.2)  # a wider line first rounds the points
    brush.shape(_STAR, colour.main)
    brush.edge(_STAR, 0.9, colour.main)
    brush.patch("M 0 -0.36 L 0.09 -0.12 L 0 0.03 L -0.09 -0.12 Z", colour.light)
    brush.patch("M 0.24 0.34 L 0.07 0.19 L 0 0.03 L 0.15 0.09 Z", colour.dark)


_HEART = (
    "M 0 0.45 C -0.24 0.27 -0.47 0.08 -0.47 -0.16 C -0.47 -0.34 -0.35 -0.43 -0.23 -0.43 "
    "C -0.12 -0.43 -0.04 -0.37 0 -0.28 C 0.04 -0.37 0.12 -0.43 0.23 -0.43 "
    "C 0.35 -0.43 0.47 -0.34 0.47 -0.16 C 0.47 0.08 0.24 0.27 0 0.45 Z"
)


def _heart(brush: Brush, colour: Tone) -> None:
    brush.patch(_HEART, colour.main)
    brush.patch(
        "M 0 0.45 C 0.24 0.27 0.47 0.08 0.47 -0.16 C 0.47 -0.24 0.445 -0.30 0.41 -0.35 "
        "C 0.40 -0.05 0.22 0.14 -0.06 0.40 Z",
        colour.dark,
    )
    brush.oval(-0.25, -0.24, 0.09, 0.075, colour.light)
    brush.edge(_HEART)


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


_HULL = "M -0.48 0.07 L 0.48 0.07 Q 0.45 0.46 0.24 0.46 L -0.24 0.46 Q -0.45 0.46 -0.48 0.07 Z"


def _boat(brush: Brush, colour: Tone) -> None:
    brush.edge("M -0.02 -0.46 L -0.02 0.07", 1.6)
    brush.shape("M -0.02 -0.47 L 0.15 -0.415 L -0.02 -0.36 Z", colour.main)
    brush.shape("M 0.035 -0.31 Q 0.31 -0.19 0.34 -0.01 L 0.035 -0.01 Z", CREAM)
    brush.shape("M -0.075 -0.27 Q -0.27 -0.15 -0.30 -0.01 L -0.075 -0.01 Z", CREAM)
    brush.patch(_HULL, colour.main)
    brush.patch(
        "M -0.425 0.30 L 0.425 0.30 Q 0.365 0.46 0.24 0.46 L -0.24 0.46 Q -0.365 0.46 -0.425 0.30 Z", colour.dark
    )
    brush.patch("M -0.465 0.09 L 0.465 0.09 L 0.462 0.13 L -0.462 0.13 Z", colour.light)
    brush.edge(_HULL)


THING_KINDS: dict[str, ThingKind] = {
    "cube": ThingKind(Noun("cube", "cubes", "立方体", "个"), _cube),
    "ball": ThingKind(Noun("ball", "balls", "球", "个"), _ball),
    "cone": ThingKind(Noun("cone", "cones", "圆锥", "个"), _cone),
    "star": ThingKind(Noun("star", "stars", "星星", "颗"), _star),
    "heart": ThingKind(Noun("heart", "hearts", "爱心", "颗"), _heart),
    "house": ThingKind(Noun("house", "houses", "房子", "座"), _house),
    "tree": ThingKind(Noun("tree", "trees", "树", "棵"), _tree),
    "boat": ThingKind(Noun("boat", "boats", "船", "艘"), _boat),
}
