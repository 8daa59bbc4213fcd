"""Redrawing cells: the true conditional, by enumeration on a tiny vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from tests.sampling.conftest import redrawn, small_dalle

from limner.errors import InputError
from limner.sampling.edit import Effort, effective, systematic
from limner.sampling.generate import Candidate, draw_codes
from limner.sampling.likelihood import log_likelihoods
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import TokenStep

PLAIN = SamplingSettings()
VALUES, COUNT = 3, 600
CODES = torch.tensor([0, 2, 1, 1, 0, 2])
FREE = torch.tensor([True, True, False, True, False, False])


@pytest.fixture(scope="module")
def tiny():
    """2 × 3 cells of 3 values, far from flat."""
    model = small_dalle(
        seed=7, image_vocabulary=VALUES, rows=2, columns=3, layers=2, attention=("row",), last="column", width=16
    )
    model.head.weight.mul_(2)
    return model


def true_conditional(model, caption, codes, free):
    """Every filling of the free cells, and its probability given caption and kept cells."""
    places = free.nonzero().flatten()
    fillings = torch.cartesian_prod(*[torch.arange(VALUES)] * len(places)).view(-1, len(places))
    every = codes.repeat(len(fillings), 1)
    every[:, places] = fillings
    nats = log_likelihoods(model, caption.expand(len(every), -1), every)
    return fillings, torch.softmax(nats, dim=0).numpy()


def counted(fillings, drawn, free):
    base = VALUES ** np.arange(fillings.shape[1])[::-1]
    ids = (drawn[:, free].numpy() * base).sum(axis=1)
    return np.bincount(ids, minlength=len(fillings))


def fits(counts, chances):
    """The chi-square test's p-value; rare fillings are pooled."""
    expected = chances * counts.sum()
    rare = expected < 5
    if rare.any():
        counts, expected = (
            np.append(counts[~rare], counts[rare].sum()),
            np.append(expected[~rare], expected[rare].sum()),
        )
    keep = expected > 0
    return stats.chisquare(counts[keep], expected[keep] * counts[keep].sum() / expected[keep].sum()).pvalue


@pytest.mark.parametrize("effort", [Effort(particles=16), Effort(particles=2, sweeps=6)], ids=["smc", "sweeps"])
def test_the_region_has_the_true_conditional(tiny, caption, effort):
    fillings, chances = true_conditional(tiny, caption, CODES, FREE)
    step = TokenStep(tiny)
    drawn = redrawn(step, caption, CODES, FREE, range(COUNT), seed=1, settings=PLAIN, effort=effort)
    assert torch.equal(drawn[:, ~FREE], CODES[~FREE].expand(COUNT, -1))
    assert fits(counted(fillings, drawn, FREE), chances) > 1e-3


def test_plain_forcing_has_another_distribution(tiny, caption):
    fillings, chances = true_conditional(tiny, caption, CODES, FREE)
    drawn = redrawn(
        TokenStep(tiny), caption, CODES, FREE, range(COUNT), seed=1, settings=PLAIN, effort=Effort(particles=1)
    )
    assert fits(counted(fillings, drawn, FREE), chances) < 1e-6


def test_a_region_that_reaches_the_end_is_plain_drawing(tiny, caption):
    free = torch.tensor([False, False, True, True, True, True])
    fillings, chances = true_conditional(tiny, caption, CODES, free)
    step = TokenStep(tiny)
    drawn = redrawn(
        step, caption, CODES, free, range(COUNT), seed=1, settings=PLAIN, effort=Effort(particles=16, sweeps=2)
    )
    assert fits(counted(fillings, drawn, free), chances) > 1e-3
    context = step.read(caption, CODES[:2])
    plainly = draw_codes(step, [Candidate(context, 1, k) for k in range(40)], PLAIN, given=CODES[:2]).codes
    assert torch.equal(drawn[:40], plainly)


def test_guided_conditional(tiny, caption, empty):
    """Guidance 2 defines another joint, whose conditional is met too."""
    settings = SamplingSettings(guidance=2.0)
    places = FREE.nonzero().flatten()
    fillings = torch.cartesian_prod(*[torch.arange(VALUES)] * 3)
    every = CODES.repeat(len(fillings), 1)
    every[:, places] = fillings
    with torch.inference_mode():
        c, u = (tiny(text.expand(len(every), -1), every)[1] for text in (caption, empty))
    guided = torch.log_softmax(u + 2.0 * (c - u), dim=-1).gather(-1, every[:, :, None]).sum(dim=(1, 2))
    chances = torch.softmax(guided.double(), dim=0).numpy()
    drawn = redrawn(
        TokenStep(tiny), caption, CODES, FREE, range(COUNT), seed=1, settings=settings,
        effort=Effort(particles=16), empty=empty,
    )  # fmt: skip
    assert fits(counted(fillings, drawn, FREE), chances) > 1e-3


def test_a_picture_does_not_depend_on_those_drawn_with_it(tiny, caption):
    step, effort = TokenStep(tiny), Effort(particles=4, sweeps=2)

    def some(pictures):
        return redrawn(step, caption, CODES, FREE, pictures, seed=5, settings=PLAIN, effort=effort)

    whole = some(range(20))
    assert torch.equal(some([13])[0], whole[13])
    assert torch.equal(some([3, 19, 0]), whole[[3, 19, 0]])
    assert not torch.equal(redrawn(step, caption, CODES, FREE, range(20), seed=6, settings=PLAIN, effort=effort), whole)


def test_one_free_cell_anywhere(tiny, caption):
    for place in (0, 3, 5):
        free = torch.zeros(6, dtype=torch.bool)
        free[place] = True
        fillings, chances = true_conditional(tiny, caption, CODES, free)
        drawn = redrawn(
            TokenStep(tiny), caption, CODES, free, range(200), seed=2, settings=PLAIN, effort=Effort(particles=16)
        )
        assert fits(counted(fillings, drawn, free), chances) > 1e-3


def test_effective_number():
    assert effective(torch.zeros(1, 8)).item() == pytest.approx(8)
    assert effective(torch.tensor([[0.0, -50.0, -50.0]])).item() == pytest.approx(1)


def test_systematic_resampling_keeps_floor_or_ceiling_of_the_expected_copies():
    weights = torch.rand(50, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = systematic(weights.log(), torch.rand(50, dtype=torch.float64))
    expected = weights / weights.sum(-1, keepdim=True) * 16
    copies = torch.stack([(rows == p).sum(-1) for p in range(16)], dim=-1)
    assert ((copies - expected).abs() < 1).all()
    assert (copies.sum(-1) == 16).all()


def test_wrong_efforts_are_named(tiny, caption):
    for wrong in ({"particles": 0}, {"sweeps": -1}, {"particles": 1.5}):
        with pytest.raises(InputError, match=f"^{next(iter(wrong))}: expected"):
            Effort(**wrong)
    arguments = {"seed": 0, "settings": PLAIN, "effort": Effort(particles=65)}
    with pytest.raises(InputError, match="particles: expected at most 64"):
        redrawn(TokenStep(tiny), caption, CODES, FREE, [0], **arguments)
    with pytest.raises(InputError, match="at least one cell"):
        redrawn(TokenStep(tiny), caption, CODES, torch.zeros(6, dtype=torch.bool), [0], **arguments)


def test_a_watcher_sees_the_picture_grow(caption):
    """Ends of rows between the first and the last free cell; kept cells as they were, free ones old until drawn."""
    step = TokenStep(small_dalle())
    codes, columns = torch.arange(30) % 24, step.layout.columns
    free = torch.zeros(30, dtype=torch.bool)
    free[6:9] = free[11:14] = free[16:19] = True
    seen: list[tuple[int, torch.Tensor, float]] = []
    watched = redrawn(
        step, caption, codes, free, [4, 5], seed=2, settings=PLAIN, effort=Effort(3),
        watch=lambda number, row, done: seen.append((number, row, done)),
    )  # fmt: skip
    plain = redrawn(step, caption, codes, free, [4, 5], seed=2, settings=PLAIN, effort=Effort(3))
    assert torch.equal(watched, plain)
    assert [(number, round(done * 24)) for number, _, done in seen] == [(4, 4), (5, 4), (4, 9), (5, 9)]
    for _, row, done in seen:
        reached = 6 + round(done * 24)
        assert reached % columns == 0
        assert torch.equal(row[~free], codes[~free])
        assert torch.equal(row[reached:], codes[reached:])
        assert not torch.equal(row[:reached], codes[:reached])
