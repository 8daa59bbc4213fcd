"""Which candidates are kept: CLIP's score, the transformer's own likelihood, or a weighted sum of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from limner.errors import InputError
from limner.models.clip.model import CLIP
from limner.sampling.settings import check_number

T = TypeVar("T")

PASS = 16
"""Pictures that CLIP looks at together."""


@dataclass(frozen=True)
class Ranking:
    """Score = ``clip`` × CLIP's cosine (-1 … 1) + ``likelihood`` × mean log-likelihood of a token (nats, ≤ 0)."""

    clip: float = 1.0
    likelihood: float = 0.0

    @classmethod
    def of(cls, rank: str | Mapping[str, float] | Ranking) -> Ranking:
        """``"clip"``, ``"likelihood"`` or weights such as ``{"clip": 1, "likelihood": 0.1}``. Raises InputError."""
        if isinstance(rank, Ranking):
            return rank
        asked = rank
        if isinstance(rank, str):
            rank = {rank: 1.0}
        if not isinstance(rank, Mapping) or not rank or not set(rank) <= {"clip", "likelihood"}:
            raise InputError(f"rank: expected clip, likelihood, or weights of both, got {asked!r}")
        weights = {name: check_number(f"rank weight of {name}", weight, low=0.0) for name, weight in rank.items()}
        if not any(weights.values()):
            raise InputError("rank: expected a weight above 0, got none")
        return cls(weights.get("clip", 0.0), weights.get("likelihood", 0.0))

    def scores(self, cosines: Tensor | None, nats_per_token: Tensor | None) -> np.ndarray:
        """Scores float64 (B,), to four places: a last bit that depends on a batch must not change a choice."""
        parts = [
            weight * part.double().cpu().numpy()
            for weight, part in ((self.clip, cosines), (self.likelihood, nats_per_token))
            if weight and part is not None
        ]
        return np.round(np.sum(parts, axis=0), 4)


class Rows(Protocol):
    """A tokenizer as CLIP needs it."""

    def clip_row(self, captions: Sequence[str], context: int, *, cut: bool = False) -> np.ndarray: ...


class ClipScorer:
    """Cosines between one caption and pictures."""

    def __init__(self, model: CLIP, tokenizer: Rows, caption: str) -> None:
        self.model = model
        self.device = model.logit_scale.device
        # A caption that is too long for CLIP alone is scored by its beginning.
        ids = torch.from_numpy(tokenizer.clip_row([caption], model.config.text.context, cut=True))
        with torch.inference_mode():
            self.caption = F.normalize(model.encode_text(ids.to(self.device)).float(), dim=-1)[0]

    @torch.inference_mode()
    def cosines(self, pictures: np.ndarray) -> Tensor:
        """Pictures uint8 (B, H, W, 3) → float32 (B,)."""
        parts = [self._cosines(pictures[i : i + PASS]) for i in range(0, len(pictures), PASS)]
        return torch.cat(parts).cpu()

    def _cosines(self, pictures: np.ndarray) -> Tensor:
        features = self.model.encode_image(clip_pixels(self.model, pictures).to(self.device)).float()
        return F.normalize(features, dim=-1) @ self.caption


def clip_pixels(model: CLIP, pictures: np.ndarray) -> Tensor:
    """Pictures uint8 (B, H, W, 3) as ``model``'s pixels, float32 (B, 3, h, w), as its preprocessing says."""
    from PIL import Image

    steps = model.config.pixels
    if tuple(pictures.shape[1:3]) == tuple(steps.size) and steps.resize_to is None:
        # Nothing to resize or crop: the whole batch at once.
        scaled = pictures.astype(np.float32) / np.float32(255)
        mean, std = (np.array(values, dtype=np.float32) for values in (steps.mean, steps.std))
        normalised: np.ndarray = (scaled - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)))
    return torch.stack([steps(Image.fromarray(picture)) for picture in pictures])


class Best(Generic[T]):
    """The ``count`` best of what is offered, best first; of equal scores the lower index."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.kept: list[tuple[float, int, T]] = []

    def offer(self, offers: Iterable[tuple[float, int, T]]) -> None:
        """Take ``(score, index, thing)``s in."""
        self.kept = sorted([*self.kept, *offers], key=lambda offer: (-offer[0], offer[1]))[: self.count]
