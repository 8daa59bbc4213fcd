"""``limner export``: a training run as a model folder, or a CLIP in somebody else's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.common import Json, emit


def export(
    source: Annotated[str, typer.Argument(help="A run's folder; or, with --format, a model's name or folder.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    format: Annotated[
        str | None, typer.Option("--format", help="hf, open_clip or onnx: the layout to write a CLIP in.")
    ] = None,
    step: Annotated[int | None, typer.Option("--step", help="Of a run: this checkpoint instead of the newest.")] = None,
    interpolate: Annotated[
        float | None,
        typer.Option(
            "--interpolate",
            min=0,
            max=1,
            help="Of a fine-tuned run: share of the trained weights, the rest is --init's.",
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store the weights in half precision.")] = False,
    json: Json = False,
) -> None:
    """Make a model folder of a training run, or write a CLIP as others read it.

    hf is a CLIPModel folder of transformers, open_clip a folder of open_clip, onnx both towers as graphs for any
    batch. What a layout has no words for is refused.
    """
    report = _export(source, out, format, step, half, interpolate)
    lines = [*report["notes"], f"written to {report['out']}: {', '.join(report['files'])}"]
    emit(report, json, lines)


def _export(
    source: str, out: Path, format: str | None, step: int | None, half: bool, interpolate: float | None
) -> dict[str, Any]:
    from limner.errors import ModelError

    if format is None:
        if not (Path(source) / "recipe.toml").is_file():
            raise ModelError(f"{source}: expected a run's folder, or --format hf, open_clip or onnx for a model")
        from limner.training.export import export_run

        written = export_run(Path(source), out, step=step, half=half, interpolate=interpolate)
        files = sorted(file.name for file in written.iterdir())
        return {"out": str(written), "format": "limner", "files": files, "notes": []}
    if step is not None:
        raise typer.BadParameter("only a run has steps", param_hint="--step")
    if interpolate is not None:
        raise typer.BadParameter("only a run has weights before and after", param_hint="--interpolate")
    if format == "onnx":
        if half:
            raise typer.BadParameter("onnx graphs are written in float32", param_hint="--half")
        from limner.formats.onnx import export_onnx

        return export_onnx(source, out)
    from limner.formats.export import export_folder

    return export_folder(source, out, format, half=half)
