"""What things are drawn with: filled and outlined shapes in a box of one by one, on a canvas of any size.

A thing draws itself into the box [−0.5, 0.5]², y pointing down; the brush maps the box to its place. Shapes are written
as SVG path data (``M L Q C Z``, absolute), parsed once and kept. ``skia`` is loaded only when something is drawn.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from limner.storybook.world.colours import INK, RGB

_FILLS: dict[RGB, Any] = {}


@cache
def parse_path(data: str) -> Any:
    """The ``skia.Path`` of SVG path data with the commands M, L, Q, C and Z."""
    import skia

    path = skia.Path()
    words = data.replace(",", " ").split()
    takes = {"M": (2, path.moveTo), "L": (2, path.lineTo), "Q": (4, path.quadTo), "C": (6, path.cubicTo)}
    at, command = 0, "M"
    while at < len(words):
        if words[at].isalpha():
            command = words[at]
            at += 1
            if command == "Z":
                path.close()
                continue
        count, draw = takes[command]
        draw(*(float(word) for word in words[at : at + count]))
        at += count
    return path


def polygon(points: list[tuple[float, float]]) -> str:
    """A closed straight path through ``points``, as path data."""
    return "M " + " L ".join(f"{x:.4f} {y:.4f}" for x, y in points) + " Z"


class Brush:
    """Draws into the unit box of one thing after another on a skia canvas of ``size`` pixels."""

    def __init__(self, canvas: Any, size: int) -> None:
        import skia

        self._skia = skia
        self._canvas = canvas
        self._size = size
        self._stroke = skia.Paint(AntiAlias=True, Style=skia.Paint.kStroke_Style)
        self._stroke.setStrokeCap(skia.Paint.kRound_Cap)
        self._stroke.setStrokeJoin(skia.Paint.kRound_Join)
        self._ink_colour = skia.Color(*INK)
        self.ink = 0.02

    def enter(self, x: float, y: float, side: float, flip: bool = False) -> None:
        """Begins a thing whose box has its centre at (x, y) and this side, in shares of the canvas."""
        self._canvas.save()
        self._canvas.translate(x * self._size, y * self._size)
        self._canvas.scale((-side if flip else side) * self._size, side * self._size)
        # Outlines grow slower than things: a small thing keeps a visible edge, a large one isn't drawn in black bars.
        self.ink = (0.0125 + 0.007 * side) / side

    def leave(self) -> None:
        """Ends the thing begun by ``enter``."""
        self._canvas.restore()

    def colour(self, rgb: RGB) -> int:
        """The colour as skia counts it."""
        return int(self._skia.Color(*rgb))

    def _fill(self, colour: RGB) -> Any:
        paint = _FILLS.get(colour)
        if paint is None:
            paint = _FILLS[colour] = self._skia.Paint(AntiAlias=True, Color=self._skia.Color(*colour))
        return paint

    def _line(self, colour: RGB | None, width: float) -> Any:
        stroke = self._stroke
        stroke.setColor(self._ink_colour if colour is None else self._skia.Color(*colour))
        stroke.setStrokeWidth(width)
        return stroke

    def shape(self, path: str, colour: RGB) -> None:
        """A filled shape with an outline, from path data."""
        parsed = parse_path(path)
        self._canvas.drawPath(parsed, self._fill(colour))
        self._canvas.drawPath(parsed, self._line(None, self.ink))

    def patch(self, path: str, colour: RGB) -> None:
        """A filled shape without an outline."""
        self._canvas.drawPath(parse_path(path), self._fill(colour))

    def edge(self, path: str, width: float = 1.0, colour: RGB | None = None) -> None:
        """A line along a path; ``width`` in outlines' widths."""
        self._canvas.drawPath(parse_path(path), self._line(colour, self.ink * width))

    def band(self, path: str, width: float, colour: RGB) -> None:
        """A thick line with an outline along an open path (a tail); ``width`` in box units."""
        parsed = parse_path(path)
        self._canvas.drawPath(parsed, self._line(None, width + self.ink))
        self._canvas.drawPath(parsed, self._line(colour, width - self.ink))

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse without an outline."""
        self._canvas.drawOval(self._skia.Rect(x - rx, y - ry, x + rx, y + ry), self._fill(colour))

    def blob(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse with an outline."""
        rect = self._skia.Rect(x - rx, y - ry, x + rx, y + ry)
        self._canvas.drawOval(rect, self._fill(colour))
        self._canvas.drawOval(rect, self._line(None, self.ink))

    def limb(self, x0: float, y0: float, x1: float, y1: float, width: float, colour: RGB) -> None:
        """A straight capsule with an outline (an arm, a sleeve); ``width`` in box units."""
        self._canvas.drawLine(x0, y0, x1, y1, self._line(None, width + self.ink))
        self._canvas.drawLine(x0, y0, x1, y1, self._line(colour, width - self.ink))

    def stick(self, x0: float, y0: float, x1: float, y1: float, width: float, colour: RGB) -> None:
        """A capsule without an outline, as wide as the inside of a ``limb`` of this width: joins two outlined parts."""
        self._canvas.drawLine(x0, y0, x1, y1, self._line(colour, width - self.ink))
