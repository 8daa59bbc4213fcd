"""``limner plan``: what a recipe needs, told before anything is allocated."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from limner.cli.common import Json, emit, human, table


def plan(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a path ending in .toml.")],
    gpus: Annotated[
        int, typer.Option(min=0, help="Devices that share weights and batch; 0: one, with the recipe's own parts.")
    ] = 0,
    memory: Annotated[
        str, typer.Option(help="Of each device, such as 80GB: the largest part of a batch that fits is told.")
    ] = "",
    rate: Annotated[float, typer.Option(min=0.001, help="TFLOP/s that a device sustains.")] = 125.0,
    setting: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer on Python 3.11
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting: training.batch=64, model.width=256, …"),
    ] = None,
    json: Json = False,
) -> None:
    """Tell a recipe's parameters, memory and operations; a step of it is run on tensors without data."""
    from limner.errors import RecipeError
    from limner.training.plan import parse_bytes
    from limner.training.plan import plan as make
    from limner.training.recipe import load_recipe

    overrides = dict(item.partition("=")[::2] for item in setting or [])
    if not all(overrides.values()):
        raise RecipeError(f"--set: expected KEY=VALUE, got {(setting or [])[-1]!r}")
    resolved = load_recipe(recipe, overrides)
    found = make(resolved, gpus, parse_bytes(memory) if memory else 0, rate * 1e12)
    answer = _parts(resolved) | found
    rows: list[tuple[object, ...]] = [("recipe", answer["recipe"]), ("kind", answer["kind"])]
    rows += [("parameters", f"{answer['parameters']:,}")]
    rows += [(f"  {part}", f"{count:,}") for part, count in answer["parts"].items()]
    rows += [(f"memory: {what}", human(size)) for what, size in answer["memory"].items()]
    if resolved.kind == "dalle":
        answer["cache"] = cache_of_a_picture(resolved.model)
        kept, whole = answer["cache"]["patterned"], answer["cache"]["whole"]
        rows += [("cache of a picture while drawing, bf16", f"{human(kept)} ({human(whole)} if all keys were kept)")]
    on = f"each of {gpus} devices" if gpus else "one device"
    for share in answer["devices"]:
        how = "recomputed" if share["recompute"] else "kept"
        rows += [(f"{on}, activations {how}", f"{human(share['peak'])} at most, {share['pictures']} pictures at once")]
        parts = ("states", "gradients", "gathered", "activations")
        rows += [(f"  {part}", human(share[part])) for part in parts if share[part]]
    for recompute in {False, True} - {share["recompute"] for share in answer["devices"]}:
        rows += [(f"{on}, activations {'recomputed' if recompute else 'kept'}", f"not one picture fits {memory}")]
    rows += [("operations, one sample forward", human(answer["operations_per_sample"], "FLOP"))]
    rows += [("operations, an update", human(answer["operations_per_step"], "FLOP"))]
    rows += [("operations, whole training", human(answer["operations_of_training"], "FLOP"))]
    days = f"{answer['days']:.3g} days (recomputed {answer['days_recomputed']:.3g})"
    rows += [(f"{answer['steps']:,} updates of {answer['batch']:,} at {rate:g} TFLOP/s a device", days)]
    emit(answer, json, table(rows))


def cache_of_a_picture(config: Any) -> dict[str, int]:
    """Bytes of one picture's image keys and values in bf16: those that its layers' patterns still see, and all."""
    from limner.sampling.cache import slots_kept

    each = 2 * 2 * config.width
    layout = config.layout
    return {
        "patterned": each * slots_kept(config.patterns, layout),
        "whole": each * config.layers * (layout.text + layout.image),
    }


def _parts(recipe: Any) -> dict[str, Any]:
    import torch

    from limner.models.modelfolder import classes

    with torch.device("meta"):
        model = classes(recipe.kind)[1](recipe.model)
    parts = {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}
    own = {name: p.numel() for name, p in model.named_parameters(recurse=False)}
    return {
        "recipe": recipe.name,
        "kind": recipe.kind,
        "parameters": sum(p.numel() for p in model.parameters()),
        "parts": {name: count for name, count in (parts | own).items() if count},
        "batch": recipe.training.batch,
        "steps": recipe.training.steps,
    }
