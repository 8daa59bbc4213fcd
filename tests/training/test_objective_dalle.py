"""What DALL·E trains on: rows with dropout by position, tokens of a frozen dVAE that travels with the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.data.crops import Crop
from limner.data.pair import Pair
from limner.errors import ModelError, RecipeError, TrainingError
from limner.text.bytepairs import BytePairs
from limner.training.build import build
from limner.training.objective_dalle import DALLECollate, DALLESettings
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


def test_codes_are_untold_by_position_alone(tokenizer: BytePairs) -> None:
    collate = DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5, unseen=0.5, cells=100)
    told = collate([pair("a ball")] * 200, list(range(200)))["told"]
    shares = told.float().mean(1)
    assert 70 < int((shares == 1).sum()) < 130 and 0.4 < float(shares[shares < 1].mean()) < 0.6
    assert torch.equal(collate([pair("a ball")] * 3, [70, 71, 72])["told"], told[70:73])
    assert "told" not in DALLECollate(Crop("dalle", 32), tokenizer, 24, seed=5)([pair("a ball")], [0])


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"objective\.unseen: expected 0 to 1"):
        DALLESettings(unseen=1.5)


def test_a_run_with_untold_codes_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    dvae = dvae_run(tmp_path / "dvae")
    few = {"batch": "4", "workers": "0", "threads": "1", "sample_every": "0", "checkpoint_every": "1", "steps": "2"}
    few |= {"data.dvae": str(dvae), "data.tokenizer_captions": "50", "decay_steps": "1", "warmup_steps": "0"}
    few |= {"objective.unseen": "0.5", "model.text_before": "2", "model.code_levels": "[8, 8]"}
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
    plain = {**few, "data.source": "storybook", "steps": "1", "model.text_before": "0"}
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
