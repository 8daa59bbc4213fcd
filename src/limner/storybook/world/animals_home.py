"""Animals from around the house: cat, dog, rabbit, pig."""

from __future__ import annotations

from limner.storybook.world.body import Frame, Fur, Pose, draw_belly
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import INK, RGB, mix
from limner.storybook.world.kinds import AnimalKind
from limner.storybook.world.patterns import arm_bands, leg_bands, side_stripes, spots
from limner.storybook.world.words import Noun

_NOSE: RGB = (226, 110, 124)

# --- cat ---------------------------------------------------------------------------------------------------------


def _cat_ears(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
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


def _cat_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.band("M 0.10 0.30 C 0.34 0.40 0.42 0.30 0.34 0.21", 0.085, fur.coat)
    brush.stick(0.24, 0.295, 0.225, 0.365, 0.06, fur.dark)
    brush.stick(0.32, 0.27, 0.375, 0.30, 0.06, fur.dark)


def _cat_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(side_stripes(frame, (0.12, 0.185, 0.25), 0.02, 0.08), fur.dark)
    arm_bands(brush, frame, pose, (0.45, 0.68), 0.05, fur.dark, 0.9)
    leg_bands(brush, frame, (0.355,), 0.05, fur.dark)


def _cat_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.edge(
        f"M 0 {y - 0.165:.3f} L 0 {y - 0.06:.3f} M -0.08 {y - 0.155:.3f} L -0.07 {y - 0.07:.3f} "
        f"M 0.08 {y - 0.155:.3f} L 0.07 {y - 0.07:.3f}",
        1.6,
        fur.dark,
    )


def _cat_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.edge(
        f"M 0 {y - 0.165:.3f} L 0 {y - 0.095:.3f} M -0.06 {y - 0.155:.3f} L -0.05 {y - 0.10:.3f} "
        f"M 0.06 {y - 0.155:.3f} L 0.05 {y - 0.10:.3f}",
        1.3,
        fur.dark,
    )
    brush.oval(0, y + 0.10, 0.115, 0.075, fur.light)
    brush.patch(f"M -0.03 {y + 0.05:.3f} L 0.03 {y + 0.05:.3f} L 0 {y + 0.085:.3f} Z", _NOSE)
    brush.edge(
        f"M -0.17 {y + 0.10:.3f} L -0.29 {y + 0.08:.3f} M -0.17 {y + 0.13:.3f} L -0.28 {y + 0.145:.3f} "
        f"M 0.17 {y + 0.10:.3f} L 0.29 {y + 0.08:.3f} M 0.17 {y + 0.13:.3f} L 0.28 {y + 0.145:.3f}",
        0.7,
    )


# --- dog ---------------------------------------------------------------------------------------------------------


def _dog_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.band("M 0.10 0.28 Q 0.28 0.32 0.36 0.20", 0.09, fur.coat)
    brush.stick(0.335, 0.235, 0.358, 0.204, 0.09, fur.light)


def _dog_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(spots((frame.hips - 0.075, frame.hip_y - 0.03, 0.06)), fur.dark)
    brush.patch(spots((0.085 - frame.chest, frame.shoulder_y + 0.03, 0.05)), fur.dark)
    brush.patch(spots((-frame.leg_x, frame.hip_y + 0.085, 0.048)), fur.dark)


def _dog_head_ears(brush: Brush, y: float, fur: Fur) -> None:
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.13} {y - 0.165:.3f} C {s * 0.23} {y - 0.21:.3f} {s * 0.33} {y - 0.10:.3f} "
            f"{s * 0.325} {y + 0.06:.3f} C {s * 0.325} {y + 0.16:.3f} {s * 0.235} {y + 0.16:.3f} "
            f"{s * 0.22} {y + 0.05:.3f} C {s * 0.215} {y - 0.03:.3f} {s * 0.19} {y - 0.10:.3f} "
            f"{s * 0.13} {y - 0.165:.3f} Z",
            fur.dark,
        )


def _dog_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.patch(spots((frame.eye_x + 0.005, y - 0.025, 0.072)), mix(fur.coat, fur.dark, 0.8))
    _dog_head_ears(brush, y, fur)
    brush.oval(0, y + 0.095, 0.135, 0.09, fur.light)
    brush.oval(0, y + 0.045, 0.05, 0.036, INK)
    brush.oval(-0.015, y + 0.033, 0.014, 0.009, (200, 190, 200))


def _dog_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    _dog_head_ears(brush, frame.head_y, fur)


# --- rabbit ------------------------------------------------------------------------------------------------------


def _rabbit_ears(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
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


def _rabbit_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.blob(0.20, 0.265, 0.075, 0.07, (255, 255, 255))


def _rabbit_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    x, y = frame.hips * 0.72, frame.hip_y - 0.08
    brush.oval(0, y, x, 0.10, fur.light)
    brush.patch(f"M {-x:.3f} {y - 0.03:.3f} L 0 {y - 0.18:.3f} L {x:.3f} {y - 0.03:.3f} Z", fur.light)
    brush.oval(0, y - 0.10, x * 0.72, 0.06, fur.light)


def _rabbit_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.oval(-0.045, y + 0.085, 0.065, 0.055, fur.light)
    brush.oval(0.045, y + 0.085, 0.065, 0.055, fur.light)
    brush.shape(
        f"M -0.025 {y + 0.10:.3f} L 0.025 {y + 0.10:.3f} L 0.025 {y + 0.145:.3f} L -0.025 {y + 0.145:.3f} Z",
        (255, 255, 255),
    )
    brush.patch(f"M -0.03 {y + 0.04:.3f} L 0.03 {y + 0.04:.3f} L 0 {y + 0.075:.3f} Z", _NOSE)


# --- pig ---------------------------------------------------------------------------------------------------------


def _pig_ears(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.07} {y - 0.16:.3f} Q {s * 0.16} {y - 0.30:.3f} {s * 0.285} {y - 0.27:.3f} "
            f"Q {s * 0.33} {y - 0.16:.3f} {s * 0.235} {y - 0.03:.3f} Z",
            fur.dark,
        )


def _pig_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.band("M 0.14 0.25 C 0.26 0.30 0.30 0.20 0.25 0.18 C 0.19 0.17 0.22 0.30 0.34 0.25", 0.05, fur.dark)


def _pig_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    for s in (-1, 1):  # trotters
        x, y = s * (frame.leg_x + 0.018), frame.foot_y
        brush.patch(
            f"M {x - 0.012:.3f} {y + 0.03:.3f} L {x:.3f} {y - 0.02:.3f} L {x + 0.012:.3f} {y + 0.03:.3f} Z", INK
        )


def _pig_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    draw_belly(brush, frame, fur, pose)
    brush.edge(f"M -0.012 {frame.hip_y - 0.06:.3f} L 0.012 {frame.hip_y - 0.04:.3f}", 0.8, fur.dark)
    brush.edge(f"M 0.012 {frame.hip_y - 0.06:.3f} L -0.012 {frame.hip_y - 0.04:.3f}", 0.8, fur.dark)


def _pig_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.blob(0, y + 0.055, 0.10, 0.07, fur.dark)
    brush.oval(-0.036, y + 0.055, 0.019, 0.03, INK)
    brush.oval(0.036, y + 0.055, 0.019, 0.03, INK)


HOME_KINDS: dict[str, AnimalKind] = {
    "cat": AnimalKind(
        Noun("cat", "cats", "猫", "只"),
        Frame(eye_x=0.105, eye_y=-0.005, eye_r=0.034, cheek_x=0.175, cheek_y=0.07, mouth_y=0.05),
        Fur((170, 168, 178), (240, 238, 240), (112, 110, 122)),
        face=_cat_face,
        head_behind=_cat_ears,
        nape=_cat_nape,
        tail=_cat_tail,
        coat=_cat_coat,
    ),
    "dog": AnimalKind(
        Noun("dog", "dogs", "狗", "只"),
        Frame(
            head_rx=0.235,
            head_ry=0.20,
            eye_x=0.095,
            eye_y=-0.025,
            eye_r=0.034,
            cheek_x=0.15,
            cheek_y=0.05,
            mouth_y=0.075,
            top=-0.39,
        ),
        Fur((222, 178, 124), (250, 234, 206), (150, 100, 62)),
        face=_dog_face,
        nape=_dog_nape,
        tail=_dog_tail,
        coat=_dog_coat,
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
            eye_x=0.09,
            cheek_x=0.155,
            cheek_y=0.06,
            mouth_y=0.042,
        ),
        Fur((232, 222, 212), (252, 248, 244), (190, 176, 166), feet=(252, 248, 244)),
        face=_rabbit_face,
        head_behind=_rabbit_ears,
        tail=_rabbit_tail,
        belly=_rabbit_belly,
        looks="white",
    ),
    "pig": AnimalKind(
        Noun("pig", "pigs", "猪", "只"),
        Frame(
            head_rx=0.255,
            head_ry=0.20,
            chest=0.155,
            hips=0.205,
            arm=0.115,
            hand_x=0.37,
            leg=0.15,
            leg_x=0.10,
            eye_x=0.125,
            eye_y=-0.045,
            cheek_x=0.185,
            cheek_y=0.05,
            mouth_y=0.1,
            top=-0.45,
        ),
        Fur((250, 178, 192), (255, 214, 220), (234, 132, 154), feet=(170, 92, 110)),
        face=_pig_face,
        head_behind=_pig_ears,
        tail=_pig_tail,
        coat=_pig_coat,
        belly=_pig_belly,
        looks="pink",
    ),
}
