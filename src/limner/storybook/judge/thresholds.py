"""How sure the judge must be before it answers, calibrated on drawn scenes; a size is told from the box alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities below which the judge abstains, and the sides (shares of the picture) that part the three sizes."""

    centre: float = 0.3
    kind: float = 0.5
    colour: float = 0.5
    garment: float = 0.5
    background: float = 0.5
    small_below: float = 0.32
    large_from: float = 0.44

    def size_of(self, side: float) -> str:
        """small, medium or large."""
        return "small" if side < self.small_below else "large" if side >= self.large_from else "medium"
