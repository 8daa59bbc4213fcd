"""Batches of candidates: the naive twin, batches of any size, guidance, likelihood."""

from __future__ import annotations

import pytest
import torch
from tests.sampling.conftest import small_dalle

from limner.errors import InputError
from limner.sampling import naive
from limner.sampling.generate import Candidate, draw_codes, drawing, most_pictures
from limner.sampling.likelihood import log_likelihoods, token_log_likelihoods
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import TokenStep

PLAIN = SamplingSettings()


def candidates(context, numbers, seed=3):
    return [Candidate(context, seed, number) for number in numbers]


@pytest.mark.parametrize(
    "settings", [PLAIN, SamplingSettings(temperature=0.8, top_k=9, top_p=0.9), SamplingSettings(guidance=3.0)]
)
def test_cached_drawing_is_the_naive_one(dalle, caption, empty, settings):
    step = TokenStep(dalle)
    drawn = draw_codes(step, candidates(step.read(caption), range(8)), settings, empty=step.read(empty)).codes
    naively = naive.draw_codes(dalle, caption, range(8), seed=3, settings=settings, empty=empty)
    assert torch.equal(drawn, naively)
    # Another seed, another picture: the sameness above is not that of a model that knows one picture.
    assert not torch.equal(naive.draw_codes(dalle, caption, [0], seed=4, settings=settings, empty=empty)[0], drawn[0])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_picture_is_the_same_in_batches_of_1_7_and_32_or_64(dalle, caption, empty, guidance):
    settings, step = SamplingSettings(guidance=guidance), TokenStep(dalle)
    context, nothing = step.read(caption), step.read(empty)
    count = most_pictures(settings)
    whole = draw_codes(step, candidates(context, range(count)), settings, empty=nothing).codes
    assert len({tuple(row) for row in whole.tolist()}) > count * 0.9
    seven = draw_codes(step, candidates(context, range(20, 27)), settings, empty=nothing).codes
    assert torch.equal(seven, whole[20:27])
    for number in (0, 23, count - 1):
        alone = draw_codes(step, candidates(context, [number]), settings, empty=nothing).codes
        assert torch.equal(alone[0], whole[number])
    backwards = draw_codes(step, candidates(context, reversed(range(count))), settings, empty=nothing).codes
    assert torch.equal(backwards.flip(0), whole)


def test_other_captions_in_the_batch_do_not_matter(dalle, caption, empty):
    step = TokenStep(dalle)
    one, other = step.read(caption), step.read(empty)
    mixed = draw_codes(step, [*candidates(other, range(5)), *candidates(one, range(3))], PLAIN).codes
    assert torch.equal(mixed[5:], draw_codes(step, candidates(one, range(3)), PLAIN).codes)
    assert torch.equal(mixed[:5], draw_codes(step, candidates(other, range(5)), PLAIN).codes)


@pytest.mark.slow
def test_threads_do_not_matter(caption):
    # Large enough that matrix products and reductions are split among threads.
    dalle = small_dalle(width=384, heads=6, rows=4, columns=3)
    threads = torch.get_num_threads()
    drawn = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            step = TokenStep(dalle)
            drawn.append(draw_codes(step, candidates(step.read(caption), range(50)), PLAIN).codes)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*drawn)


def test_guidance_1_is_none(dalle, caption, empty):
    step = TokenStep(dalle)
    context, nothing = step.read(caption), step.read(empty)
    plain = list(drawing(step, candidates(context, range(3)), PLAIN))
    guided = list(drawing(step, candidates(context, range(3)), SamplingSettings(guidance=1.0), empty=nothing))
    assert torch.equal(plain[-1].codes, guided[-1].codes)
    # Guidance near 1 draws nearly the same, guidance 0 what the empty caption draws.
    unguided = draw_codes(step, candidates(context, range(3)), SamplingSettings(guidance=0.0), empty=nothing).codes
    assert torch.equal(unguided, draw_codes(step, candidates(nothing, range(3)), PLAIN).codes)


def test_given_codes_stay_and_lead(dalle, caption):
    step = TokenStep(dalle)
    given = torch.arange(12) % 24
    context = step.read(caption, given)
    drawn = draw_codes(step, candidates(context, range(6)), PLAIN, given=given).codes
    assert torch.equal(drawn[:, :12], given.expand(6, -1))
    assert torch.equal(drawn, naive.draw_codes(dalle, caption, range(6), seed=3, settings=PLAIN, given=given))


def test_all_but_the_last_code_given(dalle, caption):
    step = TokenStep(dalle)
    given = torch.arange(29) % 24
    drawn = draw_codes(step, candidates(step.read(caption, given), range(4)), PLAIN, given=given).codes
    assert torch.equal(drawn, naive.draw_codes(dalle, caption, range(4), seed=3, settings=PLAIN, given=given))


def test_a_picture_of_one_code(caption):
    model = small_dalle(rows=1, columns=1)
    step = TokenStep(model)
    drawn = draw_codes(step, candidates(step.read(caption), range(9)), PLAIN).codes
    assert torch.equal(drawn, naive.draw_codes(model, caption, range(9), seed=3, settings=PLAIN))


def test_likelihood_while_drawing_is_that_of_whole_passes(dalle, caption, empty):
    step = TokenStep(dalle)
    settings = SamplingSettings(temperature=0.7, guidance=2.0)
    drawn = draw_codes(
        step, candidates(step.read(caption), range(20)), settings, empty=step.read(empty), likelihood=True
    )
    expected = log_likelihoods(dalle, caption.expand(20, -1), drawn.codes)
    assert torch.allclose(drawn.nats, expected, atol=1e-3)
    assert drawn.nats.std() > 1.0
    other = log_likelihoods(dalle, empty.expand(20, -1), drawn.codes)
    assert (expected - other).abs().min() > 0.01


def test_likelihoods_sum_to_one():
    model = small_dalle(rows=1, columns=3, image_vocabulary=4)
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    text = torch.tensor([3, 9, 1, 43, 44, 45, 46]).expand(len(every), -1)
    assert log_likelihoods(model, text, every).exp().sum().item() == pytest.approx(1.0, abs=1e-4)
    assert token_log_likelihoods(model, text, every).shape == (64, 3)
    with pytest.raises(InputError, match="as many captions as pictures, got 64 and 2"):
        log_likelihoods(model, text, every[:2])


def test_wrong_batches_are_named(dalle, caption):
    step = TokenStep(dalle)
    context = step.read(caption)
    with pytest.raises(InputError, match="expected 1 to 64 pictures, got 65"):
        draw_codes(step, candidates(context, range(65)), PLAIN)
    with pytest.raises(InputError, match="expected 1 to 32 pictures, got 33"):
        draw_codes(step, candidates(context, range(33)), SamplingSettings(guidance=2.0), empty=context)
    with pytest.raises(InputError, match="expected the empty caption's context"):
        draw_codes(step, candidates(context, [0]), SamplingSettings(guidance=2.0))
    with pytest.raises(InputError, match="read equally many codes"):
        draw_codes(
            step, [*candidates(context, [0]), *candidates(step.read(caption, torch.zeros(3).long()), [1])], PLAIN
        )
