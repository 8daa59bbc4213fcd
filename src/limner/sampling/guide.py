"""Classifier-free guidance (arXiv 2207.12598) in one batched pass: captioned rows, then as many uncaptioned ones."""

from __future__ import annotations

from torch import Tensor

from limner.sampling.settings import SamplingSettings


def rows_per_picture(settings: SamplingSettings) -> int:
    """1, or 2 where the empty caption is drawn along. Guidance 1 needs no second row, so it is exactly no guidance."""
    return 1 if settings.guidance == 1.0 else 2


def guide(logits: Tensor, settings: SamplingSettings) -> Tensor:
    """Logits (B, V), or (2B, V) with the empty caption's rows after the caption's → u + g·(c - u), (B, V)."""
    if settings.guidance == 1.0:
        return logits
    captioned, empty = logits.chunk(2, dim=0)
    return empty + settings.guidance * (captioned - empty)
