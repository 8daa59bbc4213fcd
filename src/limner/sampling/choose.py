"""The choice of a token: one uniform number per (seed, picture, position), by inverse transform.

The numbers come from Philox 4×64, a counter-based generator (Salmon et al. 2011) whose stream numpy guarantees: key
(seed, picture), counter (·, ·, lane, purpose). Number p of a stream belongs to image position p. So a picture's tokens
depend on its own seed and number only: not on the batch it was drawn in, on the order, or on how many processes drew.

A token is chosen by walking the filtered distribution in the order of ids until the uniform number is reached, in
float64. Ties are broken by id everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limner.sampling.settings import SamplingSettings

TOKENS, RESAMPLING, SWEEP_TOKENS, SWEEP_STARTS, SWEEP_ACCEPTANCE, MASKS, FINAL_CHOICE = range(7)
"""Purposes of random streams: each has its own, so that more of one never shifts another."""


def uniforms(seed: int, pictures: Sequence[int], positions: int, *, purpose: int = TOKENS, lane: int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1): float64 (len(pictures), positions).

    ``lane`` tells streams of one picture apart: the particle's number, or the sweep's.
    """
    rows = np.empty((len(pictures), positions), dtype=np.float64)
    for row, picture in zip(rows, pictures, strict=True):
        # As uint64 at once: numpy would take a list with one large number for floats, and merge seeds.
        key, counter = np.array([seed, picture], np.uint64), np.array([0, 0, lane, purpose], np.uint64)
        stream = np.random.Philox(key=key, counter=counter)
        # The upper 53 bits: every double of the grid 2⁻⁵³ is equally likely, 1 never comes.
        row[:] = (stream.random_raw(positions) >> np.uint64(11)) * 2.0**-53
    return rows


def probabilities(logits: Tensor, settings: SamplingSettings) -> Tensor:
    """What tokens are drawn from: logits (B, V) → float64 (B, V), filtered, not normalised after filtering.

    Temperature 0 gives the most probable token weight 1.
    """
    if settings.temperature == 0.0:
        # argmax takes the first of equals.
        return torch.nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).double()
    scaled = logits if settings.temperature == 1.0 else logits / settings.temperature
    weights = torch.softmax(scaled, dim=-1, dtype=torch.float64)
    vocabulary = logits.shape[-1]
    k = vocabulary if settings.top_k is None else min(settings.top_k, vocabulary)
    if settings.top_p is not None and settings.top_p < 1.0:
        return _keep_top(weights, k, settings.top_p)
    return weights if k == vocabulary else _keep_top_k(weights, k)


def choose(logits: Tensor, uniform: Tensor, settings: SamplingSettings) -> Tensor:
    """One token for each row: logits (B, V), uniform numbers float64 (B,) → int64 (B,)."""
    if settings.temperature == 0.0:
        return logits.argmax(dim=-1)
    return invert(probabilities(logits, settings), uniform)


def invert(weights: Tensor, uniform: Tensor) -> Tensor:
    """Inverse transform: weights float64 (B, V) ≥ 0, not necessarily normalised; uniform (B,) → ids (B,).

    The first id whose cumulative weight exceeds ``uniform`` × total; an id of weight 0 is never chosen.
    """
    cumulative = weights.cumsum(dim=-1)
    total = cumulative[:, -1:]
    # uniform × total may round up to the total, beyond every id with a weight.
    below = torch.nextafter(total, torch.zeros_like(total))
    target = torch.minimum(uniform[:, None].to(cumulative) * total, below)
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


def log_probabilities(logits: Tensor, tokens: Tensor) -> Tensor:
    """Natural log of the probability of ``tokens`` (B,) under ``logits`` (B, V), unfiltered: float64 (B,)."""
    chosen = logits.gather(-1, tokens[:, None]).squeeze(-1).double()
    return chosen - torch.logsumexp(logits.double(), dim=-1)


def _keep_top_k(weights: Tensor, k: int) -> Tensor:
    least = weights.topk(k, dim=-1, sorted=False).values.amin(dim=-1, keepdim=True)
    kept = weights >= least
    if bool((kept.sum(dim=-1) > k).any()):
        # Equal weights at the border: the lower ids stay.
        above = weights > least
        room = k - above.sum(dim=-1, keepdim=True)
        border = weights == least
        kept = above | (border & (border.cumsum(dim=-1) <= room))
    return weights * kept


def _keep_top(weights: Tensor, k: int, p: float) -> Tensor:
    ranked, ids = weights.sort(dim=-1, descending=True, stable=True)
    ranked = ranked[:, :k]
    before = ranked.cumsum(dim=-1) - ranked
    # A token stays while those before it hold less than p of what top-k left.
    kept = torch.where(before < p * ranked.sum(dim=-1, keepdim=True), ranked, 0.0)
    return torch.zeros_like(weights).scatter(-1, ids[:, :k], kept)
