"""``limner train``: one command for three kinds of model."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limner.cli.common import Device, Json, Quiet, Threads, emit, table

if TYPE_CHECKING:
    import torch

    from limner.models.dalle.model import DALLE

Name = Annotated[str | None, typer.Option("--recipe", "-r", help="A recipe's name, or a path ending in .toml.")]
Run = Annotated[Path, typer.Option("--out", "-o", help="Run folder: journal, checkpoints, samples, model/ at the end.")]
Data = Annotated[
    str | None,
    typer.Option("--data", help="storybook, a folder, shards, or several with weights: storybook*3,emoji/*.tar.gz*1."),
]
DVAE = Annotated[str | None, typer.Option("--dvae", help="For dalle: the dVAE that makes tokens, a model or a run.")]
Init = Annotated[
    str | None,
    typer.Option("--init", help="A model whose weights training starts from; a clip needs no --recipe then."),
]
Freeze = Annotated[
    list[str] | None,
    typer.Option("--freeze", help="Weights whose names begin so stay as they are: visual, transformer.resblocks.0 …"),
]
LayerDecay = Annotated[
    float | None,
    typer.Option("--layer-decay", help="Each block learns at this share of the rate of the one above it (0 to 1)."),
]
Interpolate = Annotated[
    float | None,
    typer.Option(
        "--interpolate", min=0, max=1, help="Share of the trained weights in the model, the rest is --init's (WiSE-FT)."
    ),
]
Zeroshot = Annotated[
    str | None,
    typer.Option("--zeroshot", help="For clip: pictures with classes; zero-shot accuracy before and after is told."),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Updates of the weights.")]
CheckpointEvery = Annotated[int | None, typer.Option("--checkpoint-every", min=1, help="Steps between checkpoints.")]
RunSeed = Annotated[int | None, typer.Option("--seed", help="Of first weights, data and noise.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out; start it if there is none.")]
KeepMemory = Annotated[
    bool, typer.Option(help="On a CPU, keep freed memory for the next step: faster, but it stays at its peak.")
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another setting: learning_rate=1e-3, model.width=256, …"),
]


def train(
    kind: Annotated[Literal["dvae", "dalle", "clip"], typer.Argument(help="What is trained.")],
    out: Run,
    recipe: Name = None,
    data: Data = None,
    dvae: DVAE = None,
    init: Init = None,
    steps: Steps = None,
    checkpoint_every: CheckpointEvery = None,
    seed: RunSeed = None,
    freeze: Freeze = None,
    layer_decay: LayerDecay = None,
    interpolate: Interpolate = None,
    zeroshot: Zeroshot = None,
    resume: Resume = False,
    setting: Setting = None,
    threads: Threads = None,
    device: Device = "auto",
    keep_memory: KeepMemory = True,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a dVAE, a DALL·E transformer or a CLIP; stop with Ctrl-C, go on with --resume."""
    from limner import device as devices
    from limner import ranks
    from limner.training.loop import Stopped
    from limner.training.recipe import load_recipe
    from limner.training.run import train as run

    if recipe is None and not (kind == "clip" and init):
        raise typer.BadParameter("say which, or for a clip name --init to fine-tune", param_hint="--recipe")
    if zeroshot is not None and kind != "clip":
        raise typer.BadParameter("only a clip names classes", param_hint="--zeroshot")
    numbers: dict[str, float | None] = {
        "steps": steps,
        "checkpoint_every": checkpoint_every,
        "seed": seed,
        "threads": threads,
    }
    numbers |= {"layer_decay": layer_decay, "interpolate": interpolate}
    words = {"data.source": data, "data.dvae": dvae, "data.init": init}
    overrides = _settings(setting or [])
    overrides |= {f"training.{name}": str(value) for name, value in numbers.items() if value is not None}
    overrides |= {name: json.dumps(value, ensure_ascii=False) for name, value in words.items() if value is not None}
    if freeze:
        overrides["training.freeze"] = json.dumps(freeze)
    resolved = load_recipe(recipe or f"{kind}_finetune", overrides, kind=kind)
    if zeroshot is not None:
        from limner.cli.zeroshot import zeroshot_source

        classes = zeroshot_source(zeroshot, resolved)
    if keep_memory:
        devices.keep_memory()
    try:
        model = run(resolved, out, resume=resume, device=device, quiet=quiet or as_json, draw=draw_samples)
    except Stopped as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(130 if stopped.number == signal.SIGINT else 143) from None
    if not ranks.is_first():
        return
    answer: dict[str, Any] = {"model": str(model), "run": str(out)}
    lines = [str(model)]
    if zeroshot is not None:
        from limner.cli.zeroshot import HEADING, before_and_after, rows

        answer["zeroshot"] = before_and_after(classes, resolved.data.get("init"), out, quiet or as_json)
        lines += table([HEADING, *(row for name, one in answer["zeroshot"].items() for row in rows(f"{name}: ", one))])
    emit(answer, as_json, lines)


def draw_samples(model: DALLE, rows: torch.Tensor, seed: int) -> torch.Tensor:
    """One picture's codes for each caption row (B, L), at temperature 1, for the sample grids of a run."""
    import torch

    from limner.sampling.generate import Candidate, draw_codes, most_pictures
    from limner.sampling.settings import SamplingSettings
    from limner.sampling.step import TokenStep

    settings, step = SamplingSettings(), TokenStep(model)
    candidates = [Candidate(step.read(row), seed, number) for number, row in enumerate(rows)]
    size = most_pictures(settings)
    batches = [candidates[start : start + size] for start in range(0, len(candidates), size)]
    return torch.cat([draw_codes(step, batch, settings).codes for batch in batches])


def _settings(items: list[str]) -> dict[str, str]:
    from limner.errors import RecipeError

    pairs = [item.partition("=") for item in items]
    wrong = [item for item, (key, equals, _) in zip(items, pairs) if not key.strip() or not equals]
    if wrong:
        raise RecipeError(f"--set: expected KEY=VALUE, got {wrong[0]!r}")
    return {key.strip(): value.strip() for key, _, value in pairs}
