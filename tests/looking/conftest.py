"""A small looker, and pictures that differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.looker import Looker, load_looker


@pytest.fixture(scope="session")
def looker(tiny_painter: Path) -> Looker:
    return load_looker(tiny_painter, device="cpu")


@pytest.fixture
def noise() -> Callable[[int], Image.Image]:
    def make(seed: int) -> Image.Image:
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 31, 3), dtype=np.uint8))

    return make


@pytest.fixture
def album(tmp_path: Path, noise: Callable[[int], Image.Image]) -> Path:
    """Five pictures, two of them in a folder within, one that is none, and a note."""
    folder = tmp_path / "album"
    (folder / "dusk").mkdir(parents=True)
    for i in range(3):
        noise(i).save(folder / f"{i}.png")
    for i in range(3, 5):
        noise(i).save(folder / "dusk" / f"{i}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "note.txt").write_text("not a picture")
    return folder
