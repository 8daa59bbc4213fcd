"""``limner variations``: pictures like a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Seed, Threads
from limner.cli.drawing import (
    Cut,
    DrawnOut,
    Engine,
    Guidance,
    Particles,
    Precision,
    Sweeps,
    Temperature,
    TopK,
    TopP,
    answer,
    sampling,
    save_all,
)


def variations(
    image: Annotated[Path, typer.Argument(help="The picture; another size is cropped and resized.")],
    caption: Annotated[str, typer.Argument(help="What the pictures show; none draws without one.")] = "",
    count: Annotated[int, typer.Option(help="Pictures.")] = 4,
    strength: Annotated[float, typer.Option(help="Share of each picture that is drawn anew, 0 to 1.")] = 0.5,
    seed: Seed = 0,
    out: DrawnOut = Path("drawn"),
    model: Model = DEFAULT_MODEL,
    particles: Particles = 16,
    sweeps: Sweeps = 0,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    cut: Cut = False,
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Draw variations of a picture: in each, another part of it is drawn anew, with the rest in view.

    An interrupted run keeps what is finished.
    """
    from limner.painter import load_painter
    from limner.pictures.load import load_picture

    picture = load_picture(image)
    painter = load_painter(model, device=device, engine=engine, precision=precision, threads=threads)
    rows: list[dict[str, Any]] = []
    try:
        painter.variations(
            picture, caption, count=count, strength=strength, seed=seed, particles=particles, sweeps=sweeps, cut=cut,
            each=lambda drawn: rows.extend(save_all([drawn], out)), **sampling(temperature, top_k, top_p, guidance),
        )  # fmt: skip
    except KeyboardInterrupt:
        answer(rows, json)
        raise
    answer(rows, json)
