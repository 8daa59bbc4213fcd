"""What a dVAE's recipe may ask for: windows of pictures, statistics that stay, another kind of encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from limner.errors import RecipeError, TrainingError
from limner.training.objective_dvae import busiest
from limner.training.recipe import load_recipe
from limner.training.run import train

FEW = {"batch": "4", "sample_every": "0", "workers": "0", "threads": "1", "checkpoint_every": "2", "steps": "2"}


def dvae(**changes: str):
    return load_recipe("dvae_debug", {**FEW, **changes})


def test_statistics_stay_from_the_update_on_that_fixes_them(tmp_path: Path) -> None:
    few = {"model.standardise": "true", "keep": "9", "steps": "12", "objective.fixed_statistics": "4"}
    train(dvae(**few), tmp_path / "run", device="cpu", quiet=True)
    saved = [tmp_path / f"run/checkpoints/{step}/weights.safetensors" for step in (2, 4, 6, 12)]
    second, fourth, sixth, last = (load_file(f)["bottleneck.norm.running_mean"] for f in saved)
    assert not second.equal(fourth)
    assert fourth.equal(sixth)
    assert sixth.equal(last)


@pytest.mark.parametrize("setting", ["fixed_statistics=-1", "window=-8", "window=9", "window=64"])
def test_odd_settings_are_refused(tmp_path: Path, setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(RecipeError, match=f"objective.{name}: expected"):
        train(dvae(**{f"objective.{name}": value}), tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_busiest_window_is_the_one_with_something_in_it() -> None:
    picture = np.full((32, 32, 3), 200, np.uint8)
    assert busiest(picture, 8, seed=0).shape == (8, 8, 3)
    picture[:16] = np.random.default_rng(0).integers(0, 256, (16, 32, 3))
    found = [busiest(picture, 8, seed, tries=64).std() for seed in range(20)]
    assert min(found) > 60
    assert busiest(picture, 32, seed=0) is not None
    assert np.array_equal(busiest(picture, 8, seed=3), busiest(picture, 8, seed=3))


def test_windows_are_learned_from_and_whole_pictures_shown(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(dvae(**{"objective.window": "16", "sample_every": "2"}), run, device="cpu", quiet=True)
    from PIL import Image

    with Image.open(run / "samples/00000002.png") as grid:
        assert grid.height >= 2 * 32


def test_an_encoder_of_another_kind_starts_anew_and_the_decoder_goes_on(tmp_path: Path) -> None:
    first = train(dvae(), tmp_path / "first", device="cpu", quiet=True)
    cells = {"model.encoder": '"cells"', "model.encoder_width": "16", "model.encoder_blocks": "1"}
    second = train(dvae(**cells, **{"data.init": str(first)}), tmp_path / "second", device="cpu", quiet=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert {name for name in before if name.startswith("decoder.")} == {n for n in after if n.startswith("decoder.")}
    # Two updates move the decoder little; one drawn anew would lie as far from it as it is large.
    name = "decoder.input.weight"
    assert torch.linalg.norm(after[name] - before[name]) < 0.1 * torch.linalg.norm(before[name])
    wider = dvae(**cells, **{"model.decoder_input": "16", "data.init": str(first)})
    with pytest.raises(TrainingError, match="its sizes differ"):
        train(wider, tmp_path / "third", device="cpu", quiet=True)
