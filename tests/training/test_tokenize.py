"""Image tokens computed once are those that the loop would have computed, and know their dVAE."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limner.data.pair import Broken
from limner.data.sources import DataOptions, open_data
from limner.errors import DataError, InputError
from limner.models.dvae.model import DVAE
from limner.models.modelfolder import write_folder
from limner.training.build import build, weights_hash
from limner.training.journal import read_journal
from limner.training.recipe import load_recipe
from limner.training.run import train
from limner.training.tokenize import tokenize


def a_dvae(path: Path, seed: int = 0) -> Path:
    config = load_recipe("dvae_debug").model
    torch.manual_seed(seed)
    return write_folder(path, kind="dvae", config=config, state=DVAE(config).state_dict())


def test_stored_codes_are_the_loops(tmp_path: Path) -> None:
    dvae = a_dvae(tmp_path / "dvae")
    about = tokenize("storybook", str(dvae), tmp_path / "codes", count=20, device="cpu")
    assert about["pairs"] == 20
    options = DataOptions(size=32, codes=True, dvae=weights_hash(dvae), test_share=0.0)
    stored = open_data(str(tmp_path / "codes"), options).train
    recipe = load_recipe("dalle_debug", {"data.dvae": f'"{dvae}"', "data.tokenizer_captions": "50"})
    (tmp_path / "run").mkdir()
    objective = build(recipe, tmp_path / "run").objective
    drawn = open_data("storybook", DataOptions(size=32)).train
    broken: list[Broken] = []
    for position in range(20):
        pair = stored.at(position, broken)
        original = drawn.at(int(pair.key), broken)
        assert pair.caption == original.caption
        batch = objective.collate([original], [int(pair.key)])
        assert torch.equal(objective.codes(batch).view(8, 8), torch.from_numpy(pair.codes))  # type: ignore[attr-defined]
    assert not broken


def test_dalle_trains_on_stored_codes(tmp_path: Path) -> None:
    dvae = a_dvae(tmp_path / "dvae")
    tokenize("storybook", str(dvae), tmp_path / "codes", count=60, crops=2, device="cpu")
    assert (
        len(open_data(str(tmp_path / "codes"), DataOptions(size=32, codes=True, dvae=weights_hash(dvae))).train.items)
        > 100
    )  # type: ignore[attr-defined]
    changes = {
        "data.source": f'"{tmp_path / "codes"}"',
        "data.dvae": f'"{dvae}"',
        "data.tokenizer_captions": "50",
        "steps": "8",
        "journal_every": "4",
        "sample_every": "8",
        "threads": "1",
    }
    train(load_recipe("dalle_debug", changes), tmp_path / "run", device="cpu", quiet=True)
    first, last = (r for r in read_journal(tmp_path / "run/journal.jsonl") if "loss" in r)
    assert last["loss"] < first["loss"]


def test_codes_of_another_dvae_are_refused(tmp_path: Path) -> None:
    dvae, other = a_dvae(tmp_path / "dvae"), a_dvae(tmp_path / "other", seed=1)
    tokenize("storybook", str(dvae), tmp_path / "codes", count=5, device="cpu")
    changes = {"data.source": f'"{tmp_path / "codes"}"', "data.dvae": f'"{other}"'}
    with pytest.raises(DataError, match=r"these codes were made by the dVAE .*tokenize again"):
        train(load_recipe("dalle_debug", changes), tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(DataError, match="no picture"):  # a CLIP sees pictures
        open_data(f"{tmp_path}/codes/*.tar", DataOptions(size=32))


def test_what_cannot_be_tokenized_is_one_line(tmp_path: Path) -> None:
    dvae = str(a_dvae(tmp_path / "dvae"))
    with pytest.raises(InputError, match="the storybook has no end"):
        tokenize("storybook", dvae, tmp_path / "codes", device="cpu")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="new or empty folder"):
        tokenize("storybook", dvae, tmp_path / "full", count=1, device="cpu")
    assert not (tmp_path / "codes").exists()
