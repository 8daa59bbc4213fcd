"""CLIP's losses: symmetric cross-entropy over a batch's pairs (paper §2.3, figure 3) and SigLIP's sigmoid.

Above ``TILE_FROM`` pairs the N × N similarities are never held: tiles of them are computed, used and forgotten, and
computed again for the gradient (``tiles.py``). The value and the gradient are those of the plain loss.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from limner import ranks
from limner.errors import RecipeError
from limner.models.clip.tiles import PairLoss, RowLoss, SigmoidLoss

if TYPE_CHECKING:
    from limner.models.clip.model import CLIP

MAXIMUM_SCALE = 100.0
TILE_FROM = 2048


def clamp_temperature(model: CLIP) -> None:
    """Keep exp(``logit_scale``) within [1, 100], in place; called after each step of training (paper §2.5)."""
    with torch.no_grad():
        model.logit_scale.clamp_(0.0, math.log(MAXIMUM_SCALE))


def loss(
    model: CLIP, pixels: Tensor, ids: Tensor, *, groups: Tensor | None = None, sigmoid: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of pictures (B, 3, H, W) and their captions (B, context), over the pairs of all ranks.

    ``groups`` (B,) int64: pairs with the same number are the same (one caption, one picture twice) and are no negatives
    for each other. ``sigmoid``: SigLIP's loss, for a model with ``logit_bias``. The mean over ranks of what comes back
    (as data-parallel training takes it) is the loss of the whole batch. Measures, detached: ``accuracy`` of finding the
    caption among this rank's, ``scale``.
    """
    images = F.normalize(model.encode_image(pixels).float(), dim=-1)
    texts = F.normalize(model.encode_text(ids).float(), dim=-1)
    scale = model.logit_scale.float().exp()
    if sigmoid:
        if model.logit_bias is None:
            raise RecipeError(
                "sigmoid loss: expected a model with a learned bias, got none; set model.logit_bias = -10"
            )
        total = sigmoid_loss(images, texts, scale, model.logit_bias.float(), groups=groups)
    else:
        total = contrastive_loss(images, texts, scale, groups=groups)
    return total, {"accuracy": accuracy(images.detach(), texts.detach()), "scale": scale.detach()}


def contrastive_loss(
    images: Tensor, texts: Tensor, scale: Tensor, *, groups: Tensor | None = None, tiled: bool | None = None
) -> Tensor:
    """½ [CE(s · I · Tᵀ, i) + CE(s · T · Iᵀ, i)] of unit rows ``images`` and ``texts`` (B, E); ``scale`` s is a scalar.

    ``tiled`` None: plain up to ``TILE_FROM`` pairs in one process, in tiles above. With several ranks each computes its
    own rows against everybody's, with gradients to all.
    """
    _check(images, texts)
    world = ranks.world()
    if world > 1:
        all_images, all_texts = ranks.gather_with_gradient(images), ranks.gather_with_gradient(texts)
        all_groups = None if groups is None else ranks.gather_with_gradient(groups)
        offset = ranks.rank() * len(images)
        rows = RowLoss.apply(images, all_texts, scale, offset, groups, all_groups)
        columns = RowLoss.apply(texts, all_images, scale, offset, groups, all_groups)
        return 0.5 * (rows + columns)
    if tiled is None:
        tiled = len(images) > TILE_FROM
    if tiled:
        return PairLoss.apply(images, texts, scale, groups)
    logits = scale * images @ texts.T
    if groups is not None:
        logits = logits.masked_fill(same_but_not_self(groups, groups), float("-inf"))
    labels = torch.arange(len(images), device=images.device)
    return 0.5 * (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels))


def sigmoid_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, *, groups: Tensor | None = None) -> Tensor:
    """-1/B Σᵢⱼ log σ(zᵢⱼ (s · Iᵢ · Tⱼ + b)), z = 1 on the diagonal and -1 elsewhere (Zhai et al. 2023, equation 1)."""
    _check(images, texts)
    all_texts = ranks.gather_with_gradient(texts)
    all_groups = None if groups is None else ranks.gather_with_gradient(groups)
    return SigmoidLoss.apply(images, all_texts, scale, bias, ranks.rank() * len(images), groups, all_groups)


def accuracy(images: Tensor, texts: Tensor, most: int = 1024) -> Tensor:
    """Share of the first ``most`` unit rows of ``images`` whose nearest of ``texts`` is their own."""
    images, texts = images[:most], texts[:most]
    nearest = (images @ texts.T).argmax(dim=1)
    return (nearest == torch.arange(len(images), device=images.device)).float().mean()


def same_but_not_self(rows: Tensor, columns: Tensor, offset: int = 0) -> Tensor:
    """(n, N) bool: same group, but not the pair itself, which stands at column ``offset`` + row."""
    same = rows[:, None] == columns[None, :]
    same[torch.arange(len(rows), device=rows.device), torch.arange(len(rows), device=rows.device) + offset] = False
    return same


def _check(images: Tensor, texts: Tensor) -> None:
    if images.shape != texts.shape or images.ndim != 2:
        raise ValueError(
            f"contrastive loss: expected two equal (B, E), got {tuple(images.shape)}, {tuple(texts.shape)}"
        )
