"""What a model gives for codes that are there already: log-likelihoods in nats, one whole pass for each."""

from __future__ import annotations

import torch
from torch import Tensor

from limner.errors import InputError
from limner.models.dalle import DALLE

PASS = 16
"""Pictures in one pass: memory stays the same for any number of them."""


@torch.inference_mode()
def token_log_likelihoods(model: DALLE, text: Tensor, codes: Tensor) -> Tensor:
    """Natural log of p(code i | caption, codes before it): captions (B, L), codes (B, N) → float64 (B, N)."""
    if len(text) != len(codes):
        raise InputError(f"log-likelihood: expected as many captions as pictures, got {len(text)} and {len(codes)}")
    device = model.image_embedding.weight.device
    parts = []
    for ids, grid in zip(text.split(PASS), codes.split(PASS), strict=True):
        hidden = model.hidden(ids.to(device), grid.to(device))[:, model.config.text_length - 1 :]
        # The logits of one picture at a time: they are the largest thing here.
        for row, targets in zip(hidden, grid.to(device), strict=True):
            logits = model.image_logits(row).double()
            chosen = logits.gather(-1, targets[:, None]).squeeze(-1)
            parts.append(chosen - logits.logsumexp(dim=-1))
    return torch.stack(parts).cpu() if parts else torch.zeros(0, model.config.layout.image, dtype=torch.float64)


def log_likelihoods(model: DALLE, text: Tensor, codes: Tensor) -> Tensor:
    """Natural log of p(codes | caption) of whole pictures: captions (B, L), codes (B, N) → float64 (B,), nats."""
    return token_log_likelihoods(model, text, codes).sum(dim=-1)
