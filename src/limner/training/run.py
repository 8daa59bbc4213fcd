"""A run from start to end: its folder, its recipe, its data, its objective, the loop, the model folder at the end."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from limner import device as devices
from limner import ranks
from limner.config import from_table
from limner.data.crops import Crop
from limner.data.sources import open_source
from limner.errors import RecipeError, TrainingError
from limner.files import make_folder, write_atomically
from limner.training import checkpoint
from limner.training.loop import Loop
from limner.training.objective import Objective
from limner.training.recipe import FREE, Recipe, load_recipe

RECIPE = "recipe.toml"


def train(recipe: Recipe, out: Path, *, resume: bool = False, device: str = "auto", quiet: bool = False) -> Path:
    """Train by ``recipe`` in the run folder ``out``; returns the model folder ``out/model``.

    resume: go on from the newest checkpoint (from the start where there is none yet). ``data.init`` in the recipe names
    a model whose weights training starts from. Raises RecipeError, DataError, TrainingError, FileError, ModelError, and
    loop.Stopped on a signal.
    """
    from limner.training.export import export_run

    _claim(out, recipe, resume)
    chip = devices.pick_device(device)
    devices.set_threads(recipe.training.threads or None)
    make_folder(out)
    checkpoint.tidy(out)
    if ranks.is_first():
        write_atomically(out / RECIPE, recipe.text)
    spec = str(recipe.data.get("source", ""))
    if not spec:
        raise RecipeError("data: expected --data (storybook, a folder or shards), or source in the recipe's [data]")
    size = recipe.model.resolution
    source = open_source(spec, size=size, seed=recipe.training.seed)
    fixed = open_source(spec, size=size, seed=recipe.training.seed, test=True)
    objective = OBJECTIVES[recipe.kind](recipe, source, fixed, out)
    if recipe.data.get("init") and not checkpoint.steps(out):
        start_from(objective, str(recipe.data["init"]))
    Loop(objective, source, recipe.training, out, chip).fit(quiet=quiet)
    return export_run(out, out / "model")


def make_dvae_objective(recipe: Recipe, source: Any, fixed: Any, out: Path) -> Objective:
    """The dVAE's objective by its recipe."""
    from limner.training.objective_dvae import DVAEObjective, DVAESettings, make_dvae

    settings = from_table(DVAESettings, recipe.objective, "objective")
    model = make_dvae(recipe.model, recipe.training.seed)
    crop = Crop("dvae", recipe.model.resolution)
    return DVAEObjective(model, settings, crop, recipe.training.accumulate, recipe.training.seed, fixed)


OBJECTIVES: dict[str, Callable[[Recipe, Any, Any, Path], Objective]] = {"dvae": make_dvae_objective}


def start_from(objective: Objective, name: str) -> None:
    """Put the weights of the model called ``name`` into the objective's model. Raises ModelError, TrainingError."""
    from limner.models.modelfolder import find_model, read_folder

    folder = find_model(name)
    part = folder / objective.kind
    loaded = read_folder(part if part.is_dir() else folder)
    if loaded.kind != objective.kind:
        raise TrainingError(f"--init {name}: expected a {objective.kind} model, got a {loaded.kind}")
    try:
        objective.model.load_state_dict(loaded.model.state_dict())
    except RuntimeError as error:
        why = str(error).splitlines()[-1].strip()
        raise TrainingError(f"--init {name}: its sizes differ from the recipe's: {why}") from error


def read_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run folder. Raises TrainingError."""
    if not (run / RECIPE).is_file():
        raise TrainingError(f"{run}: expected a run folder with {RECIPE}, found none; limner train makes one")
    return load_recipe(run / RECIPE)


def _claim(out: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse a folder that holds another run, or anything else."""
    if (out / RECIPE).is_file():
        if not resume:
            raise TrainingError(f"{out}: a run stands here already; --resume goes on with it, or choose another --out")
        old = read_recipe(out)
        free = {name: getattr(recipe.training, name) for name in FREE}
        if replace(old, training=replace(old.training, **free)).text != recipe.text:
            raise TrainingError(
                f"{out}: --resume: the run's recipe differs from this one: {_difference(old, recipe)}; resume with the "
                f"recipe {out / RECIPE}, or choose another --out"
            )
    elif out.exists() and any(out.iterdir()) and not resume:
        raise TrainingError(f"{out}: expected an empty or new folder, got one with other files; choose another --out")


def _difference(old: Recipe, new: Recipe) -> str:
    flat = [_flat(tomllib.loads(r.text)) for r in (old, new)]
    for key in sorted(flat[0].keys() | flat[1].keys()):
        if key.removeprefix("training.") not in FREE and flat[0].get(key) != flat[1].get(key):
            return f"{key} is {flat[0].get(key)!r} there and {flat[1].get(key)!r} here"
    return "another order of settings"


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            result.update(_flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value
    return result
