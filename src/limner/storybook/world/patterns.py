"""What several coats are made of: bands around limbs, stripes from the sides, spikes, spots."""

from __future__ import annotations

from functools import cache
from math import cos, hypot, pi, sin

from limner.storybook.world.body import Frame, Pose, hands
from limner.storybook.world.brush import Brush, polygon
from limner.storybook.world.colours import RGB


def arm_bands(
    brush: Brush, frame: Frame, pose: Pose, places: tuple[float, ...], width: float, colour: RGB, fill: float = 1.0
) -> None:
    """Bands across both arms, at shares of the way from shoulder to hand; ``fill``: share of the arm's width."""
    reach = (frame.arm / 2 - width / 2) * fill
    for sign, (x, y) in zip((-1.0, 1.0), hands(frame, pose)):
        start = sign * frame.chest * 0.8
        dx, dy = x - start, y - frame.shoulder_y
        length = hypot(dx, dy)
        nx, ny = -dy / length * reach, dx / length * reach
        for share in places:
            px, py = start + dx * share, frame.shoulder_y + dy * share
            brush.stick(px - nx, py - ny, px + nx, py + ny, width, colour)


def leg_bands(brush: Brush, frame: Frame, places: tuple[float, ...], width: float, colour: RGB) -> None:
    """Bands across both legs at these heights."""
    half = frame.leg / 2 - width / 2
    for y in places:
        for x in (-frame.leg_x, frame.leg_x):
            brush.stick(x - half, y, x + half, y, width, colour)


@cache
def side_stripes(frame: Frame, heights: tuple[float, ...], thick: float, reach: float) -> str:
    """Wedges from both sides of the torso towards its middle, as path data."""
    parts = []
    for y in heights:
        share = min(max((y - frame.neck_y) / (frame.hip_y - frame.neck_y), 0.0), 1.0)
        half = frame.chest + (frame.hips - frame.chest) * share**0.8
        for s in (-1, 1):
            parts.append(
                f"M {s * half:.4f} {y - thick:.4f} L {s * (half - reach):.4f} {y + thick * 0.3:.4f} "
                f"L {s * half:.4f} {y + thick:.4f} Z"
            )
    return " ".join(parts)


@cache
def spikes(x: float, y: float, rx: float, ry: float, inner: float, count: int, start: float, end: float) -> str:
    """A spiky fan around (x, y): ``count`` spikes between two angles (turns, 0 is up, clockwise)."""
    points = []
    for i in range(2 * count + 1):
        turn = 2 * pi * (start + (end - start) * i / (2 * count))
        share = 1.0 if i % 2 else inner
        points.append((x + rx * share * sin(turn), y - ry * share * cos(turn)))
    return polygon(points)


@cache
def spots(*places: tuple[float, float, float]) -> str:
    """Round-cornered spots at (x, y) with a radius, as path data."""
    return " ".join(
        f"M {x - r:.4f} {y - r * 0.2:.4f} Q {x - r * 0.8:.4f} {y - r * 1.1:.4f} {x + r * 0.2:.4f} {y - r:.4f} "
        f"Q {x + r * 1.2:.4f} {y - r * 0.7:.4f} {x + r:.4f} {y + r * 0.3:.4f} "
        f"Q {x + r * 0.7:.4f} {y + r * 1.1:.4f} {x - r * 0.2:.4f} {y + r:.4f} "
        f"Q {x - r * 1.1:.4f} {y + r * 0.7:.4f} {x - r:.4f} {y - r * 0.2:.4f} Z"
        for x, y, r in places
    )
