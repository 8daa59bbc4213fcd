"""The uncached twin: every token by a whole pass of the model. Slow, plain, and what tests compare the sampler with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from limner.models.dalle import DALLE
from limner.sampling.choose import choose, uniforms
from limner.sampling.guide import guide
from limner.sampling.settings import SamplingSettings


@torch.inference_mode()
def next_logits(model: DALLE, text: Tensor, codes: Tensor) -> Tensor:
    """Logits (B, Vi) of the code after ``codes`` (B, n), 0 ≤ n < N, under captions (B, L)."""
    return model(text, codes)[1][:, -1].float()


def draw_codes(
    model: DALLE,
    text: Tensor,
    pictures: Sequence[int],
    *,
    seed: int,
    settings: SamplingSettings,
    empty: Tensor | None = None,
    given: Tensor | None = None,
) -> Tensor:
    """Codes (B, N) of ``pictures`` of one caption (L,), after the ``given`` first ones (n,); ``empty`` (L,) guides."""
    layout = model.config.layout
    numbers = torch.from_numpy(uniforms(seed, pictures, layout.image))
    start = 0 if given is None else len(given)
    codes = torch.zeros(len(pictures), layout.image, dtype=torch.int64)
    if given is not None:
        codes[:, :start] = given
    rows = text.expand(len(pictures), -1)
    for i in range(start, layout.image):
        logits = next_logits(model, rows, codes[:, :i])
        if settings.guidance != 1.0:
            assert empty is not None
            logits = torch.cat([logits, next_logits(model, empty.expand(len(pictures), -1), codes[:, :i])])
        codes[:, i] = choose(guide(logits, settings), numbers[:, i], settings)
    return codes
