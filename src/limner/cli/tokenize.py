"""``limner data tokenize``: image tokens computed once, so that DALL·E trains without a dVAE in the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.common import Device, Json, Quiet, Threads, emit, human, table


def tokenize(
    source: Annotated[str, typer.Argument(help="storybook, a folder, or shards.")],
    out: Annotated[Path, typer.Argument(help="A new folder for shards of tokens and captions.")],
    dvae: Annotated[str, typer.Option("--dvae", help="The dVAE that makes the tokens: a model or a run.")],
    count: Annotated[int | None, typer.Option("--count", min=1, help="Pairs; all of them if not given.")] = None,
    crops: Annotated[int, typer.Option("--crops", min=1, help="Random crops of each picture.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of crops and scenes.")] = 0,
    threads: Threads = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute a data set's image tokens and store them with the captions; train on them with --data OUT."""
    from limner.device import set_threads
    from limner.progress import progress
    from limner.training.tokenize import tokenize as run

    set_threads(threads)
    told = 0
    with progress("tokenizing", None if count is None else count * crops, quiet=quiet or json) as bar:

        def tell(done: int) -> None:
            nonlocal told
            bar.advance(done - told)
            told = done

        about = run(source, dvae, out, count=count, crops=crops, seed=seed, device=device, told=tell)
    size = sum(file.stat().st_size for file in out.iterdir())
    rows = [("tokens of", about["data"]), ("samples", about["pairs"]), ("in", str(out)), ("size", human(size))]
    rows += [(f"passed over: {cause}", number) for cause, number in about["broken"].items()]
    emit({**about, "out": str(out), "bytes": size}, json, table(rows))
