"""The discrete VAE as one module: ``encode`` pictures to codes, ``decode`` codes to pictures, ``forward`` to train."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from limner.errors import InputError
from limner.models.dvae.config import DVAEConfig
from limner.models.dvae.parts import CellEncoder, Decoder, Encoder, make_bottleneck

EPSILON = 0.1
"""Pixels are mapped into [ε, 1 − ε], since the logit-Laplace likelihood cannot reach 0 and 1 (paper, A.3)."""


def map_pixels(pixels: Tensor) -> Tensor:
    """[0, 1] → [ε, 1 − ε]."""
    return (1 - 2 * EPSILON) * pixels + EPSILON


def unmap_pixels(mapped: Tensor) -> Tensor:
    """[ε, 1 − ε] → [0, 1], clamped."""
    return ((mapped - EPSILON) / (1 - 2 * EPSILON)).clamp(0, 1)


class Relaxed(NamedTuple):
    """What a training pass gives: ``features`` of the encoder (B, C, R, Q), ``mean`` and ``log_scale`` (B, 3, H, W)."""

    features: Tensor
    mean: Tensor
    log_scale: Tensor


class DVAE(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] ↔ codes (B, rows, columns) int64 in 0 … vocabulary − 1."""

    def __init__(self, config: DVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.bottleneck = make_bottleneck(config)
        encoder = CellEncoder if config.encoder == "cells" else Encoder
        self.encoder = encoder(config, self.bottleneck.encoder_channels)
        self.decoder = Decoder(config, self.bottleneck.decoder_channels)

    def forward(self, pixels: Tensor, temperature: float = 1.0) -> Relaxed:
        """One relaxed pass, with gradients through the bottleneck."""
        features = self.encoder(map_pixels(pixels))
        maps = self.decoder(self.bottleneck.relax(features, temperature))
        mean, log_scale = maps.chunk(2, dim=1)
        return Relaxed(features, mean, log_scale)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Codes (B, rows, columns) of pictures (B, 3, H, W) in [0, 1]; H and W multiples of ``config.factor``.

        Raises InputError for another shape.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3 or any(n < 1 or n % self.config.factor for n in pixels.shape[2:]):
            raise InputError(
                f"dVAE: expected pixels (B, 3, H, W) with sides of multiples of {self.config.factor}, "
                f"got {tuple(pixels.shape)}"
            )
        return self.bottleneck.codes(self.encoder(map_pixels(pixels)))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] of codes (B, rows, columns). Raises InputError for codes out of range."""
        if codes.ndim != 3 or codes.numel() == 0:
            raise InputError(f"dVAE: expected codes (B, rows, columns), got {tuple(codes.shape)}")
        low, high = int(codes.min()), int(codes.max())
        if low < 0 or high >= self.config.vocabulary:
            raise InputError(f"dVAE: expected codes from 0 to {self.config.vocabulary - 1}, got {low} to {high}")
        mean = self.decoder(self.bottleneck.vectors(codes)).chunk(2, dim=1)[0]
        return unmap_pixels(torch.sigmoid(mean.float()))
