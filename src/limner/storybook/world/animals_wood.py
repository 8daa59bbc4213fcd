"""Animals of the wood: bear, hedgehog, porcupine, owl, fox."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin

from limner.storybook.world.body import Frame, Fur, Pose, hands
from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import INK, RGB
from limner.storybook.world.kinds import AnimalKind
from limner.storybook.world.patterns import spikes
from limner.storybook.world.words import Noun

# --- bear --------------------------------------------------------------------------------------------------------


def _bear_ears(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    for s in (-1, 1):
        brush.blob(s * 0.215, frame.head_y - 0.165, 0.088, 0.088, fur.coat)
        brush.oval(s * 0.215, frame.head_y - 0.16, 0.05, 0.05, fur.light)


def _bear_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.oval(0, frame.hip_y - 0.10, frame.hips * 0.78, 0.13, fur.light)


def _bear_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.blob(0.20, 0.24, 0.05, 0.05, fur.coat)


def _bear_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.oval(0, y + 0.085, 0.125, 0.095, fur.light)
    brush.oval(0, y + 0.04, 0.048, 0.033, INK)


# --- hedgehog ----------------------------------------------------------------------------------------------------


def _hedgehog_back(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(spikes(0, 0.14, 0.34, 0.31, 0.76, 13, 0.10, 0.90), fur.dark)


def _hedgehog_behind(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.shape(spikes(0, frame.head_y - 0.01, 0.37, 0.325, 0.76, 15, -0.40, 0.40), fur.dark)


def _hedgehog_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    brush.shape(spikes(0, y, 0.225, 0.19, 0.80, 13, 0.0, 1.0), fur.dark)
    brush.shape(spikes(0, y, 0.12, 0.10, 0.72, 9, 0.0, 1.0), fur.dark)


def _hedgehog_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
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
    brush.oval(0, y + 0.065, 0.046, 0.038, INK)
    brush.oval(-0.012, y + 0.053, 0.013, 0.010, (210, 200, 210))


# --- porcupine ---------------------------------------------------------------------------------------------------

_QUILL: RGB = (252, 244, 228)


@cache
def _quills(y: float, r: float, count: int, start: float, end: float, wide: float = 0.62) -> tuple[str, str, str]:
    """Long quills around (0, y) between two angles (turns): all of them, their dark roots, their dark tips."""

    def at(turn: float, share: float) -> tuple[float, float]:
        return r * share * sin(2 * pi * turn), y - r * share * cos(2 * pi * turn)

    step = (end - start) / count
    whole, roots, tips = [], [], []
    for i in range(count):
        turn, half = start + step * (i + 0.5), step * wide / 2
        whole.append(polygon([(0, y), at(turn - half, 0.62), at(turn, 1.0), at(turn + half, 0.62)]))
        roots.append(polygon([(0, y), at(turn - half, 0.62), at(turn + half, 0.62)]))
        tips.append(polygon([at(turn - half * 0.45, 0.83), at(turn, 1.0), at(turn + half * 0.45, 0.83)]))
    return " ".join(whole), " ".join(roots), " ".join(tips)


def _draw_quills(brush: Brush, fur: Fur, paths: tuple[str, str, str]) -> None:
    whole, roots, tips = paths
    brush.edge(whole, 1.4, fur.dark)
    brush.patch(whole, _QUILL)
    brush.patch(roots, fur.dark)
    brush.patch(tips, fur.dark)


def _porcupine_back(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    _draw_quills(brush, fur, _quills(0.15, 0.40, 6, 0.17, 0.43))
    _draw_quills(brush, fur, _quills(0.15, 0.40, 6, 0.57, 0.83))


def _porcupine_behind(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    _draw_quills(brush, fur, _quills(frame.head_y + 0.07, 0.40, 11, -0.29, 0.29))


def _porcupine_nape(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    _draw_quills(brush, fur, _quills(frame.head_y - 0.02, 0.21, 9, 0.0, 1.0, 0.5))


def _porcupine_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.blob(s * 0.185, y - 0.11, 0.045, 0.045, fur.coat)
    brush.oval(0, y + 0.085, 0.125, 0.08, fur.light)
    brush.oval(0, y + 0.05, 0.062, 0.042, INK)
    brush.oval(-0.018, y + 0.037, 0.016, 0.010, (210, 200, 210))


# --- owl ---------------------------------------------------------------------------------------------------------

_BEAK: RGB = (250, 168, 52)


def _owl_tufts(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.06} {y - 0.15:.3f} Q {s * 0.20} {y - 0.22:.3f} {s * 0.275} {y - 0.305:.3f} "
            f"Q {s * 0.31} {y - 0.14:.3f} {s * 0.22} {y - 0.02:.3f} Z",
            fur.dark,
        )


def _owl_wings(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    for s, (x, y) in zip((-1, 1), hands(frame, Pose())):
        top, x0, step = frame.shoulder_y - 0.02, s * 0.08, (x - s * 0.08) / 4
        ends = [y + 0.28, y + 0.25, y + 0.20, y + 0.13]
        feathers = "".join(
            f"Q {x0 + step * k:.3f} {ends[k]:.3f} {x0 + step * (k + 0.5):.3f} {ends[k]:.3f} "
            f"Q {x0 + step * (k + 1):.3f} {ends[k]:.3f} {x0 + step * (k + 1):.3f} {ends[k] - 0.07:.3f} "
            for k in range(4)
        )
        brush.shape(f"M {x0:.3f} {top:.3f} L {x0:.3f} {ends[0] - 0.05:.3f} {feathers}L {x:.3f} {y:.3f} Z", fur.dark)


def _owl_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.oval(0, frame.hip_y - 0.10, frame.hips * 0.8, 0.145, fur.light)
    brush.edge(_owl_feathers(frame.hip_y - 0.10), 1.3, fur.coat)


@cache
def _owl_feathers(y: float) -> str:
    rows = ((-0.055, (-0.075, 0.0, 0.075)), (0.01, (-0.0375, 0.0375)), (0.06, (0.0,)))
    return " ".join(
        f"M {x - 0.028:.3f} {y + dy:.3f} Q {x:.3f} {y + dy + 0.05:.3f} {x + 0.028:.3f} {y + dy:.3f}"
        for dy, row in rows
        for x in row
    )


def _owl_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.oval(s * 0.105, y + 0.0, 0.125, 0.13, fur.light)
        brush.blob(s * 0.105, y + frame.eye_y, 0.078, 0.082, (255, 255, 252))
    brush.shape(f"M -0.042 {y + 0.045:.3f} Q 0 {y + 0.02:.3f} 0.042 {y + 0.045:.3f} L 0 {y + 0.13:.3f} Z", _BEAK)


# --- fox ---------------------------------------------------------------------------------------------------------

_WHITE: RGB = (255, 250, 242)


def _fox_ears(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y = frame.head_y
    for s in (-1, 1):
        brush.shape(
            f"M {s * 0.24} {y - 0.03:.3f} L {s * 0.275} {y - 0.285:.3f} Q {s * 0.27} {y - 0.315:.3f} "
            f"{s * 0.24} {y - 0.295:.3f} L {s * 0.05} {y - 0.15:.3f} Z",
            fur.coat,
        )
        brush.patch(
            f"M {s * 0.262} {y - 0.20:.3f} L {s * 0.268} {y - 0.28:.3f} Q {s * 0.265} {y - 0.305:.3f} "
            f"{s * 0.24} {y - 0.288:.3f} L {s * 0.165} {y - 0.23:.3f} Z",
            fur.dark,
        )
        brush.patch(
            f"M {s * 0.20} {y - 0.10:.3f} L {s * 0.232} {y - 0.20:.3f} L {s * 0.13} {y - 0.15:.3f} Z", fur.inner
        )


_FOX_TAIL = "M 0.08 0.25 C 0.18 0.26 0.24 0.17 0.40 0.15 Q 0.52 0.26 0.42 0.36 C 0.32 0.44 0.16 0.43 0.08 0.36 Z"
_FOX_TIP = (
    "M 0.34 0.168 Q 0.37 0.155 0.40 0.15 Q 0.52 0.26 0.42 0.36 Q 0.39 0.385 0.35 0.398 "
    "L 0.365 0.34 L 0.325 0.32 L 0.355 0.275 L 0.31 0.24 L 0.345 0.215 Z"
)


def _fox_tail(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    brush.patch(_FOX_TAIL, fur.coat)
    brush.patch(_FOX_TIP, _WHITE)
    brush.edge(_FOX_TAIL)


def _fox_belly(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y, x = frame.neck_y + 0.03, frame.chest * 0.9
    brush.patch(
        f"M {-x:.3f} {y:.3f} L {x:.3f} {y:.3f} Q {x:.3f} {y + 0.12:.3f} 0.05 {y + 0.20:.3f} "
        f"L 0 {y + 0.26:.3f} L -0.05 {y + 0.20:.3f} Q {-x:.3f} {y + 0.12:.3f} {-x:.3f} {y:.3f} Z",
        fur.light,
    )


def _fox_face(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    y, rx = frame.head_y, frame.head_rx
    cheeks = (
        f"M {-rx + 0.012:.3f} {y + 0.035:.3f} Q -0.10 {y + 0.035:.3f} 0 {y + 0.09:.3f} "
        f"Q 0.10 {y + 0.035:.3f} {rx - 0.012:.3f} {y + 0.035:.3f} Q {rx * 0.9:.3f} {y + 0.13:.3f} {rx * 0.45:.3f} "
        f"{y + 0.168:.3f} Q 0 {y + 0.20:.3f} {-rx * 0.45:.3f} {y + 0.168:.3f} "
        f"Q {-rx * 0.9:.3f} {y + 0.13:.3f} {-rx + 0.012:.3f} {y + 0.035:.3f} Z"
    )
    brush.patch(cheeks, _WHITE)
    brush.ring(0, y, rx, frame.head_ry)
    brush.oval(0, y + 0.075, 0.044, 0.034, INK)


WOOD_KINDS: dict[str, AnimalKind] = {
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
            eye_x=0.105,
            eye_y=-0.02,
            eye_r=0.03,
            cheek_x=0.185,
            cheek_y=0.06,
            mouth_y=0.065,
            top=-0.44,
        ),
        Fur((178, 124, 80), (240, 212, 172), (126, 82, 54)),
        face=_bear_face,
        head_behind=_bear_ears,
        tail=_bear_tail,
        belly=_bear_belly,
        looks="brown",
    ),
    "hedgehog": AnimalKind(
        Noun("hedgehog", "hedgehogs", "刺猬", "只"),
        Frame(
            head_y=-0.16,
            head_rx=0.225,
            head_ry=0.185,
            hat_y=-0.325,
            hat=0.155,
            eye_x=0.09,
            eye_y=0.0,
            eye_r=0.03,
            cheek_x=0.15,
            cheek_y=0.07,
            mouth_y=0.085,
        ),
        Fur((244, 216, 178), (252, 238, 214), (128, 98, 82)),
        face=_hedgehog_face,
        head_behind=_hedgehog_behind,
        nape=_hedgehog_nape,
        body_behind=_hedgehog_back,
    ),
    "porcupine": AnimalKind(
        Noun("porcupine", "porcupines", "豪猪", "只"),
        Frame(
            head_y=-0.15,
            head_rx=0.215,
            head_ry=0.18,
            hat_y=-0.295,
            hat=0.145,
            eye_x=0.095,
            eye_y=-0.03,
            eye_r=0.03,
            cheek_x=0.16,
            cheek_y=0.05,
            mouth_y=0.085,
        ),
        Fur((150, 128, 118), (226, 210, 196), (64, 52, 56), feet=(100, 82, 78)),
        face=_porcupine_face,
        head_behind=_porcupine_behind,
        nape=_porcupine_nape,
        body_behind=_porcupine_back,
    ),
    "owl": AnimalKind(
        Noun("owl", "owls", "猫头鹰", "只"),
        Frame(
            head_rx=0.25,
            head_ry=0.19,
            chest=0.155,
            hips=0.20,
            hip_y=0.31,
            arm=0.11,
            hand_r=0.062,
            leg=0.12,
            leg_x=0.09,
            eye_x=0.105,
            eye_y=-0.005,
            eye_r=0.042,
            cheek_x=0.19,
            cheek_y=0.105,
            mouth_y=None,
        ),
        Fur((158, 114, 78), (246, 226, 190), (112, 76, 54), feet=_BEAK, face=(246, 226, 190)),
        face=_owl_face,
        head_behind=_owl_tufts,
        body_behind=_owl_wings,
        belly=_owl_belly,
        looks="brown",
    ),
    "fox": AnimalKind(
        Noun("fox", "foxes", "狐狸", "只"),
        Frame(
            head_rx=0.255,
            head_ry=0.185,
            eye_x=0.105,
            eye_y=-0.02,
            eye_r=0.032,
            cheek_x=0.185,
            cheek_y=0.08,
            mouth_y=0.085,
        ),
        Fur((236, 122, 50), _WHITE, (92, 56, 48), feet=(92, 56, 48)),
        face=_fox_face,
        head_behind=_fox_ears,
        tail=_fox_tail,
        belly=_fox_belly,
        looks="orange",
    ),
}
