"""``limner search``: pictures of a folder by a sentence, a picture, or both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from limner.cli.classify import Exif, Fast, Precision, Strict, tell_broken
from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Quiet, Threads, emit, say

if TYPE_CHECKING:
    from limner.looking.index import Index
    from limner.looking.search import Hit, Query

Texts = Optional[list[str]]  # noqa: UP045 - typer on Python 3.11
Paths = Optional[list[Path]]  # noqa: UP045
MaybePath = Optional[Path]  # noqa: UP045


def search(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures; its index is kept in FOLDER/.limner.")],
    query: Annotated[str, typer.Argument(help="What to look for: a sentence.")] = "",
    plus: Annotated[Texts, typer.Option("--plus", help="And this; 0.5:TEXT weighs it.")] = None,
    minus: Annotated[Texts, typer.Option("--minus", help="But not this; 0.5:TEXT weighs it.")] = None,
    like: Annotated[Paths, typer.Option("--like", help="Like this picture.")] = None,
    unlike: Annotated[Paths, typer.Option("--unlike", help="Unlike this picture.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many pictures.")] = 10,
    only: Annotated[
        Texts, typer.Option("--only", help="Pictures whose path fits a pattern, e.g. '2024/*.jpg'.")
    ] = None,
    least: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--least", help="Lowest score (cosine)."),
    ] = None,
    duplicates: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--duplicates", help="Instead: groups of pictures as near as this cosine, e.g. 0.97."),
    ] = None,
    sheet: Annotated[MaybePath, typer.Option("--sheet", help="Write a contact sheet (PNG).")] = None,
    html: Annotated[MaybePath, typer.Option("--html", help="Write a page with thumbnails.")] = None,
    index: Annotated[MaybePath, typer.Option("--index", help="Keep the index in this folder instead.")] = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="By an approximate index (usearch), for millions of pictures.")
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
    """Find the pictures of FOLDER (and the folders in it) that fit QUERY best.

    The first search looks at every picture; later ones at what is new or changed.
    """
    asked = _query(query, plus, minus, like, unlike)
    if asked is None and duplicates is None:
        raise typer.BadParameter("say what to look for: a QUERY, --like PICTURE, or --duplicates 0.97")
    from limner.device import set_threads
    from limner.looker import load_looker
    from limner.looking.embed import Reading
    from limner.looking.search import embed_query, search_index

    set_threads(threads)
    looker = load_looker(model, device=device, precision=precision)  # type: ignore[arg-type]
    reading = Reading(exif=exif, fast=fast, threads=threads)
    vector = None if asked is None else embed_query(looker.towers, looker.words, asked, reading)
    found = updated(looker, folder, reading, index, quiet)
    if duplicates is not None:
        _duplicates(found, duplicates, json)
    else:
        assert vector is not None
        from limner.looking.index import graph_file
        from limner.looking.search import kept_graph
        from limner.looking.vectors import Exact

        vectors = kept_graph(found, graph_file(folder, looker.fingerprint, index)) if approximate else Exact
        hits = search_index(found, vector, count=count, only=only or [], least=least, vectors=vectors)
        _answer(hits, found, query or "like " + ", ".join(map(str, like or [])), sheet, html, json)
    tell_broken([f"{folder / e.path}: {e.broken}" for e in found.broken], len(found.files) + len(found.broken), strict)


def updated(looker: Any, folder: Path, reading: Any, place: Path | None, quiet: bool) -> Index:
    """The index of ``folder``, brought up to date under a progress bar."""
    import contextlib

    from limner.looking.index import update_index
    from limner.progress import Bar, progress

    with contextlib.ExitStack() as stack:
        bars: list[Bar] = []

        def begin(total: int) -> None:
            if total:
                bars.append(stack.enter_context(progress("looking", total, quiet=quiet)))

        def each(done: int) -> None:
            for bar in bars:
                bar.advance(done)

        return update_index(
            looker.towers,
            folder,
            model=looker.fingerprint,
            reading=reading,
            place=place,
            begin=begin,
            each=each,
        )


def _query(query: str, plus: Texts, minus: Texts, like: Paths, unlike: Paths) -> Query | None:
    if not (query.strip() or plus or minus or like or unlike):
        return None
    from limner.looking.search import Query

    texts = [(1.0, query)] if query.strip() else []
    texts += [_weighted(text, 1.0) for text in plus or []] + [_weighted(text, -1.0) for text in minus or []]
    pictures = [(1.0, path) for path in like or []] + [(-1.0, path) for path in unlike or []]
    return Query(tuple(texts), tuple(pictures))


def _weighted(text: str, sign: float) -> tuple[float, str]:
    import re

    found = re.match(r"(\d+(?:\.\d+)?):(.*)", text, re.S)
    return (sign * float(found[1]), found[2].strip()) if found else (sign, text)


def _answer(hits: list[Hit], index: Index, title: str, sheet: Path | None, html: Path | None, as_json: bool) -> None:
    if sheet is not None and hits:
        _write_sheet(hits, sheet)
    if html is not None:
        from limner.looking.page import write_page

        write_page(hits, title, html)
    changes = index.changes
    say(f"{len(index.files)} pictures, {changes.added} new, {changes.moved} moved, {changes.removed} removed")
    answer = {"pictures": [{"path": str(hit.path), "score": hit.score} for hit in hits], "index": _facts(index)}
    emit(answer, as_json, [f"{hit.score:.3f}  {hit.path}" for hit in hits] or ["no picture fits"])


def _write_sheet(hits: list[Hit], path: Path) -> None:
    import io

    from limner.files import write_atomically
    from limner.pictures.load import load_picture
    from limner.pictures.sheet import sheet

    pictures = [load_picture(hit.path) for hit in hits]
    page = sheet(pictures, min(5, len(hits)), [f"{hit.path.name} {hit.score:.3f}" for hit in hits], cell=224)
    packed = io.BytesIO()
    page.save(packed, "PNG")
    write_atomically(path, packed.getvalue())


def _duplicates(index: Index, threshold: float, as_json: bool) -> None:
    from limner.looking.vectors import near_duplicates

    groups = [[str(index.path(i)) for i in group] for group in near_duplicates(index.features, threshold)]
    lines = [line for group in groups for line in (*group, "")][:-1] or ["no near-duplicates"]
    emit({"groups": groups, "index": _facts(index)}, as_json, lines)


def _facts(index: Index) -> dict[str, Any]:
    changes = index.changes
    return {
        "pictures": len(index.files),
        "added": changes.added,
        "moved": changes.moved,
        "removed": changes.removed,
        "unreadable": [str(index.folder / e.path) for e in index.broken],
    }
