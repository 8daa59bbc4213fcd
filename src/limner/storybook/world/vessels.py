"""What holds something: cup, teapot, tumbler, basket. The cup and the teapot can take another shape."""

from __future__ import annotations

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import CREAM, RGB, Tone
from limner.storybook.world.thing_kind import Host, ThingKind
from limner.storybook.world.words import Noun

_COFFEE: RGB = (120, 78, 54)
_CLEAR: RGB = (228, 242, 250)


# --- cup ---------------------------------------------------------------------------------------------------------


def _cup_handle(brush: Brush, colour: Tone) -> None:
    brush.band("M 0.24 -0.12 C 0.50 -0.18 0.50 0.26 0.20 0.22", 0.085, colour.main)


def _cup_mouth(brush: Brush, colour: Tone) -> None:
    brush.blob(0, -0.27, 0.33, 0.10, CREAM)
    brush.oval(0, -0.245, 0.27, 0.06, _COFFEE)


_WALL = (
    "M -0.33 -0.27 C -0.31 -0.14 0.31 -0.14 0.33 -0.27 L 0.27 0.34 Q 0.25 0.46 0.12 0.46 L -0.12 0.46 Q -0.25 0.46 "
    "-0.27 0.34 Z"
)


def _cup_wall(brush: Brush, colour: Tone) -> None:
    brush.patch(_WALL, colour.main)
    brush.patch(
        "M 0.33 -0.27 L 0.27 0.34 Q 0.25 0.46 0.12 0.46 L 0.02 0.46 Q 0.14 0.30 0.19 -0.19 Q 0.30 -0.21 0.33 -0.27 Z",
        colour.dark,
    )
    brush.patch("M -0.25 -0.13 L -0.17 -0.11 L -0.15 0.30 L -0.21 0.28 Z", colour.light)
    brush.edge(_WALL)


def _cup(brush: Brush, colour: Tone) -> None:
    _cup_handle(brush, colour)
    _cup_mouth(brush, colour)
    _cup_wall(brush, colour)


def _cup_host_handle(brush: Brush, colour: Tone) -> None:
    brush.band("M 0.20 -0.06 C 0.52 -0.14 0.52 0.28 0.16 0.22", 0.085, colour.main)


def _cup_host_mouth(brush: Brush, colour: Tone) -> None:
    brush.edge(
        "M -0.10 -0.36 Q -0.16 -0.41 -0.10 -0.45 Q -0.06 -0.48 -0.09 -0.50 M 0.08 -0.36 Q 0.02 -0.41 0.08 -0.45 "
        "Q 0.12 -0.48 0.09 -0.50",
        1.2,
        (186, 182, 196),
    )
    brush.blob(0, -0.24, 0.25, 0.085, CREAM)
    brush.oval(0, -0.225, 0.20, 0.052, _COFFEE)


# --- teapot ------------------------------------------------------------------------------------------------------


def _spout_and_handle(brush: Brush, colour: Tone) -> None:
    brush.band("M 0.24 -0.08 C 0.54 -0.18 0.54 0.36 0.22 0.28", 0.075, colour.main)
    brush.shape(
        "M -0.20 0.34 C -0.34 0.28 -0.34 0.06 -0.46 -0.06 Q -0.49 -0.10 -0.45 -0.12 L -0.38 -0.14 "
        "C -0.30 -0.08 -0.28 0.02 -0.20 0.02 Z",
        colour.main,
    )


def _lid(brush: Brush, colour: Tone) -> None:
    brush.blob(0, -0.31, 0.055, 0.055, colour.dark)
    brush.shape(
        "M -0.19 -0.15 C -0.17 -0.29 0.17 -0.29 0.19 -0.15 Q 0.19 -0.12 0.16 -0.12 L -0.16 -0.12 Q -0.19 -0.12 "
        "-0.19 -0.15 Z",
        colour.light,
    )


_BELLY = (
    "M -0.14 0.465 Q -0.34 0.42 -0.34 0.16 C -0.34 -0.04 -0.20 -0.14 0 -0.14 C 0.20 -0.14 0.34 -0.04 0.34 0.16 Q "
    "0.34 0.42 0.14 0.465 Z"
)


def _teapot(brush: Brush, colour: Tone) -> None:
    _spout_and_handle(brush, colour)
    brush.patch(_BELLY, colour.main)
    brush.patch(
        "M 0.14 0.465 Q 0.34 0.42 0.34 0.16 C 0.34 0.08 0.32 0.02 0.28 -0.03 Q 0.28 0.30 -0.06 0.465 Z", colour.dark
    )
    brush.oval(-0.17, 0.06, 0.07, 0.09, colour.light)
    brush.edge(_BELLY)
    _lid(brush, colour)


# --- tumbler -----------------------------------------------------------------------------------------------------


def _tumbler(brush: Brush, colour: Tone) -> None:
    brush.patch(
        "M -0.30 -0.44 L 0.30 -0.44 L 0.23 0.44 Q 0.23 0.465 0.20 0.465 L -0.20 0.465 Q -0.23 0.465 -0.23 0.44 Z",
        _CLEAR,
    )
    brush.patch(
        "M -0.265 -0.14 L 0.265 -0.14 L 0.225 0.36 Q 0.22 0.40 0.18 0.40 L -0.18 0.40 Q -0.22 0.40 -0.225 0.36 Z",
        colour.main,
    )
    brush.oval(0, -0.14, 0.262, 0.06, colour.light)
    brush.patch("M -0.20 -0.04 L -0.13 -0.03 L -0.115 0.33 L -0.17 0.33 Z", colour.light)
    brush.patch("M 0.265 -0.12 L 0.225 0.36 Q 0.22 0.40 0.18 0.40 L 0.12 0.40 L 0.15 -0.085 Z", colour.dark)
    brush.edge("M -0.30 -0.42 L -0.23 0.44 Q -0.23 0.465 -0.20 0.465 L 0.20 0.465 Q 0.23 0.465 0.23 0.44 L 0.30 -0.42")
    brush.ring(0, -0.42, 0.30, 0.06)


# --- basket ------------------------------------------------------------------------------------------------------

_WICKER = "M -0.44 0.02 L 0.44 0.02 L 0.35 0.42 Q 0.34 0.465 0.29 0.465 L -0.29 0.465 Q -0.34 0.465 -0.35 0.42 Z"


def _basket_wall(brush: Brush, colour: Tone) -> None:
    brush.patch(_WICKER, colour.main)
    brush.stripe(
        "M -0.31 0.09 L -0.25 0.45 M -0.155 0.09 L -0.125 0.45 M 0 0.09 L 0 0.45 M 0.155 0.09 L 0.125 0.45 M "
        "0.31 0.09 L 0.25 0.45",
        0.045,
        colour.dark,
    )
    brush.stripe("M -0.37 0.19 L 0.37 0.19 M -0.345 0.31 L 0.345 0.31", 0.045, colour.light)
    brush.edge(_WICKER)
    brush.limb(-0.43, 0.045, 0.43, 0.045, 0.09, colour.main)


def _basket(brush: Brush, colour: Tone) -> None:
    brush.band("M -0.36 0.02 C -0.36 -0.60 0.36 -0.60 0.36 0.02", 0.07, colour.dark)
    brush.shape("M -0.44 0.04 C -0.40 -0.08 0.40 -0.08 0.44 0.04 Z", colour.dark)
    _basket_wall(brush, colour)


VESSELS: dict[str, ThingKind] = {
    "cup": ThingKind(
        Noun("cup", "cups", "杯子", "个", others=("mug",)),
        _cup,
        holds=-0.22,
        front=_cup_wall,
        host=Host(_cup_host_handle, (0, 0.05, 0.82), _cup_host_mouth),
    ),
    "teapot": ThingKind(
        Noun("teapot", "teapots", "茶壶", "个"), _teapot, host=Host(_spout_and_handle, (0, 0.12, 0.70), _lid)
    ),
    "tumbler": ThingKind(Noun("tumbler", "tumblers", "玻璃杯", "个", others=("drinking glass",)), _tumbler),
    "basket": ThingKind(Noun("basket", "baskets", "篮子", "个"), _basket, holds=0.02, front=_basket_wall),
}
