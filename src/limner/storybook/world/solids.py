"""Bodies, blocks and signs, and toys: things that are mostly one shape."""

from __future__ import annotations

from math import cos, pi, sin

from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import Tone
from limner.storybook.world.thing_kind import ThingKind
from limner.storybook.world.words import Noun


def draw_cube(brush: Brush, colour: Tone) -> None:
    brush.patch("M 0 -0.47 L 0.44 -0.25 L 0 -0.03 L -0.44 -0.25 Z", colour.light)
    brush.patch("M -0.44 -0.25 L 0 -0.03 L 0 0.47 L -0.44 0.25 Z", colour.main)
    brush.patch("M 0.44 -0.25 L 0.44 0.25 L 0 0.47 L 0 -0.03 Z", colour.dark)
    brush.edge("M 0 -0.47 L 0.44 -0.25 L 0.44 0.25 L 0 0.47 L -0.44 0.25 L -0.44 -0.25 Z")
    brush.edge("M -0.44 -0.25 L 0 -0.03 L 0.44 -0.25 M 0 -0.03 L 0 0.47", 0.7)


def _ball(brush: Brush, colour: Tone) -> None:
    brush.oval(0, 0, 0.45, 0.45, colour.dark)
    brush.oval(-0.045, -0.045, 0.385, 0.385, colour.main)
    brush.edge(
        "M 0.45 0 C 0.45 0.2485 0.2485 0.45 0 0.45 C -0.2485 0.45 -0.45 0.2485 -0.45 0 "
        "C -0.45 -0.2485 -0.2485 -0.45 0 -0.45 C 0.2485 -0.45 0.45 -0.2485 0.45 0 Z"
    )
    brush.oval(-0.16, -0.18, 0.13, 0.10, colour.light)
    brush.oval(-0.18, -0.20, 0.06, 0.045, (255, 255, 255))


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


def draw_star(brush: Brush, colour: Tone) -> None:
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


def draw_heart(brush: Brush, colour: Tone) -> None:
    brush.patch(_HEART, colour.main)
    brush.patch(
        "M 0 0.45 C 0.24 0.27 0.47 0.08 0.47 -0.16 C 0.47 -0.24 0.445 -0.30 0.41 -0.35 "
        "C 0.40 -0.05 0.22 0.14 -0.06 0.40 Z",
        colour.dark,
    )
    brush.oval(-0.25, -0.24, 0.09, 0.075, colour.light)
    brush.edge(_HEART)


_TUBE = "M -0.34 -0.35 C -0.34 -0.49 0.34 -0.49 0.34 -0.35 L 0.34 0.34 C 0.34 0.49 -0.34 0.49 -0.34 0.34 Z"


def _cylinder(brush: Brush, colour: Tone) -> None:
    brush.patch(_TUBE, colour.main)
    brush.patch("M 0.34 -0.35 L 0.34 0.34 C 0.34 0.40 0.22 0.435 0.12 0.442 L 0.12 -0.25 Z", colour.dark)
    brush.patch("M -0.24 -0.22 L -0.13 -0.20 L -0.13 0.43 Q -0.19 0.42 -0.24 0.40 Z", colour.light)
    brush.edge(_TUBE)
    brush.blob(0, -0.35, 0.34, 0.11, colour.light)


_FRONT = (
    "M -0.46 -0.49 L 0.46 -0.49 Q 0.49 -0.49 0.49 -0.46 L 0.49 0.46 Q 0.49 0.49 0.46 0.49 L -0.46 0.49 Q -0.49 0.49 "
    "-0.49 0.46 L -0.49 -0.46 Q -0.49 -0.49 -0.46 -0.49 Z"
)


def _block(brush: Brush, colour: Tone) -> None:
    brush.patch(_FRONT, colour.main)
    brush.patch(
        "M -0.49 -0.46 Q -0.49 -0.49 -0.46 -0.49 L 0.46 -0.49 Q 0.49 -0.49 0.49 -0.46 L 0.36 -0.36 L -0.36 -0.36 Z",
        colour.light,
    )
    brush.patch(
        "M -0.49 0.46 Q -0.49 0.49 -0.46 0.49 L 0.46 0.49 Q 0.49 0.49 0.49 0.46 L 0.36 0.36 L -0.36 0.36 Z", colour.dark
    )
    brush.patch("M 0.49 -0.46 L 0.36 -0.36 L 0.36 0.36 L 0.49 0.46 Z", colour.dark)
    brush.edge("M -0.36 -0.36 L 0.36 -0.36 L 0.36 0.36 L -0.36 0.36 Z", 0.6)
    brush.edge(_FRONT)


_SKIN = (
    "M 0 0.20 C -0.20 0.14 -0.35 -0.03 -0.35 -0.20 C -0.35 -0.38 -0.20 -0.48 0 -0.48 C 0.20 -0.48 0.35 -0.38 0.35 "
    "-0.20 C 0.35 -0.03 0.20 0.14 0 0.20 Z"
)


def _balloon(brush: Brush, colour: Tone) -> None:
    brush.edge("M 0 0.24 C 0.09 0.30 -0.09 0.36 0 0.47", 1.1)
    brush.shape("M 0 0.17 L 0.055 0.265 L -0.055 0.265 Z", colour.dark)
    brush.patch(_SKIN, colour.main)
    brush.patch(
        "M 0 0.20 C 0.20 0.14 0.35 -0.03 0.35 -0.20 C 0.35 -0.28 0.32 -0.34 0.28 -0.39 C 0.29 -0.12 0.18 0.04 "
        "-0.06 0.18 Z",
        colour.dark,
    )
    brush.edge(_SKIN)
    brush.oval(-0.16, -0.28, 0.085, 0.11, colour.light)
    brush.oval(-0.175, -0.31, 0.04, 0.055, (255, 255, 255))


SOLIDS: dict[str, ThingKind] = {
    "cube": ThingKind(Noun("cube", "cubes", "立方体", "个"), draw_cube, top=-0.24),
    "ball": ThingKind(Noun("ball", "balls", "球", "个"), _ball),
    "cone": ThingKind(Noun("cone", "cones", "圆锥", "个"), _cone),
    "cylinder": ThingKind(Noun("cylinder", "cylinders", "圆柱", "个"), _cylinder, top=-0.35),
    "block": ThingKind(Noun("block", "blocks", "积木", "块"), _block, top=-0.5),
    "star": ThingKind(Noun("star", "stars", "星星", "颗"), draw_star),
    "heart": ThingKind(Noun("heart", "hearts", "爱心", "颗"), draw_heart),
    "balloon": ThingKind(Noun("balloon", "balloons", "气球", "个"), _balloon),
}
