"""The judge's eyes: a finder that says where something stands, and a namer that says what it is.

The finder is a small CenterNet (Zhou et al. 2019, "Objects as Points"): a map of centres on a 16 × 16 grid, a square
box at each, and the background. The namer sees each box as a 48 × 48 picture of its own, so that a small cat and a
large one look alike, and answers kind, colour and garments. Both learn from drawn scenes alone (``train.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.storybook.scene import ANIMALS, BACKGROUNDS, COLOURS, GARMENTS, THINGS

SIDE = 128
"""Pictures are judged at this many pixels; others are resized first."""
GRID = 16
CROP = 48
MARGIN = 1.1
"""The namer sees a square this many times the box's side."""

KINDS = (*THINGS, *ANIMALS, "nothing known")
COLOUR_ANSWERS = (*COLOURS, "natural", "unclear")
GARMENT_ANSWERS = ("absent", *COLOURS, "unclear")
BACKGROUND_ANSWERS = (*BACKGROUNDS, "another")
"""The last answer to each question is an abstention: what is half this and half that has no name."""
NAMER_SPLITS = (len(KINDS), len(COLOUR_ANSWERS)) + (len(GARMENT_ANSWERS),) * len(GARMENTS)
"""The namer's outputs in order: kind, colour, then one answer for each garment."""


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Finder(nn.Module):
    """(B, 3, 128, 128) in [−1, 1] → centres (B, 16, 16) logits, boxes (B, 3, 16, 16), background (B, 7) logits.

    A box is (dx, dy, side): its centre's offset from the cell's middle and its side, in cells of 8 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2), Residual(32), _conv(32, 64, 2), Residual(64))
        self.coarse = nn.Sequential(_conv(64, 96, 2), Residual(96), Residual(96))
        self.join = nn.Conv2d(96, 64, 1)
        self.body = nn.Sequential(Residual(64), Residual(64))
        self.head = nn.Conv2d(64, 4, 1)
        self.background = nn.Linear(96, len(BACKGROUND_ANSWERS))
        nn.init.constant_(self.head.bias[:1], -4.0)  # type: ignore[index]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(pixels)
        coarse = self.coarse(fine)
        joined = F.relu(fine + F.interpolate(self.join(coarse), scale_factor=2.0, mode="nearest"))
        maps = self.head(self.body(joined)).float()
        return maps[:, 0], maps[:, 1:], self.background(coarse.mean((2, 3))).float()


class Namer(nn.Module):
    """Crops (M, 3, 48, 48) in [−1, 1] → logits (M, 75), to be split by ``NAMER_SPLITS``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 32, 2), _conv(32, 64, 2), Residual(64), _conv(64, 112, 2), Residual(112), Residual(112)
        )
        self.narrow = nn.Conv2d(112, 64, 1)
        self.head = nn.Sequential(nn.Linear(64 * 9, 256), nn.ReLU(inplace=True), nn.Linear(256, sum(NAMER_SPLITS)))

    def forward(self, crops: Tensor) -> Tensor:
        parts = F.relu(self.narrow(F.avg_pool2d(self.body(crops), 2)))
        return self.head(parts.flatten(1)).float()


class Eyes(nn.Module):
    """Finder and namer as one set of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.finder = Finder()
        self.namer = Namer()


def to_input(pictures: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, 128, 128) in [−1, 1], resized by area where the size differs."""
    pixels = pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    if pixels.shape[-2:] != (SIDE, SIDE):
        pixels = F.interpolate(pixels, (SIDE, SIDE), mode="area" if pixels.shape[-1] > SIDE else "bilinear")
    return pixels.contiguous(memory_format=torch.channels_last)


def cut(pixels: Tensor, which: Tensor, boxes: Tensor) -> Tensor:
    """Crops (M, 3, 48, 48) around ``boxes`` (M, 3: x, y of the centre, side, in pixels) of pictures ``which`` (M,)."""
    half = boxes[:, 2].clamp_min(4.0) * (MARGIN / 2)
    theta = boxes.new_zeros(len(boxes), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = half * (2.0 / SIDE)
    theta[:, :, 2] = boxes[:, :2] * (2.0 / SIDE) - 1.0
    grid = F.affine_grid(theta, [len(boxes), 3, CROP, CROP], align_corners=False)
    crops = F.grid_sample(pixels[which], grid, padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)
