"""The shapes that an armchair, a clock … can take: one entry each. A new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import COLOURS, CREAM, RGB, Tone, mix, tone
from limner.storybook.world.outdoors import draw_blossom
from limner.storybook.world.solids import draw_cube, draw_heart, draw_star
from limner.storybook.world.thing_kind import Host
from limner.storybook.world.words import Noun


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape: its words, its drawing in the unit box, in its own colours or (given shades) in those, the shades that
    the thing's other parts have with its own colours, and where it is ``broad``: the centre (x, y) and radius of a
    circle that leaves the shape to be seen around it. ``looks``: the colour that it has anyway, as a banana is yellow.
    """

    noun: Noun
    draw: Callable[[Brush, Tone | None], None]
    tone: Tone
    broad: tuple[float, float, float]
    looks: str | None = None


def _own(name: str) -> Tone:
    return tone(COLOURS[name].rgb)


# --- avocado, cut in half ----------------------------------------------------------------------------------------

_PEAR = (
    "M 0 -0.49 C 0.13 -0.49 0.18 -0.38 0.21 -0.25 C 0.25 -0.10 0.39 0.0 0.39 0.19 C 0.39 0.38 0.22 0.49 0 0.49 "
    "C -0.22 0.49 -0.39 0.38 -0.39 0.19 C -0.39 0.0 -0.25 -0.10 -0.21 -0.25 C -0.18 -0.38 -0.13 -0.49 0 -0.49 Z"
)
_FLESH = (
    "M 0 -0.42 C 0.09 -0.42 0.12 -0.34 0.15 -0.22 C 0.19 -0.06 0.32 0.03 0.32 0.19 C 0.32 0.34 0.18 0.42 0 0.42 "
    "C -0.18 0.42 -0.32 0.34 -0.32 0.19 C -0.32 0.03 -0.19 -0.06 -0.15 -0.22 C -0.12 -0.34 -0.09 -0.42 0 -0.42 Z"
)
_AVOCADO = Tone((132, 184, 72), (222, 234, 142), (62, 112, 48))


def _avocado(brush: Brush, colour: Tone | None) -> None:
    shades = colour or _AVOCADO
    brush.shape(_PEAR, shades.dark if colour is None else colour.main)
    brush.patch(_FLESH, shades.light if colour is None else mix(colour.main, (255, 255, 240), 0.62))
    brush.blob(0, 0.16, 0.16, 0.17, (150, 96, 58) if colour is None else colour.dark)
    brush.oval(-0.05, 0.10, 0.045, 0.045, (190, 136, 92) if colour is None else colour.light)


# --- mushroom ----------------------------------------------------------------------------------------------------

_CAP = (
    "M -0.47 0.06 C -0.47 -0.28 -0.26 -0.47 0 -0.47 C 0.26 -0.47 0.47 -0.28 0.47 0.06 C 0.47 0.14 -0.47 0.14 -0.47 "
    "0.06 Z"
)


def _mushroom(brush: Brush, colour: Tone | None) -> None:
    shades = colour or _own("red")
    white: RGB = (255, 252, 246) if min(shades.main) < 225 else (196, 200, 216)
    brush.shape(
        "M -0.17 0.06 L 0.17 0.06 Q 0.15 0.28 0.22 0.42 Q 0.22 0.49 0.14 0.49 L -0.14 0.49 Q -0.22 0.49 -0.22 "
        "0.42 Q -0.15 0.28 -0.17 0.06 Z",
        CREAM,
    )
    brush.patch(_CAP, shades.main)
    brush.patch(
        "M 0.47 0.06 C 0.47 0.14 -0.47 0.14 -0.47 0.06 C -0.2 0.10 0.30 0.06 0.41 -0.20 C 0.45 -0.12 0.47 -0.02 "
        "0.47 0.06 Z",
        shades.dark,
    )
    for x, y, r in ((-0.24, -0.14, 0.085), (0.04, -0.28, 0.095), (0.25, -0.08, 0.08), (-0.02, -0.02, 0.06)):
        brush.oval(x, y, r, r * 0.9, white)
    brush.edge(_CAP)


# --- carrot ------------------------------------------------------------------------------------------------------

_ROOT = (
    "M 0 0.49 C -0.12 0.42 -0.33 0.08 -0.32 -0.10 C -0.31 -0.23 -0.16 -0.27 0 -0.27 C 0.16 -0.27 0.31 -0.23 0.32 -0.10 "
    "C 0.33 0.08 0.12 0.42 0 0.49 Z"
)


def _carrot(brush: Brush, colour: Tone | None) -> None:
    shades = colour or _own("orange")
    for path in (
        "M 0 -0.22 C -0.24 -0.26 -0.28 -0.40 -0.22 -0.46 C -0.10 -0.44 -0.02 -0.36 0 -0.22 Z",
        "M 0 -0.22 C 0.24 -0.26 0.28 -0.40 0.22 -0.46 C 0.10 -0.44 0.02 -0.36 0 -0.22 Z",
        "M -0.02 -0.22 C -0.12 -0.34 -0.08 -0.46 0 -0.49 C 0.08 -0.46 0.12 -0.34 0.02 -0.22 Z",
    ):
        brush.shape(path, (84, 170, 84))
    brush.patch(_ROOT, shades.main)
    brush.patch(
        "M 0 0.49 C 0.12 0.42 0.33 0.08 0.32 -0.10 Q 0.31 -0.18 0.24 -0.22 Q 0.21 0.14 -0.03 0.46 Z", shades.dark
    )
    brush.stripe("M -0.29 -0.02 L -0.12 0.0 M -0.22 0.16 L -0.08 0.17 M 0.05 0.09 L 0.22 0.07", 0.03, shades.dark)
    brush.edge(_ROOT)


# --- flower ------------------------------------------------------------------------------------------------------


def _blossom(brush: Brush, colour: Tone | None) -> None:
    draw_blossom(brush, colour or _own("pink"), 0, 0.295)


# --- banana ------------------------------------------------------------------------------------------------------

_CRESCENT = (
    "M 0.14 -0.47 L 0.28 -0.48 Q 0.28 -0.40 0.31 -0.34 C 0.50 0.04 0.32 0.47 -0.10 0.47 C -0.28 0.47 -0.40 0.38 "
    "-0.46 0.27 "
    "Q -0.47 0.20 -0.40 0.18 C -0.22 0.16 -0.02 0.04 0.06 -0.10 C 0.13 -0.20 0.16 -0.30 0.16 -0.36 Q 0.16 -0.42 "
    "0.14 -0.47 Z"
)


def _banana(brush: Brush, colour: Tone | None) -> None:
    shades = colour or _own("yellow")
    brush.patch(_CRESCENT, shades.main)
    brush.patch(
        "M 0.31 -0.34 C 0.50 0.04 0.32 0.47 -0.10 0.47 C -0.28 0.47 -0.40 0.38 -0.46 0.27 C -0.04 0.42 0.32 "
        "0.16 0.29 -0.32 Z",
        shades.dark,
    )
    brush.patch(
        "M 0.14 -0.47 L 0.28 -0.48 L 0.29 -0.38 L 0.16 -0.37 Z M -0.46 0.27 Q -0.47 0.20 -0.40 0.18 L -0.35 "
        "0.175 L -0.39 0.35 Z",
        (120, 84, 52),
    )
    brush.edge(_CRESCENT)


def _coloured(
    noun: Noun, draw: Callable[[Brush, Tone | None], None], looks: str, broad: tuple[float, float, float]
) -> Shape:
    return Shape(noun, draw, _own(looks), broad, looks)


def _solid(noun: Noun, draw: Callable[[Brush, Tone], None], looks: str, broad: tuple[float, float, float]) -> Shape:
    return _coloured(noun, lambda brush, colour: draw(brush, colour or _own(looks)), looks, broad)


SHAPES: dict[str, Shape] = {
    "avocado": Shape(Noun("avocado", "avocados", "鳄梨", "个"), _avocado, _AVOCADO, (0, 0.16, 0.21)),
    "heart": _solid(Noun("heart", "hearts", "爱心", "颗"), draw_heart, "red", (0, -0.05, 0.22)),
    "star": _solid(Noun("star", "stars", "星星", "颗"), draw_star, "yellow", (0, 0.04, 0.19)),
    "mushroom": _coloured(Noun("mushroom", "mushrooms", "蘑菇", "个"), _mushroom, "red", (0, -0.15, 0.20)),
    "carrot": _coloured(Noun("carrot", "carrots", "胡萝卜", "根"), _carrot, "orange", (0, -0.07, 0.19)),
    "flower": _coloured(Noun("flower", "flowers", "花朵", "朵"), _blossom, "pink", (0, 0, 0.19)),
    "cube": _solid(Noun("cube", "cubes", "立方体", "个"), draw_cube, "blue", (0, 0.02, 0.24)),
    "banana": _coloured(Noun("banana", "bananas", "香蕉", "根"), _banana, "yellow", (0.13, 0.16, 0.17)),
}


def draw_in_shape(brush: Brush, host: Host, shape: Shape, colour: Tone | None) -> None:
    """A thing in the shape of another, in these shades; in the shape's own colours where there are none."""
    shades = colour or shape.tone
    host.behind(brush, shades)
    brush.inner(host.box)
    shape.draw(brush, colour)
    if host.face is not None:
        x, y, radius = shape.broad
        brush.inner((x, y, 2 * radius))
        host.face(brush, shades)
        brush.leave()
    brush.leave()
    if host.front is not None:
        host.front(brush, shades)
