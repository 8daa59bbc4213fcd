"""How sure the judge must be: ``python -m limner.storybook.judge.fit RUN OUT`` sets the thresholds and writes the file.

Each threshold lies where all but a few in a thousand right answers about drawn scenes, clean and mildly damaged, are
surer. A judge that is less sure than that is looking at something that was not drawn so.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from limner.errors import TrainingError
from limner.storybook.judge.judge import Judge
from limner.storybook.judge.lessons import Truth
from limner.storybook.judge.network import COLOUR_ANSWERS, GRID, NAMER_SPLITS, SIDE, cut, to_input
from limner.storybook.judge.puzzles import lesson
from limner.storybook.judge.spoil import spoil
from limner.storybook.judge.thresholds import Thresholds
from limner.storybook.judge.train import save

FIRST = 10**15
"""Training's lessons have lower numbers."""
LOWEST, HIGHEST = 0.6, 0.7
DAMAGE = 0.5


@torch.inference_mode()
def fit(judge: Judge, lessons: int = 2000, doubtful: float = 0.001) -> Thresholds:
    """Thresholds that would lose a share of ``doubtful`` right answers, each between ``LOWEST`` and ``HIGHEST``.

    That of the centres lies between the surest empty places and the least sure things, in the middle by ratio.
    """
    questions = ("centre", "nowhere", "kind", "colour", "garment", "background")
    sure: dict[str, list[Tensor]] = {question: [] for question in questions}
    chance = Generator().manual_seed(0)
    for start in range(0, lessons, 50):
        drawn = [lesson(FIRST + start + i, whole=True) for i in range(50)]
        clean = to_input(torch.from_numpy(np.stack([picture for picture, _ in drawn])))
        for pixels in (clean, spoil(clean, chance, most=DAMAGE)):
            for question, shares in _sureness(judge, pixels, [truth for _, truth in drawn]).items():
                sure[question].append(shares)
    things = float(torch.cat(sure.pop("centre")).quantile(doubtful))
    nowhere = float(torch.cat(sure.pop("nowhere")).quantile(1 - doubtful))
    limits = {"centre": round(math.sqrt(things * nowhere), 3)}
    for question, parts in sure.items():
        lowest = float(torch.cat(parts).quantile(doubtful))
        limits[question] = round(min(max(lowest, LOWEST), HIGHEST), 3)
    return replace(judge.thresholds, **limits)


def _sureness(judge: Judge, pixels: Tensor, truths: list[Truth]) -> dict[str, Tensor]:
    """The probabilities that the judge gives to the true answers, and to a thing where nothing is."""
    centres, _, backgrounds = judge.eyes.finder(pixels.contiguous(memory_format=torch.channels_last))
    which = torch.cat([torch.full((len(truth.boxes),), i) for i, truth in enumerate(truths)])
    boxes = torch.from_numpy(np.concatenate([truth.boxes for truth in truths]))
    names = torch.from_numpy(np.concatenate([truth.names for truth in truths]))
    # A centre near a cell's edge may show in the neighbouring cell: the surest of the nine around it counts.
    around = torch.nn.functional.max_pool2d(centres.sigmoid()[:, None], 3, 1, 1)[:, 0]
    cells = (boxes[:, :2] / (SIDE / GRID)).long().clamp(0, GRID - 1)
    parts = judge.eyes.namer(cut(pixels, which, boxes)).split(NAMER_SPLITS, 1)
    shares = [part.softmax(1).gather(1, names[:, i : i + 1])[:, 0] for i, part in enumerate(parts)]
    # No caption asks for natural fur, which can be near a colour (a rabbit's to white): it does not count here.
    dyed = names[:, 1] != COLOUR_ANSWERS.index("natural")
    ground = torch.tensor([truth.background for truth in truths])
    # The surest place of each picture that is two cells or more from every thing's centre.
    rows = torch.arange(GRID)
    near = ((rows[None, :, None] - cells[:, 1, None, None]).abs() <= 2) & (
        (rows[None, None] - cells[:, 0, None, None]).abs() <= 2
    )
    taken = torch.zeros(centres.shape, dtype=torch.int64).index_add_(0, which, near.long())
    return {
        "nowhere": centres.sigmoid().masked_fill(taken > 0, 0.0).amax((1, 2)),
        "centre": around[which, cells[:, 1], cells[:, 0]],
        "kind": shares[0],
        "colour": shares[1][dyed],
        "garment": torch.cat(shares[2:]),
        "background": backgrounds.softmax(1).gather(1, ground[:, None])[:, 0],
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Set the judge's thresholds on drawn scenes and write its file.")
    parser.add_argument("run", type=Path, help="the training's folder")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    trained = options.run / "judge.safetensors"
    if not trained.is_file():
        raise TrainingError(f"{options.run}: expected a training's folder with judge.safetensors; train first")
    judge = Judge.load(trained)
    thresholds = fit(judge)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save(judge.eyes, options.out, thresholds, judge.facts)
    print(thresholds)


if __name__ == "__main__":
    main(sys.argv[1:])
