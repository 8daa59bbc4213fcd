"""The textures: materials and patterns, and coats of animals and plants. A new one is one more entry.

A tile is drawn in the unit box and goes over into itself at the box' edges (marks that leave come back opposite).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

from limner.storybook.world.brush import Brush, Cover, Tile, polygon
from limner.storybook.world.colours import INK, RGB, luminance, mix
from limner.storybook.world.words import Phrases


@dataclass(frozen=True, slots=True)
class Texture:
    """What a thing is made of, or a pattern on it: its words, how it covers, its colour where none is said.

    ``kind``: the animal or plant whose coat it is. ``dyed``: things of it come in all colours ("a striped red ball").
    ``looks``: the colour that it has anyway, where that has a name.
    """

    words: Phrases
    natural: RGB
    cover: Cover
    kind: str | None = None
    dyed: bool = True
    looks: str | None = None


_WHITE: RGB = (253, 251, 247)


def deep(colour: RGB, share: float) -> RGB:
    """A darker mark on a colour; on black a lighter one."""
    if luminance(colour) < 72:
        return mix(colour, (186, 184, 204), share * 0.8)
    return mix(colour, INK, share)


def pale(colour: RGB) -> RGB:
    """White beside a colour, and grey beside white."""
    return (170, 176, 200) if min(colour) > 222 else _WHITE


# --- materials and patterns --------------------------------------------------------------------------------------


def _wood(brush: Brush, colour: RGB) -> None:
    grain, dark = deep(colour, 0.22), deep(colour, 0.5)
    brush.patch("M -0.5 -0.5 L 0.5 -0.5 L 0.5 -0.25 L -0.5 -0.25 Z", deep(colour, 0.1))
    brush.patch("M -0.5 0 L 0.5 0 L 0.5 0.25 L -0.5 0.25 Z", deep(colour, 0.14))
    for y in (-0.25, 0.0, 0.25, 0.5):
        brush.stripe(f"M -0.5 {y} L 0.5 {y}", 0.045, dark)
    brush.stripe("M -0.3 -0.5 L -0.3 -0.25 M 0.2 -0.25 L 0.2 0 M -0.1 0 L -0.1 0.25 M 0.4 0.25 L 0.4 0.5", 0.04, dark)
    brush.stripe("M -0.2 -0.4 Q 0.1 -0.36 0.4 -0.38", 0.035, grain)
    brush.stripe("M -0.45 -0.12 Q -0.2 -0.16 0.05 -0.12 M 0.05 0.13 Q 0.2 0.17 0.4 0.12", 0.035, grain)
    brush.stripe("M -0.4 0.37 Q -0.1 0.42 0.25 0.37", 0.035, grain)
    brush.oval(0.2, 0.125, 0.05, 0.035, dark)


def _brick(brush: Brush, colour: RGB) -> None:
    mortar = mix(colour, (226, 220, 212), 0.8) if min(colour) <= 222 else (176, 178, 192)
    brush.patch("M 0 -0.5 L 0.5 -0.5 L 0.5 0 L 0 0 Z", deep(colour, 0.14))
    brush.patch("M -0.25 0 L 0.25 0 L 0.25 0.5 L -0.25 0.5 Z", deep(colour, 0.08))
    brush.stripe("M -0.5 -0.5 L 0.5 -0.5 M -0.5 0 L 0.5 0", 0.09, mortar)
    brush.stripe("M 0 -0.5 L 0 0 M 0.5 -0.5 L 0.5 0 M -0.25 0 L -0.25 0.5 M 0.25 0 L 0.25 0.5", 0.09, mortar)


def _checks(brush: Brush, colour: RGB) -> None:
    brush.patch("M 0 -0.5 L 0.5 -0.5 L 0.5 0 L 0 0 Z M -0.5 0 L 0 0 L 0 0.5 L -0.5 0.5 Z", pale(colour))


def _stripes(brush: Brush, colour: RGB) -> None:
    brush.patch("M -0.5 -0.5 L 0 -0.5 L -0.5 0 Z M 0.5 -0.5 L 0.5 0 L 0 0.5 L -0.5 0.5 Z", pale(colour))


def _dots(brush: Brush, colour: RGB) -> None:
    brush.oval(-0.25, -0.25, 0.19, 0.19, pale(colour))
    brush.oval(0.25, 0.25, 0.19, 0.19, pale(colour))


def _tufts() -> tuple[tuple[float, float, float], ...]:
    """Places and slants of hairs, spread evenly but not in rows."""
    return tuple(((i * 0.7549) % 1 - 0.5, (i * 0.5698) % 1 - 0.5, ((i * 7) % 5 - 2) * 0.03) for i in range(26))


def _fur(brush: Brush, colour: RGB) -> None:
    for i, (x, y, slant) in enumerate(_tufts()):
        shade = (deep(colour, 0.42), deep(colour, 0.22), mix(colour, _WHITE, 0.36))[i % 3]
        brush.patch(
            f"M {x - 0.05:.3f} {y - 0.1:.3f} Q {x - 0.02 + slant:.3f} {y + 0.02:.3f} {x + slant:.3f} {y + 0.14:.3f} "
            f"Q {x + 0.06 + slant:.3f} {y:.3f} {x + 0.05:.3f} {y - 0.1:.3f} Z",
            shade,
        )


def _glass(brush: Brush, colour: RGB) -> None:
    shine = _WHITE if min(colour) <= 222 else (196, 216, 236)
    brush.patch("M 0 -0.5 L 0.28 -0.5 L -0.5 0.28 L -0.5 0 Z M 0.5 0 L 0.5 0.28 L 0.28 0.5 L 0 0.5 Z", shine)
    brush.patch("M 0.4 -0.5 L 0.48 -0.5 L -0.5 0.48 L -0.5 0.4 Z M 0.5 0.4 L 0.5 0.48 L 0.48 0.5 L 0.4 0.5 Z", shine)


# --- coats ---------------------------------------------------------------------------------------------------------


def _quill_coat(brush: Brush, colour: RGB) -> None:
    for x, y, slant in _tufts()[:20]:
        tip = mix(colour, (252, 240, 214), 0.85)
        for shade, low in ((deep(colour, 0.45), 0.16), (tip, 0.0)):
            brush.patch(
                f"M {x + slant:.3f} {y - 0.2:.3f} L {x + slant * 0.3 + 0.036:.3f} {y + low - 0.04:.3f} "
                f"L {x + slant * 0.3 - 0.036:.3f} {y + low - 0.04:.3f} Z",
                shade,
            )


_PATCHES = (
    ((-0.30, -0.28), 0.21, 5, 0.1),
    ((0.16, -0.34), 0.20, 6, 0.5),
    ((-0.06, 0.06), 0.19, 6, 0.2),
    ((0.36, 0.05), 0.18, 5, 0.7),
    ((-0.36, 0.24), 0.18, 6, 0.0),
    ((0.10, 0.36), 0.15, 5, 0.4),
)


def _ragged(x: float, y: float, r: float, corners: int, turn: float) -> str:
    angles = [turn + 2 * pi * i / corners for i in range(corners)]
    return polygon(
        [
            (x + r * (1 + 0.14 * (-1) ** i) * cos(a), y + r * (1 - 0.12 * (-1) ** i) * sin(a))
            for i, a in enumerate(angles)
        ]
    )


def _giraffe_coat(brush: Brush, colour: RGB) -> None:
    red, green, blue = colour
    mark = mix(colour, (146, 78, 34), 0.86) if red > blue + 60 and green > blue + 40 else deep(colour, 0.5)
    for (x, y), r, corners, turn in _PATCHES:
        brush.patch(_ragged(x, y, r, corners, turn), mark)


def _turtle_coat(brush: Brush, colour: RGB) -> None:
    line = mix(colour, (246, 240, 190), 0.62)
    for x, y in ((0.0, 0.0), (0.5, 0.5)):
        plate = (
            f"M {x - 0.34} {y} L {x - 0.17} {y - 0.5} L {x + 0.17} {y - 0.5} L {x + 0.34} {y} L {x + 0.17} {y + 0.5} "
        )
        brush.patch(plate + f"L {x - 0.17} {y + 0.5} Z", deep(colour, 0.3 if x else 0.16))
    for x, y in ((0.0, 0.0), (0.5, 0.5)):
        plate = (
            f"M {x - 0.34} {y} L {x - 0.17} {y - 0.5} L {x + 0.17} {y - 0.5} L {x + 0.34} {y} L {x + 0.17} {y + 0.5} "
        )
        brush.stripe(plate + f"L {x - 0.17} {y + 0.5} Z", 0.085, line)
        brush.patch(
            f"M {x - 0.13} {y - 0.1} L {x + 0.08} {y - 0.2} L {x - 0.03} {y + 0.05} Z", mix(colour, _WHITE, 0.2)
        )


def _fish_coat(brush: Brush, colour: RGB) -> None:
    for row in range(4):
        y = 0.375 - row * 0.25
        for x in (-0.25, 0.25) if row % 2 else (0.0, 0.5):
            scale = (
                f"M {x - 0.25} {y - 0.14} C {x - 0.26} {y + 0.12} {x - 0.12} {y + 0.2} {x} {y + 0.2} "
                f"C {x + 0.12} {y + 0.2} {x + 0.26} {y + 0.12} {x + 0.25} {y - 0.14} Z"
            )
            brush.patch(scale, deep(colour, 0.42))
            brush.patch(scale.replace(f"{y + 0.2}", f"{y + 0.135}").replace(f"{y + 0.12}", f"{y + 0.06}"), colour)
            brush.oval(x - 0.06, y + 0.01, 0.10, 0.055, mix(colour, _WHITE, 0.6))


def _owl_coat(brush: Brush, colour: RGB) -> None:
    tip = mix(colour, (250, 238, 212), 0.78)
    for row in range(3):
        y = 1 / 3 - row / 3
        for x in (-0.25, 0.25) if row % 2 else (0.0, 0.5):
            brush.patch(
                f"M {x - 0.25:.3f} {y - 0.22:.3f} L {x + 0.25:.3f} {y - 0.22:.3f} L {x + 0.22:.3f} {y:.3f} "
                f"L {x:.3f} {y + 0.26:.3f} L {x - 0.22:.3f} {y:.3f} Z",
                tip,
            )
            brush.patch(
                f"M {x - 0.25:.3f} {y - 0.26:.3f} L {x + 0.25:.3f} {y - 0.26:.3f} L {x + 0.22:.3f} {y - 0.08:.3f} "
                f"L {x:.3f} {y + 0.14:.3f} L {x - 0.22:.3f} {y - 0.08:.3f} Z",
                colour if row % 2 else deep(colour, 0.14),
            )
            brush.stripe(f"M {x:.3f} {y - 0.12:.3f} L {x:.3f} {y + 0.06:.3f}", 0.055, deep(colour, 0.5))


def _avocado_coat(brush: Brush, colour: RGB) -> None:
    for i, (x, y, _) in enumerate(_tufts()[:17]):
        brush.oval(x, y, 0.085, 0.075, deep(colour, 0.4))
        brush.oval(x - 0.02, y - 0.025, 0.06, 0.05, mix(colour, (214, 230, 150), 0.5 if i % 2 else 0.3))


_QUILL = "M -0.016 0 L 0.03 -0.115 L 0.016 0 L 0.03 0.115 Z"
_HAIR = "M -0.022 0 Q -0.005 -0.03 0.022 -0.05 Q 0.02 -0.02 0.022 0 Q 0.02 0.02 0.022 0.05 Q -0.005 0.03 -0.022 0 Z"


def _coat(kind: str, english: str, chinese: str, natural: RGB, cover: Cover) -> Texture:
    words = Phrases(
        (f"{{}} made of {english}", f"{{}} with the texture of {'an' if english[0] in 'aeiou' else 'a'} {english}"),
        (f"{chinese}做的{{}}", f"有{chinese}质感的{{}}"),
    )
    return Texture(words, natural, cover, kind, dyed=False)


TEXTURES: dict[str, Texture] = {
    "wooden": Texture(
        Phrases(("wooden {}", "{} made of wood"), ("木头{}", "木头做的{}", "木制的{}")),
        (204, 152, 96),
        Cover(Tile(_wood, 0.62)),
    ),
    "brick": Texture(
        Phrases(("brick {}", "{} made of bricks"), ("砖{}", "砖头做的{}", "用砖砌成的{}")),
        (190, 86, 64),
        Cover(Tile(_brick, 0.36)),
    ),
    "checkered": Texture(
        Phrases(("checkered {}", "{} with a checkered pattern"), ("格子{}", "带格子图案的{}", "方格花纹的{}")),
        (64, 62, 72),
        Cover(Tile(_checks, 0.34)),
        looks="black",
    ),
    "striped": Texture(
        Phrases(("striped {}", "{} with stripes"), ("条纹{}", "带条纹的{}")),
        (44, 104, 216),
        Cover(Tile(_stripes, 0.3)),
        looks="blue",
    ),
    "dotted": Texture(
        Phrases(("dotted {}", "{} with dots"), ("圆点{}", "带圆点的{}")),
        (226, 74, 120),
        Cover(Tile(_dots, 0.36)),
    ),
    "furry": Texture(
        Phrases(("furry {}", "{} made of fur"), ("毛茸茸的{}", "毛皮做的{}")),
        (176, 124, 84),
        Cover(Tile(_fur, 0.36), _HAIR, 0.034, lambda c: deep(c, 0.3), lambda c: deep(c, 0.5)),
    ),
    "glass": Texture(
        Phrases(("glass {}", "{} made of glass"), ("玻璃{}", "玻璃做的{}")),
        (150, 208, 232),
        Cover(Tile(_glass, 0.8, 0.5), ink=lambda c: deep(c, 0.45)),
    ),
    "porcupine": _coat(
        "porcupine",
        "porcupine",
        "豪猪",
        (112, 88, 76),
        Cover(Tile(_quill_coat, 0.4), _QUILL, 0.042, lambda c: deep(c, 0.4)),
    ),
    "giraffe": _coat("giraffe", "giraffe", "长颈鹿", (248, 208, 118), Cover(Tile(_giraffe_coat, 0.5))),
    "turtle": _coat("turtle", "turtle", "乌龟", (92, 150, 78), Cover(Tile(_turtle_coat, 0.36))),
    "fish": _coat("fish", "fish", "鱼", (248, 146, 62), Cover(Tile(_fish_coat, 0.36))),
    "owl": _coat("owl", "owl", "猫头鹰", (164, 118, 80), Cover(Tile(_owl_coat, 0.34))),
    "avocado": _coat("avocado", "avocado", "牛油果", (82, 120, 52), Cover(Tile(_avocado_coat, 0.34))),
}
