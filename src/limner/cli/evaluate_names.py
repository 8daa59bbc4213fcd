"""``limner evaluate names``: real pictures with names before a CLIP, and names drawn by a painter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Seed, Threads, emit, say, table


def names(
    data: Annotated[str, typer.Option(help="A folder or shards of pictures with names.")],
    model: Model = DEFAULT_MODEL,
    key: Annotated[
        str, typer.Option(help="Where a sample's JSON has its name (name, captions.1); empty: its caption.")
    ] = "",
    pictures: Annotated[int, typer.Option(help="Pictures with different names, at most.")] = 1024,
    among: Annotated[int, typer.Option(help="Names that each picture chooses from, its own among them.")] = 64,
    draw: Annotated[int, typer.Option(help="So many names are drawn too, and recognised by the CLIP.")] = 0,
    candidates: Annotated[int, typer.Option(help="Pictures drawn for each name; the likeliest is kept.")] = 16,
    seed: Seed = 0,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer on Python 3.11
        typer.Option("--out", "-o", help="A PNG to show what was drawn."),
    ] = None,
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a CLIP name real pictures among others' names, and let a painter draw names for it to recognise."""
    from limner.device import set_threads
    from limner.evaluate.named import evaluate_drawn, evaluate_named, read_named
    from limner.looker import load_looker

    set_threads(threads)
    named = read_named(data, key=key, count=pictures, seed=seed)
    looker: Any = load_looker(model, device=device)
    answer: dict[str, Any] = {"model": model, "named": evaluate_named(looker, named, among=among)}
    if draw:
        from limner.painter import load_painter

        say(f"loading {model} …")
        painter: Any = load_painter(model, device=device)
        answer["drawn"], shown = evaluate_drawn(
            painter, looker, named, among=among, prompts=draw, candidates=candidates, seed=seed, quiet=quiet
        )
        if out is not None:
            from limner.pictures.sheet import sheet

            picture = sheet([one.picture for one in shown], columns=8, captions=[one.name for one in shown])
            picture.save(out)
    rows: list[tuple[object, ...]] = [(f"AMONG {among}", "ACCURACY", "95 % INTERVAL", "NUMBER")]
    for way in ("named", "drawn"):
        if way in answer:
            found = answer[way]
            low, high = found["interval"]
            rows.append(
                (way, f"{100 * found['accuracy']:.1f} %", f"{100 * low:.1f} – {100 * high:.1f} %", found["count"])
            )
    emit(answer, json, table(rows))
