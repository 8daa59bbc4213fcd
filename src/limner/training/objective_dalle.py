"""DALL·E's objective: nats per token of caption and picture, 1/8 and 7/8 (paper, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner import ranks
from limner.data.crops import Crop, pixels_of
from limner.data.loader import Tensors
from limner.data.pair import Broken, Pair, Source, mixed
from limner.errors import DataError, RecipeError
from limner.models.dalle.config import DALLEConfig
from limner.models.dalle.loss import IMAGE_WEIGHT, TEXT_WEIGHT, cross_entropies
from limner.models.dalle.model import DALLE
from limner.models.dvae.model import DVAE
from limner.text.bytepairs import BytePairs
from limner.training.objective import Autocast, Measures, with_weights
from limner.training.samples import save_grid

Draw = Callable[[DALLE, torch.Tensor, int], torch.Tensor]
"""(model, text rows (B, L), seed) → codes (B, N): a sampler, handed in by the faces (sampling is another room)."""


@dataclass(frozen=True)
class DALLESettings:
    """The recipe's table ``[objective]`` for DALL·E.

    prompts: captions of the sample grids (none: the first captions of the test part). samples: how many of them.
    validation: pairs of the test part whose nats per token are journalled with the samples.
    unseen: share of pictures of which a part of the codes, none to all, is not told to the tokens after them. Most
    codes can be guessed from their neighbours; what cannot be copied has to be read in the caption (word dropout, arXiv
    1511.06349).
    """

    prompts: tuple[str, ...] = ()
    samples: int = 8
    validation: int = 64
    unseen: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.unseen <= 1.0:
            raise RecipeError(f"objective.unseen: expected 0 to 1, got {self.unseen}")


@dataclass(frozen=True)
class DALLECollate:
    """Pairs to ``text`` int64 (B, L) and ``pixels`` uint8 (B, 3, H, W), or ``codes`` int64 (B, N) where known.

    Where ``unseen``, a share of pictures, is not 0, ``told`` bool (B, ``cells``) says which codes the tokens after them
    see.

    The crop is Listing 2's. Captions are left out, and merges dropped, by seeds of the sample's position; one too long
    is cut.
    """

    crop: Crop
    tokenizer: BytePairs
    length: int
    seed: int
    caption_dropout: float = 0.0
    bpe_dropout: float = 0.0
    unseen: float = 0.0
    cells: int = 0

    def __call__(self, pairs: list[Pair], positions: list[int]) -> Tensors:
        rows = [self.row(p.caption, mixed(self.seed, position, 2)) for p, position in zip(pairs, positions)]
        batch = {"text": torch.from_numpy(np.concatenate(rows))}
        if self.unseen:
            batch["told"] = torch.from_numpy(np.stack([self._told(position) for position in positions]))
        stored = [p.codes is not None for p in pairs]
        if any(stored) and not all(stored):
            raise DataError("data: expected stored tokens or pictures, got a mixture of both; tokenize all or none")
        if all(stored):
            batch["codes"] = torch.from_numpy(np.stack([np.asarray(p.codes) for p in pairs])).flatten(1).long()
        else:
            crops = [self.crop(p.picture, mixed(self.seed, position, 1)) for p, position in zip(pairs, positions)]
            batch["pixels"] = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        return batch

    def _told(self, position: int) -> np.ndarray:
        random = np.random.default_rng(mixed(self.seed, position, 4))
        share = random.random() if random.random() < self.unseen else 0.0
        return random.random(self.cells) >= share

    def row(self, caption: str, seed: int) -> np.ndarray:
        """A caption's row of ids (1, L)."""
        if self.caption_dropout and mixed(seed, 0) < self.caption_dropout * 2**63:
            caption = ""
        return self.tokenizer.row([caption], self.length, cut=True, dropout=self.bpe_dropout, seed=mixed(seed, 1))


def _against(codes: torch.Tensor, model: DALLE, hidden: torch.Tensor, text: torch.Tensor, _told: Any) -> Any:
    """The losses of ``codes``, whatever of them was told."""
    return cross_entropies(model, hidden, text, codes)


class DALLEObjective:
    """Trains ``model`` on captions and the codes that the frozen ``dvae`` gives their pictures."""

    kind = "dalle"
    methods = ()

    def __init__(
        self,
        model: DALLE,
        dvae: DVAE,
        collate: DALLECollate,
        settings: DALLESettings,
        fixed: Source | None,
        draw: Draw | None,
    ) -> None:
        self.model, self.config, self.settings = model, model.config, settings
        self.dvae = dvae.eval().requires_grad_(False)
        self.collate = collate
        self._fixed, self._draw = fixed, draw
        self._validation: Tensors | None = None

    def whole(self, weights: Mapping[str, torch.Tensor]) -> DALLE:
        """Another transformer of these sizes with ``weights``."""
        return with_weights(lambda: DALLE(self.config), weights)

    @torch.no_grad()
    def codes(self, batch: Tensors) -> torch.Tensor:
        """Image codes (B, N) of a batch."""
        if "codes" in batch:
            return batch["codes"]
        return self.dvae.encode(pixels_of(batch["pixels"])).flatten(1)

    def backward(
        self, model: torch.nn.Module, parts: Iterable[Tensors], step: int, autocast: Autocast
    ) -> tuple[torch.Tensor, Measures]:
        """Gradients of 1/8 · text + 7/8 · image, each the mean over its tokens in the whole batch of all processes."""
        parts = list(parts)
        self._to(parts[0]["text"].device)
        # Captions differ in length, so that the mean of the parts' means would not be the batch's mean.
        counts = torch.stack([(p["text"][:, 1:] < self.config.text_vocabulary).sum() for p in parts]).float()
        weights = counts / ranks.mean(counts.mean()).clamp(min=1)
        sums = counts.new_zeros(2)
        for part, weight in zip(parts, weights):
            codes = self.codes(part)
            told = torch.where(part["told"], codes, -1) if "told" in part else codes
            with autocast():
                text, image = model(part["text"], told, read=partial(_against, codes))
            loss = TEXT_WEIGHT * weight * text + IMAGE_WEIGHT * image
            (loss / len(parts)).backward()
            sums += torch.stack((weight * text, image)).detach() / len(parts)
        text, image = sums
        return TEXT_WEIGHT * text + IMAGE_WEIGHT * image, {"text": text, "image": image}

    @torch.no_grad()
    def sample(self, model: torch.nn.Module, folder: Path, step: int) -> Mapping[str, float]:
        """``STEP.png``: a picture for each prompt; text and image nats per token of the test part's first pairs."""
        assert isinstance(model, DALLE)
        device = next(model.parameters()).device
        self._to(device)
        measures: dict[str, float] = {}
        if self._fixed is not None and self.settings.validation:
            batch = self._validation_batch(device)
            text, image = model(batch["text"], batch["codes"], read=cross_entropies)
            measures = {"text": float(text), "image": float(image)}
        prompts = self.prompts()
        if prompts and self._draw is not None:
            rows = torch.from_numpy(self.collate.tokenizer.row(prompts, self.config.text_length, cut=True)).to(device)
            codes = self._draw(model, rows, 0).view(-1, self.config.rows, self.config.columns)
            save_grid(folder / f"{step:08d}.png", [self.dvae.decode(codes)], columns=4)
        return measures

    def prompts(self) -> list[str]:
        """The captions that the sample grids are drawn for."""
        if self.settings.prompts or self._fixed is None:
            return list(self.settings.prompts)
        return [self._fixed.caption(i) for i in range(self.settings.samples)]

    def _validation_batch(self, device: torch.device) -> Tensors:
        if self._validation is None:
            assert self._fixed is not None
            broken: list[Broken] = []
            pairs = [self._fixed.at(i, broken) for i in range(self.settings.validation)]
            batch = _plain(self.collate)(pairs, list(range(len(pairs))))
            moved = {name: t.to(device) for name, t in batch.items()}
            self._validation = {"text": moved["text"], "codes": self.codes(moved)}
        return self._validation

    def _to(self, device: torch.device) -> None:
        if next(self.dvae.parameters()).device != device:
            self.dvae.to(device)


def _plain(collate: DALLECollate) -> DALLECollate:
    """Without dropout, the picture's middle."""
    return replace(collate, crop=Crop("centre", collate.crop.size), caption_dropout=0.0, bpe_dropout=0.0, unseen=0.0)


def check_dvae(config: DALLEConfig, dvae: Any, name: str) -> None:
    """Raise ModelError where the dVAE's grid or vocabulary is not the transformer's."""
    from limner.errors import ModelError

    wanted = (config.rows, config.columns, config.image_vocabulary)
    found = (dvae.config.rows, dvae.config.columns, dvae.config.vocabulary)
    if wanted != found:
        raise ModelError(
            "--dvae {}: the recipe expects a grid of {} x {} codes of {}, got {} x {} of {}; set model.rows, "
            "model.columns and model.image_vocabulary, or use another dVAE".format(name, *wanted, *found)
        )
