"""Damage that leaves a picture's truth as it is, and pictures that show nothing: what the judge must get used to.

A tokenizer's reconstructions are blurred, blotchy and coarse in patches. None is seen in training: the damage below
only imitates such faults (it takes drawn pictures to about 20–35 dB), so that the judge is nobody's accomplice.
Pictures are float (B, 3, 128, 128) in [−1, 1]; all chance comes from a ``torch.Generator``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Damage = Callable[[Tensor, float, Generator], Tensor]


def _uniform(shape: tuple[int, ...], low: float, high: float, chance: Generator) -> Tensor:
    return torch.rand(shape, generator=chance) * (high - low) + low


def _below(count: int, chance: Generator) -> int:
    return int(torch.randint(count, (), generator=chance))


def coarse(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Down and up again by a factor of 1.2 to 3."""
    side = x.shape[-1]
    small = max(16, round(side / (1.2 + 1.8 * strength)))
    shrink = ("area", "bilinear")[_below(2, chance)]
    grow = ("bilinear", "bicubic", "nearest")[min(2, _below(5, chance) // 2)]
    down = F.interpolate(x, (small, small), mode=shrink)
    return F.interpolate(down, (side, side), mode=grow)


def blurred(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Gaussian blur with a radius of 0.4 to 2 pixels."""
    sigma = 0.4 + 1.6 * strength
    reach = math.ceil(2.5 * sigma)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    line = torch.exp(-at.square() / (2 * sigma * sigma))
    line = (line / line.sum()).expand(3, 1, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), line, groups=3)
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), line.transpose(2, 3), groups=3)


def noisy(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Noise of one pixel, or blotches of 2 to 8 pixels."""
    grain = (1, 1, 2, 4, 8)[_below(5, chance)]
    side = x.shape[-1]
    noise = torch.randn((len(x), 3, side // grain, side // grain), generator=chance)
    if grain > 1:
        noise = F.interpolate(noise, (side, side), mode="bilinear")
    return x + noise * (0.02 + 0.16 * strength)


def tinted(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Each channel's gain and level a little off."""
    reach = 0.02 + 0.08 * strength
    gain = _uniform((len(x), 3, 1, 1), 1 - reach, 1 + reach, chance)
    return x * gain + _uniform((len(x), 3, 1, 1), -reach, reach, chance)


def patchy(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Patches of 8 or 16 pixels, each with a level of its own that is a little off."""
    cells = x.shape[-1] // (8, 16)[_below(2, chance)]
    level = torch.randn((len(x), 3, cells, cells), generator=chance) * (0.02 + 0.08 * strength)
    return x + F.interpolate(level, x.shape[-2:], mode="nearest")


def cosines(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Patches of 8 or 16 pixels without their high frequencies, the rest rounded: JPEG's and a tokenizer's fault."""
    n = (8, 16)[_below(2, chance)]
    basis = _cosine_basis(n)
    kept = max(2, round(n * (0.85 - 0.5 * strength)))
    small = basis[:kept]
    b, c, h, w = x.shape
    # (B, C, rows, n, columns, n): each patch to its lowest kept × kept frequencies and back.
    blocks = x.reshape(b, c, h // n, n, w // n, n)
    waves = torch.einsum("pi,bcrijk,qk->bcrpjq", small, blocks, small)
    step = (0.02 + 0.5 * strength) * (n / 8)
    waves = torch.round(waves / step) * step
    return torch.einsum("pi,bcrpjq,qk->bcrijk", small, waves, small).reshape(b, c, h, w)


def _cosine_basis(n: int) -> Tensor:
    at = torch.arange(n, dtype=torch.float32)
    basis = torch.cos(math.pi / n * (at[None] + 0.5) * at[:, None]) * math.sqrt(2.0 / n)
    basis[0] /= math.sqrt(2.0)
    return basis


def wavy(x: Tensor, strength: float, chance: Generator) -> Tensor:
    """Everything shifted by up to 2.5 pixels, smoothly or patch by patch."""
    side = x.shape[-1]
    cells, mode = ((6, "bicubic"), (12, "bicubic"), (8, "nearest"), (16, "nearest"))[_below(4, chance)]
    reach = (0.5 + 1.3 * strength) * 2.0 / side
    shift = torch.randn((len(x), 2, cells, cells), generator=chance) * reach * (0.6 if mode == "nearest" else 1.0)
    shift = F.interpolate(shift, (side, side), mode=mode)
    identity = torch.eye(2, 3).expand(len(x), 2, 3)
    grid = F.affine_grid(identity, list(x.shape), align_corners=False) + shift.permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


DAMAGES: tuple[Damage, ...] = (coarse, blurred, noisy, tinted, patchy, cosines, wavy)


def spoil(pictures: Tensor, chance: Generator, *, most: float = 1.0, group: int = 8) -> Tensor:
    """Damage ``pictures`` group by group: a sixth stays as drawn, others get one to three faults, up to ``most``."""
    parts = []
    for part in pictures.split(group):
        faults = _below(6, chance)
        faults = 0 if faults == 0 else 1 + (faults - 1) % 3
        for _ in range(faults):
            # Many faults together are each milder, so that a small garment's colour stays to be seen.
            strength = float(torch.rand((), generator=chance)) * most / (1.0 + 0.35 * (faults - 1))
            part = DAMAGES[_below(len(DAMAGES), chance)](part, strength, chance)
        parts.append(part)
    return torch.cat(parts).clamp(-1.0, 1.0)


def nothing(count: int, drawn: Tensor, chance: Generator) -> Tensor:
    """``count`` pictures of nothing: blank, gradients, noise, blotches, and ``drawn`` pictures cut into patches."""
    side = drawn.shape[-1]
    makers: tuple[Callable[[], Tensor], ...] = (
        lambda: _uniform((3, 1, 1), -1, 1, chance).expand(3, side, side),
        lambda: drawn[_below(len(drawn), chance)].mean((1, 2), keepdim=True).expand(3, side, side),
        lambda: F.interpolate(_uniform((1, 3, 2, 2), -1, 1, chance), (side, side), mode="bilinear")[0],
        lambda: torch.randn((3, side, side), generator=chance) * _uniform((), 0.2, 1.0, chance),
        lambda: _blotches(side, chance),
        lambda: _patches(drawn, (8, 16)[_below(2, chance)], chance),
        lambda: _patches(drawn, 16, chance),
    )
    return torch.stack([makers[_below(len(makers), chance)]() for _ in range(count)]).clamp(-1.0, 1.0)


def _blotches(side: int, chance: Generator) -> Tensor:
    cells = (4, 8, 16, 32)[_below(4, chance)]
    noise = torch.randn((1, 3, cells, cells), generator=chance) * _uniform((), 0.2, 1.0, chance)
    mode = ("bilinear", "nearest", "bicubic")[_below(3, chance)]
    return F.interpolate(noise, (side, side), mode=mode)[0]


def _patches(drawn: Tensor, n: int, chance: Generator) -> Tensor:
    # Every patch from a picture and a place of its own: what a painter draws that has learned nothing but patches.
    side = drawn.shape[-1]
    cells = side // n
    blocks = drawn.reshape(len(drawn), 3, cells, n, cells, n).permute(0, 2, 4, 1, 3, 5).reshape(-1, 3, n, n)
    picked = blocks[torch.randint(len(blocks), (cells * cells,), generator=chance)]
    return picked.reshape(cells, cells, 3, n, n).permute(2, 0, 3, 1, 4).reshape(3, side, side)
