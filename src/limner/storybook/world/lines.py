"""Lines: round ones, ones that stray, and marks all along them (quills, hairs) as one path."""

from __future__ import annotations

from functools import cache
from typing import Any


def round_stroke(fill: Any = None) -> Any:
    """A new paint for round lines, with the colour and pattern of ``fill`` if one is given."""
    import skia

    stroke = skia.Paint(fill) if fill is not None else skia.Paint(AntiAlias=True)
    stroke.setStyle(skia.Paint.kStroke_Style)
    stroke.setStrokeCap(skia.Paint.kRound_Cap)
    stroke.setStrokeJoin(skia.Paint.kRound_Join)
    return stroke


@cache
def wobbly(reach: float, seed: int) -> Any:
    """A paint for lines that stray."""
    import skia

    stroke = round_stroke()
    stroke.setPathEffect(skia.DiscretePathEffect.Make(reach * 7, reach, seed))
    return stroke


def as_path(shape: tuple[Any, ...]) -> Any:
    """The path of what an outline is drawn round: a path, an ellipse's rectangle, or a line's two ends."""
    import skia

    if len(shape) == 4:
        return _line_path(*shape)
    if isinstance(shape[0], skia.Rect):
        rect = shape[0]
        return _oval_path(rect.left(), rect.top(), rect.right(), rect.bottom())
    return shape[0]


@cache
def _line_path(x0: float, y0: float, x1: float, y1: float) -> Any:
    import skia

    return skia.Path.Line((x0, y0), (x1, y1))


@cache
def _oval_path(left: float, top: float, right: float, bottom: float) -> Any:
    import skia

    return skia.Path.Oval(skia.Rect(left, top, right, bottom))


_STAMPED: dict[tuple[int, int, float, float], tuple[Any, Any, Any]] = {}


def stamped(path: Any, mark: Any, step: float, scale: float) -> Any:
    """The path of a mark all along a path: x along it, y across. Kept with both paths, which skia doesn't hash."""
    key = (id(path), id(mark), step, scale)
    if key not in _STAMPED:
        _STAMPED[key] = (path, mark, _stamp(path, mark, step, scale))
    return _STAMPED[key][2]


def _stamp(path: Any, mark: Any, step: float, scale: float) -> Any:
    import skia

    marks = skia.Path()
    measure = skia.PathMeasure(path, False)
    while True:
        length = measure.getLength()
        count = max(1, round(length / (step * scale)))
        for i in range(count):
            spot, along = measure.getPosTan((i + 0.5) * length / count)
            c, s = along.x() * scale, along.y() * scale
            marks.addPath(mark, skia.Matrix.MakeAll(c, -s, spot.x(), s, c, spot.y(), 0, 0, 1))
        if not measure.nextContour():
            return marks
