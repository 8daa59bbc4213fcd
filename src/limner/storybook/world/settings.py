"""Where a scene can be set, beyond a coloured background: one entry each. A new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import RGB
from limner.storybook.world.words import Phrases


@dataclass(frozen=True, slots=True)
class Setting:
    """A place: its words, the colour of its floor (which the picture is cleared with, and shadows follow), and its
    drawing in the unit box of the whole canvas. All is pale, so that things of any colour stand out."""

    words: Phrases
    rgb: RGB
    scenery: Callable[[Brush], None]

    def draw(self, brush: Brush) -> None:
        """Draws it over the whole canvas."""
        brush.enter(0.5, 0.5, 1.0)
        self.scenery(brush)
        brush.leave()


def _meadow(brush: Brush) -> None:
    brush.patch("M -0.6 -0.6 L 0.6 -0.6 L 0.6 0.2 L -0.6 0.2 Z", (204, 232, 252))
    brush.oval(-0.34, -0.36, 0.08, 0.08, (255, 236, 150))
    for x, y, r in ((0.22, -0.38, 0.06), (0.30, -0.40, 0.07), (0.38, -0.37, 0.055)):
        brush.oval(x, y, r * 1.2, r * 0.8, (255, 255, 255))
    brush.patch("M -0.6 0.16 Q -0.3 0.0 0.05 0.14 Q 0.3 0.22 0.6 0.06 L 0.6 0.6 L -0.6 0.6 Z", (200, 234, 168))
    brush.patch("M -0.6 0.26 Q -0.1 0.12 0.6 0.28 L 0.6 0.6 L -0.6 0.6 Z", (184, 226, 150))
    for x, y, colour in (
        (-0.42, 0.34, (255, 255, 255)),
        (-0.30, 0.45, (255, 214, 226)),
        (0.40, 0.38, (255, 255, 255)),
        (0.28, 0.46, (255, 244, 170)),
        (-0.46, 0.46, (255, 244, 170)),
        (0.46, 0.46, (255, 214, 226)),
    ):
        brush.oval(x, y, 0.02, 0.02, colour)


def _room(brush: Brush) -> None:
    brush.patch("M -0.6 -0.6 L 0.6 -0.6 L 0.6 0.28 L -0.6 0.28 Z", (250, 236, 214))
    for x in (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5):
        brush.stripe(f"M {x} -0.6 L {x} 0.24", 0.03, (246, 228, 202))
    brush.patch("M -0.46 -0.46 L -0.14 -0.46 L -0.14 -0.12 L -0.46 -0.12 Z", (255, 255, 255))
    brush.patch("M -0.43 -0.43 L -0.17 -0.43 L -0.17 -0.15 L -0.43 -0.15 Z", (196, 228, 250))
    brush.stripe("M -0.30 -0.44 L -0.30 -0.14 M -0.44 -0.29 L -0.16 -0.29", 0.022, (255, 255, 255))
    brush.patch("M -0.6 0.28 L 0.6 0.28 L 0.6 0.6 L -0.6 0.6 Z", (228, 196, 156))
    brush.stripe("M -0.6 0.28 L 0.6 0.28", 0.03, (255, 250, 240))
    brush.stripe(
        "M -0.22 0.30 L -0.36 0.5 M 0 0.30 L 0 0.5 M 0.22 0.30 L 0.36 0.5 M 0.4 0.3 L 0.6 0.48", 0.01, (212, 178, 138)
    )
    brush.stripe("M -0.4 0.3 L -0.6 0.48", 0.01, (212, 178, 138))


def _beach(brush: Brush) -> None:
    brush.patch("M -0.6 -0.6 L 0.6 -0.6 L 0.6 0 L -0.6 0 Z", (214, 238, 252))
    brush.oval(0.34, -0.36, 0.09, 0.09, (255, 232, 140))
    brush.patch("M -0.6 -0.06 L 0.6 -0.06 L 0.6 0.24 L -0.6 0.24 Z", (150, 214, 232))
    brush.stripe("M -0.45 0.02 Q -0.38 -0.02 -0.31 0.02 Q -0.24 0.06 -0.17 0.02", 0.016, (226, 246, 250))
    brush.stripe("M 0.16 0.06 Q 0.23 0.02 0.30 0.06 Q 0.37 0.10 0.44 0.06", 0.016, (226, 246, 250))
    brush.patch("M -0.6 0.17 Q -0.25 0.10 0.05 0.17 Q 0.35 0.24 0.6 0.15 L 0.6 0.6 L -0.6 0.6 Z", (255, 255, 255))
    brush.patch("M -0.6 0.20 Q -0.25 0.13 0.05 0.20 Q 0.35 0.27 0.6 0.18 L 0.6 0.6 L -0.6 0.6 Z", (250, 226, 170))
    for x, y in ((-0.40, 0.34), (-0.28, 0.44), (0.34, 0.36), (0.44, 0.45), (-0.46, 0.47)):
        brush.oval(x, y, 0.022, 0.016, (232, 200, 140))


def _snow(brush: Brush) -> None:
    brush.patch("M -0.6 -0.6 L 0.6 -0.6 L 0.6 0.3 L -0.6 0.3 Z", (196, 208, 230))
    for x, s in ((-0.40, 1.0), (-0.26, 0.7), (0.36, 0.9)):
        for k in range(3):
            y, half = 0.14 - 0.1 * s * k, (0.12 - 0.028 * k) * s
            brush.patch(f"M {x - half} {y} L {x} {y - 0.15 * s} L {x + half} {y} Z", (146, 178, 176))
            brush.patch(
                f"M {x - half * 0.5} {y - 0.075 * s} L {x} {y - 0.15 * s} L {x + half * 0.5} {y - 0.075 * s} Z",
                (248, 250, 254),
            )
    brush.patch("M -0.6 0.14 Q -0.2 0.02 0.1 0.14 Q 0.35 0.22 0.6 0.08 L 0.6 0.6 L -0.6 0.6 Z", (238, 243, 251))
    brush.patch("M -0.6 0.28 Q 0.1 0.16 0.6 0.3 L 0.6 0.6 L -0.6 0.6 Z", (250, 252, 255))
    for x, y in (
        (-0.44, -0.42),
        (-0.2, -0.36),
        (0.06, -0.44),
        (0.28, -0.34),
        (0.45, -0.44),
        (-0.34, -0.2),
        (0.42, -0.16),
        (0.16, -0.24),
    ):
        brush.oval(x, y, 0.018, 0.018, (255, 255, 255))


SETTINGS: dict[str, Setting] = {
    "meadow": Setting(Phrases(("on a meadow", "in a meadow"), ("在草地上",)), (184, 226, 150), _meadow),
    "room": Setting(Phrases(("in a room",), ("在房间里",)), (228, 196, 156), _room),
    "beach": Setting(Phrases(("on a beach", "at the beach"), ("在沙滩上", "在海边")), (250, 226, 170), _beach),
    "snow": Setting(Phrases(("in the snow",), ("在雪地里", "在雪中")), (250, 252, 255), _snow),
}
