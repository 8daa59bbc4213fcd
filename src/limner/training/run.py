"""A run from start to end: its folder, its recipe, its data, its objective, the loop, the model folder at the end."""

from __future__ import annotations

import contextlib
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner import device as devices
from limner import ranks
from limner.errors import LimnerError, TrainingError
from limner.files import make_folder, write_atomically
from limner.models.modelfolder import TOKENIZER
from limner.training import checkpoint, parallel
from limner.training.build import build
from limner.training.loop import Loop
from limner.training.recipe import FREE, RECIPE, Recipe, read_recipe

if TYPE_CHECKING:
    from limner.training.objective_dalle import Draw


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    quiet: bool = False,
    draw: Draw | None = None,
) -> Path:
    """Train by ``recipe`` in the run folder ``out``; returns the model folder ``out/model``.

    resume: go on from the newest checkpoint (from the start where there is none yet). ``data.init`` of the recipe
    names a model whose weights training starts from. draw: how DALL·E's sample grids are drawn. Raises RecipeError,
    DataError, TrainingError, FileError, ModelError, and loop.Stopped on a signal.
    """
    from limner.training.export import export_run

    chip = devices.pick_device(device)
    devices.set_threads(recipe.training.threads or None)
    with parallel.connected(chip):
        if ranks.is_first():
            _claim(out, recipe, resume or parallel.restarted())
            make_folder(out)
            checkpoint.tidy(out)
            write_atomically(out / RECIPE, recipe.text)
        ranks.wait(f"{out}: the first process makes the run folder")
        try:
            built = build(recipe, out, draw)
        except LimnerError:
            if ranks.is_first():
                _unclaim(out)
            raise
        Loop(built, recipe.training, out, chip).fit(quiet=quiet or not ranks.is_first())
        if ranks.is_first():
            export_run(out, out / "model")
        ranks.wait(f"{out}: the first process writes the model")
    return out / "model"


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


def _unclaim(out: Path) -> None:
    """Take away what a start leaves that came to nothing (a mistyped path), so that the next one finds no run here."""
    if (out / "journal.jsonl").exists() or checkpoint.steps(out):
        return
    for name in (RECIPE, TOKENIZER):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "dvae", ignore_errors=True)
    with contextlib.suppress(OSError):  # somebody's other files
        out.rmdir()


def _difference(old: Recipe, new: Recipe) -> str:
    if old.kind != new.kind:  # all else differs then too
        return f"kind is {old.kind!r} there and {new.kind!r} here"
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
