"""How sure the judge must be before it answers, calibrated on drawn scenes; sizes are told from boxes alone."""

from __future__ import annotations

from dataclasses import dataclass

from limner.storybook.scene import GARMENTS

_GARMENTS = frozenset(GARMENTS)

LARGER = {"medium": 0.32, "large": 0.44, "huge": 0.76}
"""From which side (share of the picture) on a thing is medium, large, huge; below the first it is small."""
LARGER_STACKED = {"medium": 0.255, "large": 0.345, "huge": 0.475}
"""The same for a stack's blocks."""


def size_of(side: float, stacked: bool = False) -> str:
    """small, medium, large or huge."""
    size = "small"
    for name, least in (LARGER_STACKED if stacked else LARGER).items():
        if side >= least:
            size = name
    return size


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities below which the judge abstains."""

    centre: float = 0.3
    kind: float = 0.5
    colour: float = 0.5
    garment: float = 0.5
    other: float = 0.5
    picture: float = 0.5

    def of_thing(self, question: str) -> float:
        """For what is asked of a thing (``network.THING_QUESTIONS``)."""
        own = {"kind": self.kind, "body": self.kind, "colour": self.colour}
        return own.get(question, self.garment if question in _GARMENTS else self.other)
