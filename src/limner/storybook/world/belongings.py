"""What people carry: book, umbrella, spectacles, guitar. The guitar can take another shape."""

from __future__ import annotations

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import CREAM, INK, RGB, WOOD, Tone
from limner.storybook.world.thing_kind import Host, ThingKind
from limner.storybook.world.words import Noun

_LENS: RGB = (222, 240, 248)
_STRINGS: RGB = (244, 238, 226)


# --- book --------------------------------------------------------------------------------------------------------


def _book(brush: Brush, colour: Tone) -> None:
    brush.shape("M -0.46 0.38 L 0.47 0.38 L 0.47 0.45 L -0.46 0.45 Z", colour.dark)
    brush.shape("M -0.44 0.20 L 0.44 0.20 L 0.44 0.38 L -0.44 0.38 Z", CREAM)
    brush.edge("M -0.36 0.26 L 0.44 0.26 M -0.36 0.32 L 0.44 0.32", 0.6, (196, 182, 164))
    brush.shape("M -0.34 -0.24 L 0.34 -0.24 L 0.47 0.14 L -0.47 0.14 Z", colour.main)
    brush.shape("M -0.47 0.14 L 0.47 0.14 L 0.47 0.20 L -0.47 0.20 Z", colour.dark)
    brush.shape("M -0.47 0.14 Q -0.50 0.30 -0.46 0.45 L -0.38 0.45 Q -0.42 0.30 -0.39 0.14 Z", colour.main)
    brush.patch("M -0.21 -0.15 L 0.21 -0.15 L 0.24 -0.06 L -0.24 -0.06 Z", CREAM)
    brush.patch("M -0.17 0.02 L 0.17 0.02 L 0.18 0.055 L -0.18 0.055 Z", colour.light)
    brush.shape(
        "M 0.20 0.38 L 0.28 0.38 L 0.28 0.49 L 0.24 0.455 L 0.20 0.49 Z",
        (232, 96, 96) if colour.main[0] < 200 else (84, 132, 214),
    )


# --- umbrella ----------------------------------------------------------------------------------------------------

_CANOPY = (
    "M -0.48 0.06 C -0.48 -0.26 -0.26 -0.42 0 -0.42 C 0.26 -0.42 0.48 -0.26 0.48 0.06 Q 0.40 -0.02 0.32 0.06 "
    "Q 0.24 -0.02 0.16 0.06 Q 0.08 -0.02 0 0.06 Q -0.08 -0.02 -0.16 0.06 Q -0.24 -0.02 -0.32 0.06 Q -0.40 -0.02 "
    "-0.48 0.06 Z"
)


def _umbrella(brush: Brush, colour: Tone) -> None:
    brush.band("M 0 -0.02 L 0 0.36 Q 0 0.44 0.08 0.44 Q 0.15 0.44 0.15 0.36", 0.06, WOOD)
    brush.limb(0, -0.41, 0, -0.465, 0.05, WOOD)
    brush.patch(_CANOPY, colour.main)
    brush.patch(
        "M 0 -0.42 C -0.10 -0.34 -0.16 -0.14 -0.16 0.06 Q -0.24 -0.02 -0.32 0.06 C -0.32 -0.14 -0.20 -0.34 0 -0.42 Z",
        colour.light,
    )
    brush.patch(
        "M 0 -0.42 C 0.20 -0.34 0.32 -0.14 0.32 0.06 Q 0.40 -0.02 0.48 0.06 C 0.48 -0.26 0.26 -0.42 0 -0.42 Z",
        colour.dark,
    )
    brush.edge("M 0 -0.42 C -0.10 -0.34 -0.16 -0.14 -0.16 0.06 M 0 -0.42 C 0.10 -0.34 0.16 -0.14 0.16 0.06", 0.7)
    brush.edge(_CANOPY)


# --- spectacles --------------------------------------------------------------------------------------------------


def _spectacles(brush: Brush, colour: Tone) -> None:
    brush.band("M -0.44 0.14 Q -0.40 -0.16 -0.24 -0.20", 0.07, colour.dark)
    brush.band("M 0.44 0.14 Q 0.40 -0.16 0.24 -0.20", 0.07, colour.dark)
    brush.band("M -0.10 0.18 Q 0 0.06 0.10 0.18", 0.075, colour.main)
    for x in (-0.26, 0.26):
        brush.blob(x, 0.22, 0.235, 0.235, colour.main)
        brush.blob(x, 0.22, 0.15, 0.15, _LENS)
        brush.patch(f"M {x - 0.10} 0.24 L {x + 0.02} 0.10 L {x + 0.075} 0.11 L {x - 0.075} 0.31 Z", (255, 255, 255))


# --- guitar ------------------------------------------------------------------------------------------------------


def _neck(brush: Brush, colour: Tone) -> None:
    brush.shape("M -0.05 -0.36 L 0.05 -0.36 L 0.05 0.10 L -0.05 0.10 Z", WOOD)
    brush.shape("M -0.08 -0.48 L 0.08 -0.48 L 0.065 -0.33 L -0.065 -0.33 Z", WOOD)
    for y in (-0.45, -0.38):
        for x in (-0.105, 0.105):
            brush.oval(x, y, 0.03, 0.022, INK)


def _strings(brush: Brush, colour: Tone) -> None:
    brush.blob(0, 0.10, 0.085, 0.085, (84, 58, 50))
    brush.shape("M -0.11 0.29 L 0.11 0.29 L 0.11 0.335 L -0.11 0.335 Z", WOOD)
    brush.edge("M -0.025 -0.36 L -0.025 0.30 M 0.025 -0.36 L 0.025 0.30", 0.6, _STRINGS)


_WAIST = (
    "M 0 -0.10 C 0.14 -0.10 0.22 -0.05 0.22 0.04 C 0.22 0.10 0.19 0.12 0.19 0.16 C 0.19 0.20 0.29 0.22 0.29 0.33 "
    "C 0.29 0.43 0.18 0.475 0 0.475 C -0.18 0.475 -0.29 0.43 -0.29 0.33 C -0.29 0.22 -0.19 0.20 -0.19 0.16 "
    "C -0.19 0.12 -0.22 0.10 -0.22 0.04 C -0.22 -0.05 -0.14 -0.10 0 -0.10 Z"
)


def _guitar(brush: Brush, colour: Tone) -> None:
    brush.shape(_WAIST, colour.main)
    brush.patch(
        "M 0.29 0.33 C 0.29 0.43 0.18 0.475 0 0.475 C -0.10 0.475 -0.18 0.46 -0.23 0.43 C 0.02 0.45 0.20 0.40 "
        "0.255 0.24 Q 0.285 0.28 0.29 0.33 Z",
        colour.dark,
    )
    brush.oval(-0.14, 0.01, 0.045, 0.06, colour.light)
    brush.edge(_WAIST)
    _neck(brush, colour)
    _strings(brush, colour)


def _guitar_host(brush: Brush, colour: Tone) -> None:
    _neck(brush, colour)
    _strings(brush, colour)


def _nothing(brush: Brush, colour: Tone) -> None:
    """All of the guitar lies before its body."""


BELONGINGS: dict[str, ThingKind] = {
    "book": ThingKind(Noun("book", "books", "书", "本"), _book, top=-0.02),
    "umbrella": ThingKind(Noun("umbrella", "umbrellas", "雨伞", "把"), _umbrella),
    "spectacles": ThingKind(
        Noun("spectacles", "spectacles", "眼镜", "副", paired=True, others=("eyeglasses",)), _spectacles
    ),
    "guitar": ThingKind(
        Noun("guitar", "guitars", "吉他", "把"), _guitar, host=Host(_nothing, (0, 0.17, 0.66), _guitar_host)
    ),
}
