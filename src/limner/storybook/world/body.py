"""The body that all animals share: measures, fur, limbs. Garments are cut to the same measures.

Upright like picture-book characters, facing the viewer, in the unit box: feet at the bottom, head in the upper half,
arms spread so that hands and sleeves stand clear of the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import BLUSH, INK, RGB, luminance, mix, tone


@dataclass(frozen=True, slots=True)
class Frame:
    """An animal's measures in box units (the box is [−0.5, 0.5]², y down). Left and right are alike."""

    head_y: float = -0.18
    head_rx: float = 0.25
    head_ry: float = 0.195
    neck_y: float = -0.03
    """Top of the torso, hidden by the head."""
    hip_y: float = 0.27
    """Bottom of the torso, hidden by trousers."""
    chest: float = 0.12
    hips: float = 0.17
    """Half widths of the torso at the top and at the bottom."""
    shoulder_y: float = 0.065
    hand_x: float = 0.365
    hand_y: float = 0.10
    hand_r: float = 0.07
    arm: float = 0.115
    leg_x: float = 0.092
    leg: float = 0.15
    """Distance of a leg's axis from the middle, and its width."""
    foot_y: float = 0.45
    hat_y: float = -0.345
    """Where a hat's brim sits."""
    hat: float = 0.165
    """Half width of a hat's crown."""


@dataclass(frozen=True, slots=True)
class Fur:
    """An animal's own colours: coat, belly and muzzle, markings and spikes, inner ears, feet."""

    coat: RGB
    light: RGB
    dark: RGB
    inner: RGB = (244, 168, 172)
    feet: RGB | None = None


@cache
def dyed(colour: RGB, natural: Fur) -> Fur:
    """The fur of an animal whose colour is said: the coat in that colour, the rest following it."""
    shades = tone(colour)
    light = mix(colour, (255, 255, 255), 0.62)
    return Fur(colour, light, shades.dark, natural.inner, natural.feet)


@dataclass(frozen=True, slots=True)
class Pose:
    """What a seed decides of an animal: how far the hands are lifted (box units, positive is up)."""

    left: float = 0.0
    right: float = 0.0


def hands(frame: Frame, pose: Pose) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the two hands are."""
    return (-frame.hand_x, frame.hand_y - pose.left), (frame.hand_x, frame.hand_y - pose.right)


@cache
def torso_path(frame: Frame, top: float, bottom: float, grow: float = 0.0) -> str:
    """The torso between two heights, ``grow`` wider on each side (a shirt), as path data."""

    def half(y: float) -> float:
        share = min(max((y - frame.neck_y) / (frame.hip_y - frame.neck_y), 0.0), 1.0)
        return frame.chest + (frame.hips - frame.chest) * share**0.8 + grow

    a, m, b = half(top), half((top + bottom) / 2) + 0.012, half(bottom)
    middle = (top + bottom) / 2
    round_, low = 0.055, bottom - 0.035
    return (
        f"M {-a + round_:.4f} {top} Q {-a:.4f} {top} {-a:.4f} {top + round_:.4f} "
        f"Q {-m:.4f} {middle:.4f} {-b:.4f} {low:.4f} Q {-b:.4f} {bottom} {-b + 0.04:.4f} {bottom} "
        f"L {b - 0.04:.4f} {bottom} Q {b:.4f} {bottom} {b:.4f} {low:.4f} "
        f"Q {m:.4f} {middle:.4f} {a:.4f} {top + round_:.4f} Q {a:.4f} {top} {a - round_:.4f} {top} Z"
    )


def draw_body(brush: Brush, frame: Frame, fur: Fur, pose: Pose) -> None:
    """Arms, hands, legs, feet and torso in fur."""
    feet = fur.feet or fur.coat
    for sign in (-1.0, 1.0):
        brush.blob(sign * (frame.leg_x + 0.018), frame.foot_y, 0.098, 0.046, feet)
        brush.limb(sign * frame.leg_x, frame.hip_y, sign * frame.leg_x, frame.foot_y - 0.075, frame.leg, fur.coat)
    ends = hands(frame, pose)
    for sign, (x, y) in zip((-1.0, 1.0), ends):
        brush.limb(sign * frame.chest * 0.8, frame.shoulder_y, x, y, frame.arm, fur.coat)
        brush.blob(x, y, frame.hand_r, frame.hand_r, fur.coat)
    brush.shape(torso_path(frame, frame.neck_y, frame.hip_y + 0.03), fur.coat)
    for sign, (x, y) in zip((-1.0, 1.0), ends):
        brush.stick(sign * frame.chest * 0.5, frame.shoulder_y, x, y, frame.arm, fur.coat)
    brush.oval(0, frame.hip_y - 0.1, frame.hips * 0.66, 0.115, fur.light)


def draw_eyes(brush: Brush, x: float, y: float, r: float, coat: RGB) -> None:
    """Two eyes at ±x with a glint; on dark fur they are set in white."""
    for sign in (-1.0, 1.0):
        if luminance(coat) < 100:
            brush.oval(sign * x, y, r * 1.55, r * 1.75, (252, 250, 244))
        brush.oval(sign * x, y, r, r * 1.2, INK)
        brush.oval(sign * x - r * 0.3, y - r * 0.45, r * 0.38, r * 0.38, (255, 255, 255))


def draw_cheeks(brush: Brush, x: float, y: float, coat: RGB) -> None:
    """Two rosy cheeks at ±x."""
    colour = mix(coat, BLUSH, 0.55)
    brush.oval(-x, y, 0.042, 0.03, colour)
    brush.oval(x, y, 0.042, 0.03, colour)


def draw_mouth(brush: Brush, y: float, colour: RGB = INK) -> None:
    """A small smile under a nose at height ``y``."""
    brush.edge(_mouth(y), 0.75, colour)


@cache
def _mouth(y: float) -> str:
    return (
        f"M -0.055 {y + 0.03:.4f} Q -0.028 {y + 0.075:.4f} 0 {y + 0.04:.4f} "
        f"Q 0.028 {y + 0.075:.4f} 0.055 {y + 0.03:.4f}"
    )
