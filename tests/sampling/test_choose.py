"""The choice of a token."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from limner.errors import InputError
from limner.sampling.choose import MASKS, choose, invert, log_probabilities, probabilities, uniforms
from limner.sampling.guide import guide
from limner.sampling.settings import SamplingSettings


def test_a_picture_has_its_own_numbers_whoever_is_drawn_with_it():
    together = uniforms(7, range(64), 100)
    assert np.array_equal(together[[5]], uniforms(7, [5], 100))
    assert np.array_equal(together[[63, 2]], uniforms(7, [63, 2], 100))
    assert np.array_equal(together[:, :10], uniforms(7, range(64), 10))


def test_seeds_pictures_purposes_and_lanes_differ_and_are_uniform():
    streams = [
        uniforms(1, [0], 4096), uniforms(2, [0], 4096), uniforms(1, [1], 4096), uniforms(2**64 - 1, [0], 4096),
        uniforms(2**64 - 2, [0], 4096),
        uniforms(1, [0], 4096, purpose=MASKS), uniforms(1, [0], 4096, lane=1),
    ]  # fmt: skip
    rows = np.concatenate(streams)
    assert len(np.unique(rows)) == rows.size
    assert rows.min() >= 0.0
    assert rows.max() < 1.0
    assert stats.kstest(rows.ravel(), "uniform").pvalue > 1e-4
    correlation = np.corrcoef(rows)
    assert np.abs(correlation - np.eye(len(rows))).max() < 0.08


def test_the_stream_is_pinned():
    # Pictures that people have drawn come back only while these numbers stay.
    assert uniforms(7, [3], 3)[0].tolist() == PINNED


def test_inverse_transform_draws_the_distribution():
    weights = torch.tensor([0.1, 0.0, 0.5, 0.05, 0.35], dtype=torch.float64)
    drawn = invert(weights.expand(20_000, 5), torch.from_numpy(uniforms(0, [0], 20_000)[0]))
    counts = torch.bincount(drawn, minlength=5).numpy()
    assert counts[1] == 0
    seen = weights.numpy() > 0
    assert stats.chisquare(counts[seen], weights.numpy()[seen] * 20_000).pvalue > 1e-4


def test_ends_of_the_unit_interval_choose_tokens_with_weight():
    weights = torch.tensor([[0.0, 0.3, 0.7, 0.0]], dtype=torch.float64)
    assert invert(weights, torch.tensor([0.0], dtype=torch.float64)).item() == 1
    assert invert(weights, torch.tensor([1.0 - 2.0**-53], dtype=torch.float64)).item() == 2
    # A total that rounds: u × total may equal the total.
    tiny = torch.full((1, 10), 0.1, dtype=torch.float64)
    assert invert(tiny, torch.tensor([1.0], dtype=torch.float64)).item() == 9


def test_top_k_keeps_exactly_k_of_equal_tokens_by_id():
    logits = torch.tensor([[1.0, 2.0, 2.0, 2.0, 0.0]])
    kept = probabilities(logits, SamplingSettings(top_k=2)) > 0
    assert kept.tolist() == [[False, True, True, False, False]]
    many = torch.randn(6, 500, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    for k in (1, 7, 499, 500, 900):
        kept = probabilities(many, SamplingSettings(top_k=k)) > 0
        assert (kept.sum(-1) == min(k, 500)).all()
        assert (many.masked_fill(~kept, math.inf).amin(-1) >= many.masked_fill(kept, -math.inf).amax(-1)).all()


def test_top_p_keeps_the_fewest_that_hold_p():
    logits = torch.log(torch.tensor([[0.2, 0.4, 0.1, 0.3]]))
    for p, expected in ((0.35, [1]), (0.41, [1, 3]), (0.65, [1, 3]), (0.85, [0, 1, 3]), (1.0, [0, 1, 2, 3])):
        kept = probabilities(logits, SamplingSettings(top_p=p))[0]
        assert kept.nonzero().flatten().tolist() == expected, p
    # After top-k, p counts among what is left: 0.4 and 0.3 → 0.57 and 0.43.
    assert (probabilities(logits, SamplingSettings(top_k=2, top_p=0.5)) > 0).sum() == 1
    assert (probabilities(logits, SamplingSettings(top_k=2, top_p=0.6)) > 0).sum() == 2


def test_temperature():
    logits = torch.tensor([[0.0, 1.0, 1.0]])
    assert choose(logits, torch.tensor([0.99], dtype=torch.float64), SamplingSettings(temperature=0.0)).item() == 1
    assert probabilities(logits, SamplingSettings(temperature=0.0)).tolist() == [[0.0, 1.0, 0.0]]
    warm = probabilities(logits, SamplingSettings(temperature=2.0))
    assert torch.allclose(warm[0, 1] / warm[0, 0], torch.tensor(math.exp(0.5), dtype=torch.float64))


def test_rows_choose_alone_as_they_choose_together():
    logits = torch.randn(64, 2048, generator=torch.Generator().manual_seed(1)) * 3
    numbers = torch.from_numpy(uniforms(3, range(64), 1)[:, 0])
    for settings in (SamplingSettings(), SamplingSettings(temperature=0.7, top_k=50), SamplingSettings(top_p=0.9)):
        together = choose(logits, numbers, settings)
        for i in (0, 13, 63):
            assert choose(logits[i : i + 1], numbers[i : i + 1], settings).item() == together[i].item()


def test_log_probabilities_are_of_the_plain_distribution():
    logits = torch.randn(5, 9)
    tokens = torch.arange(5)
    expected = torch.log_softmax(logits.double(), -1)[torch.arange(5), tokens]
    assert torch.allclose(log_probabilities(logits, tokens), expected)


def test_guidance():
    logits = torch.randn(6, 10)
    assert guide(logits, SamplingSettings()) is logits
    captioned, empty = logits[:3], logits[3:]
    assert torch.allclose(guide(logits, SamplingSettings(guidance=3.0)), 3 * captioned - 2 * empty, atol=1e-5)
    assert torch.equal(guide(logits, SamplingSettings(guidance=0.0)), empty)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": math.nan}, {"temperature": -1}, {"temperature": math.inf}, {"temperature": "1"},
        {"temperature": True}, {"guidance": math.nan}, {"guidance": -0.1}, {"top_p": math.nan}, {"top_p": -0.5},
        {"top_p": 0}, {"top_p": 1.5}, {"top_k": 0}, {"top_k": -3}, {"top_k": 2.5},
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))}: expected .*, got "):
        SamplingSettings(**wrong)


PINNED = [0.4821286018761155, 0.7241355726248441, 0.05025403948627161]
