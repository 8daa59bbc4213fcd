"""CLIP's objective: the symmetric contrastive loss over the pairs of a batch (paper, section 2.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from limner.data.crops import Crop, pixels_of
from limner.data.loader import Tensors
from limner.data.pair import Broken, Pair, Source, mixed
from limner.errors import RecipeError
from limner.models.clip.loss import accuracy, clamp_temperature, contrastive_loss, sigmoid_loss
from limner.models.clip.model import CLIP, normalise
from limner.pictures.redraw import redraw
from limner.training.objective import Autocast, Measures, with_weights


@dataclass(frozen=True)
class CLIPSettings:
    """The recipe's table ``[objective]`` for CLIP.

    loss: ``softmax`` (the paper's) or ``sigmoid`` (SigLIP's). same: pairs with the same scene or caption are not each
    other's negatives. validation: pairs of the test part among which captions are to be found, with the samples.
    redraw: share of real pictures that are trained on as another hand might have drawn them (``pictures/redraw.py``),
    so that designs never seen are known too; drawn scenes, which say what their colours are, stay as they are.
    """

    loss: str = "softmax"
    same: bool = True
    validation: int = 64
    redraw: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in ("softmax", "sigmoid"):
            raise RecipeError(f"objective.loss: expected softmax or sigmoid, got {self.loss!r}")
        if not 0.0 <= self.redraw <= 1.0:
            raise RecipeError(f"objective.redraw: expected 0 to 1, got {self.redraw}")


@dataclass(frozen=True)
class CLIPCollate:
    """Pairs to ``pixels`` uint8 (B, 3, H, W), ``ids`` int64 (B, context) and ``groups`` int64 (B,).

    The crop is the paper's: a random square of the resized picture. A caption too long is cut. ``redraw``: see
    ``CLIPSettings``.
    """

    crop: Crop
    tokenizer: Any
    context: int
    seed: int
    redraw: float = 0.0

    def __call__(self, pairs: list[Pair], positions: list[int]) -> Tensors:
        pictures = [self._picture(p, position) for p, position in zip(pairs, positions)]
        groups = [_group(p) for p in pairs]
        return {
            "pixels": torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),
            "ids": torch.from_numpy(self.tokenizer.clip_row([p.caption for p in pairs], self.context, cut=True)),
            "groups": torch.tensor(groups, dtype=torch.int64),
        }

    def _picture(self, pair: Pair, position: int) -> np.ndarray:
        picture = self.crop(pair.picture, mixed(self.seed, position, 1))
        if not self.redraw or pair.scene is not None:
            return picture
        random = np.random.default_rng(mixed(self.seed, position, 2))
        return redraw(picture, random) if random.random() < self.redraw else picture


def _group(pair: Pair) -> int:
    return zlib.crc32((repr(pair.scene) if pair.scene is not None else pair.caption).encode("utf-8", "replace"))


class CLIPObjective:
    """Trains ``model``. A batch in several parts is computed by cached features, with the whole batch's gradient."""

    kind = "clip"
    methods = ("encode_image", "encode_text")

    def __init__(self, model: CLIP, collate: CLIPCollate, settings: CLIPSettings, fixed: Source | None) -> None:
        self.model, self.config, self.settings, self.collate = model, model.config, settings, collate
        self._fixed = fixed
        self._validation: Tensors | None = None
        if settings.loss == "sigmoid" and model.logit_bias is None:
            raise RecipeError("objective.loss: sigmoid needs a learned bias; set model.logit_bias = -10.0")

    def whole(self, weights: Mapping[str, torch.Tensor]) -> CLIP:
        """Another CLIP of these sizes with ``weights``."""
        return with_weights(lambda: CLIP(self.config), weights)

    def backward(
        self, model: torch.nn.Module, parts: Iterable[Tensors], step: int, autocast: Autocast
    ) -> tuple[torch.Tensor, Measures]:
        """Gradients of the loss over all pairs of all parts and processes.

        One part: as written. More (GradCache, arXiv 2101.06983): features of every part without gradients, the loss and
        its gradient for each feature, then every part again with that gradient handed on; memory is one part's.
        """
        assert isinstance(model, CLIP)
        clamp_temperature(model)  # after the update before (paper, section 2.5)
        parts = list(parts)
        groups = torch.cat([p["groups"] for p in parts]) if self.settings.same else None
        if len(parts) == 1:
            with autocast():
                images, texts = self._features(model, parts[0])
            loss = self._loss(model, images, texts, groups)
            loss.backward()
            return loss.detach(), self._measures(model, images, texts)
        with torch.no_grad(), autocast():
            cached = [self._features(model, part) for part in parts]
        images = torch.cat([i for i, _ in cached]).requires_grad_()
        texts = torch.cat([t for _, t in cached]).requires_grad_()
        loss = self._loss(model, images, texts, groups)
        loss.backward()
        assert images.grad is not None and texts.grad is not None
        size = len(cached[0][0])
        for part, g_images, g_texts in zip(parts, images.grad.split(size), texts.grad.split(size)):
            with autocast():
                again = self._features(model, part)
            torch.autograd.backward(again, (g_images, g_texts))
        return loss.detach(), self._measures(model, images, texts)

    def _features(self, model: CLIP, part: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = normalise(pixels_of(part["pixels"]), self.config)
        images = F.normalize(model.encode_image(pixels).float(), dim=-1)
        return images, F.normalize(model.encode_text(part["ids"]).float(), dim=-1)

    def _loss(
        self, model: CLIP, images: torch.Tensor, texts: torch.Tensor, groups: torch.Tensor | None
    ) -> torch.Tensor:
        scale = model.logit_scale.float().exp()
        if self.settings.loss == "sigmoid":
            assert model.logit_bias is not None
            return sigmoid_loss(images, texts, scale, model.logit_bias.float(), groups=groups)
        return contrastive_loss(images, texts, scale, groups=groups)

    def _measures(self, model: CLIP, images: torch.Tensor, texts: torch.Tensor) -> Measures:
        return {
            "accuracy": accuracy(images.detach(), texts.detach()),
            "scale": model.logit_scale.detach().float().exp(),
        }

    @torch.no_grad()
    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> Mapping[str, float]:
        """The share of the test part's first pictures whose own caption is the nearest, and the reverse."""
        assert isinstance(model, CLIP)
        if self._fixed is None or not self.settings.validation:
            return {}
        device = next(model.parameters()).device
        if self._validation is None:
            broken: list[Broken] = []
            pairs = _different([self._fixed.at(i, broken) for i in range(2 * self.settings.validation)])
            pairs = pairs[: self.settings.validation]
            collate = replace(self.collate, crop=Crop("centre", self.collate.crop.size), redraw=0.0)
            self._validation = {k: t.to(device) for k, t in collate(pairs, list(range(len(pairs)))).items()}
        images, texts = self._features(model, self._validation)
        return {"caption_found": float(accuracy(images, texts)), "picture_found": float(accuracy(texts, images))}


def _different(pairs: list[Pair]) -> list[Pair]:
    """One pair of each group: two with the same caption could not be told apart."""
    return list({_group(pair): pair for pair in reversed(pairs)}.values())[::-1]
