"""The animals: one entry each: words, measures, natural fur, what tells it apart. A new animal is one more entry.

``behind`` is drawn before the body (tail, spikes, ears that stand up), ``face`` after the head's outline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin

from limner.storybook.world.body import Frame, Fur, draw_cheeks, draw_eyes, draw_mouth
from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import INK
from limner.storybook.world.words import Noun

Feature = Callable[[Brush, Frame, Fur], None]


@dataclass(frozen=True, slots=True)
class AnimalKind:
    """An animal: words, measures, natural colours, and its features around the shared body."""

    noun: Noun
    frame: Frame
    fur: Fur
    behind: Feature
    face: Feature


# --- cat ---------------------------------------------------------------------------------------------------------


def _cat_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    brush.band("M 0.10 0.30 C 0.34 0.40 0.42 0.30 0.34 0.21", 0.085, fur.coat)
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.235} -0.20 Q {s * 0.27} -0.40 {s * 0.245} -0.475 Q {s * 0.235} -0.495 {s * 0.215} -0.48 "
            f"Q {s * 0.12} -0.42 {s * 0.06} -0.33 Z",
            fur.coat,
        )
        brush.patch(
            f"M {s * 0.205} -0.27 Q {s * 0.235} -0.38 {s * 0.225} -0.435 Q {s * 0.16} -0.40 {s * 0.12} -0.34 Z",
            fur.inner,
        )


def _cat_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    brush.edge(
        f"M 0 {y - 0.165:.3f} L 0 {y - 0.095:.3f} M -0.06 {y - 0.155:.3f} L -0.05 {y - 0.10:.3f} "
        f"M 0.06 {y - 0.155:.3f} L 0.05 {y - 0.10:.3f}",
        1.3,
        fur.dark,
    )
    brush.oval(0, y + 0.10, 0.115, 0.075, fur.light)
    draw_eyes(brush, 0.105, y - 0.005, 0.034, fur.coat)
    draw_cheeks(brush, 0.175, y + 0.07, fur.coat)
    brush.patch(f"M -0.03 {y + 0.05:.3f} L 0.03 {y + 0.05:.3f} L 0 {y + 0.085:.3f} Z", (226, 110, 124))
    draw_mouth(brush, y + 0.05)
    brush.edge(
        f"M -0.17 {y + 0.10:.3f} L -0.29 {y + 0.08:.3f} M -0.17 {y + 0.13:.3f} L -0.28 {y + 0.145:.3f} "
        f"M 0.17 {y + 0.10:.3f} L 0.29 {y + 0.08:.3f} M 0.17 {y + 0.13:.3f} L 0.28 {y + 0.145:.3f}",
        0.7,
    )


# --- dog ---------------------------------------------------------------------------------------------------------


def _dog_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    brush.band("M 0.10 0.28 Q 0.28 0.32 0.36 0.20", 0.09, fur.coat)


def _dog_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.13} {y - 0.165:.3f} C {s * 0.23} {y - 0.21:.3f} {s * 0.33} {y - 0.10:.3f} "
            f"{s * 0.325} {y + 0.06:.3f} C {s * 0.325} {y + 0.16:.3f} {s * 0.235} {y + 0.16:.3f} "
            f"{s * 0.22} {y + 0.05:.3f} C {s * 0.215} {y - 0.03:.3f} {s * 0.19} {y - 0.10:.3f} "
            f"{s * 0.13} {y - 0.165:.3f} Z",
            fur.dark,
        )
    brush.oval(0, y + 0.095, 0.135, 0.09, fur.light)
    draw_eyes(brush, 0.095, y - 0.025, 0.034, fur.coat)
    brush.oval(0, y + 0.045, 0.05, 0.036, INK)
    brush.oval(-0.015, y + 0.033, 0.014, 0.009, (200, 190, 200))
    brush.patch(
        f"M -0.035 {y + 0.125:.3f} L 0.035 {y + 0.125:.3f} Q 0.04 {y + 0.185:.3f} 0 {y + 0.187:.3f} "
        f"Q -0.04 {y + 0.185:.3f} -0.035 {y + 0.125:.3f} Z",
        (232, 104, 116),
    )
    draw_mouth(brush, y + 0.075)


# --- rabbit ------------------------------------------------------------------------------------------------------


def _rabbit_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    brush.blob(0.19, 0.27, 0.06, 0.055, fur.light)
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.20} -0.16 C {s * 0.30} -0.30 {s * 0.31} -0.49 {s * 0.225} -0.49 "
            f"C {s * 0.15} -0.49 {s * 0.09} -0.34 {s * 0.07} -0.22 Z",
            fur.coat,
        )
        brush.patch(
            f"M {s * 0.185} -0.22 C {s * 0.25} -0.32 {s * 0.255} -0.445 {s * 0.215} -0.445 "
            f"C {s * 0.175} -0.445 {s * 0.14} -0.34 {s * 0.125} -0.24 Z",
            fur.inner,
        )


def _rabbit_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    brush.oval(-0.045, y + 0.085, 0.065, 0.055, fur.light)
    brush.oval(0.045, y + 0.085, 0.065, 0.055, fur.light)
    draw_eyes(brush, 0.09, y - 0.01, 0.033, fur.coat)
    draw_cheeks(brush, 0.155, y + 0.06, fur.coat)
    brush.shape(
        f"M -0.025 {y + 0.10:.3f} L 0.025 {y + 0.10:.3f} L 0.025 {y + 0.145:.3f} L -0.025 {y + 0.145:.3f} Z",
        (255, 255, 255),
    )
    brush.patch(f"M -0.03 {y + 0.04:.3f} L 0.03 {y + 0.04:.3f} L 0 {y + 0.075:.3f} Z", (226, 110, 124))
    draw_mouth(brush, y + 0.042)


# --- bear --------------------------------------------------------------------------------------------------------


def _bear_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    for s in (-1, 1):
        brush.blob(s * 0.215, frame.head_y - 0.165, 0.088, 0.088, fur.coat)
        brush.oval(s * 0.215, frame.head_y - 0.16, 0.05, 0.05, fur.light)


def _bear_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    brush.oval(0, y + 0.085, 0.125, 0.095, fur.light)
    draw_eyes(brush, 0.105, y - 0.02, 0.03, fur.coat)
    draw_cheeks(brush, 0.185, y + 0.06, fur.coat)
    brush.oval(0, y + 0.04, 0.048, 0.033, INK)
    draw_mouth(brush, y + 0.065)


# --- penguin -----------------------------------------------------------------------------------------------------

_BEAK = (250, 168, 52)


def _penguin_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    brush.shape("M 0.08 0.26 L 0.25 0.40 L 0.02 0.38 Z", fur.coat)


def _penguin_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    brush.oval(-0.085, y + 0.015, 0.105, 0.115, fur.light)
    brush.oval(0.085, y + 0.015, 0.105, 0.115, fur.light)
    brush.oval(0, y + 0.085, 0.15, 0.085, fur.light)
    draw_eyes(brush, 0.085, y - 0.005, 0.032, fur.light)
    draw_cheeks(brush, 0.14, y + 0.075, fur.light)
    brush.shape(
        f"M -0.07 {y + 0.05:.3f} Q 0 {y + 0.005:.3f} 0.07 {y + 0.05:.3f} Q 0.02 {y + 0.10:.3f} 0 {y + 0.125:.3f} "
        f"Q -0.02 {y + 0.10:.3f} -0.07 {y + 0.05:.3f} Z",
        _BEAK,
    )


# --- hedgehog ----------------------------------------------------------------------------------------------------


@cache
def _spikes(x: float, y: float, rx: float, ry: float, inner: float, count: int, start: float, end: float) -> str:
    """A spiky fan around (x, y): ``count`` spikes between two angles (turns, 0 is up, clockwise)."""
    points = []
    for i in range(2 * count + 1):
        turn = 2 * pi * (start + (end - start) * i / (2 * count))
        share = 1.0 if i % 2 else inner
        points.append((x + rx * share * sin(turn), y - ry * share * cos(turn)))
    return polygon(points)


def _hedgehog_behind(brush: Brush, frame: Frame, fur: Fur) -> None:
    brush.shape(_spikes(0, 0.14, 0.34, 0.31, 0.76, 13, 0.10, 0.90), fur.dark)
    brush.shape(_spikes(0, frame.head_y - 0.01, 0.37, 0.325, 0.76, 15, -0.40, 0.40), fur.dark)


def _hedgehog_face(brush: Brush, frame: Frame, fur: Fur) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.blob(s * 0.20, y - 0.13, 0.055, 0.055, fur.coat)
        brush.oval(s * 0.20, y - 0.128, 0.028, 0.028, fur.inner)
    brush.patch(
        f"M -0.21 {y - 0.075:.3f} L -0.15 {y - 0.03:.3f} L -0.10 {y - 0.115:.3f} L -0.05 {y - 0.06:.3f} "
        f"L 0 {y - 0.13:.3f} L 0.05 {y - 0.06:.3f} L 0.10 {y - 0.115:.3f} L 0.15 {y - 0.03:.3f} "
        f"L 0.21 {y - 0.075:.3f} Q 0.17 {y - 0.18:.3f} 0 {y - 0.18:.3f} Q -0.17 {y - 0.18:.3f} "
        f"-0.21 {y - 0.075:.3f} Z",
        fur.dark,
    )
    draw_eyes(brush, 0.09, y + 0.0, 0.03, fur.coat)
    draw_cheeks(brush, 0.15, y + 0.07, fur.coat)
    brush.oval(0, y + 0.065, 0.046, 0.038, INK)
    brush.oval(-0.012, y + 0.053, 0.013, 0.010, (210, 200, 210))
    draw_mouth(brush, y + 0.085)


ANIMAL_KINDS: dict[str, AnimalKind] = {
    "cat": AnimalKind(
        Noun("cat", "cats", "猫", "只"),
        Frame(),
        Fur((170, 168, 178), (240, 238, 240), (112, 110, 122)),
        _cat_behind,
        _cat_face,
    ),
    "dog": AnimalKind(
        Noun("dog", "dogs", "狗", "只"),
        Frame(head_rx=0.235, head_ry=0.20),
        Fur((222, 178, 124), (250, 234, 206), (150, 100, 62)),
        _dog_behind,
        _dog_face,
    ),
    "rabbit": AnimalKind(
        Noun("rabbit", "rabbits", "兔子", "只"),
        Frame(
            head_y=-0.145,
            head_rx=0.225,
            head_ry=0.175,
            neck_y=0.0,
            shoulder_y=0.085,
            hand_y=0.115,
            chest=0.115,
            hips=0.16,
            hat_y=-0.285,
            hat=0.125,
        ),
        Fur((232, 222, 212), (252, 248, 244), (190, 176, 166)),
        _rabbit_behind,
        _rabbit_face,
    ),
    "bear": AnimalKind(
        Noun("bear", "bears", "熊", "只"),
        Frame(
            head_rx=0.265,
            head_ry=0.205,
            chest=0.15,
            hips=0.195,
            arm=0.135,
            hand_r=0.076,
            hand_x=0.375,
            leg=0.16,
            leg_x=0.10,
        ),
        Fur((178, 124, 80), (240, 212, 172), (126, 82, 54)),
        _bear_behind,
        _bear_face,
    ),
    "penguin": AnimalKind(
        Noun("penguin", "penguins", "企鹅", "只"),
        Frame(
            head_y=-0.20,
            head_rx=0.215,
            head_ry=0.19,
            chest=0.16,
            hips=0.205,
            hip_y=0.31,
            arm=0.12,
            hand_r=0.062,
            hand_x=0.36,
            hand_y=0.14,
            leg=0.16,
            leg_x=0.10,
        ),
        Fur((78, 92, 122), (252, 252, 250), (56, 66, 92), feet=_BEAK),
        _penguin_behind,
        _penguin_face,
    ),
    "hedgehog": AnimalKind(
        Noun("hedgehog", "hedgehogs", "刺猬", "只"),
        Frame(head_y=-0.16, head_rx=0.225, head_ry=0.185, hat_y=-0.325, hat=0.155),
        Fur((244, 216, 178), (252, 238, 214), (128, 98, 82)),
        _hedgehog_behind,
        _hedgehog_face,
    ),
}
