"""The garments: one entry each, its words and how it is cut to an animal's measures. A new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from limner.storybook.world.body import Frame, Pose, hands, torso_path
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import Tone
from limner.storybook.world.words import Noun

Tailoring = Callable[[Brush, Frame, Pose, Tone], None]


@dataclass(frozen=True, slots=True)
class GarmentKind:
    """A garment's words, its drawing, and when it is put on.

    ``layer``: garments are drawn from the lowest to the highest, those under 10 before the head, the others after it.
    ``chinese_verb``: 戴着 for what is put on head and hands, 穿着 for what the body is in.
    """

    noun: Noun
    layer: int
    chinese_verb: str
    draw: Tailoring


@cache
def _hat_paths(frame: Frame) -> tuple[str, str, str, str]:
    y, w = frame.hat_y, frame.hat
    top = max(y - 0.19, -0.498)
    crown = (
        f"M {-w:.4f} {y} L {-w * 0.86:.4f} {top + 0.03:.4f} Q {-w * 0.84:.4f} {top:.4f} {-w * 0.7:.4f} {top:.4f} "
        f"L {w * 0.7:.4f} {top:.4f} Q {w * 0.84:.4f} {top:.4f} {w * 0.86:.4f} {top + 0.03:.4f} L {w:.4f} {y} Z"
    )
    band = f"M {-w:.4f} {y} L {-w * 0.955:.4f} {y - 0.05:.4f} L {w * 0.955:.4f} {y - 0.05:.4f} L {w:.4f} {y} Z"
    shine = f"M {-w * 0.62:.4f} {y - 0.075:.4f} L {-w * 0.56:.4f} {top + 0.045:.4f}"
    b = w + 0.085
    brim = (
        f"M {-b:.4f} {y} Q {-b:.4f} {y - 0.025:.4f} {-b + 0.04:.4f} {y - 0.022:.4f} L {b - 0.04:.4f} {y - 0.022:.4f} "
        f"Q {b:.4f} {y - 0.025:.4f} {b:.4f} {y} Q {b:.4f} {y + 0.032:.4f} {b - 0.05:.4f} {y + 0.032:.4f} "
        f"L {-b + 0.05:.4f} {y + 0.032:.4f} Q {-b:.4f} {y + 0.032:.4f} {-b:.4f} {y} Z"
    )
    return crown, band, shine, brim


def _hat(brush: Brush, frame: Frame, pose: Pose, colour: Tone) -> None:
    crown, band, shine, brim = _hat_paths(frame)
    brush.shape(crown, colour.main)
    brush.patch(band, colour.dark)
    brush.edge(shine, 1.4, colour.light)
    brush.shape(brim, colour.main)


def _gloves(brush: Brush, frame: Frame, pose: Pose, colour: Tone) -> None:
    r = frame.hand_r + 0.022
    for sign, (x, y) in zip((-1.0, 1.0), hands(frame, pose)):
        brush.blob(x - sign * 0.035, y - 0.075, 0.036, 0.05, colour.main)
        brush.blob(x + sign * 0.01, y, r, r, colour.main)
        brush.oval(x - sign * 0.03, y - 0.045, 0.032, 0.03, colour.main)
        brush.limb(x - sign * 0.085, y - 0.05, x - sign * 0.085, y + 0.05, 0.055, colour.dark)
        brush.oval(x + sign * 0.03, y - 0.035, 0.026, 0.02, colour.light)


@cache
def _shirt_path(frame: Frame) -> str:
    return torso_path(frame, frame.neck_y, frame.hip_y - 0.055, 0.018)


def _shirt(brush: Brush, frame: Frame, pose: Pose, colour: Tone) -> None:
    width, inner = frame.arm + 0.035, frame.chest * 0.8
    sleeves = []
    for sign, (x, y) in zip((-1.0, 1.0), hands(frame, pose)):
        start = sign * inner
        sleeves.append((start, start + (x - start) * 0.62, frame.shoulder_y + (y - frame.shoulder_y) * 0.62))
    for start, x, y in sleeves:
        brush.limb(start, frame.shoulder_y, x, y, width, colour.main)
    brush.shape(_shirt_path(frame), colour.main)
    for start, x, y in sleeves:  # shirt and sleeves are one piece of cloth
        brush.stick(start * 0.5, frame.shoulder_y, x, y, width, colour.main)
    bottom = frame.hip_y - 0.055
    for k in range(3):
        brush.oval(0, bottom - 0.04 - 0.06 * k, 0.017, 0.017, colour.dark)


@cache
def _trousers_path(frame: Frame) -> str:
    top, end = frame.hip_y - 0.09, frame.foot_y - 0.025
    waist, out, gap = frame.hips + 0.012, frame.leg_x + frame.leg / 2 + 0.024, 0.012
    crotch = frame.hip_y + 0.045
    return (
        f"M {-waist:.4f} {top:.4f} L {waist:.4f} {top:.4f} L {out:.4f} {end:.4f} L {gap + 0.006:.4f} {end:.4f} "
        f"L {gap:.4f} {crotch:.4f} L {-gap:.4f} {crotch:.4f} L {-gap - 0.006:.4f} {end:.4f} L {-out:.4f} {end:.4f} Z"
    )


@cache
def _trousers_details(frame: Frame) -> tuple[str, str]:
    top, end = frame.hip_y - 0.09, frame.foot_y - 0.025
    waist, out = frame.hips + 0.012, frame.leg_x + frame.leg / 2 + 0.024
    belt = (
        f"M {-waist:.4f} {top:.4f} L {waist:.4f} {top:.4f} L {waist + 0.003:.4f} {top + 0.035:.4f} "
        f"L {-waist - 0.003:.4f} {top + 0.035:.4f} Z"
    )
    cuffs = (
        f"M 0.02 {end:.4f} L {out:.4f} {end:.4f} L {out - 0.002:.4f} {end - 0.03:.4f} L 0.02 {end - 0.03:.4f} Z "
        f"M -0.02 {end:.4f} L {-out:.4f} {end:.4f} L {-out + 0.002:.4f} {end - 0.03:.4f} L -0.02 {end - 0.03:.4f} Z"
    )
    return belt, cuffs


def _trousers(brush: Brush, frame: Frame, pose: Pose, colour: Tone) -> None:
    path = _trousers_path(frame)
    belt, cuffs = _trousers_details(frame)
    brush.patch(path, colour.main)
    brush.patch(belt, colour.dark)
    brush.patch(cuffs, colour.dark)
    brush.edge(path)


GARMENT_KINDS: dict[str, GarmentKind] = {
    "hat": GarmentKind(Noun("hat", "hats", "帽子", "顶"), 10, "戴着", _hat),
    "gloves": GarmentKind(Noun("glove", "gloves", "手套", "双", paired=True), 4, "戴着", _gloves),
    "shirt": GarmentKind(Noun("shirt", "shirts", "衬衫", "件"), 3, "穿着", _shirt),
    "trousers": GarmentKind(
        Noun("trousers", "trousers", "裤子", "条", paired=True, others=("pants",)), 2, "穿着", _trousers
    ),
}
