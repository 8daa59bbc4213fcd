"""Attention to many captions in one product: each row reads its own caption, to the bit, however rows change hands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.sampling.conftest import small_dalle

from limner.sampling.captions import Captions
from limner.sampling.context import Context, Span
from limner.sampling.step import TokenStep


@pytest.fixture(scope="module")
def step() -> TokenStep:
    return TokenStep(small_dalle())


@pytest.fixture(scope="module")
def contexts(step: TokenStep) -> list[Context]:
    generator = torch.Generator().manual_seed(0)
    texts = torch.randint(0, 40, (9, step.layout.text), generator=generator)
    return [step.read(text) for text in texts]


def spans_of(owners: list[Context]) -> list[Span]:
    return [Span(context, at, at + 1) for at, context in enumerate(owners)]


def test_rows_read_their_own_caption(step: TokenStep, contexts: list[Context]) -> None:
    captions, luck = Captions(step.text_rows), np.random.default_rng(0)
    owners = [contexts[0]] * 5 + [contexts[1]] * 12
    for _ in range(30):
        captions.arrange(spans_of(owners))
        q = torch.randn(2, len(owners), step.head_width)
        for layer in range(4):
            scores = captions.scores(q, layer)
            weights = torch.softmax(scores[..., : step.layout.text], dim=-1)
            values = captions.mix(weights, layer)
            for row, context in enumerate(owners):
                alone = step._text_product(q[:, row : row + 1], context.text_keys[layer])[:, 0]
                assert torch.equal(scores[:, row], alone)
                alone = step._text_product(weights[:, row : row + 1], context.text_values[layer])[:, 0]
                assert torch.equal(values[:, row], alone)
        # Somebody leaves, somebody comes; now and then the batch has another size.
        owners = [contexts[luck.integers(9)] if luck.random() < 0.3 else one for one in owners]
        owners = owners[: luck.integers(3, 20)] + [contexts[2]] * int(luck.integers(1, 4))


def test_captions_that_stay_are_not_copied(step: TokenStep, contexts: list[Context]) -> None:
    captions = Captions(step.text_rows)
    captions.arrange(spans_of(contexts[:4]))
    kept = captions.keys[0].clone()
    captions.keys[0][:] = 0
    captions.arrange(spans_of([contexts[3], contexts[5], contexts[0], contexts[2]]))
    assert captions.keys[0].any(dim=0).flatten(1).any(dim=1).tolist() == [False, True, False, False]
    assert not torch.equal(captions.keys[0][:, 1], kept[:, 1])
