"""The judge's training batches: lessons moved, shrunk, put together and damaged, and crops of what has no name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from limner.storybook.judge.network import BACKGROUND_ANSWERS, CROP, KINDS, SIDE, to_input
from limner.storybook.judge.puzzles import IGNORED, UNKNOWN, lesson
from limner.storybook.judge.spoil import nothing, spoil
from limner.storybook.scene import ANIMALS

ANIMAL_NUMBERS = torch.tensor([KINDS.index(kind) for kind in ANIMALS])


@dataclass(frozen=True, slots=True)
class Batch:
    """``pixels`` (B, 3, 128, 128); for each thing its picture ``which`` (M,), ``boxes`` (M, 3), ``names`` (M, 6)."""

    pixels: Tensor
    which: Tensor
    boxes: Tensor
    names: Tensor
    background: Tensor


def make_batch(seed: int, step: int, *, batch: int = 64, empty: int = 7, mosaics: int = 4) -> Batch:
    """Step number ``step``'s ``batch`` pictures, a function of the arguments alone.

    ``empty`` of them show nothing, ``mosaics`` are put together of four.
    """
    chance = Generator().manual_seed(seed * 1_000_003 + step)
    drawn = batch - empty + 3 * mosaics
    first = (seed * 10_000_000 + step) * 1000
    lessons = [lesson(first + i) for i in range(drawn)]
    clean = to_input(torch.from_numpy(np.stack([picture for picture, _ in lessons])))
    which = torch.cat([torch.full((len(truth.boxes),), i) for i, (_, truth) in enumerate(lessons)])
    boxes = torch.from_numpy(np.concatenate([truth.boxes for _, truth in lessons]))
    names = torch.from_numpy(np.concatenate([truth.names for _, truth in lessons]))
    background = torch.tensor([truth.background for _, truth in lessons])
    blank = nothing(empty, clean, chance)
    pixels, boxes = _moved(clean, which, boxes, chance)
    pixels, which, boxes, background = _mosaics(pixels, which, boxes, background, mosaics)
    pixels = torch.cat((pixels, blank))
    background = torch.cat((background, torch.full((empty,), IGNORED)))
    # Damage comes in groups: an order of its own keeps families and mosaics from sharing one.
    order = torch.randperm(len(pixels), generator=chance)
    pixels = spoil(pixels[order], chance)[order.argsort()].contiguous(memory_format=torch.channels_last)
    return Batch(pixels, which, boxes, names, background)


def _moved(pixels: Tensor, which: Tensor, boxes: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """One picture in three is shrunk or moved, so that no thing has a place or size of its own."""
    count = len(pixels)
    chosen = torch.randperm(count, generator=chance)[: count // 3]
    scale, shift = torch.ones(count), torch.zeros(count, 2)
    scale[chosen] = torch.rand(len(chosen), generator=chance) * 0.42 + 0.60
    room = (1 - scale[chosen]).clamp_min(0)[:, None] * SIDE / 2
    shift[chosen] = (torch.rand((len(chosen), 2), generator=chance) * 2 - 1) * room
    theta = torch.zeros(len(chosen), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale[chosen]
    theta[:, :, 2] = -shift[chosen] / scale[chosen, None] * (2 / SIDE)
    grid = F.affine_grid(theta, [len(chosen), 3, SIDE, SIDE], align_corners=False)
    # Things keep a margin, so that the edge is background all round.
    pixels[chosen] = F.grid_sample(pixels[chosen], grid, padding_mode="border", align_corners=False)
    middle = SIDE / 2
    places = (boxes[:, :2] - middle) * scale[which][:, None] + middle + shift[which]
    return pixels, torch.cat((places, boxes[:, 2:] * scale[which][:, None]), 1)


def _mosaics(
    pixels: Tensor, which: Tensor, boxes: Tensor, background: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The last 4 × ``count`` pictures, four to one: many small things, more than any scene has."""
    kept = len(pixels) - 4 * count
    quarters = F.avg_pool2d(pixels[kept:], 2).reshape(count, 2, 2, 3, SIDE // 2, SIDE // 2)
    mosaics = quarters.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, SIDE, SIDE)
    number = which - kept
    inside = number >= 0
    corner = torch.stack((number % 2, number // 2 % 2), 1) * (SIDE / 2)
    boxes = torch.where(inside[:, None], torch.cat((boxes[:, :2] / 2 + corner, boxes[:, 2:] / 2), 1), boxes)
    which = torch.where(inside, kept + number.div(4, rounding_mode="floor"), which)
    grounds = background[kept:].reshape(count, 4)
    same = (grounds == grounds[:, :1]).all(1)
    ground = torch.where(same, grounds[:, 0], torch.tensor(BACKGROUND_ANSWERS.index("another")))
    return torch.cat((pixels[:kept], mosaics)), which, boxes, torch.cat((background[:kept], ground))


def with_chimeras(crops: Tensor, names: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """A sixth more crops that have no name: half this and half that, shuffled, washed out, beside the thing."""
    count = max(4, len(crops) // 6)
    one, two = (torch.randint(len(crops), (count,), generator=chance) for _ in range(2))
    odd = crops[one].clone()
    half, n = CROP // 2, count // 4
    unlike = names[one, 0] != names[two, 0]
    dressed = torch.isin(names[one, 0], ANIMAL_NUMBERS) & torch.isin(names[two, 0], ANIMAL_NUMBERS)
    for i in range(count):
        if i < 2 * n and unlike[i]:
            # Animals share their bodies: only left and right halves of two of them make a creature that is neither.
            if i % 2 or dressed[i]:
                odd[i, :, :, half:] = crops[two[i], :, :, half:]
            else:
                odd[i, :, half:] = crops[two[i], :, half:]
        elif i < 3 * n:
            side = (8, 12, 16)[i % 3]
            blocks = odd[i].unfold(1, side, side).unfold(2, side, side).reshape(3, -1, side, side)
            blocks = blocks[:, torch.randperm(blocks.shape[1], generator=chance)]
            grid = CROP // side
            odd[i] = blocks.reshape(3, grid, grid, side, side).permute(0, 1, 3, 2, 4).reshape(3, CROP, CROP)
        elif i % 2:
            odd[i] = F.interpolate(F.adaptive_avg_pool2d(odd[i : i + 1], 3), (CROP, CROP), mode="bilinear")[0]
        else:
            away = int(torch.randint(22, 30, (), generator=chance)) * (1 if i % 4 else -1)
            odd[i] = odd[i].roll(away, 1 + i // 4 % 2)
    nameless = torch.full((count, names.shape[1]), IGNORED)
    nameless[:, 0] = UNKNOWN
    return torch.cat((crops, odd)), torch.cat((names, nameless))
