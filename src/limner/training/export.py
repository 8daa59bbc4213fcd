"""A run's averaged weights as a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limner.config import from_table
from limner.errors import RecipeError, TrainingError
from limner.models.modelfolder import TOKENIZER, classes, read_folder, write_folder
from limner.models.names import part_folder
from limner.training import checkpoint
from limner.training.journal import read_journal
from limner.training.lora import merged
from limner.training.recipe import RECIPE, Recipe, read_recipe

State = dict[str, torch.Tensor]


def export_run(
    run: Path, out: Path, *, step: int | None = None, half: bool = False, interpolate: float | None = None
) -> Path:
    """Write the averaged weights of a run's newest checkpoint (or of ``step``) as a model folder at ``out``.

    interpolate: their share, 0 to 1, beside the weights of the model that the run started from; None is as the recipe
    says. Raises RecipeError (a share outside, a run without such a model), TrainingError (no run, no checkpoint,
    damaged), ModelError, FileError.
    """
    recipe = read_recipe(run)
    found = checkpoint.steps(run)
    if not found:
        raise TrainingError(f"{run}: expected a run with a checkpoint, found none yet; train on with --resume")
    if step is not None and step not in found:
        raise TrainingError(f"{run}: expected one of the steps {', '.join(map(str, found))}, got {step}")
    saved = checkpoint.load_checkpoint(run, found[-1] if step is None else step)
    tokenizer = None
    if (run / TOKENIZER).is_file():
        from limner.text.tokenizer import load_tokenizer

        tokenizer = load_tokenizer(run / TOKENIZER)
    records = [r for r in read_journal(run / "journal.jsonl") if "loss" in r]
    facts = {
        "recipe": recipe.name,
        "recipe_text": (run / RECIPE).read_text(encoding="utf-8"),
        "steps": saved.step,
        "pictures": saved.step * recipe.training.batch,
        "data": recipe.data.get("source"),
    }
    if records:
        facts["last"] = {k: v for k, v in records[-1].items() if k not in ("rate", "seconds", "broken", "broken_names")}
    state = merged({**saved.load("weights"), **saved.load("average")})
    share = recipe.training.interpolate if interpolate is None else interpolate
    if share != 1.0:
        state = between(_first_state(recipe, run), state, share)
        facts["interpolate"] = share
    config: Any = recipe.model
    if "config" in saved.facts:  # sizes that the data decided
        config = from_table(classes(recipe.kind)[0], saved.facts["config"], f"{run}: config")
    return write_folder(out, kind=recipe.kind, config=config, state=state, tokenizer=tokenizer, facts=facts, half=half)


def between(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], share: float) -> State:
    """Weights ``share`` of the way from ``before`` to ``after`` (WiSE-FT, arXiv 2109.01903); counters are ``after``'s.

    Raises RecipeError for a share outside 0 to 1, TrainingError where the two have other weights.
    """
    if not 0.0 <= share <= 1.0:
        raise RecipeError(f"interpolate: expected a share of 0 to 1, got {share}")
    if {n: t.shape for n, t in before.items()} != {n: t.shape for n, t in after.items()}:
        raise TrainingError("interpolate: expected the weights that training began with, got a model of other sizes")
    mixed = {}
    for name, tensor in after.items():
        whole = tensor.is_floating_point()
        mixed[name] = torch.lerp(before[name].to(tensor.dtype), tensor, share) if whole else tensor
    return mixed


def _first_state(recipe: Recipe, run: Path) -> State:
    init = recipe.data.get("init")
    if not init:
        raise RecipeError(f"{run}: interpolate: expected a run that began with --init, got one that did not")
    return read_folder(part_folder(str(init), recipe.kind)).model.state_dict()
