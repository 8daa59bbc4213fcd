"""A run's averaged weights as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limner.config import from_table
from limner.errors import TrainingError
from limner.models.modelfolder import TOKENIZER, classes, write_folder
from limner.training import checkpoint
from limner.training.journal import read_journal
from limner.training.recipe import RECIPE, read_recipe


def export_run(run: Path, out: Path, *, step: int | None = None, half: bool = False) -> Path:
    """Write the averaged weights of a run's newest checkpoint (or of ``step``) as a model folder at ``out``.

    Raises TrainingError (no run, no checkpoint, damaged), ModelError, FileError.
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
    state = {**saved.load("weights"), **saved.load("average")}
    config: Any = recipe.model
    if "config" in saved.facts:  # sizes that the data decided
        config = from_table(classes(recipe.kind)[0], saved.facts["config"], f"{run}: config")
    return write_folder(out, kind=recipe.kind, config=config, state=state, tokenizer=tokenizer, facts=facts, half=half)
