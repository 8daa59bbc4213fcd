"""``limner train``: one command for three kinds of model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

INTERRUPTED, TERMINATED = 130, 143


def train(
    kind: Annotated[str, typer.Argument(help="dvae, dalle or clip")],
    recipe: Annotated[str, typer.Option(help="a recipe's name, or a path ending in .toml")],
    out: Annotated[Path, typer.Option(help="the run folder: journal, checkpoints, samples, and model/ at the end")],
    data: Annotated[
        Optional[str],  # noqa: UP045 - typer on Python 3.11
        typer.Option(help="storybook, a folder of pictures, shards, or a mixture (emoji/*.tar.gz*2,storybook)"),
    ] = None,
    dvae: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="for dalle: the dVAE that makes image tokens, a model or a run"),
    ] = None,
    init: Annotated[Optional[str], typer.Option(help="a model whose weights training starts from")] = None,  # noqa: UP045
    steps: Annotated[Optional[int], typer.Option(help="updates of the weights", min=1)] = None,  # noqa: UP045
    checkpoint_every: Annotated[Optional[int], typer.Option(help="steps between checkpoints", min=1)] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="of weights, data and noise")] = None,  # noqa: UP045
    threads: Annotated[Optional[int], typer.Option(help="cores that compute; one more draws", min=1)] = None,  # noqa: UP045
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in --out, if there is one")] = False,
    setting: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="another setting: learning_rate=1e-3, model.width=256, …"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress bar")] = False,
) -> None:
    """Train a dVAE, a DALL·E transformer or a CLIP; stop with Ctrl-C, go on with --resume."""
    from limner import ranks
    from limner.errors import RecipeError
    from limner.training.loop import Stopped
    from limner.training.recipe import load_recipe
    from limner.training.run import train as run

    overrides: dict[str, str] = {}
    for item in setting or []:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set: expected KEY=VALUE, got {item!r}")
        overrides[key.strip()] = value.strip()
    numbers = {"steps": steps, "checkpoint_every": checkpoint_every, "seed": seed, "threads": threads}
    overrides |= {f"training.{k}": str(v) for k, v in numbers.items() if v is not None}
    words = {"data.source": data, "data.dvae": dvae, "data.init": init}
    overrides |= {key: _quoted(value) for key, value in words.items() if value is not None}
    resolved = load_recipe(recipe, overrides, kind=kind)
    try:
        model = run(resolved, out, resume=resume, device=device, quiet=quiet)
    except Stopped as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(INTERRUPTED if stopped.number == 2 else TERMINATED) from None
    if ranks.is_first():
        typer.echo(str(model))


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
