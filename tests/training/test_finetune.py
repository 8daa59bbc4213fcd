"""Fine-tuning: frozen parts stay, what is written draws and looks, and lies between before and after."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from limner.cli.train import draw_samples
from limner.errors import RecipeError, TrainingError
from limner.models.modelfolder import write_folder
from limner.training.export import between, export_run
from limner.training.journal import read_journal
from limner.training.recipe import load_recipe
from limner.training.run import train

SMALL = {"steps": "4", "batch": "8", "warmup_steps": "0", "learning_rate": "1e-2", "precision": "float32"}
SMALL |= {
    "workers": "0",
    "threads": "1",
    "sample_every": "0",
    "data.source": "storybook",
    "data.tokenizer_captions": "300",
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("start") / "run"
    return train(load_recipe("clip_debug", {**SMALL, "steps": "1"}), run, device="cpu", quiet=True)


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "model.safetensors")


def finetune(start: Path, out: Path, **changes: str) -> Path:
    recipe = load_recipe("clip_finetune", {**SMALL, "data.init": str(start), **changes})
    return train(recipe, out, device="cpu", quiet=True)


def test_the_model_lies_between_before_and_after(start: Path, tmp_path: Path) -> None:
    model = finetune(start, tmp_path / "run", interpolate="0.25")
    after = export_run(tmp_path / "run", tmp_path / "after", interpolate=1.0)
    before = export_run(tmp_path / "run", tmp_path / "before", interpolate=0.0)
    first, mixed, last = weights(start), weights(model), weights(after)
    assert all(torch.equal(first[name], tensor) for name, tensor in weights(before).items())
    assert not torch.equal(first["text_projection"], last["text_projection"])
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, 0.75 * first[name] + 0.25 * last[name])
    with pytest.raises(RecipeError, match="0 to 1"):
        export_run(tmp_path / "run", tmp_path / "no", interpolate=1.5)
    with pytest.raises(RecipeError, match="--init"):
        export_run(start.parent, tmp_path / "no", interpolate=0.5)


def test_frozen_parts_stay(start: Path, tmp_path: Path) -> None:
    frozen = '["visual", "transformer.resblocks.0", "token_embedding"]'
    model = finetune(start, tmp_path / "run", **{"training.freeze": frozen, "interpolate": "1.0"})
    first, last = weights(start), weights(model)
    for name, tensor in last.items():
        still = name.startswith(("visual", "transformer.resblocks.0", "token_embedding"))
        assert torch.equal(first[name], tensor) == still, name
    with pytest.raises(RecipeError, match="nonsense"):
        finetune(start, tmp_path / "other", **{"training.freeze": '["nonsense"]'})


def test_a_frozen_resnet_keeps_its_statistics(tmp_path: Path) -> None:
    vision = {"model.vision": "{layers = [1, 1, 1, 1], width = 8}", "model.resolution": "64"}
    recipe = load_recipe("clip_debug", {**SMALL, **vision, "steps": "1"})
    start = train(recipe, tmp_path / "start", device="cpu", quiet=True)
    model = finetune(start, tmp_path / "run", **{"training.freeze": '["visual"]', "interpolate": "1.0"})
    first, last = weights(start), weights(model)
    assert any("running_mean" in name for name in first)
    assert all(torch.equal(first[name], last[name]) for name in first if name.startswith("visual"))


def test_sigmoid_models_keep_their_loss(start: Path, tmp_path: Path) -> None:
    recipe = load_recipe("clip_debug", {"model.logit_bias": "-10.0"})
    torch.manual_seed(0)
    from limner.models.clip.model import CLIP

    write_folder(tmp_path / "siglip", kind="clip", config=recipe.model, state=CLIP(recipe.model).state_dict())
    tuned = load_recipe("clip_finetune", {"data.init": str(tmp_path / "siglip")})
    assert tuned.objective["loss"] == "sigmoid"


def test_other_sizes_are_not_mixed() -> None:
    one, two = {"a": torch.zeros(2), "n": torch.tensor(1)}, {"a": torch.ones(2), "n": torch.tensor(5)}
    mixed = between(one, two, 0.5)
    assert mixed["a"].tolist() == [0.5, 0.5]
    assert mixed["n"] == 5  # a counter
    with pytest.raises(TrainingError, match="sizes"):
        between({"a": torch.zeros(3), "n": torch.tensor(1)}, two, 0.5)


@pytest.mark.parametrize("how", ["frozen", "low rank"])
def test_a_transformer_goes_on_from_a_painters_and_draws(how: str, tmp_path: Path) -> None:
    """As ``limner train dalle --init PAINTER --dvae PAINTER`` does, on other pictures."""
    few = {**SMALL, "checkpoint_every": "2"}
    dvae = train(load_recipe("dvae_debug", {**few, "steps": "1"}), tmp_path / "dvae-run", device="cpu", quiet=True)
    first = {**few, "steps": "1", "data.dvae": str(dvae)}
    dalle = train(load_recipe("dalle_debug", first), tmp_path / "dalle-run", device="cpu", quiet=True)
    painter = tmp_path / "painter"
    for name, folder in (("dvae", dvae), ("dalle", dalle)):
        shutil.copytree(folder, painter / name)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 200 - 20 * i, 90)).save(pictures / f"{i}.png")
        (pictures / f"{i}.txt").write_text(f"shade number {i}")
    choice = {"training.freeze": '["blocks.0.", "blocks.1."]'} if how == "frozen" else {"lora": "4"}
    go = {**few, "steps": "16", "journal_every": "4", "data.init": str(painter), "data.dvae": str(painter), **choice}
    recipe = load_recipe("dalle_debug", {**go, "data.source": str(pictures), "sample_every": "16"})
    model = train(recipe, tmp_path / "run", device="cpu", quiet=True, draw=draw_samples)
    losses = [r["loss"] for r in read_journal(tmp_path / "run/journal.jsonl") if "loss" in r]
    assert losses[-1] < losses[0] - 0.1
    before, after = weights(dalle), weights(model)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    if how == "frozen":
        assert moved == {name for name in before if not name.startswith(("blocks.0.", "blocks.1."))}
    else:
        assert moved == {n for n in before if n.startswith("blocks.") and n.endswith("weight") and before[n].ndim == 2}
    assert (tmp_path / "run/samples/00000016.png").is_file()  # drawn by the averaged weights
