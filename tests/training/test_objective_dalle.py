"""What DALL·E trains on: rows with dropout by position, tokens of a frozen dVAE that travels with the run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.data.crops import Crop
from limner.data.pair import Pair
from limner.errors import ModelError, RecipeError
from limner.text.bytepairs import BytePairs
from limner.training.build import build
from limner.training.objective_dalle import DALLECollate
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
