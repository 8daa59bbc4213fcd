"""What things are drawn with: filled and outlined shapes in a box of one by one, on a canvas of any size.

A thing draws itself into the box [−0.5, 0.5]², y pointing down; the brush maps the box to its place. Shapes are written
as SVG path data (``M L Q C Z``, absolute), parsed once and kept. ``skia`` is loaded only when something is drawn.

A drawing says colours only. What a colour becomes is the brush's: the *medium* (a style's: pencil, wax, paint …) says
how all fills and outlines look, a *cover* (a texture's) what a thing's own colours are replaced with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import log2
from typing import Any

import numpy as np

from limner.storybook.world.colours import INK, RGB, Tone
from limner.storybook.world.lines import as_path, round_stroke, stamped, wobbly
from limner.storybook.world.rims import rimmed

_FILLS: dict[RGB, Any] = {}


@dataclass(frozen=True, slots=True)
class Tile:
    """A pattern that repeats: ``draw(brush, colour)`` fills the unit box, which goes over into itself at its edges.

    ``period``: the side of one repetition, in box units of a large thing. ``opacity``: 1 hides what is behind.
    ``fixed``: a medium's pattern lies on the canvas, as paper's grain does, with a period in shares of its side. Where
    that is a whole number of a tokenizer's codes, a pattern is the same in all of them.
    """

    draw: Callable[[Brush, RGB], None]
    period: float
    opacity: float = 1.0
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """What a thing's own colours are covered with: a pattern, and perhaps what stands off its outlines.

    ``quill``: path data (x along the outline, y away from it, box units) stamped along outlines every ``step``, in the
    shade that ``hue`` makes of the thing's colour. ``ink``: the outlines' colour from the thing's, None for ink.
    """

    tile: Tile
    quill: str | None = None
    step: float = 0.0
    hue: Callable[[RGB], RGB] | None = None
    ink: Callable[[RGB], RGB] | None = None


@dataclass(frozen=True, slots=True)
class Medium:
    """How a style draws.

    ``fill``: what becomes of a filled colour: another colour, or a pattern in a colour. ``ink``: the outline's colour
    around a fill, None for none. ``width``: of outlines, in usual ones; ``least``: their least width in shares of the
    canvas. ``wobble``: how far lines stray, in shares of the canvas. ``twice``: lines are drawn again, astray.
    ``smooth``: anti-aliased. ``fixed``: its patterns are ``fixed`` tiles.
    """

    fill: Callable[[RGB], RGB | tuple[Tile, RGB]]
    ink: Callable[[RGB], RGB | None]
    width: float = 1.0
    least: float = 0.0
    wobble: float = 0.0
    twice: bool = False
    smooth: bool = True
    fixed: bool = False


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
        self._stroke = round_stroke()
        self._ink_colour = skia.Color(*INK)
        self._side = 1.0
        self._sides: list[float] = []
        self._last: RGB = INK
        self._medium: Medium | None = None
        self._cover: Cover | None = None
        self._tone: tuple[RGB, ...] = ()
        self._paints = _FILLS
        self._lines: dict[RGB, Any] = {}
        self._plain = True
        self._kept: dict[Any, tuple[dict[RGB, Any], dict[RGB, Any]]] = {}
        self.ink = 0.02

    def enter(self, x: float, y: float, side: float, flip: bool = False, turn: bool = False) -> None:
        """Begins a thing whose box has its centre at (x, y) and this side, in shares of the canvas.

        ``flip``: mirrored, left for right. ``turn``: upside down.
        """
        self._canvas.save()
        self._canvas.translate(x * self._size, y * self._size)
        self._canvas.scale((-side if flip else side) * self._size, (-side if turn else side) * self._size)
        self._sides.append(self._side)
        self._side = side
        self._set_ink()

    def inner(self, box: tuple[float, float, float]) -> None:
        """Begins a part with a box of its own: centre and side in the units of the box that is drawn in."""
        x, y, side = box
        self._canvas.save()
        self._canvas.translate(x, y)
        self._canvas.scale(side, side)
        self._sides.append(self._side)
        self._side *= side
        self._set_ink()

    def leave(self) -> None:
        """Ends what ``enter`` or ``inner`` began last."""
        self._canvas.restore()
        self._side = self._sides.pop()
        self._set_ink()

    def _set_ink(self) -> None:
        # Outlines grow slower than things: a small thing keeps a visible edge, a large one isn't drawn in black bars.
        side, medium = self._side, self._medium
        self.ink = (0.0125 + 0.007 * min(side, 1.0)) / side
        if medium is not None:
            self.ink = max(self.ink * medium.width, medium.least / side)
        if not self._plain:
            self._choose()

    def use(self, medium: Medium | None) -> None:
        """All that follows is drawn in this medium (None: flat colours in ink outlines)."""
        self._medium = medium
        self._plain = medium is None and self._cover is None
        self._choose()
        self._set_ink()

    @contextmanager
    def covered(self, cover: Cover, tone: Tone) -> Iterator[None]:
        """Inside of it, what is filled in the colours of ``tone`` is covered."""
        self._cover, self._tone = cover, tuple(tone)
        self._plain = False
        self._choose()
        try:
            yield
        finally:
            self._cover, self._tone = None, ()
            self._plain = self._medium is None
            self._choose()

    def _choose(self) -> None:
        """The table of paints for the medium, the cover and the size drawn in."""
        smooth = self._medium is None or self._medium.smooth
        self._stroke.setAntiAlias(smooth)
        if self._plain:
            self._paints = _FILLS
            return
        step: object = self._coarse() if self._medium is None else self._step()
        if self._medium is not None and self._medium.fixed:
            step = (step, *self._canvas.getTotalMatrix().get9())
        key = (self._medium, self._cover, self._tone, step)
        if len(self._kept) > 4000:
            self._kept.clear()
        if key not in self._kept:
            self._kept[key] = ({}, {})
        self._paints, self._lines = self._kept[key]

    def _coarse(self) -> float:
        """Patterns on small things are coarser, so that they can still be seen: the factor, in a few steps."""
        return 1.0 if self._side > 0.5 else 1.3 if self._side > 0.34 else 1.7

    def _step(self) -> float:
        """The side drawn in, to a quarter of an octave: patterns of a medium are as large on things of any size."""
        return 2 ** (round(log2(self._side) * 4) / 4)

    def colour(self, rgb: RGB) -> int:
        """The colour as skia counts it."""
        return int(self._skia.Color(*rgb))

    def _fill(self, colour: RGB) -> Any:
        self._last = colour
        return self._paint(colour)

    def _paint(self, colour: RGB) -> Any:
        paint = self._paints.get(colour)
        if paint is None:
            paint = self._paints[colour] = self._mixed(colour)
        return paint

    def _mixed(self, colour: RGB) -> Any:
        """A new paint for a colour in the present medium and cover."""
        medium, cover = self._medium, self._cover
        filled = medium.fill(colour) if medium is not None else colour
        tile: Tile | None = None
        if len(filled) == 2:
            tile, shade = filled
            period = tile.period / self._step()
        else:
            shade = filled
        if cover is not None and colour in self._tone:
            tile, period = cover.tile, cover.tile.period * self._coarse()
        smooth, plain = medium is None or medium.smooth, self._skia.Color(*shade)
        if tile is None:
            return self._skia.Paint(AntiAlias=smooth, Color=plain)
        # Given to the constructor: ``setShader`` copies a pattern by packing and unpacking it, a millisecond or two.
        pattern = self._laid(tile, shade) if tile.fixed else _shader(tile, shade, round(period, 2))
        return self._skia.Paint(AntiAlias=smooth, Color=plain, Shader=pattern, Alphaf=tile.opacity)

    def _laid(self, tile: Tile, colour: RGB) -> Any:
        """The pattern from the canvas' corner on, wherever the present box is."""
        back = self._skia.Matrix()
        self._canvas.getTotalMatrix().invert(back)
        back.preScale(*(2 * (tile.period * self._size / _TILE,)))
        return _tile_image(tile, colour).makeShader(*_repeat(), back)

    def _line(self, colour: RGB, width: float) -> Any:
        """The stroke in a said colour (the inside of a limb, a whisker)."""
        if self._plain:
            stroke = self._stroke
            stroke.setColor(self._skia.Color(*colour))
        else:
            stroke = self._lines.get(colour)
            if stroke is None:
                stroke = self._lines[colour] = round_stroke(self._paint(colour))
        stroke.setStrokeWidth(width)
        return stroke

    def _between(self, width: float) -> float:
        """What the outlines on both sides of a line leave of its width: never nothing, however thick they are."""
        return max(width - self.ink, width * 0.3)

    def _outline(self, draw: Callable[..., None], shape: tuple[Any, ...], around: RGB, width: float) -> None:
        """Draws the outline of a shape filled with the colour ``around``."""
        stroke = self._stroke
        stroke.setStrokeWidth(width)
        if self._plain:
            stroke.setColor(self._ink_colour)
            draw(*shape, stroke)
            return
        medium, cover = self._medium, self._cover
        covered = cover is not None and around in self._tone
        if cover is not None and covered and cover.quill is not None:
            hue = cover.hue(around) if cover.hue is not None else around
            shade = medium.fill(hue) if medium is not None else hue
            paint = self._skia.Paint(AntiAlias=stroke.isAntiAlias())
            paint.setColor(self._skia.Color(*(shade[1] if len(shade) == 2 else shade)))
            self._canvas.drawPath(stamped(as_path(shape), parse_path(cover.quill), cover.step, self._coarse()), paint)
        ink: RGB | None = INK
        if medium is not None:
            ink = medium.ink(around)
        elif cover is not None and covered and cover.ink is not None:
            ink = cover.ink(around)
        if ink is None:
            return
        stroke.setColor(self._skia.Color(*ink))
        if medium is not None and medium.wobble:
            reach = round(medium.wobble / self._side, 3)
            for seed in (1, 2) if medium.twice else (1,):
                stroke = wobbly(reach, seed)
                stroke.setColor(self._skia.Color(*ink))
                stroke.setStrokeWidth(width)
                draw(*shape, stroke)
        else:
            draw(*shape, stroke)

    def shape(self, path: str, colour: RGB) -> None:
        """A filled shape with an outline, from path data."""
        parsed = parse_path(path)
        self._canvas.drawPath(parsed, self._fill(colour))
        self._outline(self._canvas.drawPath, (parsed,), colour, self.ink)

    def patch(self, path: str, colour: RGB) -> None:
        """A filled shape without an outline."""
        self._canvas.drawPath(parse_path(path), self._fill(colour))

    def edge(self, path: str, width: float = 1.0, colour: RGB | None = None) -> None:
        """A line along a path; ``width`` in outlines' widths. Without a colour, the outline of what was filled last."""
        if colour is None:
            self._outline(self._canvas.drawPath, (parse_path(path),), self._last, self.ink * width)
        else:
            self._canvas.drawPath(parse_path(path), self._line(colour, self.ink * width))

    def stripe(self, path: str, width: float, colour: RGB) -> None:
        """A thick line without an outline along a path; ``width`` in box units."""
        self._canvas.drawPath(parse_path(path), self._line(colour, width))

    def band(self, path: str, width: float, colour: RGB) -> None:
        """A thick line with an outline along an open path (a tail); ``width`` in box units."""
        parsed = parse_path(path)
        self._outline(self._canvas.drawPath, (parsed,), colour, width + self.ink)
        self._canvas.drawPath(parsed, self._line(colour, self._between(width)))

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse without an outline."""
        self._canvas.drawOval(self._skia.Rect(x - rx, y - ry, x + rx, y + ry), self._fill(colour))

    def blob(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse with an outline."""
        rect = self._skia.Rect(x - rx, y - ry, x + rx, y + ry)
        self._canvas.drawOval(rect, self._fill(colour))
        self._outline(self._canvas.drawOval, (rect,), colour, self.ink)

    def ring(self, x: float, y: float, rx: float, ry: float, width: float = 1.0) -> None:
        """The outline of an ellipse; ``width`` in outlines' widths."""
        rect = self._skia.Rect(x - rx, y - ry, x + rx, y + ry)
        self._outline(self._canvas.drawOval, (rect,), self._last, self.ink * width)

    def limb(self, x0: float, y0: float, x1: float, y1: float, width: float, colour: RGB) -> None:
        """A straight capsule with an outline (an arm, a sleeve); ``width`` in box units."""
        self._outline(self._canvas.drawLine, (x0, y0, x1, y1), colour, width + self.ink)
        self._canvas.drawLine(x0, y0, x1, y1, self._line(colour, self._between(width)))

    def stick(self, x0: float, y0: float, x1: float, y1: float, width: float, colour: RGB) -> None:
        """A capsule without an outline, as wide as the inside of a ``limb`` of this width: joins two outlined parts."""
        self._canvas.drawLine(x0, y0, x1, y1, self._line(colour, self._between(width)))

    def begin_sticker(self) -> None:
        """All that is drawn until ``end_sticker`` is a sticker on what was drawn before."""
        self._ground = self._pixels()
        self._canvas.clear(0)

    def end_sticker(self, rim: float, edge: int) -> None:
        """Puts a white rim, ``rim`` wide (shares of the canvas), edged with the grey ``edge``, around the sticker."""
        sticker = self._pixels()
        under = rimmed(sticker[..., 3], max(1, round(rim * self._size)), edge)
        self._canvas.writePixels(self._info(), self._ground, self._ground.strides[0])
        for layer in (under, sticker):
            image = self._skia.Image.fromarray(
                layer, self._skia.kRGBA_8888_ColorType, self._skia.kPremul_AlphaType, copy=False
            )
            self._canvas.drawImage(image, 0, 0)

    def _info(self) -> Any:
        skia = self._skia
        return skia.ImageInfo.Make(self._size, self._size, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)

    def _pixels(self) -> np.ndarray:
        pixels = np.empty((self._size, self._size, 4), np.uint8)
        self._canvas.readPixels(self._info(), pixels, pixels.strides[0])
        return pixels


_TILE = 96
"""Pixels of a pattern's side before it is scaled."""


@cache
def _tile_image(tile: Tile, colour: RGB) -> Any:
    """One repetition of a pattern in a colour, drawn so that marks leaving on one side come back on the other."""
    import skia

    surface = skia.Surface(_TILE, _TILE)
    canvas = surface.getCanvas()
    canvas.clear(int(skia.Color(*colour)))
    brush = Brush(canvas, _TILE)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            brush.enter(0.5 + dx, 0.5 + dy, 1.0)
            tile.draw(brush, colour)
            brush.leave()
    return surface.makeImageSnapshot().withDefaultMipmaps()


@cache
def _shader(tile: Tile, colour: RGB, period: float) -> Any:
    import skia

    place = skia.Matrix.Scale(period / _TILE, period / _TILE)
    place.postTranslate(-period / 2, -period / 2)
    return _tile_image(tile, colour).makeShader(*_repeat(), place)


def _repeat() -> tuple[Any, Any, Any]:
    import skia

    repeat = skia.TileMode.kRepeat
    return repeat, repeat, skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kNearest)
