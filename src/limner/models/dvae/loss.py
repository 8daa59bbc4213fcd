"""The relaxed evidence bound, and what is watched while it falls."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limner.models.dvae.model import DVAE, map_pixels, unmap_pixels


def logit_laplace(pixels: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """−ln of the logit-Laplace density of mapped ``pixels`` in (0, 1), elementwise (paper, A.3).

    f(x | μ, b) = 1 / (2 b x (1 − x)) · exp(−|logit x − μ| / b), with ``mean`` μ and ``log_scale`` ln b.
    """
    logit = torch.logit(pixels)
    return (logit - mean).abs() * torch.exp(-log_scale) + log_scale + math.log(2) + torch.log(pixels * (1 - pixels))


def kl_to_uniform(logits: Tensor) -> Tensor:
    """KL(softmax(logits) ‖ uniform) summed over cells, per picture: (B, V, R, Q) → (B,).

    From the encoder's plain logits also while the sample is relaxed (openai/DALL-E, issue 26).
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    return (log_p.exp() * (log_p + math.log(logits.shape[1]))).sum(dim=(1, 2, 3))


def loss(
    model: DVAE, pixels: Tensor, temperature: float = 1.0, kl_weight: float = 0.0, likelihood: float = 1.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """The training loss of pictures (B, 3, H, W) in [0, 1], and measures.

    ``likelihood`` 1 is the paper's loss: (−ln f + kl_weight · KL) / (3 H W), averaged over the batch. Below 1 the rest
    is a plain error of pixels, |x − x̂| + 4 (x − x̂)²: it is the departure that small budgets gain from, since the
    likelihood spends its gradient on regions that are nearly exact already.
    Measures: loss, psnr (dB), codes (share of the vocabulary seen in this batch), perplexity (of the batch's codes).
    """
    found = bound(model, pixels, temperature, kl_weight, likelihood)
    measures: dict[str, Tensor] = {} if found.kl is None else {"kl": found.kl.detach()}
    with torch.no_grad():
        measures["psnr"] = -10 * torch.log10((found.picture - pixels).square().mean().clamp(min=1e-10))
        measures.update(usage(model.bottleneck.codes(found.features), model.config.vocabulary))
    return found.total, {"loss": found.total.detach(), **measures}


class Bound(NamedTuple):
    """The loss, and what it was made of: features (B, V or digits, R, Q), picture (B, 3, H, W) in [0, 1], KL."""

    total: Tensor
    features: Tensor
    picture: Tensor
    kl: Tensor | None


def bound(
    model: DVAE, pixels: Tensor, temperature: float = 1.0, kl_weight: float = 0.0, likelihood: float = 1.0
) -> Bound:
    """The loss of ``loss``, without its measures."""
    features, mean, log_scale = model(pixels, temperature)
    mean = mean.float()
    total, kl = pixels.new_zeros(()), None
    if likelihood > 0:
        log_scale = log_scale.float().clamp(-7, 7)
        total = likelihood * logit_laplace(map_pixels(pixels), mean, log_scale).mean()
    picture = unmap_pixels(torch.sigmoid(mean))
    if likelihood < 1:
        # Clamping would stop gradients at pixels that overshoot: take the mapped values here.
        error = (torch.sigmoid(mean) - map_pixels(pixels)) / 0.8
        total = total + (1 - likelihood) * (error.abs() + 4 * error**2).mean()
    if model.config.bottleneck == "gumbel":
        kl = kl_to_uniform(features).mean()
        total = total + kl_weight * kl / pixels[0].numel()
    return Bound(total, features, picture, kl)


def usage(codes: Tensor, vocabulary: int) -> dict[str, Tensor]:
    """How much of the vocabulary ``codes`` use: ``codes``, the share that occurs, and ``perplexity``, exp(entropy)."""
    counts = torch.bincount(codes.flatten(), minlength=vocabulary).float()
    share = counts / counts.sum()
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return {"codes": (counts > 0).float().mean(), "perplexity": entropy.exp()}


def cosine(step: int, steps: int, start: float, end: float) -> float:
    """``start`` → ``end`` along half a cosine over ``steps``, then constant: the paper's temperature and KL weight."""
    if step >= steps:
        return end
    return end + (start - end) * (1 + math.cos(math.pi * step / steps)) / 2
