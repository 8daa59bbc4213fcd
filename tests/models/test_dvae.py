"""The dVAE: OpenAI's sizes, exact bottlenecks, a likelihood that integrates to one, training that learns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from limner.errors import InputError, RecipeError
from limner.models.dvae import DVAE, DVAEConfig
from limner.models.dvae.loss import cosine, kl_to_uniform, logit_laplace, loss, usage
from limner.models.dvae.model import map_pixels
from limner.models.dvae.parts import FSQBottleneck, GumbelBottleneck

TINY = DVAEConfig(resolution=32, vocabulary=32, hidden=16, multipliers=(1, 2), blocks=1, decoder_input=32, kernel=3)
TINY_FSQ = DVAEConfig(
    resolution=32,
    vocabulary=60,
    levels=(5, 4, 3),
    bottleneck="fsq",
    block="residual",
    hidden=16,
    multipliers=(1, 2),
    blocks=1,
    decoder_input=16,
    patch=4,
    kernel=3,
)

CELLS = replace(TINY_FSQ, encoder="cells", encoder_width=24, encoder_blocks=2)


def test_openai_sizes() -> None:
    with torch.device("meta"):
        model = DVAE(DVAEConfig())
    assert sum(p.numel() for p in model.encoder.parameters()) == 53_786_240
    assert sum(p.numel() for p in model.decoder.parameters()) == 43_829_766
    assert (model.config.rows, model.config.columns, model.config.factor) == (32, 32, 8)


@pytest.mark.parametrize("config", [TINY, TINY_FSQ, CELLS])
def test_codes_and_pictures_have_their_shapes_and_ranges(config: DVAEConfig) -> None:
    model = DVAE(config).eval()
    codes = model.encode(torch.rand(2, 3, 32, 48))
    assert codes.shape == (2, 32 // config.factor, 48 // config.factor)
    assert codes.dtype == torch.int64
    assert int(codes.min()) >= 0
    assert int(codes.max()) < config.vocabulary
    pictures = model.decode(codes)
    assert pictures.shape == (2, 3, 32, 48)
    assert float(pictures.min()) >= 0
    assert float(pictures.max()) <= 1


def test_an_encoder_of_cells_sees_no_other_cell() -> None:
    model = DVAE(CELLS).eval()
    for block in model.encoder.blocks:  # which start as if they were not there
        torch.nn.init.normal_(block.down.weight)
    pixels = torch.rand(1, 3, 32, 32)
    cell = CELLS.factor
    changed = pixels.clone()
    changed[:, :, cell : 2 * cell, :cell] = torch.rand(3, cell, cell)
    moved = model.encoder(map_pixels(pixels)) != model.encoder(map_pixels(changed))
    assert moved[0, :, 1, 0].any()
    moved[0, :, 1, 0] = False
    assert not moved.any()


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (7, 5, 3), (2, 3), (4, 4)])
def test_fsq_numbers_every_code_once(levels: tuple[int, ...]) -> None:
    bottleneck = FSQBottleneck(levels)
    every = torch.arange(math.prod(levels)).view(1, 1, -1)
    vectors = bottleneck.vectors(every)
    assert len(torch.unique(vectors[0].flatten(1), dim=1).T) == math.prod(levels)
    # Features whose rounded values are those vectors have those codes, and relax to those vectors.
    digits = vectors * (bottleneck.levels // 2).view(1, -1, 1, 1)
    count = bottleneck.levels.view(1, -1, 1, 1).float()
    half, offset = (count - 1) * (1 + 1e-3) / 2, torch.where(count % 2 == 0, 0.5, 0.0)
    features = torch.atanh(((digits + offset) / half).clamp(-0.99999, 0.99999)) - torch.atanh(offset / half)
    assert torch.equal(bottleneck.codes(features), every)
    torch.testing.assert_close(bottleneck.relax(features, 1.0), vectors)


def test_fsq_passes_gradients_straight_through() -> None:
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    FSQBottleneck((5, 4, 3)).relax(features, 1.0).sum().backward()
    assert features.grad is not None
    assert float(features.grad.abs().min()) > 0


def test_gathered_statistics_hang_on_the_batch_and_fixed_ones_do_not() -> None:
    bottleneck = FSQBottleneck((7, 5, 5), standardise=True).train()
    features = 3 + torch.randn((8, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    before = bottleneck.norm.running_mean.clone()
    bottleneck.relax(features, 1.0)
    gathered = bottleneck.norm.running_mean.clone()
    assert not torch.equal(gathered, before)
    assert not torch.equal(bottleneck.relax(features, 1.0)[:1], bottleneck.relax(features[:1], 1.0))
    gathered = bottleneck.norm.running_mean.clone()
    bottleneck.gather_statistics(False)
    assert torch.equal(bottleneck.relax(features, 1.0)[:1], bottleneck.relax(features[:1], 1.0))
    assert torch.equal(bottleneck.norm.running_mean, gathered)


def test_gumbel_relaxes_towards_its_argmax() -> None:
    torch.manual_seed(0)
    bottleneck = GumbelBottleneck(6)
    logits = 8 * torch.randn(64, 6, 2, 2)
    relaxed = bottleneck.relax(logits, 1 / 16)
    torch.testing.assert_close(relaxed.sum(dim=1), torch.ones(64, 2, 2))
    agree = (relaxed.argmax(dim=1) == bottleneck.codes(logits)).float().mean()
    assert agree > 0.8
    assert torch.equal(bottleneck.vectors(bottleneck.codes(logits)).argmax(dim=1), bottleneck.codes(logits))


def test_logit_laplace_is_a_density() -> None:
    x = torch.linspace(1e-6, 1 - 1e-6, 200_001, dtype=torch.float64)
    for mean, log_scale in ((0.0, 0.0), (1.5, -1.0), (-2.0, 0.5)):
        density = torch.exp(-logit_laplace(x, torch.tensor(mean), torch.tensor(log_scale)))
        assert abs(float(torch.trapezoid(density, x)) - 1) < 5e-3


def test_kl_is_zero_for_uniform_and_log_v_for_certain_codes() -> None:
    assert float(kl_to_uniform(torch.zeros(1, 8, 2, 3))) == pytest.approx(0, abs=1e-5)
    certain = torch.full((1, 8, 2, 3), -1e4)
    certain[:, 3] = 1e4
    assert float(kl_to_uniform(certain)) == pytest.approx(6 * math.log(8), rel=1e-5)


def test_schedules_are_cosines() -> None:
    assert cosine(0, 100, 1.0, 1 / 16) == 1.0
    assert cosine(50, 100, 1.0, 1 / 16) == pytest.approx((1 + 1 / 16) / 2)
    assert cosine(100, 100, 1.0, 1 / 16) == cosine(500, 100, 1.0, 1 / 16) == 1 / 16


def test_usage_counts_codes() -> None:
    found = usage(torch.tensor([[[0, 0], [1, 1]]]), 4)
    assert float(found["codes"]) == 0.5
    assert float(found["perplexity"]) == pytest.approx(2.0)


@pytest.mark.parametrize(("config", "likelihood"), [(TINY, 1.0), (TINY_FSQ, 1.0), (TINY_FSQ, 0.0)])
def test_it_learns(config: DVAEConfig, likelihood: float) -> None:
    torch.manual_seed(0)
    model = DVAE(config)
    pictures = torch.rand(4, 3, 1, 1).expand(4, 3, 32, 32).contiguous()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    values = []
    for _ in range(100):
        value, measures = loss(model, pictures, 1.0, 1e-3, likelihood)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(measures["psnr"]))
    assert values[-1] > values[0] + 3


@pytest.mark.parametrize(
    "bad", [torch.rand(3, 32, 32), torch.rand(1, 3, 33, 32), torch.rand(1, 1, 32, 32), torch.rand(1, 3, 0, 32)]
)
def test_pictures_of_wrong_shape_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(InputError, match="multiples of 2"):
        DVAE(TINY).encode(bad)


def test_codes_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="from 0 to 31, got 5 to 32"):
        DVAE(TINY).decode(torch.tensor([[[5, 32]]]))


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(RecipeError, match="product of levels, 60, got 64"):
        DVAEConfig(bottleneck="fsq", levels=(5, 4, 3), vocabulary=64)
    with pytest.raises(RecipeError, match="multiple of 8"):
        DVAEConfig(resolution=250)
