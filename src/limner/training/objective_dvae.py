"""The dVAE's objective: the relaxed evidence bound with the paper's schedules (section 2.1, appendix A.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.data.crops import Crop, pixels_of
from limner.data.loader import Tensors
from limner.data.pair import Broken, Pair, Source, mixed
from limner.errors import RecipeError, expected
from limner.models.dvae.loss import cosine, loss, usage
from limner.models.dvae.model import DVAE
from limner.models.dvae.parts import FSQBottleneck
from limner.training.objective import Autocast, Measures, accumulate, with_weights
from limner.training.samples import save_grid


@dataclass(frozen=True)
class DVAESettings:
    """The recipe's table ``[objective]`` for a dVAE; the defaults are the paper's (A.2).

    kl_weight rises from 0 over ``kl_steps``, the temperature falls from 1 to ``temperature`` over
    ``temperature_steps``, both along half a cosine. likelihood: share of the logit-Laplace likelihood in the loss; the
    rest is a plain error of pixels. fixed_statistics: the update from which on features are standardised by the
    statistics gathered until then (0: never), so that a picture's codes no longer hang on its batch. samples:
    pictures in a grid of reconstructions.
    """

    kl_weight: float = 6.6
    kl_steps: int = 5000
    temperature: float = 1 / 16
    temperature_steps: int = 150_000
    likelihood: float = 1.0
    fixed_statistics: int = 0
    samples: int = 16

    def __post_init__(self) -> None:
        if self.fixed_statistics < 0:
            raise RecipeError(expected("objective.fixed_statistics", "0 (never) or an update", self.fixed_statistics))


@dataclass(frozen=True)
class DVAECollate:
    """Pairs to ``pixels`` uint8 (B, 3, H, W), cropped and mirrored as Listing 1 of the paper does."""

    crop: Crop
    seed: int

    def __call__(self, pairs: list[Pair], positions: list[int]) -> Tensors:
        pictures = [self.crop(p.picture, mixed(self.seed, position, 1)) for p, position in zip(pairs, positions)]
        return {"pixels": torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)}


class DVAEObjective:
    """Trains ``model`` on pictures alone; captions are not read."""

    kind = "dvae"
    methods = ()

    def __init__(
        self, model: DVAE, settings: DVAESettings, crop: Crop, parts: int, seed: int, fixed: Source | None
    ) -> None:
        self.model, self.config, self.settings, self.parts = model, model.config, settings, parts
        self.collate = DVAECollate(crop, seed)
        self._fixed = fixed

    def loss(self, model: Any, batch: Tensors, step: int) -> tuple[torch.Tensor, Measures]:
        """The loss of a part of a batch, and psnr, codes, perplexity (kl with Gumbel-softmax)."""
        s = self.settings
        if isinstance(self.model.bottleneck, FSQBottleneck):
            self.model.bottleneck.gather_statistics(not s.fixed_statistics or step < s.fixed_statistics)
        value, measures = loss(
            model,
            pixels_of(batch["pixels"]),
            temperature=cosine(step, s.temperature_steps, 1.0, s.temperature),
            kl_weight=cosine(step, s.kl_steps, 0.0, s.kl_weight),
            likelihood=s.likelihood,
        )
        measures.pop("loss", None)
        return value, measures

    def whole(self, weights: Mapping[str, torch.Tensor]) -> DVAE:
        """Another dVAE of these sizes with ``weights``."""
        return with_weights(lambda: DVAE(self.config), weights)

    def backward(
        self, model: torch.nn.Module, parts: Iterable[Tensors], step: int, autocast: Autocast
    ) -> tuple[torch.Tensor, Measures]:
        """Gradients of the mean loss over the parts."""
        return accumulate(self.loss, model, parts, step, autocast, self.parts)

    @torch.no_grad()
    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> Mapping[str, float]:
        """``STEP.png``: fixed pictures above their reconstructions; psnr, share and perplexity of codes over them."""
        assert isinstance(model, DVAE)
        if self._fixed is None or not self.settings.samples:
            return {}
        broken: list[Broken] = []
        pairs = [self._fixed.at(i, broken) for i in range(self.settings.samples)]
        device = next(model.parameters()).device
        pixels = pixels_of(self.collate(pairs, list(range(len(pairs))))["pixels"].to(device))
        codes = model.encode(pixels)
        again = model.decode(codes)
        save_grid(folder / f"{step:08d}.png", [pixels, again], columns=8)
        psnr = -10 * torch.log10((again - pixels).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))
        used = usage(codes, self.config.vocabulary)
        return {"psnr": float(psnr.mean()), **{name: float(value) for name, value in used.items()}}
