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
from limner.models.dalle.loss import IMAGE_WEIGHT, TEXT_WEIGHT, contrasted, cross_entropies
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
    contrast: weight of telling each picture's caption from a wrong one (``models/dalle/loss.py``), which doubles the
    rows of a batch; 0 is the paper's loss alone. unseen: share of pictures of which a part of the codes, none to all,
    is not told to the tokens after them. Most codes can be guessed from their neighbours; what cannot be copied
    has to be read in the caption (word dropout, arXiv 1511.06349).
    jitter: share of digits of codes (``model.code_levels``) that the tokens after them see a level off. A dVAE's codes
    tell a little of their neighbours' pixels (``benchmarks/leaks.py``), which a caption says better.
    """

    prompts: tuple[str, ...] = ()
    samples: int = 8
    validation: int = 64
    contrast: float = 0.0
    unseen: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("unseen", "jitter"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RecipeError(f"objective.{name}: expected 0 to 1, got {getattr(self, name)}")
        if not self.contrast >= 0:
            raise RecipeError(f"objective.contrast: expected 0 or more, got {self.contrast}")


@dataclass(frozen=True)
class DALLECollate:
    """Pairs to ``text`` int64 (B, L) and ``pixels`` uint8 (B, 3, H, W), or ``codes`` int64 (B, N) where known.

    ``wrong`` adds captions int64 (B, L) that are wrong of the pictures: the pair's own, or that of the next real pair;
    one without is its caption again. Where ``unseen``, a share of pictures, is not 0, ``told`` bool (B, ``cells``)
    says which codes the tokens after them see; where ``jitter`` is not, ``shift`` int8 (B, ``cells``, digits) says how
    many levels of ``levels`` digits are off.

    The crop is Listing 2's. Captions are left out, and merges dropped, by seeds of the sample's position; one too long
    is cut.
    """

    crop: Crop
    tokenizer: BytePairs
    length: int
    seed: int
    caption_dropout: float = 0.0
    bpe_dropout: float = 0.0
    wrong: bool = False
    unseen: float = 0.0
    jitter: float = 0.0
    cells: int = 0
    levels: tuple[int, ...] = ()

    def __call__(self, pairs: list[Pair], positions: list[int]) -> Tensors:
        rows = [self.row(p.caption, mixed(self.seed, position, 2)) for p, position in zip(pairs, positions)]
        batch = {"text": torch.from_numpy(np.concatenate(rows))}
        if self.wrong:
            others = [_wrong(pairs, i) for i in range(len(pairs))]
            again = [self.row(other, mixed(self.seed, position, 2)) for other, position in zip(others, positions)]
            batch["wrong"] = torch.from_numpy(np.concatenate(again))
        if self.unseen:
            batch["told"] = torch.from_numpy(np.stack([self._told(position) for position in positions]))
        if self.jitter:
            batch["shift"] = torch.from_numpy(np.stack([self._shift(position) for position in positions]))
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

    def _shift(self, position: int) -> np.ndarray:
        random = np.random.default_rng(mixed(self.seed, position, 5))
        size = (self.cells, len(self.levels))
        off = random.choice(np.array([-1, 1], np.int8), size)
        return np.where(random.random(size) < self.jitter, off, np.int8(0))

    def row(self, caption: str, seed: int) -> np.ndarray:
        """A caption's row of ids (1, L)."""
        if self.caption_dropout and mixed(seed, 0) < self.caption_dropout * 2**63:
            caption = ""
        return self.tokenizer.row([caption], self.length, cut=True, dropout=self.bpe_dropout, seed=mixed(seed, 1))


def shifted(codes: torch.Tensor, shift: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """``codes`` (…) with their digits (least first) moved by ``shift`` (…, digits) levels, as far as there are any."""
    moved, size = torch.zeros_like(codes), 1
    for digit, level in enumerate(levels):
        value = (torch.div(codes, size, rounding_mode="floor") % level + shift[..., digit]).clamp(0, level - 1)
        moved, size = moved + value * size, size * level
    return moved


def _against(losses: Callable[..., Any], codes: torch.Tensor, model: DALLE, hidden: Any, text: Any, _told: Any) -> Any:
    """The losses of ``codes``, whatever of them was told."""
    return losses(model, hidden, text, codes)


def _wrong(pairs: list[Pair], own: int) -> str:
    """A caption that is wrong of the pair number ``own``; its own where there is none."""
    pair = pairs[own]
    if pair.scene is not None:
        return pair.wrong or pair.caption
    others = [p.caption for p in pairs[own + 1 :] + pairs[:own] if p.scene is None and p.caption != pair.caption]
    return others[0] if others else pair.caption


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
        share = self.settings.contrast
        sums = counts.new_zeros(3)
        for part, weight in zip(parts, weights):
            rows, codes = part["text"], self.codes(part)
            told = shifted(codes, part["shift"], self.config.code_levels) if "shift" in part else codes
            told = torch.where(part["told"], told, -1) if "told" in part else told
            if share:
                rows, codes, told = torch.cat((rows, part["wrong"])), torch.cat((codes, codes)), torch.cat((told, told))
            with autocast():
                read = partial(_against, contrasted if share else cross_entropies, codes)
                text, image, *more = model(rows, told, read=read)
            contrast = more[0] if more else image.new_zeros(())
            loss = TEXT_WEIGHT * weight * text + IMAGE_WEIGHT * image + share * contrast
            (loss / len(parts)).backward()
            sums += torch.stack((weight * text, image, contrast)).detach() / len(parts)
        text, image, contrast = sums
        total = TEXT_WEIGHT * text + IMAGE_WEIGHT * image + share * contrast
        # In nats a picture: 0.69 where captions are not told apart.
        apart = {"contrast": contrast * self.config.rows * self.config.columns} if share else {}
        return total, {"text": text, "image": image, **apart}

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
    return replace(
        collate, crop=Crop("centre", collate.crop.size), caption_dropout=0.0, bpe_dropout=0.0, wrong=False, unseen=0.0
    )


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
