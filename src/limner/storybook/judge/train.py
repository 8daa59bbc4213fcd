"""How the judge learned: ``python -m limner.storybook.judge.train RUN [--minutes M]``, resumable, one core will do.

Drawn scenes only, damaged by ``spoil.py``, moved, shrunk, put together four to a picture, with broken things and
pictures of nothing among them. A small loop of its own: the storybook stands below ``models`` and ``training``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from limner.device import autocast
from limner.files import make_folder, write_atomically
from limner.progress import progress
from limner.storybook.judge.batches import Batch, make_batch, with_chimeras
from limner.storybook.judge.judge import Judge
from limner.storybook.judge.network import GRID, NAMER_SPLITS, SIDE, Eyes, cut
from limner.storybook.judge.puzzles import IGNORED
from limner.storybook.judge.thresholds import Thresholds

CELL = SIDE / GRID


@dataclass(frozen=True)
class Settings:
    """Steps of ``batch`` pictures, of which ``empty`` show nothing; AdamW with a one-cycle rate; EMA."""

    steps: int = 2000
    batch: int = 64
    empty: int = 7
    mosaics: int = 4
    rate: float = 3e-3
    decay: float = 0.05
    ema: float = 0.99
    seed: int = 1


def finder_loss(eyes: Eyes, batch: Batch) -> Tensor:
    """CenterNet's focal loss on the map of centres, L1 on the boxes there, cross-entropy on the background."""
    centres, boxes, grounds = eyes.finder(batch.pixels)
    cells = batch.boxes / CELL
    at = torch.arange(GRID) + 0.5
    # (M, 16, 16): a bump around each centre; a picture's target is the highest of its things' bumps.
    apart = (at[None, :, None] - cells[:, 1, None, None]).square() + (at[None, None] - cells[:, 0, None, None]).square()
    width = (0.11 * cells[:, 2]).clamp_min(0.45)[:, None, None]
    bumps = torch.exp(-apart / (2 * width.square()))
    columns, rows = cells[:, 0].long().clamp(0, GRID - 1), cells[:, 1].long().clamp(0, GRID - 1)
    bumps[torch.arange(len(cells)), rows, columns] = 1.0
    target = torch.zeros_like(centres).scatter_reduce_(0, batch.which[:, None, None].expand_as(bumps), bumps, "amax")
    share = centres.sigmoid().clamp(1e-4, 1 - 1e-4)
    focal = torch.where(
        target == 1, -((1 - share) ** 2) * share.log(), -((1 - target) ** 4) * share**2 * (1 - share).log()
    )
    thing, row, column = (apart < 1.5**2).nonzero(as_tuple=True)
    wanted = torch.stack((cells[thing, 0] - column - 0.5, cells[thing, 1] - row - 0.5, cells[thing, 2]), 1)
    off = (boxes[batch.which[thing], :, row, column] - wanted).abs().mean()
    return focal.sum() / len(cells) + off + 0.5 * F.cross_entropy(grounds, batch.background, ignore_index=IGNORED)


def namer_loss(eyes: Eyes, batch: Batch, chance: Generator) -> tuple[Tensor, Tensor]:
    """Cross-entropy on kind, colour and garments of every thing's crop and of chimeras; and the kinds' accuracy."""
    wobble = torch.randn((len(batch.boxes), 3), generator=chance) * 0.035 * batch.boxes[:, 2:]
    crops = cut(batch.pixels, batch.which, batch.boxes + wobble)
    crops, names = with_chimeras(crops, batch.names, chance)
    parts = eyes.namer(crops.contiguous(memory_format=torch.channels_last)).split(NAMER_SPLITS, 1)
    losses = [F.cross_entropy(part, names[:, i], ignore_index=IGNORED) for i, part in enumerate(parts)]
    right = (parts[0].argmax(1) == names[:, 0]).float().mean()
    return losses[0] + losses[1] + 1.5 * torch.stack(losses[2:]).sum(), right


def train(run: Path, settings: Settings, minutes: float, first: Judge | None = None) -> Eyes:
    """Learn until ``steps`` or ``minutes`` are over, from ``first`` or from nothing.

    The run's folder keeps what is needed to go on.
    """
    torch.manual_seed(settings.seed)
    eyes = (first.eyes if first else Eyes()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.optim.swa_utils.AveragedModel(
        eyes, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema), use_buffers=True
    )
    weights = [p for p in eyes.parameters() if p.ndim > 1]
    others = [p for p in eyes.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": settings.decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98))
    facts = asdict(settings) | {"before": first.facts if first else None}
    saved, start = run / "state.pt", 0
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        start = state["step"]
        for part, name in ((eyes, "eyes"), (mean, "mean"), (optimizer, "optimizer")):
            part.load_state_dict(state[name])
    until = time.monotonic() + 60 * minutes
    with progress("judge", settings.steps, done=start) as bar:
        for step in range(start, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * _cycle((step + 1) / settings.steps)
            batch = make_batch(
                settings.seed, step, batch=settings.batch, empty=settings.empty, mosaics=settings.mosaics
            )
            chance = Generator().manual_seed(settings.seed + step)
            eyes.train()
            with autocast(torch.device("cpu")):
                finder = finder_loss(eyes, batch)
                namer, right = namer_loss(eyes, batch, chance)
            optimizer.zero_grad(set_to_none=True)
            (finder + namer).backward()
            nn.utils.clip_grad_norm_(eyes.parameters(), 5.0)
            optimizer.step()
            mean.update_parameters(eyes)
            measures = {"finder": finder.item(), "namer": namer.item(), "right": right.item()}
            bar.advance(1, **measures)
            last = step + 1 == settings.steps or time.monotonic() > until
            if (step + 1) % 20 == 0 or last:
                with open(run / "journal.jsonl", "a", encoding="utf-8") as journal:
                    journal.write(json.dumps({"step": step + 1, **measures}) + "\n")
            if (step + 1) % 250 == 0 or last:
                parts = {"eyes": eyes.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict()}
                write_atomically(saved, partial(torch.save, {"step": step + 1, **parts}))
                save(mean.module, run / "judge.safetensors", Thresholds(), facts | {"steps": step + 1})
            if last:
                break
    assert isinstance(mean.module, Eyes)
    return mean.module


def _cycle(share: float) -> float:
    return min(share / 0.05, 1.0) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-3


def save(eyes: nn.Module, path: Path, thresholds: Thresholds, facts: dict[str, object]) -> None:
    """The weights as float16 safetensors, thresholds and facts in the metadata. Raises FileError."""
    from safetensors.torch import save as to_bytes

    state = {name: tensor.half().contiguous() for name, tensor in eyes.state_dict().items()}
    metadata = {"thresholds": json.dumps(asdict(thresholds)), "facts": json.dumps(facts)}
    write_atomically(path, to_bytes(state, metadata))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Train the storybook's judge on drawn scenes.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--init", type=Path, help="a judge's file to start from")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    first = Judge.load(options.init) if options.init else None
    train(make_folder(options.run), Settings(steps=options.steps, rate=options.rate), options.minutes, first)


if __name__ == "__main__":
    main(sys.argv[1:])
