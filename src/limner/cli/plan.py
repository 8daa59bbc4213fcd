"""``limner plan``: what a recipe needs, told before anything is allocated."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from limner.cli.common import Json, emit, human, table


def plan(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a path ending in .toml.")],
    setting: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer on Python 3.11
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting: training.batch=64, model.width=256, …"),
    ] = None,
    json: Json = False,
) -> None:
    """Tell a recipe's parameters, memory and operations; the model is built without its weights."""
    from limner.errors import RecipeError
    from limner.training.recipe import load_recipe

    overrides = dict(item.partition("=")[::2] for item in setting or [])
    if not all(overrides.values()):
        raise RecipeError(f"--set: expected KEY=VALUE, got {(setting or [])[-1]!r}")
    answer = _plan(load_recipe(recipe, overrides))
    rows: list[tuple[object, ...]] = [("recipe", answer["recipe"]), ("kind", answer["kind"])]
    rows += [("parameters", f"{answer['parameters']:,}")]
    rows += [(f"  {part}", f"{count:,}") for part, count in answer["parts"].items()]
    rows += [(f"memory: {what}", human(size)) for what, size in answer["memory"].items()]
    rows += [("operations, one sample forward", human(answer["operations_per_sample"], "FLOP"))]
    rows += [("operations, whole training", human(answer["operations_of_training"], "FLOP"))]
    emit(answer, json, table(rows))


def _plan(recipe: Any) -> dict[str, Any]:
    import torch

    from limner.models.modelfolder import classes

    with torch.device("meta"):
        model = classes(recipe.kind)[1](recipe.model)
    parts = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
    own = {name: p.numel() for name, p in model.named_parameters(recurse=False)}
    parameters = sum(p.numel() for p in model.parameters())
    settings = recipe.training
    operations = _operations(recipe, model)
    moments = 2 if settings.optimizer == "adamw" else 1
    return {
        "recipe": recipe.name,
        "kind": recipe.kind,
        "parameters": parameters,
        "parts": {name: count for name, count in (parts | own).items() if count},
        "memory": {
            "weights in float16": 2 * parameters,
            "weights in float32": 4 * parameters,
            # Weights, gradients, the optimiser's moments and the average; activations come on top.
            "training without activations": 4 * parameters * (2 + moments + (settings.ema_decay > 0)),
        },
        "operations_per_sample": operations,
        # Backward takes twice the products of forward.
        "operations_of_training": 3 * operations * settings.batch * settings.steps,
        "batch": settings.batch,
        "steps": settings.steps,
    }


def _operations(recipe: Any, model: Any) -> int:
    """Multiplications and additions of one sample's forward pass, counted by torch on tensors without data."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    config = recipe.model
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        if recipe.kind == "dalle":
            text = torch.zeros(1, config.text_length, dtype=torch.long)
            model(text, torch.zeros(1, config.layout.image, dtype=torch.long))
        elif recipe.kind == "clip":
            model.encode_image(torch.zeros(1, 3, *config.size))
            model.encode_text(torch.zeros(1, config.text.context, dtype=torch.long), cut=False)
        else:
            model(torch.zeros(1, 3, config.resolution, config.resolution))
    return int(counter.get_total_flops())
