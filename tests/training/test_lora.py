"""Low-rank products: nothing at first, everything else frozen, and the same model merged or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limner.errors import RecipeError
from limner.models.dalle.config import DALLEConfig
from limner.models.dalle.model import DALLE
from limner.models.modelfolder import read_folder
from limner.training import loop as loops
from limner.training.footprint import sizes
from limner.training.lora import add_low_rank, merged
from limner.training.recipe import load_recipe
from limner.training.run import train

FEW = {"steps": "6", "batch": "8", "journal_every": "3", "sample_every": "3", "threads": "1", "workers": "0"}
FEW |= {"checkpoint_every": "3", "data.tokenizer_captions": "100"}


def a_model() -> DALLE:
    torch.manual_seed(0)
    return DALLE(
        DALLEConfig(
            text_vocabulary=20, text_length=6, image_vocabulary=16, rows=3, columns=3, width=16, layers=3, heads=2
        )
    )


def test_merged_is_unmerged() -> None:
    model = a_model()
    text, image = torch.randint(0, 20, (2, 6)), torch.randint(0, 16, (2, 9))
    before = model(text, image)[1]
    names = set(model.state_dict())
    add_low_rank(model, 4)
    assert torch.equal(model(text, image)[1], before)
    learnt = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(learnt) == 3 * 4 * 2
    assert all(name.endswith((".up", ".down")) for name in learnt)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in learnt:
                p.normal_(std=0.3)
    after = model(text, image)[1]
    assert (after - before).abs().max() > 0.1
    state = merged(model.state_dict())
    assert set(state) == names
    plain = a_model()
    plain.load_state_dict(state)
    assert torch.allclose(plain(text, image)[1], after, atol=1e-5)


def test_a_model_without_matrices_is_refused() -> None:
    with pytest.raises(RecipeError, match="hidden matrices"):
        add_low_rank(torch.nn.LayerNorm(4), 2)


def test_a_run_from_a_model_moves_only_products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(load_recipe("clip_debug", FEW), tmp_path / "first", device="cpu", quiet=True)
    some = {**FEW, "lora": "2", "data.init": f'"{tmp_path / "first"}"', "learning_rate": "1e-2"}
    recipe = load_recipe("clip_debug", some)
    train(recipe, tmp_path / "whole", device="cpu", quiet=True)

    saves = loops.Loop.save

    def once(self: loops.Loop) -> None:
        saves(self)
        if self.step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(loops.Loop, "save", once)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", device="cpu", quiet=True)
    monkeypatch.setattr(loops.Loop, "save", saves)
    train(recipe, tmp_path / "broken", resume=True, device="cpu", quiet=True)

    first, whole, broken = (
        read_folder(tmp_path / run / "model").model.state_dict() for run in ("first", "whole", "broken")
    )
    assert first.keys() == whole.keys()
    moved = {name for name in first if not torch.equal(first[name], whole[name])}
    assert moved and all(name.endswith(("in_proj_weight", "proj.weight", "c_fc.weight")) for name in moved)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_little_is_kept_for_what_does_not_learn() -> None:
    all_of_it, products = (sizes(load_recipe("dalle_storybook", {"lora": rank})) for rank in ("0", "4"))
    assert products.gradients < 0.05 * all_of_it.gradients
    assert products.moments < 0.1 * all_of_it.moments
