"""Eyes, cheeks and mouths, and the moods that they show: one entry each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from limner.storybook.world.body import Frame
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import BLUSH, INK, RGB, luminance, mix
from limner.storybook.world.words import Phrases

Expression = Callable[[Brush, Frame, RGB], None]

_WHITE: RGB = (252, 250, 244)
_TEAR: RGB = (92, 178, 244)
_MOUTH: RGB = (150, 44, 62)
_TONGUE: RGB = (240, 112, 120)


@dataclass(frozen=True, slots=True)
class Mood:
    """A mood's adjectives in both languages and the face that shows it.

    ``draw`` takes the head's measures and the colour of the face; eyes, cheeks and mouth are all its own.
    """

    phrases: Phrases
    draw: Expression


def draw_calm(brush: Brush, frame: Frame, coat: RGB) -> None:
    """The face of a character whose mood is unsaid."""
    _eyes(brush, frame, coat)
    _cheeks(brush, frame, mix(coat, BLUSH, 0.55))
    if frame.mouth_y is not None:
        brush.edge(_smile(frame.head_y + frame.mouth_y), 0.75)


def draw_baby(brush: Brush, frame: Frame, dummy: bool) -> None:
    """What a baby's head has more: a curl, and perhaps a dummy in the mouth."""
    brush.edge(_curl(frame), 1.8)
    if not dummy:
        return
    y = frame.head_y + (frame.cheek_y + 0.045 if frame.mouth_y is None else frame.mouth_y + 0.055)
    brush.blob(0, y, 0.078, 0.05, (120, 196, 246))
    brush.blob(0, y + 0.022, 0.036, 0.036, (255, 236, 150))


def _eyes(brush: Brush, frame: Frame, coat: RGB) -> None:
    x, y, r = frame.eye_x, frame.head_y + frame.eye_y, frame.eye_r
    _eye_whites(brush, frame, coat)
    for sign in (-1.0, 1.0):
        brush.oval(sign * x, y, r, r * 1.2, INK)
        brush.oval(sign * x - r * 0.3, y - r * 0.45, r * 0.38, r * 0.38, (255, 255, 255))


def _eye_whites(brush: Brush, frame: Frame, coat: RGB) -> None:
    """On dark fur eyes are set in white."""
    if luminance(coat) < 100:
        x, y, r = frame.eye_x, frame.head_y + frame.eye_y, frame.eye_r
        brush.oval(-x, y, r * 1.55, r * 1.75, _WHITE)
        brush.oval(x, y, r * 1.55, r * 1.75, _WHITE)


def _cheeks(brush: Brush, frame: Frame, colour: RGB, grow: float = 1.0) -> None:
    y = frame.head_y + frame.cheek_y
    for x in (-frame.cheek_x, frame.cheek_x):
        brush.oval(x, y, 0.042 * grow, 0.03 * grow, colour)


@cache
def _curl(frame: Frame) -> str:
    y = frame.head_y - frame.head_ry
    return (
        f"M 0.0 {y:.4f} C -0.05 {y - 0.05:.4f} 0.03 {y - 0.10:.4f} 0.06 {y - 0.055:.4f} "
        f"C 0.07 {y - 0.02:.4f} 0.02 {y - 0.015:.4f} 0.022 {y - 0.05:.4f}"
    )


@cache
def _smile(y: float) -> str:
    return (
        f"M -0.055 {y + 0.03:.4f} Q -0.028 {y + 0.075:.4f} 0 {y + 0.04:.4f} "
        f"Q 0.028 {y + 0.075:.4f} 0.055 {y + 0.03:.4f}"
    )


@cache
def _laugh(y: float) -> tuple[str, str]:
    return (
        f"M -0.075 {y + 0.03:.4f} L 0.075 {y + 0.03:.4f} Q 0.075 {y + 0.125:.4f} 0 {y + 0.125:.4f} "
        f"Q -0.075 {y + 0.125:.4f} -0.075 {y + 0.03:.4f} Z",
        f"M -0.045 {y + 0.10:.4f} Q 0 {y + 0.065:.4f} 0.045 {y + 0.10:.4f} Q 0 {y + 0.135:.4f} -0.045 {y + 0.10:.4f} Z",
    )


@cache
def _arcs(frame: Frame) -> str:
    y, r = frame.head_y + frame.eye_y, frame.eye_r * 1.25
    return " ".join(
        f"M {x - r:.4f} {y + r * 0.5:.4f} Q {x:.4f} {y - r * 1.5:.4f} {x + r:.4f} {y + r * 0.5:.4f}"
        for x in (-frame.eye_x, frame.eye_x)
    )


@cache
def _frown(y: float, width: float) -> str:
    return f"M {-width:.4f} {y + 0.085:.4f} Q 0 {y + 0.005:.4f} {width:.4f} {y + 0.085:.4f}"


@cache
def _brows(frame: Frame, inner: float, outer: float) -> str:
    """Two eyebrows: the height of their inner and of their outer ends over the eyes."""
    y, x, r = frame.head_y + frame.eye_y, frame.eye_x, frame.eye_r
    return " ".join(
        f"M {sign * (x - r * 1.5):.4f} {y - inner:.4f} L {sign * (x + r * 1.5):.4f} {y - outer:.4f}" for sign in (-1, 1)
    )


@cache
def _tears(frame: Frame) -> str:
    y, x = frame.head_y + frame.eye_y + frame.eye_r, frame.eye_x + 0.012
    return " ".join(
        f"M {s * x:.4f} {y:.4f} C {s * x + 0.05:.4f} {y + 0.07:.4f} {s * x + 0.035:.4f} {y + 0.115:.4f} "
        f"{s * x:.4f} {y + 0.115:.4f} C {s * x - 0.035:.4f} {y + 0.115:.4f} {s * x - 0.05:.4f} {y + 0.07:.4f} "
        f"{s * x:.4f} {y:.4f} Z"
        for s in (-1, 1)
    )


def _happy(brush: Brush, frame: Frame, coat: RGB) -> None:
    _eye_whites(brush, frame, coat)
    brush.edge(_arcs(frame), 1.5)
    _cheeks(brush, frame, mix(coat, (255, 96, 120), 0.7), 1.15)
    if frame.mouth_y is not None:
        mouth, tongue = _laugh(frame.head_y + frame.mouth_y)
        brush.patch(mouth, _MOUTH)
        brush.patch(tongue, _TONGUE)
        brush.edge(mouth)


def _sad(brush: Brush, frame: Frame, coat: RGB) -> None:
    _eyes(brush, frame, coat)
    brush.edge(_brows(frame, frame.eye_r * 2.5, frame.eye_r * 1.5), 1.4)
    brush.shape(_tears(frame), _TEAR)
    if frame.mouth_y is not None:
        brush.edge(_frown(frame.head_y + frame.mouth_y + 0.015, 0.055), 1.2)


def _angry(brush: Brush, frame: Frame, coat: RGB) -> None:
    _cheeks(brush, frame, mix(coat, (232, 30, 30), 0.75), 1.3)
    _eyes(brush, frame, coat)
    brush.edge(_brows(frame, frame.eye_r * 0.7, frame.eye_r * 2.2), 2.2)
    if frame.mouth_y is not None:
        mouth = _frown(frame.head_y + frame.mouth_y + 0.02, 0.075) + " Z"
        brush.patch(mouth, (255, 255, 255))
        brush.edge(mouth, 1.2)


MOODS: dict[str, Mood] = {
    "happy": Mood(Phrases(("happy", "cheerful"), ("开心的", "高兴的")), _happy),
    "sad": Mood(Phrases(("sad", "crying"), ("伤心的", "难过的")), _sad),
    "angry": Mood(Phrases(("angry", "cross"), ("生气的", "愤怒的")), _angry),
}
