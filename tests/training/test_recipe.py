"""Recipes: what is said is what is trained, and what is misspelt is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.errors import ModelError, RecipeError
from limner.models.modelfolder import read_folder
from limner.training.recipe import TrainingSettings, load_recipe, names


def test_every_recipe_that_comes_with_limner_loads_and_survives_a_round_trip(tmp_path: Path) -> None:
    assert {
        "dvae_debug",
        "dalle_debug",
        "clip_debug",
        "dalle_small",
        "dvae_storybook",
        "dalle_storybook",
        "clip_storybook",
    } <= set(names())
    for name in names():
        recipe = load_recipe(name, {"data.init": "storybook"} if name == "clip_finetune" else None)
        file = tmp_path / f"{name}.toml"
        file.write_text(recipe.text, encoding="utf-8")
        assert load_recipe(file) == recipe, name


def test_settings_are_overridden_by_path_and_by_bare_name() -> None:
    recipe = load_recipe("dvae_debug", {"steps": "7", "model.hidden": "32", "data.source": "emoji/*.tar.gz"})
    assert recipe.training.steps == 7
    assert recipe.model.hidden == 32
    assert recipe.data["source"] == "emoji/*.tar.gz"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.learning_rat", "1", "unknown setting 'learning_rat'"),
        ("training.steps", "0", "training.steps: expected 1 or more, got 0"),
        ("training.steps", "many", "expected int, got 'many'"),
        ("training.accumulate", "5", "expected a multiple of training.accumulate = 5, got 16"),
        ("training.schedule", "sine", "expected one of 'constant'"),
        ("training.ema_decay", "1.5", "expected 0 to 1, got 1.5"),
        ("training.learning_rate", "-1.0", "expected a rate above 0"),
        ("model.hidden", "0", "hidden: expected 1 or more"),
        ("trainng.steps", "1", "expected the tables model, training"),
    ],
)
def test_wrong_settings_are_named(key: str, value: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("dvae_debug", {key: value})
    assert message in str(error.value)


def test_another_kind_or_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="expected a recipe of kind clip, got dvae"):
        load_recipe("dvae_debug", kind="clip")
    with pytest.raises(RecipeError, match=r"one of .*dvae_debug.*got 'dvae_debg'"):
        load_recipe("dvae_debg")
    broken = tmp_path / "broken.toml"
    broken.write_text("[model\n")
    with pytest.raises(RecipeError, match="expected TOML"):
        load_recipe(broken)
    with pytest.raises(RecipeError, match="readable recipe"):
        load_recipe(tmp_path / "none.toml")


def test_the_defaults_need_three_numbers() -> None:
    assert TrainingSettings(steps=1, batch=1, learning_rate=0.1).keep == 2


def test_fine_tuning_takes_its_sizes_from_the_model_it_starts_from() -> None:
    recipe = load_recipe("clip_finetune", {"data.init": "storybook", "steps": "7"})
    assert recipe.model == read_folder("storybook/clip").config
    assert 0 < recipe.training.interpolate < 1
    with pytest.raises(RecipeError, match="--init MODEL"):
        load_recipe("clip_finetune")
    with pytest.raises(ModelError, match="nobody"):
        load_recipe("clip_finetune", {"data.init": "nobody"})
    with pytest.raises(RecipeError, match="interpolate"):
        load_recipe("clip_debug", {"interpolate": "0.5"})
    for key, value in (("layer_decay", "0"), ("layer_decay", "1.5"), ("interpolate", "-1"), ("interpolate", "2")):
        with pytest.raises(RecipeError, match=key):
            load_recipe("clip_finetune", {"data.init": "storybook", key: value})
