"""The nine published sizes, to the last parameter, and what configs refuse."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from limner.config import from_table, to_table
from limner.errors import RecipeError
from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.clip.model import CLIP
from limner.training.recipe import load_recipe

# Name: total, vision tower, places of the vision tower's last grid; counted on OpenAI's own model class.
PUBLISHED = {
    "rn50": (102_007_137, 38_316_896, 49),
    "rn101": (119_688_033, 56_259_936, 49),
    "rn50x4": (178_300_601, 87_137_080, 81),
    "rn50x16": (290_979_217, 167_328_912, 144),
    "rn50x64": (623_258_305, 420_380_352, 196),
    "vit_b32": (151_277_313, 87_849_216, 49),
    "vit_b16": (149_620_737, 86_192_640, 196),
    "vit_l14": (427_616_513, 303_966_208, 256),
    "vit_l14_336": (427_944_193, 304_293_888, 576),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    config = load_recipe(f"clip_{name}", kind="clip").model
    with torch.device("meta"):
        model = CLIP(config)
    total, visual, places = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) == total
    assert sum(p.numel() for p in model.visual.parameters()) == visual
    assert config.grid[0] * config.grid[1] == places


@pytest.mark.parametrize("name", ["rn50x4", "vit_l14"])
def test_config_survives_its_table(name: str) -> None:
    config = load_recipe(f"clip_{name}").model
    assert from_table(CLIPConfig, to_table(config)) == config


def test_misspelt_setting_is_named() -> None:
    table = to_table(load_recipe("clip_vit_b32").model)
    table["vision"]["pach"] = 32
    with pytest.raises(RecipeError, match="'pach'"):
        from_table(CLIPConfig, table)


TEXT = TextConfig(vocabulary=20, context=8, width=16, layers=1, heads=2)
VIT = ViTConfig(layers=1, width=16, patch=8, heads=2)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: dataclasses.replace(VIT, heads=3), "heads"),
        (lambda: dataclasses.replace(VIT, patch=0), "patch"),
        (lambda: dataclasses.replace(TEXT, heads=0), "heads"),
        (lambda: dataclasses.replace(TEXT, pool="eos"), "eos_id"),
        (lambda: ResNetConfig(layers=(1, 0, 1, 1), width=64), "layers"),
        (lambda: ResNetConfig(layers=(1, 1, 1, 1), width=5), "width"),
        (lambda: CLIPConfig(embedding=8, resolution=7, vision=VIT, text=TEXT), "resolution"),
        (lambda: CLIPConfig(embedding=0, resolution=16, vision=VIT, text=TEXT), "embedding"),
    ],
)
def test_impossible_sizes_are_refused(make, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        make()
