"""``limner edit``: a region of a picture is redrawn to fit a caption."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Seed, Threads
from limner.cli.drawing import (
    Candidates,
    Cut,
    DrawnOut,
    Engine,
    Fit,
    Guidance,
    Particles,
    Precision,
    Rank,
    Sweeps,
    Temperature,
    TopK,
    TopP,
    parse_rank,
    sampling,
    save_and_answer,
)
from limner.errors import InputError


def edit(
    image: Annotated[Path, typer.Argument(help="The picture.")],
    caption: Annotated[str, typer.Argument(help="What the whole picture shows afterwards.")],
    region: Annotated[
        Optional[str],  # noqa: UP045 - typer on Python 3.11
        typer.Option(help="What to redraw, in pixels: left,top,right,bottom."),
    ] = None,
    mask: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="What to redraw: a picture of the same size, black where nothing changes."),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures kept.")] = 1,
    candidates: Candidates = None,
    seed: Seed = 0,
    out: DrawnOut = Path("drawn"),
    model: Model = DEFAULT_MODEL,
    particles: Particles = 16,
    sweeps: Sweeps = 0,
    seam: Annotated[Optional[int], typer.Option(help="Pixels over which the drawing fades in.")] = None,  # noqa: UP045
    fit: Fit = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    rank: Rank = None,
    cut: Cut = False,
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Redraw a region of a picture to fit a caption; pixels outside it stay as they are.

    An interrupted run keeps the best of the batches that are finished.
    """
    corners = None if region is None else _corners(region)
    from limner.painter import load_painter
    from limner.pictures.load import load_picture

    picture = load_picture(image)
    shape = None if mask is None else load_picture(mask, exif=False)
    painter = load_painter(model, device=device, engine=engine, precision=precision, threads=threads)
    picture = painter.fit(picture) if fit else picture
    options = sampling(temperature, top_k, top_p, guidance) | {
        "region": corners, "mask": shape, "count": count, "candidates": candidates, "seed": seed,
        "particles": particles, "sweeps": sweeps, "seam": seam, "rank": parse_rank(rank), "cut": cut,
    }  # fmt: skip
    save_and_answer(lambda each: painter.edit(picture, caption, each=each, **options), out, json)


def _corners(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"region: expected left,top,right,bottom in whole pixels, got {text!r}") from None
