"""What makes a thing: its words, its drawing, and what can be done with it. The entries are in files by subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import Tone
from limner.storybook.world.words import Noun

Drawing = Callable[[Brush, Tone], None]
"""Draws in the unit box, in the shades of the said colour. A thing's feet are at y = 0.465."""


@dataclass(frozen=True, slots=True)
class Host:
    """A thing that can take the shape of another: what lies behind the shape, the shape's box (x, y, side), what lies
    before it, and the ``face`` (a dial) that the shape carries where it is broadest: drawn in a unit box that just
    holds the shape's ``broad`` circle. All drawings get the shape's shades."""

    behind: Drawing
    box: tuple[float, float, float]
    front: Drawing | None = None
    face: Drawing | None = None


@dataclass(frozen=True, slots=True)
class ThingKind:
    """A thing's words and its drawing.

    ``top``: the height (box units, y down) of the surface that others can stand on, None where there is none.
    ``holds``: the height of the rim that what is inside disappears behind; ``front`` is drawn again over it.
    """

    noun: Noun
    draw: Drawing
    top: float | None = None
    holds: float | None = None
    front: Drawing | None = None
    host: Host | None = None
