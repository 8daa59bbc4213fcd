"""``limner evaluate article``: the launch article's ten prompts, drawn and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Seed, Threads, emit, say, table
from limner.cli.evaluate import foreign


def article(
    model: Model = DEFAULT_MODEL,
    count: Annotated[int, typer.Option(help="Pictures kept of each prompt, the best by CLIP.")] = 4,
    candidates: Annotated[int, typer.Option(help="Pictures drawn for each prompt.")] = 64,
    languages: Annotated[str, typer.Option(help="Some of en, zh, with commas between.")] = "en,zh",
    seed: Seed = 0,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer on Python 3.11
        typer.Option("--out", "-o", help="A PNG with the kept pictures, nothing picked by hand."),
    ] = None,
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw the launch article's prompts and count those with a right picture among the kept."""
    from limner.device import set_threads
    from limner.evaluate.article import evaluate_article
    from limner.painter import load_painter
    from limner.storybook.judge import Judge

    set_threads(threads)
    judge = Judge.load()
    say(f"loading {model} …")
    painter: Any = load_painter(model, device=device)
    foreign(painter)
    answer, outcomes = evaluate_article(
        painter,
        judge,
        count=count,
        candidates=candidates,
        seed=seed,
        languages=tuple(word.strip() for word in languages.split(",") if word.strip()),
        quiet=quiet,
    )
    if out is not None:
        from limner.pictures.sheet import sheet

        pictures = [picture for outcome in outcomes for picture in outcome.pictures]
        captions = [o.prompt.caption if i == 0 else "" for o in outcomes for i in range(len(o.pictures))]
        sheet(pictures, columns=2 * count, captions=captions).save(out)
    rows: list[tuple[object, ...]] = [("PROMPT", "", f"RIGHT OF BEST {count}", f"RIGHT OF {candidates}")]
    for row in answer["prompts"]:
        best, share = f"{row['right_of_best']:.0f}", f"{100 * row['right_of_all']:.0f} %"
        rows.append((row["number"], row["caption"], best, share))
    lines = [*table(rows), f"{answer['drawn']} of {answer['of']} prompts have a right picture among the best {count}"]
    emit({"model": model, **answer}, json, lines)
