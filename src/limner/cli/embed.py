"""``limner embed``: pictures or texts as CLIP's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.classify import Exif, Fast, Precision, Strict, find, refuse_nothing, tell_broken
from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Threads, emit

if TYPE_CHECKING:
    from limner.looker import Looker

MaybePath = Optional[Path]  # noqa: UP045 - typer on Python 3.11
Texts = Optional[list[str]]  # noqa: UP045


def embed(
    files: Annotated[
        Texts,
        typer.Argument(metavar="[FILE]…", help="Pictures, folders, patterns, tar shards, or - for a list on stdin."),
    ] = None,
    text: Annotated[
        Texts, typer.Option("--text", help="A text instead of pictures; may be given several times.")
    ] = None,
    texts_file: Annotated[MaybePath, typer.Option("--texts-file", help="Texts, one a line.")] = None,
    cut: Annotated[bool, typer.Option("--cut", help="Cut texts that are too long.")] = False,
    windows: Annotated[
        bool, typer.Option("--windows", help="Take the mean of windows over texts that are too long.")
    ] = False,
    out: Annotated[
        MaybePath, typer.Option("--out", "-o", help="FILE.npy or FILE.parquet; a folder for tar shards.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="For tar shards: parts as .parquet instead of .npy.")
    ] = False,
    model: Model = DEFAULT_MODEL,
    json: Json = False,
    strict: Strict = False,
    exif: Exif = False,
    fast: Fast = False,
    precision: Precision = "float32",
    threads: Threads = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Write the vectors of pictures or texts: float32, length 1.

    Tar shards are embedded one by one into the folder --out: parts that are there already are kept, and under torchrun
    each process takes its share.
    """
    if cut and windows:
        raise typer.BadParameter("--cut and --windows exclude each other")
    if bool(files) == bool(text or texts_file):
        raise typer.BadParameter("give either FILES or --text/--texts-file")
    if out is None and not json:
        raise typer.BadParameter("say where to: --out FILE.npy, or --json to print the vectors")
    from limner.looking.store import check_suffix, find_shards, is_shard

    tars = [f for f in files or [] if is_shard(f)]
    if tars and len(tars) < len(files or []):
        raise typer.BadParameter("tar shards and pictures in one call; embed them apart")
    if tars and out is None:
        raise typer.BadParameter("tar shards need --out FOLDER")
    if out is not None and not tars:
        check_suffix(out)
    elif parquet:
        check_suffix("part.parquet")
    shards = find_shards(tars)
    named = _texts(text, texts_file)
    paths = find(files) if files and not shards else []
    from limner.device import set_threads
    from limner.looker import load_looker
    from limner.looking.embed import Reading

    set_threads(threads)
    looker = load_looker(model, device=device, precision=precision)  # type: ignore[arg-type]
    reading = Reading(exif=exif, fast=fast, threads=threads)
    facts = {"model": looker.name, "fingerprint": looker.fingerprint, "precision": precision, "limner": _version()}
    if shards:
        assert out is not None
        _shards(looker, shards, out, ".parquet" if parquet else ".npy", facts, reading, json, quiet)
        return
    broken: list[str] = []
    if named:
        features = looker.embed_texts(named, too_long="cut" if cut else "windows" if windows else "error")
        names = named
    else:
        from limner.progress import progress

        with progress("looking", len(paths), quiet=quiet) as bar:
            found = looker.look(paths, reading=reading, each=bar.advance)
        features, names = found.features, [str(paths[i]) for i in found.indices]
        broken = [b.reason for b in found.broken]
        refuse_nothing(broken, len(paths))
    answer: dict[str, Any] = {"count": len(names), "dimensions": features.shape[1], "skipped": broken}
    if out is None:
        answer["embeddings"] = [{"name": n, "embedding": row.tolist()} for n, row in zip(names, features, strict=True)]
    else:
        from limner.looking.store import write_features

        written = write_features(out, names, features, facts, skipped=broken)
        answer["files"] = [str(path) for path in written]
    emit(answer, json, [f"{len(names)} vectors of {features.shape[1]} numbers in {out}"])
    tell_broken(broken, len(paths), strict)


def _shards(
    looker: Looker,
    shards: list[Path],
    out: Path,
    suffix: str,
    facts: dict[str, Any],
    reading: Any,
    json: bool,
    quiet: bool,
) -> None:
    from limner import ranks
    from limner.looking.store import embed_shards
    from limner.progress import progress

    with progress("looking", None, quiet=quiet or not ranks.is_first()) as bar:
        made = embed_shards(
            looker.towers,
            shards,
            out,
            facts=facts,
            suffix=suffix,
            reading=reading,
            rank=ranks.rank(),
            world=ranks.world(),
            each=bar.advance,
        )
    kept = len(shards[ranks.rank() :: ranks.world()]) - len(made)
    emit({"files": list(map(str, made)), "kept": kept}, json, [f"{len(made)} parts written to {out}, {kept} kept"])


def _texts(text: list[str] | None, file: Path | None) -> list[str]:
    texts = list(text or [])
    if file is not None:
        from limner.errors import InputError

        try:
            texts += [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: expected readable texts, one a line, got {error}") from None
        if not texts:
            raise InputError(f"{file}: expected texts, one a line, got none")
    return texts


def _version() -> str:
    import limner

    return limner.__version__
