"""DALL·E's loss: nats per token of caption and picture, weighted 1/8 and 7/8 (arXiv 2102.12092, §2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.models.crossentropy import linear_cross_entropy
from limner.models.dalle.model import DALLE

TEXT_WEIGHT = 1 / 8
IMAGE_WEIGHT = 7 / 8


def loss(model: nn.Module, text: Tensor, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """``1/8 · text + 7/8 · image`` and both parts (detached), each a mean of nats per token over the batch.

    ``text`` (B, L) ids, ``image`` (B, N) codes. Pads are inputs but no targets: the output matrix has no row for them.
    A batch whose captions are all pads has a text loss of 0. ``model`` is a DALLE, wrapped or compiled as one likes.
    """
    text_loss, image_loss = model(text, image, read=cross_entropies)
    total = TEXT_WEIGHT * text_loss + IMAGE_WEIGHT * image_loss
    return total, {"text": text_loss.detach(), "image": image_loss.detach()}


def cross_entropies(model: DALLE, hidden: Tensor, text: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean nats per ordinary text token after the first, and per image token."""
    assert image is not None
    last = model.config.text_length - 1
    return text_loss(model, hidden[:, :last], text[:, 1:]), image_loss(model, hidden[:, last:], image)


def text_loss(model: DALLE, hidden: Tensor, targets: Tensor) -> Tensor:
    """Mean nats of the ordinary ids among ``targets`` (B, L-1), given the hidden states (B, L-1, D) before them."""
    ordinary = targets < model.config.text_vocabulary
    if torch.compiler.is_compiling():
        # Shapes must not depend on the data.
        logits = model.text_logits(hidden).flatten(0, 1).float()
        ids = torch.where(ordinary, targets, -100).flatten()
        return F.cross_entropy(logits, ids, ignore_index=-100, reduction="sum") / ordinary.sum().clamp(min=1)
    chosen = ordinary.flatten().nonzero().squeeze(1)
    if not chosen.numel():
        return hidden.sum() * 0.0
    return linear_cross_entropy(hidden.flatten(0, 1)[chosen], model.text_head(), targets.flatten()[chosen]).mean()


def image_loss(model: DALLE, hidden: Tensor, targets: Tensor) -> Tensor:
    """Mean nats of the codes ``targets`` (B, N), given the hidden states (B, N, D) before them."""
    return image_nats(model, hidden, targets).mean()


def image_nats(model: DALLE, hidden: Tensor, targets: Tensor) -> Tensor:
    """Nats of each of the codes ``targets`` (B, N), given the hidden states (B, N, D) before them: (B, N)."""
    if torch.compiler.is_compiling():
        logits = model.image_logits(hidden).flatten(0, 1).float()
        return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape)
    return linear_cross_entropy(hidden.flatten(0, 1), model.image_head(), targets.flatten()).view(targets.shape)
