"""Furniture: chair, armchair, table, lamp, clock. The armchair, the lamp and the clock can take another shape."""

from __future__ import annotations

from math import cos, pi, sin

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import CREAM, INK, RGB, WOOD, Tone
from limner.storybook.world.thing_kind import Host, ThingKind
from limner.storybook.world.words import Noun

_GLOW: RGB = (255, 244, 190)
_DIAL: RGB = CREAM
_BRASS: RGB = (232, 188, 92)


# --- chair -------------------------------------------------------------------------------------------------------


def _chair(brush: Brush, colour: Tone) -> None:
    brush.shape(
        "M -0.22 0.10 L -0.14 0.10 L -0.14 0.36 L -0.22 0.36 Z M 0.14 0.10 L 0.22 0.10 L 0.22 0.36 L 0.14 0.36 Z",
        colour.dark,
    )
    brush.shape(
        "M -0.27 -0.44 Q -0.27 -0.48 -0.23 -0.48 Q -0.18 -0.48 -0.18 -0.44 L -0.16 0.05 L -0.26 0.05 Z", colour.main
    )
    brush.shape("M 0.27 -0.44 Q 0.27 -0.48 0.23 -0.48 Q 0.18 -0.48 0.18 -0.44 L 0.16 0.05 L 0.26 0.05 Z", colour.main)
    brush.shape("M -0.19 -0.42 L 0.19 -0.42 L 0.18 -0.28 L -0.18 -0.28 Z", colour.main)
    brush.shape("M -0.18 -0.19 L 0.18 -0.19 L 0.175 -0.09 L -0.175 -0.09 Z", colour.main)
    brush.shape("M -0.25 0.02 L 0.25 0.02 L 0.33 0.15 L -0.33 0.15 Z", colour.light)
    brush.shape("M -0.33 0.15 L 0.33 0.15 L 0.33 0.21 L -0.33 0.21 Z", colour.main)
    brush.shape(
        "M -0.33 0.21 L -0.23 0.21 L -0.24 0.465 L -0.32 0.465 Z M 0.33 0.21 L 0.23 0.21 L 0.24 0.465 L 0.32 0.465 Z",
        colour.main,
    )


# --- armchair ----------------------------------------------------------------------------------------------------


def _armchair_back(brush: Brush, colour: Tone) -> None:
    brush.shape(
        "M -0.32 0.2 L -0.32 -0.22 C -0.32 -0.40 -0.20 -0.47 0 -0.47 C 0.20 -0.47 0.32 -0.40 0.32 -0.22 L 0.32 0.2 Z",
        colour.main,
    )
    brush.patch("M -0.22 0.1 L -0.22 -0.20 Q -0.21 -0.35 -0.08 -0.36 L -0.08 0.1 Z", colour.light)
    for x, y in ((-0.12, -0.2), (0.12, -0.2), (0, -0.06)):
        brush.oval(x, y, 0.026, 0.026, colour.dark)


def _armchair_legs(brush: Brush, colour: Tone) -> None:
    brush.shape(
        "M -0.36 0.36 L -0.25 0.36 L -0.28 0.465 L -0.34 0.465 Z M 0.36 0.36 L 0.25 0.36 L 0.28 0.465 L 0.34 0.465 Z",
        WOOD,
    )


_ARM = (
    "M {0} 0.38 L {0} 0.00 C {0} -0.13 {1} -0.13 {1} 0.00 L {1} 0.38 Q {1} 0.405 {2} 0.405 L {3} 0.405 Q {0} 0.405 "
    "{0} 0.38 Z"
)
_ARMS = (_ARM.format(-0.475, -0.27, -0.30, -0.445), _ARM.format(0.475, 0.27, 0.30, 0.445))


def _armchair_seat(brush: Brush, colour: Tone) -> None:
    brush.shape("M -0.29 0.22 L 0.29 0.22 L 0.29 0.40 L -0.29 0.40 Z", colour.dark)
    brush.shape(
        "M -0.25 0.16 L 0.25 0.16 Q 0.29 0.16 0.29 0.20 L 0.29 0.27 Q 0.29 0.31 0.25 0.31 L -0.25 0.31 "
        "Q -0.29 0.31 -0.29 0.27 L -0.29 0.20 Q -0.29 0.16 -0.25 0.16 Z",
        colour.light,
    )
    for arm in _ARMS:
        brush.shape(arm, colour.main)
    for x in (-0.3725, 0.3725):
        brush.oval(x, 0.0, 0.045, 0.045, colour.dark)


def _armchair(brush: Brush, colour: Tone) -> None:
    _armchair_legs(brush, colour)
    _armchair_back(brush, colour)
    _armchair_seat(brush, colour)


# --- table -------------------------------------------------------------------------------------------------------


def _table(brush: Brush, colour: Tone) -> None:
    brush.shape(
        "M -0.36 0.0 L -0.29 0.0 L -0.29 0.37 L -0.35 0.37 Z M 0.36 0.0 L 0.29 0.0 L 0.29 0.37 L 0.35 0.37 Z",
        colour.dark,
    )
    brush.shape(
        "M -0.45 0.0 L -0.355 0.0 L -0.37 0.465 L -0.44 0.465 Z M 0.45 0.0 L 0.355 0.0 L 0.37 0.465 L 0.44 0.465 Z",
        colour.main,
    )
    brush.shape("M -0.42 0.02 L 0.42 0.02 L 0.42 0.11 L -0.42 0.11 Z", colour.dark)
    brush.shape("M -0.41 -0.17 L 0.41 -0.17 L 0.485 -0.045 L -0.485 -0.045 Z", colour.light)
    brush.shape("M -0.485 -0.045 L 0.485 -0.045 L 0.485 0.035 L -0.485 0.035 Z", colour.main)


# --- lamp --------------------------------------------------------------------------------------------------------


def _lamp_stand(brush: Brush, colour: Tone) -> None:
    brush.patch("M -0.22 0.0 L 0.22 0.0 L 0.36 0.34 L -0.36 0.34 Z", _GLOW)
    brush.shape("M -0.035 -0.1 L 0.035 -0.1 L 0.035 0.40 L -0.035 0.40 Z", _BRASS)
    brush.shape("M -0.20 0.465 C -0.20 0.35 0.20 0.35 0.20 0.465 Z", colour.dark)


def _lamp_chain(brush: Brush, colour: Tone) -> None:
    brush.edge("M 0.15 0.08 L 0.15 0.2", 0.8)
    brush.blob(0.15, 0.225, 0.028, 0.028, _BRASS)


_SHADE = (
    "M -0.17 -0.46 L 0.17 -0.46 Q 0.21 -0.46 0.22 -0.42 L 0.38 0.04 Q 0.39 0.09 0.34 0.09 L -0.34 0.09 Q -0.39 0.09 "
    "-0.38 0.04 L -0.22 -0.42 Q -0.21 -0.46 -0.17 -0.46 Z"
)


def _lamp(brush: Brush, colour: Tone) -> None:
    _lamp_stand(brush, colour)
    _lamp_chain(brush, colour)
    brush.patch(_SHADE, colour.main)
    brush.patch(
        "M 0.06 -0.46 L 0.17 -0.46 Q 0.21 -0.46 0.22 -0.42 L 0.38 0.04 Q 0.39 0.09 0.34 0.09 L 0.16 0.09 Z", colour.dark
    )
    brush.patch("M -0.14 -0.40 L -0.07 -0.40 L -0.16 0.03 L -0.27 0.03 Z", colour.light)
    brush.edge(_SHADE)


# --- clock -------------------------------------------------------------------------------------------------------


def _clock_bells(brush: Brush, colour: Tone) -> None:
    for s in (-1, 1):
        brush.limb(s * 0.12, 0.22, s * 0.28, 0.435, 0.07, colour.dark)
        brush.limb(s * 0.2, -0.24, s * 0.05, 0.1, 0.045, _BRASS)
    brush.limb(0, -0.34, 0, -0.42, 0.05, _BRASS)
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.08} -0.36 C {s * 0.10} -0.52 {s * 0.34} -0.50 {s * 0.36} -0.24 Z",
            _BRASS,
        )


_TICKS = " ".join(
    f"M {0.36 * x:.3f} {-0.36 * y:.3f} L {0.43 * x:.3f} {-0.43 * y:.3f}"
    for x, y in ((sin(pi * i / 2), cos(pi * i / 2)) for i in range(4))
)


def _clock_dial(brush: Brush, colour: Tone) -> None:
    """Fills the unit box."""
    brush.blob(0, 0, 0.5, 0.5, _DIAL)
    brush.edge(_TICKS, 1.7)
    brush.edge("M 0 0 L 0 -0.31", 2.0)
    brush.edge("M 0 0 L 0.21 0.11", 2.2)
    brush.oval(0, 0, 0.062, 0.062, INK)


def _clock(brush: Brush, colour: Tone) -> None:
    _clock_bells(brush, colour)
    brush.blob(0, 0.06, 0.385, 0.385, colour.main)
    brush.oval(0.03, 0.09, 0.325, 0.325, colour.dark)
    brush.oval(-0.01, 0.05, 0.325, 0.325, colour.main)
    brush.inner((0, 0.06, 0.47))
    _clock_dial(brush, colour)
    brush.leave()


FURNITURE: dict[str, ThingKind] = {
    "lamp": ThingKind(
        Noun("lamp", "lamps", "台灯", "盏"), _lamp, host=Host(_lamp_stand, (0, -0.15, 0.66), _lamp_chain)
    ),
    "chair": ThingKind(Noun("chair", "chairs", "椅子", "把"), _chair, top=0.09),
    "armchair": ThingKind(
        Noun("armchair", "armchairs", "扶手椅", "把"),
        _armchair,
        top=0.19,
        host=Host(_armchair_legs, (0, -0.085, 0.83), _armchair_seat),
    ),
    "table": ThingKind(Noun("table", "tables", "桌子", "张"), _table, top=-0.10),
    "clock": ThingKind(
        Noun("clock", "clocks", "闹钟", "个"), _clock, host=Host(_clock_bells, (0, 0.05, 0.84), face=_clock_dial)
    ),
}
