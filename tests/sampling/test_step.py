"""The cached token step against whole passes of the model."""

from __future__ import annotations

import pytest
import torch
from tests.sampling.conftest import check_same_bits, delayed, small_dalle

from limner.errors import InputError
from limner.models.dalle import DALLE
from limner.sampling.cache import Columns, Ring, Whole, slots_kept
from limner.sampling.linear import BFLOAT16, FLOAT32, INT8, PRECISIONS, least_rows, steady_multiple
from limner.sampling.naive import next_logits
from limner.sampling.step import TokenStep


def every_next(model: DALLE, text: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """(B, N, Vi): logits of every code of one whole pass."""
    with torch.inference_mode():
        return model(text.expand(len(codes), -1), codes)[1]


def random_codes(model: DALLE, count: int, seed: int = 5) -> torch.Tensor:
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, config.image_vocabulary, (count, config.layout.image), generator=generator)


VARIANTS = {
    "row": {"attention": ("row",), "last": "row"},
    "column": {"attention": ("column",), "last": "column"},
    "conv": {"attention": ("conv",), "last": "conv"},
    "conv as wide as the grid": {"attention": ("conv",), "last": "conv", "conv_kernel": 11},
    "full": {"attention": ("full",), "last": "full"},
    "the paper's": {"attention": ("row", "column", "row", "row"), "last": "conv", "layers": 6},
    "one column": {"columns": 1, "rows": 9, "attention": ("row", "column"), "last": "conv"},
    "one row": {"columns": 9, "rows": 1, "attention": ("row", "column"), "last": "conv"},
    "large": {"rows": 10, "columns": 9, "attention": ("row", "full", "column"), "last": "conv"},
    "rotary": {"rotary": True},
    "tokens before": {"text_before": 2},
    "qk_norm": {"qk_norm": True, "rotary": True},
    "swiglu, rms, no biases, tied": {
        "activation": "swiglu",
        "norm": "rms",
        "bias": False,
        "tied": True,
        "mlp_ratio": 8 / 3,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_cached_logits_are_the_uncached(variant, caption):
    model = small_dalle(**VARIANTS[variant])
    step, codes = TokenStep(model), random_codes(model, 3)
    expected = every_next(model, caption, codes)
    context = step.read(caption)
    assert torch.allclose(context.logits, expected[0, 0], atol=1e-4)
    state = step.begin([(context, 3)])
    for i in range(model.config.layout.image - 1):
        logits = step.advance(state, codes[:, i], i)
        assert torch.allclose(logits, expected[:, i + 1], atol=1e-4), i
    # The comparison can fail: another caption gives other logits.
    assert (every_next(model, caption.flip(0), codes) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("length", [1, 4, 5, 6, 17, 29])
def test_any_given_prefix(dalle, caption, length):
    step, codes = TokenStep(dalle), random_codes(dalle, 1).expand(4, -1).clone()
    codes[:, length:] = random_codes(dalle, 4)[:, length:]
    expected = every_next(dalle, caption, codes)
    context = step.read(caption, codes[0, :length])
    assert torch.allclose(context.logits, expected[0, length], atol=1e-4)
    state = step.begin([(context, 4)])
    for i in range(length, dalle.config.layout.image - 1):
        assert torch.allclose(step.advance(state, codes[:, i], i), expected[:, i + 1], atol=1e-4), i


def test_prefixes_need_something_left_to_draw(dalle, caption):
    with pytest.raises(InputError, match="expected fewer than 30, got 30"):
        TokenStep(dalle).read(caption, torch.zeros(30, dtype=torch.int64))


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_any_batch_and_several_captions(dalle, caption, empty, rows):
    step, codes = TokenStep(dalle), random_codes(dalle, rows)
    first = (rows + 1) // 2
    spans = [(step.read(caption), first)] + ([(step.read(empty), rows - first)] if rows > first else [])
    state = step.begin(spans)
    expected = every_next(dalle, caption, codes).clone()
    if rows > first:
        expected[first:] = every_next(dalle, empty, codes[first:])
    for i in range(29):
        assert torch.allclose(step.advance(state, codes[:, i], i), expected[:, i + 1], atol=1e-4), i


@pytest.mark.parametrize("last", ["conv", "full"])
def test_rows_at_different_positions(caption, empty, last):
    """A row that starts d steps after the others ends with the same bits."""
    model = small_dalle(last=last, rows=12, columns=6)
    step, codes = TokenStep(model), random_codes(model, 5)
    expected = torch.cat([every_next(model, caption, codes[:3]), every_next(model, empty, codes[3:])])
    same, apart = delayed(step, [(step.read(caption), 3), (step.read(empty), 2)], codes)
    assert torch.allclose(apart, expected[:, 1:], atol=1e-4)
    assert torch.equal(apart, same)


def test_stores_keep_what_patterns_see_and_no_more(dalle, caption):
    step = TokenStep(dalle)
    state = step.begin([(step.read(caption), 8)])
    row, column, _, conv = state.stores
    assert isinstance(row, Ring)
    assert isinstance(column, Columns)
    assert isinstance(conv, Ring)
    assert row.keys.shape == (2, 8, 5 + 1, 16)
    assert column.keys.shape == (5, 2, 8, 6, 16)
    assert conv.keys.shape == (2, 8, 5 + 1 + 1, 16)
    assert slots_kept(dalle.config.patterns, dalle.config.layout) == 6 + 30 + 6 + 7
    full = small_dalle(attention=("full",), last="full")
    assert isinstance(TokenStep(full).begin([(TokenStep(full).read(caption), 1)]).stores[0], Whole)


def test_the_cache_of_the_12b_model():
    from limner.models.dalle import DALLEConfig

    config = DALLEConfig(
        text_vocabulary=16384, text_length=256, image_vocabulary=8192, rows=32, columns=32,
        width=3968, layers=64, heads=62,
    )  # fmt: skip
    slots = slots_kept(config.patterns, config.layout)
    assert slots == 47 * 33 + 16 * 1024 + 166
    assert slots * 2 * 3968 * 2 / 1e9 == pytest.approx(0.287, abs=0.001)


def test_reordered_rows_go_on_as_their_originals(dalle, caption):
    step, codes = TokenStep(dalle), random_codes(dalle, 4)
    order = torch.tensor([2, 2, 0, 1])
    state = step.begin([(step.read(caption), 4)])
    for i in range(13):
        step.advance(state, codes[:, i], i)
    state.reorder(order)
    mixed = torch.cat([codes[order, :13], codes[:, 13:]], dim=1)
    expected = every_next(dalle, caption, mixed)
    for i in range(13, 29):
        assert torch.allclose(step.advance(state, mixed[:, i], i), expected[:, i + 1], atol=1e-4)


@pytest.mark.parametrize("precision", PRECISIONS.values(), ids=PRECISIONS)
def test_a_row_has_the_same_bits_in_every_batch(precision, caption, empty):
    model = small_dalle(width=96, heads=3, rows=4, columns=4)
    check_same_bits(TokenStep(model, precision), caption, empty, random_codes(model, 64))


def test_precisions_stay_within_their_bounds(dalle, caption):
    codes = random_codes(dalle, 16)
    expected = every_next(dalle, caption, codes)[:, 1:]
    for precision, bound in ((FLOAT32, 1e-5), (BFLOAT16, 0.02), (INT8, 0.02)):
        step = TokenStep(dalle, precision)
        state = step.begin([(step.read(caption), 16)])
        logits = torch.stack([step.advance(state, codes[:, i], i) for i in range(29)], dim=1)
        error = (logits - expected).square().mean().sqrt() / expected.std()
        assert error < bound, precision.name


def test_least_rows_finds_products_that_depend_on_the_batch():
    def unsteady(x: torch.Tensor) -> torch.Tensor:
        return x * (1.0 if len(x) >= 8 else 1.0 + 1e-6)

    assert least_rows([(lambda x: x, 4)], fewest=1) == 1
    assert least_rows([(lambda x: x, 4), (unsteady, 4)], fewest=1) == 8
    assert least_rows([(lambda x: x + x.mean(), 4)], fewest=2) == 64


def test_steady_multiple():
    def unsteady(x: torch.Tensor) -> torch.Tensor:
        return x * (1.0 if len(x) % 16 == 0 else 1.0 + 1e-6)

    assert steady_multiple(lambda x: x, 3) == 8
    assert steady_multiple(unsteady, 3) == 16
    assert steady_multiple(lambda x: x + x.mean(), 3) == 64


def test_next_logits_is_the_models_forward(dalle, caption):
    codes = random_codes(dalle, 2)
    expected = every_next(dalle, caption, codes)
    for n in (0, 1, 29):
        assert torch.allclose(next_logits(dalle, caption.expand(2, -1), codes[:, :n]), expected[:, n], atol=1e-5)
