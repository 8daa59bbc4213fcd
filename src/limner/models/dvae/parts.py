"""What dVAEs are made of: blocks, encoder, decoder and the two bottlenecks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.dvae.config import DVAEConfig

Blocks = Callable[[int, int], nn.Module]
"""Makes a residual block from channels in and channels out."""


def _convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Conv2d:
    """A same-padded convolution, initialised as OpenAI's: weights N(0, 1 / (in · k²)), biases 0."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel, padding=(kernel - 1) // 2)
    nn.init.normal_(convolution.weight, std=1 / math.sqrt(channels_in * kernel**2))
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


class OpenAIBlock(nn.Module):
    """x + gain · four convolutions through a quarter of the width; 3, 3, 3, 1 (encoder) or 1, 3, 3, 3 (decoder)."""

    def __init__(self, channels_in: int, channels_out: int, kernels: tuple[int, int, int, int], gain: float) -> None:
        super().__init__()
        self.gain = gain
        hidden = channels_out // 4
        widths = (channels_in, hidden, hidden, hidden, channels_out)
        self.identity = nn.Identity() if channels_in == channels_out else _convolution(channels_in, channels_out, 1)
        self.residual = nn.ModuleList(_convolution(widths[i], widths[i + 1], kernels[i]) for i in range(4))

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        for convolution in self.residual:
            residual = convolution(F.relu(residual))
        return self.identity(x) + self.gain * residual


class ResidualBlock(nn.Module):
    """x + two 3 × 3 convolutions, each after group normalisation and SiLU; the second starts at zero."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.identity = nn.Identity() if channels_in == channels_out else _convolution(channels_in, channels_out, 1)
        self.norm_1 = nn.GroupNorm(_groups(channels_in), channels_in)
        self.conv_1 = _convolution(channels_in, channels_out, 3)
        self.norm_2 = nn.GroupNorm(_groups(channels_out), channels_out)
        self.conv_2 = _convolution(channels_out, channels_out, 3)
        nn.init.zeros_(self.conv_2.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_1(F.silu(self.norm_1(x)))
        return self.identity(x) + self.conv_2(F.silu(self.norm_2(h)))


def _groups(channels: int) -> int:
    return math.gcd(channels, 8)


class Encoder(nn.Module):
    """Pixels (B, 3, H, W), already mapped away from 0 and 1, → features (B, C, R, Q)."""

    def __init__(self, config: DVAEConfig, channels_out: int) -> None:
        super().__init__()
        self.patch = config.patch
        widths = [config.hidden * m for m in config.multipliers]
        make = _block_maker(config, (3, 3, 3, 1), config.blocks)
        self.input = _convolution(3 * config.patch**2, config.hidden, config.kernel)
        self.groups = nn.ModuleList(
            _group(make, before, width, config.blocks) for before, width in zip([config.hidden, *widths], widths)
        )
        self.norm = _last_norm(config, widths[-1])
        self.output = _convolution(widths[-1], channels_out, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.input(F.pixel_unshuffle(pixels, self.patch) if self.patch > 1 else pixels)
        for i, group in enumerate(self.groups):
            x = group(F.max_pool2d(x, 2) if i else x)  # max pooling beat average pooling (paper, A.1)
        return self.output(F.relu(self.norm(x)))


class CellBlock(nn.Module):
    """x + a perceptron of four times the width, after layer normalisation; its second layer starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.silu(self.up(self.norm(x))))


class CellEncoder(nn.Module):
    """Pixels (B, 3, H, W), already mapped away from 0 and 1, → features (B, C, R, Q), each of its own cell alone."""

    def __init__(self, config: DVAEConfig, channels_out: int) -> None:
        super().__init__()
        self.cell = config.factor
        self.input = nn.Linear(3 * config.factor**2, config.encoder_width)
        self.blocks = nn.Sequential(*(CellBlock(config.encoder_width) for _ in range(config.encoder_blocks)))
        self.norm = nn.LayerNorm(config.encoder_width)
        self.output = nn.Linear(config.encoder_width, channels_out)

    def forward(self, pixels: Tensor) -> Tensor:
        cells = F.pixel_unshuffle(pixels, self.cell).permute(0, 2, 3, 1)
        return self.output(self.norm(self.blocks(self.input(cells)))).permute(0, 3, 1, 2)


class Decoder(nn.Module):
    """Codes' vectors (B, C, R, Q) → six maps (B, 6, H, W): means and logarithms of scales of the likelihood."""

    def __init__(self, config: DVAEConfig, channels_in: int) -> None:
        super().__init__()
        self.patch = config.patch
        count = config.decoder_blocks or config.blocks
        widths = [config.hidden * m for m in reversed(config.multipliers)]
        make = _block_maker(config, (1, 3, 3, 3), count)
        self.input = _convolution(channels_in, config.decoder_input, 1)
        self.groups = nn.ModuleList(
            _group(make, before, width, count) for before, width in zip([config.decoder_input, *widths], widths)
        )
        self.norm = _last_norm(config, widths[-1])
        self.output = _convolution(widths[-1], 6 * config.patch**2, 1)

    def forward(self, vectors: Tensor) -> Tensor:
        x = self.input(vectors)
        for i, group in enumerate(self.groups):
            x = group(F.interpolate(x, scale_factor=2, mode="nearest") if i else x)
        maps = self.output(F.relu(self.norm(x)))
        return F.pixel_shuffle(maps, self.patch) if self.patch > 1 else maps


def _block_maker(config: DVAEConfig, kernels: tuple[int, int, int, int], count: int) -> Blocks:
    gain = 1 / (len(config.multipliers) * count) ** 2
    if config.block == "openai":
        return lambda channels_in, channels_out: OpenAIBlock(channels_in, channels_out, kernels, gain)
    return ResidualBlock


def _group(make: Blocks, channels_in: int, channels_out: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(make(channels_in if i == 0 else channels_out, channels_out) for i in range(count)))


def _last_norm(config: DVAEConfig, channels: int) -> nn.Module:
    return nn.Identity() if config.block == "openai" else nn.GroupNorm(_groups(channels), channels)


class GumbelBottleneck(nn.Module):
    """A categorical over ``vocabulary`` codes in each cell, relaxed by Gumbel-softmax while training (paper, 2.1)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.encoder_channels = self.decoder_channels = vocabulary

    def relax(self, features: Tensor, temperature: float) -> Tensor:
        """Logits (B, V, R, Q) → a relaxed one-hot sample of the same shape."""
        return F.gumbel_softmax(features.float(), tau=temperature, hard=False, dim=1)

    def codes(self, features: Tensor) -> Tensor:
        """The likeliest code of each cell: (B, R, Q) int64."""
        return features.argmax(dim=1)

    def vectors(self, codes: Tensor) -> Tensor:
        """One-hot vectors (B, V, R, Q) of codes (B, R, Q)."""
        return F.one_hot(codes, self.decoder_channels).permute(0, 3, 1, 2).float()


class FSQBottleneck(nn.Module):
    """Each of a few channels is rounded to one of ``levels`` values; a code is their mixed-radix number.

    Mentzer et al. 2023 (arXiv 2309.15505). No codebook, no extra loss, no schedule: rounding passes gradients straight
    through, so that all codes are alive from the first step.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: tuple[int, ...], standardise: bool = False) -> None:
        super().__init__()
        self.encoder_channels = self.decoder_channels = len(levels)
        # Channels of unit variance reach all levels at once; without it a short run uses a tenth of the codes.
        self.norm = nn.BatchNorm2d(len(levels), affine=False) if standardise else nn.Identity()
        basis = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    def gather_statistics(self, gather: bool) -> None:
        """Whether training standardises by each batch and remembers, or by what it remembers."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.norm.train(gather)

    def _bounded(self, features: Tensor) -> Tensor:
        levels = self.levels.view(1, -1, 1, 1).float()
        half = (levels - 1) * (1 + 1e-3) / 2
        # An even number of levels has no middle one: shift by half a step.
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        return torch.tanh(self.norm(features.float()) + torch.atanh(offset / half)) * half - offset

    def relax(self, features: Tensor, temperature: float) -> Tensor:
        """Features (B, C, R, Q) → rounded values in [−1, 1], with straight-through gradients."""
        bounded = self._bounded(features)
        rounded = bounded + (bounded.round() - bounded).detach()
        return rounded / (self.levels // 2).view(1, -1, 1, 1)

    def codes(self, features: Tensor) -> Tensor:
        """The code of each cell: (B, R, Q) int64."""
        digits = self._bounded(features).round().long() + (self.levels // 2).view(1, -1, 1, 1)
        return (digits * self.basis.view(1, -1, 1, 1)).sum(dim=1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Values in [−1, 1], (B, C, R, Q), of codes (B, R, Q)."""
        levels = self.levels.view(1, -1, 1, 1)
        digits = codes.unsqueeze(1) // self.basis.view(1, -1, 1, 1) % levels
        half = levels // 2
        return (digits - half).float() / half


def make_bottleneck(config: DVAEConfig) -> GumbelBottleneck | FSQBottleneck:
    """The bottleneck that the config names."""
    return (
        FSQBottleneck(config.levels, config.standardise)
        if config.bottleneck == "fsq"
        else GumbelBottleneck(config.vocabulary)
    )
