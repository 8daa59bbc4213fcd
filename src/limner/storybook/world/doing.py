"""What a character can be doing: one entry each, its words, how the character makes room, and what it has with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import COLOURS, INK, tone
from limner.storybook.world.words import Phrases

Hands = tuple[tuple[float, float], tuple[float, float]]
Prop = Callable[[Brush, Hands], None]


def _nothing(brush: Brush, hands: Hands) -> None:
    """Nothing there."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a character does.

    ``phrases``: English ones stand after the name ("a cat walking a dog"); Chinese ones before
    it, with 的 ("遛狗的猫"), or, after 正在, as the predicate ("猫正在遛狗").

    The character is drawn at (``x``, ``y``) in its box, ``scale`` of its size; ``lift``: how far its hands are lifted,
    ``reach``: how far out they are (1: as always). Things are drawn ``behind`` the character, in its hands (``held``:
    over the body, under the hands, in the character's own units) and in ``front``; all are given the hands' places.
    """

    phrases: Phrases
    scale: float
    x: float = 0.0
    y: float = 0.0
    lift: tuple[float, float] = (0.0, 0.0)
    reach: float = 1.0
    behind: Prop = _nothing
    held: Prop | None = None
    front: Prop = _nothing


# --- walking a dog -----------------------------------------------------------------------------------------------

_COAT, _PATCH, _COLLAR = (250, 236, 212), (168, 112, 68), (214, 52, 52)


def _dog(brush: Brush, hands: Hands) -> None:
    _, (x, y) = hands
    brush.edge(f"M {x:.4f} {y:.4f} Q {x + 0.05:.4f} {y + 0.16:.4f} 0.335 0.31", 1.7, _COLLAR)
    brush.band("M 0.20 0.34 Q 0.155 0.31 0.17 0.255", 0.05, _PATCH)
    for leg in (0.235, 0.285, 0.355, 0.40):
        brush.limb(leg, 0.38, leg, 0.455, 0.05, _COAT)
    brush.blob(0.315, 0.355, 0.12, 0.07, _COAT)
    brush.oval(0.26, 0.345, 0.05, 0.045, _PATCH)
    brush.blob(0.40, 0.265, 0.078, 0.07, _COAT)
    brush.blob(0.345, 0.275, 0.03, 0.058, _PATCH)
    brush.blob(0.462, 0.29, 0.034, 0.026, _COAT)
    brush.oval(0.482, 0.28, 0.016, 0.014, INK)
    brush.oval(0.415, 0.25, 0.014, 0.017, INK)
    brush.stick(0.35, 0.318, 0.40, 0.332, 0.042, _COLLAR)


# --- balloon, umbrella -------------------------------------------------------------------------------------------


def _balloon(brush: Brush, hands: Hands) -> None:
    _, (x, y) = hands
    brush.edge(f"M {x:.4f} {y:.4f} Q {x + 0.10:.4f} {y - 0.08:.4f} 0.31 -0.12", 1.1)
    red = tone(COLOURS["red"].rgb)
    brush.shape("M 0.31 -0.15 L 0.345 -0.105 L 0.275 -0.105 Z", red.dark)
    brush.blob(0.31, -0.315, 0.165, 0.18, red.main)
    brush.oval(0.255, -0.375, 0.04, 0.052, red.light)


def _umbrella(brush: Brush, hands: Hands) -> None:
    _, (x, y) = hands
    blue = tone((96, 112, 226))
    brush.band(f"M {x:.4f} {y + 0.06:.4f} L {x:.4f} -0.30", 0.042, (158, 112, 74))
    canopy = (
        "M -0.37 -0.20 C -0.36 -0.40 -0.14 -0.475 0.08 -0.475 C 0.30 -0.475 0.47 -0.40 0.48 -0.20 "
        "Q 0.41 -0.265 0.34 -0.20 "
        "Q 0.27 -0.265 0.20 -0.20 Q 0.13 -0.265 0.055 -0.20 Q -0.02 -0.265 -0.085 -0.20 Q -0.155 -0.265 -0.225 -0.20 "
        "Q -0.30 -0.265 -0.37 -0.20 Z"
    )
    brush.patch(canopy, blue.main)
    brush.patch(
        "M 0.08 -0.475 C 0.30 -0.475 0.47 -0.40 0.48 -0.20 Q 0.41 -0.265 0.34 -0.20 "
        "C 0.33 -0.34 0.24 -0.44 0.08 -0.475 Z",
        blue.dark,
    )
    brush.patch(
        "M 0.08 -0.475 C -0.05 -0.44 -0.08 -0.32 -0.085 -0.20 Q -0.155 -0.265 -0.225 -0.20 "
        "C -0.20 -0.36 -0.08 -0.44 0.08 -0.475 Z",
        (255, 226, 110),
    )
    brush.edge(canopy)


# --- guitar, skateboard ------------------------------------------------------------------------------------------


def _guitar(brush: Brush, hands: Hands) -> None:
    (x0, y0), _ = hands
    wood, body = (110, 74, 48), (226, 132, 52)
    brush.limb(x0 - 0.05, y0 - 0.02, 0.05, 0.175, 0.055, wood)
    brush.limb(x0 - 0.095, y0 - 0.035, x0 - 0.04, y0 - 0.015, 0.085, wood)
    brush.blob(0.045, 0.175, 0.095, 0.09, body)
    brush.blob(0.165, 0.215, 0.125, 0.115, body)
    brush.oval(0.075, 0.185, 0.07, 0.062, body)
    brush.oval(0.09, 0.19, 0.042, 0.04, (84, 52, 40))
    brush.stick(0.175, 0.17, 0.155, 0.265, 0.045, wood)
    brush.edge(f"M {x0:.4f} {y0:.4f} L 0.16 0.21", 0.7, (248, 240, 226))


def _skateboard(brush: Brush, hands: Hands) -> None:
    for x in (-0.22, 0.22):
        brush.blob(x, 0.468, 0.038, 0.034, (84, 84, 96))
        brush.oval(x, 0.468, 0.014, 0.013, (226, 226, 232))
    brush.band("M -0.42 0.385 Q -0.38 0.43 -0.31 0.43 L 0.31 0.43 Q 0.38 0.43 0.42 0.385", 0.06, (36, 178, 170))


DOINGS: dict[str, Doing] = {
    "walking a dog": Doing(
        Phrases(("walking a dog", "taking a dog for a walk"), ("遛狗", "牵着一只狗散步")),
        0.80,
        -0.14,
        0.09,
        reach=0.94,
        front=_dog,
    ),
    "holding a balloon": Doing(
        Phrases(("holding a balloon", "with a balloon in the hand"), ("拿着气球", "拿着一个气球")),
        0.78,
        -0.12,
        0.10,
        lift=(0.0, 0.17),
        behind=_balloon,
    ),
    "holding an umbrella": Doing(
        Phrases(("holding an umbrella", "under an umbrella"), ("打着伞", "撑着一把伞")),
        0.74,
        -0.06,
        0.13,
        lift=(0.0, 0.08),
        behind=_umbrella,
    ),
    "playing the guitar": Doing(
        Phrases(("playing the guitar", "playing a guitar"), ("弹吉他", "弹奏吉他")),
        0.95,
        0.0,
        0.02,
        lift=(0.02, -0.12),
        reach=0.8,
        held=_guitar,
    ),
    "riding a skateboard": Doing(
        Phrases(("riding a skateboard", "on a skateboard"), ("玩滑板", "踩着滑板")),
        0.90,
        0.0,
        -0.035,
        behind=_skateboard,
    ),
}
