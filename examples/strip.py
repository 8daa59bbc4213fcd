"""Four captions drawn by the shipped model on one strip: ``python examples/strip.py [OUT.png] [MODEL]``."""

from __future__ import annotations

import sys
from pathlib import Path

import limner
from limner.pictures.png import save_png
from limner.pictures.sheet import sheet

CAPTIONS = (
    "a hedgehog wearing a red hat, yellow gloves, a blue shirt and green trousers",
    "a red boat to the right of a purple tree",
    "a penguin wearing a blue hat and pink gloves",
    "three yellow hearts",
)


def main(out: str = "strip.png", model: str = "storybook") -> Path:
    """Draw the strip and write it to ``out``."""
    painter = limner.load_painter(model)
    drawn = [painter.generate(caption, count=1, candidates=16, seed=1)[0] for caption in CAPTIONS]
    strip = sheet([picture.image for picture in drawn], columns=len(drawn), captions=CAPTIONS, cell=240)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    return save_png(strip, out, {"captions": list(CAPTIONS), "seed": 1, "candidates": 16, "model": model})


if __name__ == "__main__":
    print(f"four captions, each the best of 16 candidates: {main(*sys.argv[1:])}")
