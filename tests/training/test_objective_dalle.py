"""What DALL·E trains on: rows with dropout by position, tokens of a frozen dVAE that travels with the run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.data.crops import Crop
from limner.data.pair import Pair
from limner.errors import ModelError, RecipeError, TrainingError
from limner.storybook.scene import Scene, Thing
from limner.text.bytepairs import BytePairs
from limner.training.build import build
from limner.training.objective_dalle import DALLECollate, DALLESettings, shifted
from limner.training.recipe import load_recipe
from limner.training.run import train


@pytest.fixture(scope="module")
def tokenizer() -> BytePairs:
    return BytePairs.train(["a red cube left of a blue ball", "two green stars"] * 20, 290)


def pair(caption: str) -> Pair:
    return Pair(np.zeros((32, 32, 3), np.uint8), caption, caption)


def test_captions_are_dropped_at_their_rate_by_position_alone(tokenizer: BytePairs) -> None:
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5, caption_dropout=0.25)
    pairs = [pair("a red cube")] * 400
    positions = list(range(400))
    text = collate(pairs, positions)["text"]
    empty = (text == torch.from_numpy(tokenizer.row([""], 24))).all(dim=1)
    assert 70 < int(empty.sum()) < 130
    again = collate(pairs[:10], positions[200:210])["text"]
    assert torch.equal(again, text[200:210])


def test_merges_are_dropped_but_the_words_stay(tokenizer: BytePairs) -> None:
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 40, seed=5, bpe_dropout=0.5)
    rows = [collate.row("two green stars", i)[0] for i in range(20)]
    assert len({tuple(r) for r in rows}) > 5
    assert {tokenizer.decode([int(i) for i in r]) for r in rows} == {"two green stars"}


def test_wrong_captions_lie_beside_the_right_ones(tokenizer: BytePairs) -> None:
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5, wrong=True)
    scene = Scene("single", (Thing("cube", "red"),))
    pairs = [
        replace(pair("a red cube"), scene=scene, wrong="a blue cube"),
        replace(pair("a red cube"), scene=scene),  # nothing is near enough
        pair("two stars"),
        pair("a ball"),
    ]
    rows = collate(pairs, [0, 1, 2, 3])["wrong"]
    said = [tokenizer.decode([int(i) for i in row]) for row in rows]
    assert said == ["a blue cube", "a red cube", "a ball", "two stars"]
    dropped = replace(collate, caption_dropout=1.0)(pairs, [0, 1, 2, 3])
    assert torch.equal(dropped["wrong"], dropped["text"])


def test_codes_are_untold_by_position_alone(tokenizer: BytePairs) -> None:
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5, unseen=0.5, cells=100)
    told = collate([pair("a ball")] * 200, list(range(200)))["told"]
    shares = told.float().mean(1)
    assert 70 < int((shares == 1).sum()) < 130 and 0.4 < float(shares[shares < 1].mean()) < 0.6
    assert torch.equal(collate([pair("a ball")] * 3, [70, 71, 72])["told"], told[70:73])
    assert "told" not in DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5)([pair("a ball")], [0])


def test_digits_are_moved_by_a_level_and_stay_codes(tokenizer: BytePairs) -> None:
    levels = (4, 3, 2)
    codes = torch.arange(24)
    off = torch.zeros(24, 3, dtype=torch.int8)
    assert torch.equal(shifted(codes, off, levels), codes)
    off[:, 1] = 1  # the middle digit of 0 .. 2, worth 4
    assert torch.equal(shifted(codes, off, levels), torch.where(codes // 4 % 3 < 2, codes + 4, codes))
    off[:] = -1
    lowest = shifted(codes, off, levels)
    assert int(lowest.min()) == 0 and int(lowest[23]) == 2 + 1 * 4 + 0 * 12
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5, jitter=0.3, cells=100, levels=levels)
    shift = collate([pair("a ball")] * 40, list(range(40)))["shift"]
    assert shift.shape == (40, 100, 3) and set(shift.unique().tolist()) == {-1, 0, 1}
    assert 0.27 < float((shift != 0).float().mean()) < 0.33
    assert torch.equal(collate([pair("a ball")] * 2, [8, 9])["shift"], shift[8:10])


@pytest.mark.parametrize("setting", ["contrast=-1", "unseen=1.5", "jitter=-0.1"])
def test_odd_settings_are_refused(setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(RecipeError, match=f"objective.{name}: expected 0"):
        DALLESettings(**{name: float(value)})


def test_a_run_with_contrast_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    dvae = dvae_run(tmp_path / "dvae")
    few = {"batch": "4", "workers": "0", "threads": "1", "sample_every": "0", "checkpoint_every": "1", "steps": "2"}
    few |= {"data.dvae": str(dvae), "data.tokenizer_captions": "50", "decay_steps": "1", "warmup_steps": "0"}
    few |= {"objective.contrast": "4", "objective.unseen": "0.5", "model.text_before": "2"}
    odd = load_recipe("dalle_debug", {**few, "data.source": "storybook", "objective.jitter": "0.3"})
    with pytest.raises(RecipeError, match="expected codes with digits"):
        train(odd, tmp_path / "odd", device="cpu", quiet=True)
    few |= {"model.code_levels": "[8, 8]", "objective.jitter": "0.3"}
    first = train(
        load_recipe("dalle_debug", {**few, "data.source": "storybook"}), tmp_path / "whole", device="cpu", quiet=True
    )
    train(
        load_recipe("dalle_debug", {**few, "data.source": "storybook", "steps": "1"}),
        tmp_path / "parts",
        device="cpu",
        quiet=True,
    )
    shutil.rmtree(tmp_path / "parts" / "model")
    again = load_recipe("dalle_debug", {**few, "data.source": "storybook"})
    resumed = train(again, tmp_path / "parts", device="cpu", quiet=True, resume=True)
    assert (first / "model.safetensors").read_bytes() == (resumed / "model.safetensors").read_bytes()
    # One without the tokens before may start from one with none of them, never the other way round.
    plain = {**few, "data.source": "storybook", "steps": "1", "model.text_before": "0", "objective.contrast": "0"}
    old = train(load_recipe("dalle_debug", plain), tmp_path / "plain", device="cpu", quiet=True)
    train(
        load_recipe("dalle_debug", {**few, "data.source": "storybook", "data.init": str(old)}),
        tmp_path / "on",
        device="cpu",
        quiet=True,
    )
    with pytest.raises(TrainingError, match="its sizes differ"):
        train(
            load_recipe("dalle_debug", {**plain, "data.init": str(first)}), tmp_path / "off", device="cpu", quiet=True
        )


def dvae_run(folder: Path) -> Path:
    recipe = load_recipe(
        "dvae_debug", {"steps": "1", "batch": "4", "workers": "0", "sample_every": "0", "threads": "1"}
    )
    train(recipe, folder, device="cpu", quiet=True)
    return folder


def test_the_run_keeps_its_own_dvae_and_vocabulary(tmp_path: Path) -> None:
    dvae = dvae_run(tmp_path / "dvae")
    recipe = load_recipe(
        "dalle_debug", {"data.dvae": f'"{dvae}"', "data.tokenizer_captions": "50", "model.text_vocabulary": "5000"}
    )
    (tmp_path / "run").mkdir()
    built = build(recipe, tmp_path / "run")
    assert built.config.text_vocabulary < 5000  # fifty captions have no 5,000 words
    assert (tmp_path / "run/dvae/model.safetensors").read_bytes() == (dvae / "model/model.safetensors").read_bytes()
    about = json.loads((tmp_path / "run/dvae/config.json").read_text())
    assert about["kind"] == "dvae"


def test_a_dvae_with_another_grid_is_refused(tmp_path: Path) -> None:
    dvae = dvae_run(tmp_path / "dvae")
    recipe = load_recipe("dalle_debug", {"data.dvae": f'"{dvae}"', "model.rows": "4"})
    (tmp_path / "run").mkdir()
    with pytest.raises(ModelError, match="expects a grid of 4 x 8 codes of 64, got 8 x 8 of 64"):
        build(recipe, tmp_path / "run")


def test_without_a_dvae_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="name a dVAE"):
        build(load_recipe("dalle_debug"), tmp_path)
