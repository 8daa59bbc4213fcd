"""What a painter gives back: pictures, unfinished pictures, captions with their likelihood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from limner.pictures.png import save_png


@dataclass(frozen=True)
class Drawn:
    """A picture that was drawn: number ``index`` of ``seed``, with its ``score`` (None where nothing ranked it).

    ``tokens`` are its codes, int64 (rows, columns); ``settings`` everything else that made it.
    """

    image: Image.Image
    score: float | None
    seed: int
    index: int
    tokens: np.ndarray
    caption: str
    settings: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write it as PNG with caption, seed, model and settings inside, whole or not at all. Raises FileError."""
        return save_png(self.image, path, self.facts, edited=self.settings.get("verb") not in (None, "generate"))

    @property
    def facts(self) -> dict[str, Any]:
        """What its file says about it."""
        known = {"caption": self.caption, "seed": self.seed, "index": self.index, "score": self.score}
        return known | {key: value for key, value in self.settings.items() if value is not None}


class Partial(NamedTuple):
    """A picture while it is drawn, grey where nothing is yet; ``drawn`` stands in the last one, when ``done`` is 1."""

    image: Image.Image
    done: float
    drawn: Drawn | None


class Captioned(NamedTuple):
    """A caption of a picture, log p(picture | caption) in nats, and its probability among those that were given."""

    caption: str
    nats: float
    probability: float
