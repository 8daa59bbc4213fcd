"""Each weight's share of the learning rate, by how deep it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limner.models.modelfolder import classes
from limner.training.layerwise import layer_shares
from limner.training.optimizer import Optimizer
from limner.training.recipe import TrainingSettings, load_recipe


def shares(name: str, decay: float = 0.5) -> dict[str, float]:
    recipe = load_recipe(name)
    with torch.device("meta"):
        return layer_shares(classes(recipe.kind)[1](recipe.model), decay)


def test_a_vision_transformers_and_a_text_towers_layers() -> None:
    found = shares("clip_debug")  # two blocks in either tower
    for tower, first, last in (
        (
            "visual.",
            ("class_embedding", "positional_embedding", "conv1.weight", "ln_pre.bias"),
            ("ln_post.bias", "proj"),
        ),
        ("", ("token_embedding.weight", "positional_embedding"), ("ln_final.bias", "text_projection", "logit_scale")),
    ):
        assert {found[tower + name] for name in first} == {0.125}
        assert {found[tower + name] for name in last} == {1.0}
        assert found[f"{tower}transformer.resblocks.0.attn.in_proj_weight"] == 0.25
        assert found[f"{tower}transformer.resblocks.1.ln_2.bias"] == 0.5


def test_a_resnets_stages_follow_each_other() -> None:
    found = shares("clip_rn50")
    assert found["visual.conv1.weight"] == found["visual.bn3.bias"] == 0.5**17
    assert found["visual.layer1.0.conv1.weight"] == 0.5**16
    assert found["visual.layer2.0.conv1.weight"] == 0.5**13
    assert found["visual.layer4.2.bn3.weight"] == 0.5
    assert found["visual.attnpool.positional_embedding"] == found["visual.attnpool.q_proj.weight"] == 1.0


@pytest.mark.parametrize("name", ["dalle_debug", "dvae_debug"])
def test_other_models_have_layers_too(name: str) -> None:
    assert len(set(shares(name).values())) >= 4
    assert set(shares(name, 1.0).values()) == {1.0}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_optimizer_moves_deep_weights_less(optimizer: str) -> None:
    recipe = load_recipe("clip_debug")
    settings = TrainingSettings(steps=1, batch=1, learning_rate=1e-3, weight_decay=0.0, optimizer=optimizer)  # type: ignore[arg-type]
    moved = {}
    for decay in (1.0, 0.5):
        torch.manual_seed(0)
        model = classes("clip")[1](recipe.model)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        Optimizer(model, replace(settings, layer_decay=decay)).step(1.0)
        moved[decay] = {name: float((p.detach() - before[name]).norm()) for name, p in model.named_parameters()}
    for name, share in shares("clip_debug").items():
        assert moved[0.5][name] == pytest.approx(share * moved[1.0][name], rel=0.02), name
