"""The judge's eyes: a finder that says where something stands, and a namer that says what it is.

The finder is a small CenterNet (Zhou et al. 2019, "Objects as Points"): a map of centres on a 16 × 16 grid, a square
box at each, and answers about the whole picture; it sees the picture at 128 pixels. The namer sees each box, cut from
all 192, as a 96 × 96 picture of its own, so that a small cat and a large one look alike, and answers what it is, what
it is made of, what it wears and how it is drawn.
Both learn from drawn scenes alone (``train.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    DOINGS,
    GARMENTS,
    KINDS,
    MOODS,
    SENSES,
    SHAPES,
    STYLES,
    TEXTURES,
    TOUCHING,
)

SIDE = 192
"""Pictures are judged at this many pixels; others are resized first."""
FINDER_SIDE = 128
GRID = 16
CROP = 96
MARGIN = 1.25
"""The namer sees a square this many times the box's side."""
WIDTH = 160
"""Of what the namer's questions read."""
LOOKS = ((1.0, 0.0, 0.0), (0.96, 0.03, 0.02), (1.05, -0.03, 0.02), (1.0, 0.02, -0.03), (1.0, -0.02, -0.02))
"""The namer looks at a thing this often: at its box with the side times the first, moved by the others, in sides."""

DRAWN = tuple(kind for kind in KINDS if kind not in SENSES)
"""Kinds as they are drawn: spectacles or a tumbler, never glasses."""
_NO_YES = ("no", "yes")
THING_QUESTIONS: dict[str, tuple[str, ...]] = {
    "kind": DRAWN,
    "body": ("none", *ANIMALS),
    "colour": (*COLOURS, "natural"),
    "texture": ("none", *TEXTURES),
    "shape": ("none", *SHAPES),
    "mood": ("none", *MOODS),
    "doing": ("none", *DOINGS),
    "style": ("plain", *STYLES),
    "baby": _NO_YES,
    "upside down": _NO_YES,
    "from behind": _NO_YES,
    **dict.fromkeys(GARMENTS, ("absent", *COLOURS, "worn")),
}
PICTURE_QUESTIONS: dict[str, tuple[str, ...]] = {
    "background": BACKGROUNDS,
    "style": ("plain", *STYLES),
    "close-up": _NO_YES,
    "arrangement": ("apart", *TOUCHING),
}
"""What is asked of each thing and of each picture, and the answers."""


def splits(questions: dict[str, tuple[str, ...]]) -> list[int]:
    """A network's outputs in order: the answers to each question, and one more, the abstention.

    It says that what is half this and half that has no name.
    """
    return [len(answers) + 1 for answers in questions.values()]


def number(questions: dict[str, tuple[str, ...]], question: str, answer: str | None) -> int:
    """The answer's output among its question's; None is the abstention."""
    answers = questions[question]
    return len(answers) if answer is None else answers.index(answer)


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
    """(B, 3, 192, 192) in [−1, 1] → centres (B, 16, 16) logits, boxes (B, 3, 16, 16), answers (B, P) logits.

    The answers are about the whole picture, to be split by ``splits(PICTURE_QUESTIONS)``.

    A box is (dx, dy, side): its centre's offset from the cell's middle and its side, in cells of 12 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_conv(3, 16, 2), _conv(16, 32, 2), Residual(32), _conv(32, 64, 2), Residual(64))
        self.coarse = nn.Sequential(_conv(64, 96, 2), Residual(96), Residual(96))
        self.join = nn.Conv2d(96, 64, 1)
        self.body = nn.Sequential(Residual(64), Residual(64))
        self.head = nn.Conv2d(64, 4, 1)
        self.whole = nn.Sequential(
            nn.Linear(96 * 17, 128), nn.ReLU(inplace=True), nn.Linear(128, sum(splits(PICTURE_QUESTIONS)))
        )
        nn.init.constant_(self.head.bias[:1], -4.0)  # type: ignore[index]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(F.interpolate(pixels, (FINDER_SIDE, FINDER_SIDE), mode="area"))
        coarse = self.coarse(fine)
        joined = F.relu(fine + F.interpolate(self.join(coarse), scale_factor=2.0, mode="nearest"))
        maps = self.head(self.body(joined)).float()
        # Each sixteenth of the picture, and the whole: an arrangement is where things are, a style is everywhere.
        parts = torch.cat((F.avg_pool2d(coarse, 2).flatten(1), coarse.mean((2, 3))), 1)
        return maps[:, 0], maps[:, 1:], self.whole(parts).float()


class Namer(nn.Module):
    """Crops (M, 3, 96, 96) in [−1, 1] → logits (M, T), to be split by ``splits(THING_QUESTIONS)``.

    Each question looks where its answer is: a query that reads the map of features twice, as in DETR (Carion et al.
    2020). Colours are told by the same weights for all garments, so that purple need not be learned for each anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, 32, 2), _conv(32, 64, 2), Residual(64), _conv(64, 128, 2), Residual(128), Residual(128)
        )
        self.wide = nn.Sequential(_conv(128, 256, 2), Residual(256))
        self.fine, self.broad = nn.Conv2d(128, WIDTH, 1), nn.Conv2d(256, WIDTH, 1)
        self.places = nn.Parameter(torch.randn(WIDTH, CROP // 8, CROP // 8) * 0.5)
        self.queries = nn.Parameter(torch.randn(len(THING_QUESTIONS), WIDTH) * 0.5)
        self.norm = nn.LayerNorm(WIDTH)
        self.readers = nn.ModuleList(
            nn.TransformerDecoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(2)
        )
        self.answers = nn.ModuleList(nn.Linear(WIDTH, count) for count in splits(THING_QUESTIONS))
        self.dye = nn.Linear(WIDTH, len(COLOURS), bias=False)

    def forward(self, crops: Tensor) -> Tensor:
        fine = self.body(crops)
        joined = self.fine(fine) + F.interpolate(self.broad(self.wide(fine)), scale_factor=2.0, mode="nearest")
        seen = self.norm((joined + self.places).flatten(2).mT)
        read = self.queries.expand(len(crops), -1, -1)
        for reader in self.readers:
            read = reader(read, seen)
        logits = [answer(read[:, i]) for i, answer in enumerate(self.answers)]
        for i, answers in enumerate(THING_QUESTIONS.values()):
            if COLOURS[0] in answers:
                first = answers.index(COLOURS[0])
                dyed = self.dye(read[:, i])
                logits[i] = logits[i] + F.pad(dyed, (first, logits[i].shape[1] - first - len(COLOURS)))
        return torch.cat(logits, 1).float()


class Eyes(nn.Module):
    """Finder and namer as one set of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.finder = Finder()
        self.namer = Namer()

    def names(self, pixels: Tensor, which: Tensor, boxes: Tensor) -> Tensor:
        """The namer's logits (M, T) about ``boxes`` (M, 3) of pictures ``which`` (M,), the mean of all ``LOOKS``.

        A doubtful answer hangs on where exactly the crop lies; the mean of several hangs on it less.
        """
        total = pixels.new_zeros(len(boxes), sum(splits(THING_QUESTIONS)))
        for scale, across, down in LOOKS if len(boxes) else ():
            side = boxes[:, 2]
            moved = torch.stack((boxes[:, 0] + across * side, boxes[:, 1] + down * side, scale * side), 1)
            total += self.namer(cut(pixels, which, moved))
        return total / len(LOOKS)


def to_input(pictures: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, 192, 192) in [−1, 1], resized by area where the size differs."""
    pixels = pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    if pixels.shape[-2:] != (SIDE, SIDE):
        pixels = F.interpolate(pixels, (SIDE, SIDE), mode="area" if pixels.shape[-1] > SIDE else "bilinear")
    return pixels.contiguous(memory_format=torch.channels_last)


def cut(pixels: Tensor, which: Tensor, boxes: Tensor) -> Tensor:
    """Crops (M, 3, 96, 96) around ``boxes`` (M, 3: x, y of the centre, side, in pixels) of pictures ``which`` (M,)."""
    half = boxes[:, 2].clamp_min(4.0) * (MARGIN / 2)
    theta = boxes.new_zeros(len(boxes), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = half * (2.0 / SIDE)
    theta[:, :, 2] = boxes[:, :2] * (2.0 / SIDE) - 1.0
    # Twice as fine and halved: what is large would lose its thin lines to sampling.
    grid = F.affine_grid(theta, [len(boxes), 3, 2 * CROP, 2 * CROP], align_corners=False)
    crops = F.avg_pool2d(F.grid_sample(pixels.contiguous()[which], grid, padding_mode="border", align_corners=False), 2)
    return crops.contiguous(memory_format=torch.channels_last)
