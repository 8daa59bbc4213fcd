"""Animals from afar and from the water: penguin, giraffe, turtle, snail, fish."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin

from limner.storybook.world.body import Frame, Fur, Pose, torso_path
from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import INK, RGB, mix
from limner.storybook.world.kinds import AnimalKind, nothing
from limner.storybook.world.patterns import arm_bands, spots
from limner.storybook.world.words import Noun

_BEAK: RGB = (250, 168, 52)

# --- penguin -----------------------------------------------------------------------------------------------------


def _penguin_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape("M 0.08 0.26 L 0.27 0.41 L 0.02 0.38 Z", fur.coat)


def _penguin_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(torso_path(frame, frame.neck_y + 0.03, frame.hip_y + 0.015, -0.055), fur.light)


def _penguin_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.oval(-0.085, y + 0.015, 0.105, 0.115, fur.light)
    brush.oval(0.085, y + 0.015, 0.105, 0.115, fur.light)
    brush.oval(0, y + 0.085, 0.15, 0.085, fur.light)
    brush.shape(
        f"M -0.07 {y + 0.05:.3f} Q 0 {y + 0.005:.3f} 0.07 {y + 0.05:.3f} Q 0.02 {y + 0.10:.3f} 0 {y + 0.125:.3f} "
        f"Q -0.02 {y + 0.10:.3f} -0.07 {y + 0.05:.3f} Z",
        _BEAK,
    )


# --- giraffe -----------------------------------------------------------------------------------------------------


def _giraffe_horns(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.limb(s * 0.055, y - 0.08, s * 0.07, y - 0.185, 0.048, fur.coat)
        brush.blob(s * 0.072, y - 0.20, 0.037, 0.033, fur.dark)
        brush.shape(
            f"M {s * 0.12} {y - 0.075:.3f} Q {s * 0.20} {y - 0.16:.3f} {s * 0.32} {y - 0.10:.3f} "
            f"Q {s * 0.25} {y - 0.01:.3f} {s * 0.13} {y - 0.025:.3f} Z",
            fur.coat,
        )
        brush.patch(
            f"M {s * 0.17} {y - 0.075:.3f} Q {s * 0.21} {y - 0.12:.3f} {s * 0.285} {y - 0.092:.3f} "
            f"Q {s * 0.23} {y - 0.045:.3f} {s * 0.17} {y - 0.055:.3f} Z",
            fur.inner,
        )


def _giraffe_head(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.limb(0, frame.head_y + 0.02, 0, frame.neck_y - 0.04, 0.17, fur.coat)
    y = frame.neck_y
    brush.patch(spots((-0.038, y - 0.11, 0.03), (0.04, y - 0.065, 0.032), (-0.03, y - 0.015, 0.032)), fur.dark)
    brush.blob(0, frame.head_y, frame.head_rx, frame.head_ry, fur.coat)


def _giraffe_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_giraffe_spots(frame), fur.dark)
    arm_bands(brush, frame, pose, (0.42, 0.72), 0.062, fur.dark, 0.55)


@cache
def _giraffe_spots(frame: Frame) -> str:
    y, x = frame.neck_y, frame.hips
    return spots(
        (-0.07, y + 0.065, 0.042),
        (0.055, y + 0.05, 0.04),
        (-0.005, y + 0.125, 0.04),
        (-x + 0.055, y + 0.17, 0.044),
        (x - 0.06, y + 0.15, 0.044),
        (0.035, y + 0.205, 0.036),
        (-frame.leg_x - 0.012, frame.hip_y + 0.075, 0.036),
        (frame.leg_x + 0.012, frame.hip_y + 0.09, 0.036),
    )


def _giraffe_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.patch(spots((0.0, y - 0.085, 0.034)), fur.dark)
    brush.blob(0, y + 0.085, 0.135, 0.075, fur.light)
    brush.oval(-0.05, y + 0.06, 0.016, 0.013, fur.dark)
    brush.oval(0.05, y + 0.06, 0.016, 0.013, fur.dark)


# --- turtle ------------------------------------------------------------------------------------------------------


def _turtle_shell(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = 0.165
    rim = mix(fur.dark, (255, 236, 170), 0.42)
    brush.blob(0, y, 0.325, 0.285, rim)
    brush.edge(_shell_rim(y), 1.0)
    brush.blob(0, y, 0.26, 0.225, fur.dark)
    brush.edge(_shell_plates(y), 1.0, rim)


@cache
def _shell_rim(y: float) -> str:
    marks = []
    for i in range(14):
        turn = 2 * pi * (i + 0.5) / 14
        a, b = sin(turn), -cos(turn)
        marks.append(f"M {0.26 * a:.4f} {y + 0.225 * b:.4f} L {0.325 * a:.4f} {y + 0.285 * b:.4f}")
    return " ".join(marks)


@cache
def _shell_plates(y: float) -> str:
    corners = [(0.11 * sin(2 * pi * i / 6), y - 0.105 * cos(2 * pi * i / 6)) for i in range(6)]
    rays = " ".join(f"M {cx:.4f} {cy:.4f} L {cx * 2.1:.4f} {y + (cy - y) * 1.95:.4f}" for cx, cy in corners)
    return polygon(corners) + " " + rays


def _turtle_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape("M 0.12 0.37 L 0.29 0.475 L 0.08 0.43 Z", fur.coat)


def _turtle_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    top, low, x = frame.neck_y + 0.035, frame.hip_y + 0.01, frame.hips - 0.035
    brush.patch(torso_path(frame, top, low, -0.03), fur.light)
    third = (low - top) / 3
    brush.edge(
        f"M 0 {top:.3f} L 0 {low:.3f} M {0.02 - x:.3f} {top + third:.3f} L {x - 0.02:.3f} {top + third:.3f} "
        f"M {-x:.3f} {top + 2 * third:.3f} L {x:.3f} {top + 2 * third:.3f}",
        1.1,
        fur.dark,
    )


def _turtle_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    spot = mix(fur.coat, (40, 70, 30), 0.3)
    brush.patch(spots((0, y - 0.125, 0.034), (-0.085, y - 0.105, 0.026), (0.085, y - 0.105, 0.026)), spot)
    brush.oval(0, y + 0.095, 0.13, 0.065, mix(fur.coat, (255, 255, 220), 0.4))
    brush.oval(-0.022, y + 0.055, 0.009, 0.011, INK)
    brush.oval(0.022, y + 0.055, 0.009, 0.011, INK)


def _turtle_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    spot = mix(fur.coat, (40, 70, 30), 0.3)
    brush.patch(spots((0, y - 0.06, 0.045), (-0.10, y - 0.03, 0.035), (0.10, y - 0.03, 0.035)), spot)


# --- snail -------------------------------------------------------------------------------------------------------


def _snail_horns(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.limb(s * 0.10, y - 0.08, s * 0.20, y - 0.25, 0.06, fur.coat)
        brush.blob(s * 0.205, y - 0.265, 0.055, 0.055, fur.light)
        brush.oval(s * 0.205, y - 0.265, 0.026, 0.026, fur.dark)


def _snail_shell(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.blob(0.22, 0.20, 0.245, 0.245, fur.dark)
    brush.edge(_SNAIL_TURNS, 1.6, mix(fur.dark, (255, 240, 210), 0.65))


_SNAIL_TURNS = (
    "M 0.40 0.20 C 0.40 0.32 0.32 0.385 0.22 0.385 C 0.11 0.385 0.05 0.30 0.05 0.21 C 0.05 0.10 0.13 0.045 0.22 0.045 "
    "C 0.31 0.045 0.355 0.12 0.355 0.19 C 0.355 0.27 0.30 0.325 0.225 0.325 C 0.155 0.325 0.115 0.27 0.115 0.21 "
    "C 0.115 0.15 0.16 0.115 0.215 0.115 C 0.27 0.115 0.295 0.16 0.29 0.20 C 0.285 0.24 0.255 0.265 0.225 0.26"
)


def _snail_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(
        "M 0.05 0.34 Q -0.22 0.36 -0.46 0.475 Q -0.47 0.49 -0.45 0.49 L 0.02 0.49 C 0.12 0.49 0.12 0.34 0.05 0.34 Z",
        fur.coat,
    )


def _snail_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    x, y = frame.hips, frame.hip_y
    brush.edge(f"M {0.02 - x:.3f} {y:.3f} Q 0 {y + 0.04:.3f} {x - 0.02:.3f} {y:.3f}", 1.2, mix(fur.coat, fur.dark, 0.4))


def _snail_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.oval(0, frame.head_y + 0.10, 0.12, 0.06, fur.light)


# --- fish --------------------------------------------------------------------------------------------------------


def _fish_fins(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.shape(
        f"M -0.14 {y - 0.12:.3f} Q -0.12 {y - 0.27:.3f} -0.03 {y - 0.30:.3f} "
        f"Q -0.01 {y - 0.26:.3f} 0.02 {y - 0.25:.3f} "
        f"Q 0.06 {y - 0.27:.3f} 0.11 {y - 0.245:.3f} Q 0.11 {y - 0.18:.3f} 0.14 {y - 0.12:.3f} Z",
        fur.dark,
    )
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.20} {y - 0.06:.3f} L {s * 0.335} {y - 0.12:.3f} Q {s * 0.30} {y - 0.05:.3f} {s * 0.345} {y:.3f} "
            f"Q {s * 0.30} {y + 0.03:.3f} {s * 0.325} {y + 0.10:.3f} L {s * 0.20} {y + 0.08:.3f} Z",
            fur.dark,
        )


def _fish_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(
        "M 0.10 0.26 Q 0.20 0.30 0.26 0.28 Q 0.34 0.16 0.475 0.165 Q 0.415 0.24 0.415 0.31 Q 0.42 0.40 0.47 0.45 "
        "Q 0.33 0.45 0.26 0.34 Q 0.20 0.35 0.10 0.34 Z",
        fur.dark,
    )
    brush.edge("M 0.30 0.27 L 0.39 0.225 M 0.31 0.31 L 0.375 0.31 M 0.30 0.345 L 0.385 0.40", 0.9, fur.coat)


def _fish_coat(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(torso_path(frame, frame.neck_y + 0.03, frame.hip_y + 0.015, -0.02), mix(fur.coat, fur.light, 0.55))
    brush.edge(_fish_scales(frame), 1.25, fur.dark)


@cache
def _fish_scales(frame: Frame) -> str:
    arcs = []
    for row in range(4):
        y = frame.neck_y + 0.085 + 0.06 * row
        half = frame.chest + (frame.hips - frame.chest) * row / 3 - 0.03
        count = 3 if row % 2 == 0 else 4
        step = 2 * half / count
        for k in range(count):
            x = -half + step * k
            arcs.append(f"M {x:.4f} {y:.4f} Q {x + step / 2:.4f} {y + 0.07:.4f} {x + step:.4f} {y:.4f}")
    return " ".join(arcs)


def _fish_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.edge(f"M -0.18 {y - 0.06:.3f} Q -0.145 {y + 0.03:.3f} -0.18 {y + 0.12:.3f}", 1.2, fur.dark)
    brush.edge(f"M 0.18 {y - 0.06:.3f} Q 0.145 {y + 0.03:.3f} 0.18 {y + 0.12:.3f}", 1.2, fur.dark)
    brush.blob(0, y + 0.105, 0.085, 0.052, (255, 158, 150))


def _fish_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.shape(f"M 0 {y - 0.19:.3f} Q 0.06 {y:.3f} 0 {y + 0.17:.3f} Q -0.06 {y:.3f} 0 {y - 0.19:.3f} Z", fur.dark)


FAR_KINDS: dict[str, AnimalKind] = {
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
            eye_x=0.085,
            eye_y=-0.005,
            eye_r=0.032,
            cheek_x=0.14,
            cheek_y=0.075,
            mouth_y=None,
            top=-0.40,
        ),
        Fur((78, 92, 122), (252, 252, 250), (56, 66, 92), feet=_BEAK, face=(252, 252, 250)),
        face=_penguin_face,
        tail=_penguin_tail,
        belly=_penguin_belly,
    ),
    "giraffe": AnimalKind(
        Noun("giraffe", "giraffes", "长颈鹿", "只"),
        Frame(
            head_y=-0.235,
            head_rx=0.165,
            head_ry=0.125,
            neck_y=0.075,
            hip_y=0.285,
            chest=0.125,
            hips=0.165,
            shoulder_y=0.15,
            hand_y=0.165,
            hand_x=0.36,
            hat_y=-0.335,
            hat=0.125,
            eye_x=0.088,
            eye_y=-0.03,
            eye_r=0.028,
            cheek_x=0.13,
            cheek_y=0.035,
            mouth_y=0.06,
            top=-0.475,
        ),
        Fur((252, 208, 108), (255, 242, 208), (178, 106, 50), feet=(112, 74, 50)),
        face=_giraffe_face,
        head_behind=_giraffe_horns,
        head=_giraffe_head,
        coat=_giraffe_coat,
        belly=nothing,
        looks="yellow",
    ),
    "turtle": AnimalKind(
        Noun("turtle", "turtles", "乌龟", "只"),
        Frame(
            head_y=-0.175,
            head_rx=0.205,
            head_ry=0.18,
            hat_y=-0.32,
            hat=0.15,
            eye_x=0.1,
            eye_y=-0.02,
            cheek_x=0.145,
            cheek_y=0.065,
            mouth_y=0.06,
            top=-0.36,
        ),
        Fur((142, 196, 92), (244, 228, 158), (122, 86, 50)),
        face=_turtle_face,
        nape=_turtle_nape,
        tail=_turtle_tail,
        body_behind=_turtle_shell,
        belly=_turtle_belly,
    ),
    "snail": AnimalKind(
        Noun("snail", "snails", "蜗牛", "只"),
        Frame(
            head_rx=0.205,
            head_ry=0.175,
            hat_y=-0.315,
            hat=0.14,
            chest=0.115,
            hips=0.15,
            leg=0.13,
            leg_x=0.085,
            eye_x=0.09,
            cheek_x=0.145,
            cheek_y=0.06,
            mouth_y=0.06,
            top=-0.495,
        ),
        Fur((240, 206, 158), (255, 240, 216), (190, 98, 84)),
        face=_snail_face,
        head_behind=_snail_horns,
        tail=_snail_tail,
        body_behind=_snail_shell,
        coat=_snail_coat,
    ),
    "fish": AnimalKind(
        Noun("fish", "fish", "鱼", "条"),
        Frame(
            head_rx=0.225,
            head_ry=0.19,
            chest=0.13,
            hips=0.165,
            arm=0.10,
            hand_r=0.062,
            hat_y=-0.335,
            hat=0.15,
            eye_x=0.11,
            eye_y=-0.03,
            eye_r=0.04,
            cheek_x=0.165,
            cheek_y=0.055,
            mouth_y=0.05,
            top=-0.48,
        ),
        Fur((98, 184, 222), (232, 250, 255), (46, 112, 170)),
        face=_fish_face,
        head_behind=_fish_fins,
        nape=_fish_nape,
        tail=_fish_tail,
        coat=_fish_coat,
        belly=nothing,
    ),
}
