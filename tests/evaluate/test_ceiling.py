"""A tokenizer's ceiling, with a tiny tokenizer that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from limner.errors import ModelError
from limner.evaluate.ceiling import load_dvae, of_random_codes, psnr, reconstruct
from limner.models.dvae.config import DVAEConfig
from limner.models.dvae.model import DVAE
from limner.models.modelfolder import write_folder
from limner.storybook.draw import draw
from limner.storybook.scene import Scene, Thing

TINY = DVAEConfig(resolution=32, vocabulary=32, hidden=16, multipliers=(1, 2), blocks=1, decoder_input=32, kernel=3)


@pytest.fixture
def tiny() -> DVAE:
    torch.manual_seed(0)
    return DVAE(TINY).eval()


@pytest.mark.parametrize("side", [32, 48])
def test_reconstructions_keep_shape_and_dtype(tiny: DVAE, side: int) -> None:
    pictures = np.stack([draw(Scene("single", (Thing("cube", "red"),)), size=side, seed=i) for i in range(3)])
    back = reconstruct(tiny, pictures)
    assert back.shape == pictures.shape and back.dtype == np.uint8
    assert np.isfinite(psnr(pictures, back)) and psnr(pictures, pictures) == float("inf")


def test_random_codes_give_other_pictures_for_other_seeds(tiny: DVAE) -> None:
    one, again, two = (of_random_codes(tiny, 3, seed) for seed in (1, 1, 2))
    assert one.shape == (3, 32, 32, 3) and one.dtype == np.uint8
    assert np.array_equal(one, again) and not np.array_equal(one, two)


def test_a_dvae_is_found_alone_and_in_a_painter(tiny: DVAE, tmp_path: Path) -> None:
    write_folder(tmp_path / "alone", kind="dvae", config=TINY, state=tiny.state_dict())
    write_folder(tmp_path / "painter" / "dvae", kind="dvae", config=TINY, state=tiny.state_dict())
    for name in ("alone", "painter"):
        found = load_dvae(str(tmp_path / name))
        assert np.array_equal(of_random_codes(found, 1, 0), of_random_codes(tiny, 1, 0))
    with pytest.raises(ModelError):
        load_dvae(str(tmp_path / "nowhere"))


def test_psnr_is_known_for_a_known_error() -> None:
    black, grey = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 51, np.uint8)
    assert psnr(black, grey) == pytest.approx(20 * np.log10(5))
