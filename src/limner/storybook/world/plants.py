"""The plants with a face, arms and legs: one entry each. A new plant is one more entry."""

from __future__ import annotations

from dataclasses import replace

from limner.storybook.world.body import Frame, Fur, Pose
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import RGB, mix
from limner.storybook.world.kinds import AnimalKind, nothing
from limner.storybook.world.words import Noun

_LEAF: RGB = (88, 176, 84)
_STALK: RGB = (56, 132, 66)
_EARTH: RGB = (122, 84, 52)


def _no_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    """Eyes and mouth are all the face it has."""


# --- daikon radish -----------------------------------------------------------------------------------------------

_DAIKON = (
    "M 0 -0.36 C 0.15 -0.36 0.22 -0.30 0.23 -0.17 C 0.24 0.02 0.21 0.14 0.15 0.24 C 0.11 0.31 0.05 0.35 0 0.37 "
    "C -0.05 0.35 -0.11 0.31 -0.15 0.24 C -0.21 0.14 -0.24 0.02 -0.23 -0.17 C -0.22 -0.30 -0.15 -0.36 0 -0.36 Z"
)


def _daikon_leaves(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    for s in (-1, 1):
        brush.shape(
            f"M 0 -0.31 C {s * 0.06} -0.44 {s * 0.20} -0.50 {s * 0.33} -0.45 C {s * 0.37} -0.40 {s * 0.33} -0.32 "
            f"{s * 0.25} -0.31 C {s * 0.16} -0.27 {s * 0.08} -0.28 0 -0.31 Z",
            _LEAF,
        )
        brush.edge(f"M {s * 0.05} -0.33 Q {s * 0.16} -0.40 {s * 0.28} -0.41", 0.9, _STALK)
    brush.shape("M -0.04 -0.32 C -0.14 -0.40 -0.10 -0.48 0 -0.495 C 0.10 -0.48 0.14 -0.40 0.04 -0.32 Z", _LEAF)


def _daikon_body(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_DAIKON, fur.coat)
    brush.patch(
        "M 0 -0.36 C 0.15 -0.36 0.22 -0.30 0.23 -0.17 L 0.225 -0.21 Q 0 -0.31 -0.225 -0.21 L -0.23 -0.17 "
        "C -0.22 -0.30 -0.15 -0.36 0 -0.36 Z",
        mix(fur.coat, (150, 200, 110), 0.55),
    )
    brush.edge("M -0.13 0.17 L -0.03 0.185 M 0.03 0.24 L 0.10 0.23 M 0.07 0.11 L 0.17 0.10", 1.0, fur.dark)
    brush.edge(_DAIKON)


# --- avocado -----------------------------------------------------------------------------------------------------

_PEAR = (
    "M 0 -0.47 C 0.13 -0.47 0.18 -0.38 0.205 -0.24 C 0.225 -0.10 0.29 -0.02 0.29 0.13 C 0.29 0.29 0.16 0.36 0 0.36 "
    "C -0.16 0.36 -0.29 0.29 -0.29 0.13 C -0.29 -0.02 -0.225 -0.10 -0.205 -0.24 C -0.18 -0.38 -0.13 -0.47 0 -0.47 Z"
)
_FLESH = (
    "M 0 -0.415 C 0.09 -0.415 0.13 -0.34 0.152 -0.22 C 0.172 -0.07 0.235 0.0 0.235 0.13 "
    "C 0.235 0.25 0.13 0.305 0 0.305 "
    "C -0.13 0.305 -0.235 0.25 -0.235 0.13 C -0.235 0.0 -0.172 -0.07 -0.152 -0.22 C -0.13 -0.34 -0.09 -0.415 0 -0.415 Z"
)


def _avocado_body(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(_PEAR, fur.coat)


def _avocado_flesh(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_FLESH, fur.light)
    brush.blob(0, 0.15, 0.115, 0.115, (150, 96, 58))
    brush.oval(-0.035, 0.11, 0.034, 0.034, (192, 138, 94))


# --- carrot ------------------------------------------------------------------------------------------------------

_CARROT = (
    "M 0 -0.35 C 0.17 -0.35 0.25 -0.29 0.24 -0.15 C 0.23 0.02 0.15 0.24 0.03 0.38 Q 0 0.41 -0.03 0.38 "
    "C -0.15 0.24 -0.23 0.02 -0.24 -0.15 C -0.25 -0.29 -0.17 -0.35 0 -0.35 Z"
)


def _carrot_leaves(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.02} -0.30 C {s * 0.12} -0.36 {s * 0.15} -0.46 {s * 0.25} -0.495 "
            f"C {s * 0.31} -0.42 {s * 0.27} -0.33 {s * 0.14} -0.29 Z",
            _STALK,
        )
    brush.shape("M -0.06 -0.30 C -0.13 -0.42 -0.05 -0.47 0 -0.495 C 0.05 -0.47 0.13 -0.42 0.06 -0.30 Z", _LEAF)


def _carrot_body(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_CARROT, fur.coat)
    brush.edge(
        "M -0.21 0.03 L -0.09 0.045 M 0.07 0.10 L 0.18 0.09 M -0.14 0.19 L -0.05 0.20 M 0.02 0.28 L 0.09 0.27",
        1.4,
        fur.dark,
    )
    brush.edge(_CARROT)


# --- mushroom ----------------------------------------------------------------------------------------------------

_STEM = (
    "M -0.15 -0.20 L 0.15 -0.20 C 0.16 0.0 0.17 0.15 0.19 0.26 Q 0.19 0.31 0.14 0.31 L -0.14 0.31 "
    "Q -0.19 0.31 -0.19 0.26 "
    "C -0.17 0.15 -0.16 0.0 -0.15 -0.20 Z"
)
_CAP = (
    "M -0.40 -0.13 C -0.42 -0.34 -0.22 -0.49 0 -0.49 C 0.22 -0.49 0.42 -0.34 0.40 -0.13 Q 0.39 -0.09 0.34 -0.10 "
    "Q 0.18 -0.185 0 -0.185 Q -0.18 -0.185 -0.34 -0.10 Q -0.39 -0.09 -0.40 -0.13 Z"
)


def _mushroom_stem(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(_STEM, fur.light)


def _mushroom_cap(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_CAP, fur.dark)
    white: RGB = (255, 252, 246) if min(fur.dark) < 215 else (190, 196, 214)
    for x, y, r in (
        (-0.28, -0.22, 0.062),
        (0.28, -0.22, 0.062),
        (-0.12, -0.32, 0.06),
        (0.13, -0.34, 0.062),
        (0, -0.235, 0.042),
    ):
        brush.oval(x, y, r, r * 0.85, white)
    brush.edge(_CAP)


# --- banana ------------------------------------------------------------------------------------------------------

_BANANA = (
    "M 0.07 -0.47 L 0.15 -0.47 Q 0.15 -0.41 0.16 -0.36 C 0.24 -0.22 0.25 0.05 0.18 0.22 Q 0.12 0.36 0.02 0.37 "
    "C -0.10 0.36 -0.19 0.27 -0.21 0.10 C -0.23 -0.08 -0.14 -0.26 0.06 -0.38 Q 0.075 -0.42 0.07 -0.47 Z"
)


def _banana_body(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_BANANA, fur.coat)
    brush.patch(
        "M 0.16 -0.36 C 0.24 -0.22 0.25 0.05 0.18 0.22 Q 0.12 0.36 0.02 0.37 C 0.16 0.16 0.19 -0.12 0.12 -0.36 Z",
        fur.dark,
    )
    brush.patch("M 0.065 -0.475 L 0.155 -0.475 L 0.16 -0.385 L 0.055 -0.385 Z", _EARTH)
    brush.patch("M -0.05 0.335 Q 0.02 0.32 0.09 0.325 Q 0.06 0.37 0.02 0.37 Q -0.02 0.365 -0.05 0.335 Z", _EARTH)
    brush.edge(_BANANA)


_SHAPED = Frame(leg_x=0.085, leg=0.12, arm=0.095, hand_r=0.062, shoulder_y=0.07, hand_x=0.375, hand_y=0.11)


PLANT_KINDS: dict[str, AnimalKind] = {
    "daikon": AnimalKind(
        Noun("daikon radish", "daikon radishes", "萝卜", "个"),
        replace(
            _SHAPED,
            head_y=-0.13,
            head_rx=0.22,
            head_ry=0.17,
            chest=0.195,
            hips=0.135,
            hip_y=0.27,
            leg_x=0.078,
            hat_y=-0.285,
            hat=0.135,
        ),
        Fur((250, 250, 246), (255, 255, 255), (206, 208, 214), (244, 168, 172)),
        _no_face,
        head_behind=_daikon_leaves,
        head=nothing,
        torso=_daikon_body,
        belly=nothing,
        whole=True,
        looks="white",
    ),
    "avocado": AnimalKind(
        Noun("avocado", "avocados", "鳄梨", "个"),
        replace(
            _SHAPED,
            head_y=-0.18,
            head_rx=0.17,
            head_ry=0.2,
            chest=0.205,
            hips=0.25,
            eye_x=0.07,
            cheek_x=0.11,
            hat_y=-0.365,
            hat=0.13,
        ),
        Fur((84, 138, 60), (226, 234, 150), (52, 96, 44), (244, 168, 172), face=(226, 234, 150)),
        _no_face,
        head=nothing,
        torso=_avocado_body,
        belly=_avocado_flesh,
        whole=True,
        looks="green",
    ),
    "carrot": AnimalKind(
        Noun("carrot", "carrots", "胡萝卜", "根"),
        replace(
            _SHAPED,
            head_y=-0.14,
            head_rx=0.22,
            head_ry=0.17,
            chest=0.19,
            hips=0.115,
            hip_y=0.26,
            leg_x=0.075,
            hat_y=-0.285,
            hat=0.14,
        ),
        Fur((250, 144, 44), (255, 206, 150), (214, 104, 30), (244, 168, 172)),
        _no_face,
        head_behind=_carrot_leaves,
        head=nothing,
        torso=_carrot_body,
        belly=nothing,
        whole=True,
        looks="orange",
    ),
    "mushroom": AnimalKind(
        Noun("mushroom", "mushrooms", "蘑菇", "个"),
        replace(
            _SHAPED,
            head_y=-0.07,
            head_rx=0.16,
            head_ry=0.12,
            neck_y=0.03,
            chest=0.165,
            hips=0.18,
            eye_x=0.075,
            cheek_x=0.115,
            shoulder_y=0.1,
            hand_y=0.14,
            hat_y=-0.40,
            hat=0.12,
        ),
        Fur((250, 236, 208), (250, 236, 208), (220, 52, 48), (244, 168, 172)),
        _no_face,
        head=_mushroom_cap,
        nape=nothing,
        torso=_mushroom_stem,
        belly=nothing,
        whole=True,
    ),
    "banana": AnimalKind(
        Noun("banana", "bananas", "香蕉", "根"),
        replace(
            _SHAPED,
            head_y=-0.13,
            head_rx=0.17,
            head_ry=0.17,
            chest=0.185,
            hips=0.195,
            eye_x=0.075,
            cheek_x=0.125,
            hat_y=-0.30,
            hat=0.13,
        ),
        Fur((254, 222, 74), (255, 240, 160), (226, 182, 44), (244, 168, 172)),
        _no_face,
        head=nothing,
        torso=_banana_body,
        belly=nothing,
        whole=True,
        looks="yellow",
    ),
}
