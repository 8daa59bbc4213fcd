"""``limner generate``: captions become ranked pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Quiet, Seed, Threads
from limner.cli.drawing import (
    Candidates,
    Cut,
    DrawnOut,
    Engine,
    Guidance,
    MaybeModel,
    Precision,
    Rank,
    Temperature,
    TopK,
    TopP,
    answer,
    parse_rank,
    row_of,
    sampling,
    save_all,
)
from limner.errors import InputError

if TYPE_CHECKING:
    from limner.painter import Drawn, Painter
    from limner.sampling.drafts import Drafts


def generate(
    captions: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer on Python 3.11
        typer.Argument(metavar="CAPTION…", help="What to draw; several captions in quotes."),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures kept of each caption.")] = 4,
    candidates: Candidates = None,
    seed: Seed = 0,
    out: DrawnOut = Path("drawn"),
    model: MaybeModel = None,
    prompts: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Captions from a file: one a line, or JSON lines; what is drawn already is not drawn again."),
    ] = None,
    source: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", help="Draw this picture again from its own metadata."),
    ] = None,
    unconditional: Annotated[bool, typer.Option("--unconditional", help="Draw without a caption.")] = False,
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
    quiet: Quiet = False,
) -> None:
    """Draw pictures for captions and keep the best of each, as PNG files that say how they were made.

    Same seed, same pictures. An interrupted run keeps what is finished.
    """
    words = list(captions or [])
    given = [bool(words), prompts is not None, source is not None, unconditional]
    if sum(given) != 1:
        raise InputError("generate: expected captions, --prompts, --from or --unconditional, one of them; see --help")
    empty = [number for number, caption in enumerate(words, start=1) if not caption.strip()]
    if empty:
        raise InputError(f"caption {empty[0]}: expected some words, got none; --unconditional draws without a caption")
    options = sampling(temperature, top_k, top_p, guidance) | {
        "count": count, "candidates": candidates, "seed": seed, "rank": parse_rank(rank), "cut": cut
    }  # fmt: skip
    asked = [options | {"caption": caption} for caption in words or [""]]
    if prompts is not None:
        from limner.cli.prompts import read_prompts

        asked = [options | own for own in read_prompts(prompts)]
    from limner.painter import load_painter

    if source is not None:
        from limner.pictures.png import read_facts

        facts = read_facts(source)
        name = model or str(facts.get("model") or DEFAULT_MODEL)
        made = {"engine": facts.get("engine", engine), "precision": facts.get("precision", precision)}
        painter = load_painter(name, device=device, threads=threads, **made)
        answer(save_all([painter.repeat(source)], out), json)
        return
    painter = load_painter(
        model or DEFAULT_MODEL, device=device, engine=engine, precision=precision, threads=threads
    )  # fmt: skip
    answer_of_all(painter, asked, out, numbered=prompts is not None, as_json=json, quiet=quiet)


def answer_of_all(
    painter: Painter, asked: list[dict[str, Any]], out: Path, *, numbered: bool, as_json: bool, quiet: bool
) -> None:
    """Draw everything in ``asked`` and print the answer, after an interruption too: then of what is finished."""
    from limner.progress import progress

    rows: list[dict[str, Any]] = []
    todo = []
    for number, options in enumerate(asked, start=1):
        before = f"{number:05d}-" if numbered else ""
        # Wrong settings are told before anything is drawn.
        drafts = painter.drafts(**options)
        done = _done(out, before, drafts.facts, options["count"]) if numbered else []
        rows += done
        if not done:
            todo.append((before, drafts))
    current: Drafts[Drawn] | None = None
    try:
        begun, finished = time.monotonic(), 0
        with progress("drawing", sum(drafts.total for _, drafts in todo), quiet=quiet) as bar:
            for before, current in todo:
                part = 0
                for part_done in current:
                    finished += part_done - part
                    bar.advance(part_done - part, **{"pictures/s": finished / (time.monotonic() - begun)})
                    part = part_done
                rows += save_all(current.best(), out, before=before)
                current = None
    except KeyboardInterrupt:
        # Of prompts from a file only whole ones are kept: a later run draws the others.
        if current is not None and not numbered:
            fewer = {"candidates": current.done}
            rows += save_all([replace(one, settings=one.settings | fewer) for one in current.best()], out)
        answer(rows, as_json)
        raise
    answer(rows, as_json)


def _done(out: Path, before: str, facts: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Rows of the pictures of a prompt that stand in ``out`` already; none where some of them are missing.

    Raises InputError where they are another run's.
    """
    from limner.pictures.png import read_facts

    found = [(path, read_facts(path)) for path in (sorted(out.glob(f"{before}*.png")) if out.is_dir() else [])]
    for path, own in found:
        for key, value in facts.items():
            if own.get(key) != value:
                raise InputError(
                    f"{path}: expected a picture of this run, its {key} is {own.get(key)!r} instead of {value!r}; "
                    "choose another --out, or remove it"
                )
    if len(found) < count:
        return []
    return [row_of(*one) for one in sorted(found, key=lambda one: (-(one[1].get("score") or 0.0), one[1]["index"]))]
