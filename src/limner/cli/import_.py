"""``limner import``: somebody else's checkpoint as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.common import Json, emit


def import_(
    source: Annotated[str, typer.Argument(help="A file, a folder, or a hub id whose files are in the local cache.")],
    out: Annotated[Path, typer.Argument(help="The model folder to write.")],
    format: Annotated[
        str | None, typer.Option("--format", help="openai, open_clip, hf or dvae; recognised if not given.")
    ] = None,
    activation: Annotated[
        str | None, typer.Option("--activation", help="quick_gelu, gelu, gelu_tanh …: where the source does not tell.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The JSON file that describes the weights, if it lies elsewhere.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Whose cleaning of captions: openai, open_clip, transformers …"),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            "--resolution", help="Pixels a side: make a CLIP take pictures of that size, positions interpolated."
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store the weights in half precision.")] = False,
    json: Json = False,
) -> None:
    """Make a model folder of somebody else's checkpoint. Nothing in the source is run.

    Reads OpenAI's CLIP archives and state dicts, folders and training checkpoints of open_clip, CLIPModel folders of
    transformers, and OpenAI's dVAE; ends with a check that the new folder answers as the source does.
    """
    from limner.formats.import_model import import_model
    from limner.formats.imported import Options

    options = Options(activation=activation, config=config, tokenizer=tokenizer)
    report = import_model(source, out, options, format=format, half=half, resolution=resolution)
    lines = [
        f"{report['format']}: {report['parameters']:,} parameters, activation {report['activation']}",
        f"largest difference of an answer after reading it again: {report['difference']:.1e}",
        *report["notes"],
        f"written to {report['out']}",
    ]
    emit(report, json, lines)
