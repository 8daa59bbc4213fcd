"""``limner complete``: the upper rows of a picture stay, the rest is drawn."""

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
    Precision,
    Rank,
    Temperature,
    TopK,
    TopP,
    parse_rank,
    sampling,
    save_and_answer,
)


def complete(
    image: Annotated[Path, typer.Argument(help="The picture.")],
    caption: Annotated[str, typer.Argument(help="What the whole picture shows; none draws without one.")] = "",
    rows: Annotated[
        Optional[int],  # noqa: UP045 - typer on Python 3.11
        typer.Option(help="Upper rows of cells that stay; half of them if not given."),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures kept.")] = 1,
    candidates: Candidates = None,
    seed: Seed = 0,
    out: DrawnOut = Path("drawn"),
    model: Model = DEFAULT_MODEL,
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
    """Finish a picture from its upper rows.

    An interrupted run keeps the best of the batches that are finished.
    """
    from limner.painter import load_painter
    from limner.pictures.load import load_picture

    picture = load_picture(image)
    painter = load_painter(model, device=device, engine=engine, precision=precision, threads=threads)
    picture = painter.fit(picture) if fit else picture
    options = sampling(temperature, top_k, top_p, guidance) | {
        "rows": rows, "count": count, "candidates": candidates, "seed": seed, "rank": parse_rank(rank), "cut": cut
    }  # fmt: skip
    save_and_answer(lambda each: painter.complete(picture, caption, each=each, **options), out, json)
