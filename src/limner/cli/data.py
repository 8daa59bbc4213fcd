"""``limner data``: a look at training data before a run meets it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Optional

import typer

from limner.cli.common import Json, Quiet, emit, table


def check(
    source: Annotated[str, typer.Argument(help="A folder of captioned pictures, or shards (.tar, .tar.gz).")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every pair of a data set as training would; count them, and name what is broken.

    Exit code 1 if no pair can be used.
    """
    from limner.data.epochs import Epochs, Unusable
    from limner.data.sources import DataOptions, open_data
    from limner.errors import DataError
    from limner.progress import progress

    data = open_data(source, DataOptions(size=64, test_share=0.0)).train
    if not isinstance(data, Epochs):
        raise DataError(f"{source}: expected one folder or shards, got a source without end, or several")
    broken = {found.name: found.cause for found in data.unusable}
    sizes: list[tuple[int, int]] = []
    captions: Counter[str] = Counter()
    with progress("reading", data.count, quiet=quiet) as bar:
        for item in data.items:
            try:
                pair = data.read(item, 0)
            except Unusable as unusable:
                broken[item.key] = str(unusable)
            else:
                height, width = pair.picture.shape[:2]
                sizes.append((width, height))
                captions[pair.caption] += 1
            bar.advance()
    if not sizes:
        name, cause = next(iter(broken.items()))
        raise DataError(f"{source}: expected usable pairs, got {len(broken)} broken ones, the first {name} ({cause})")
    lengths = sorted(map(len, captions))
    answer = {
        "source": source,
        "pairs": len(sizes),
        "distinct_captions": len(captions),
        "caption_letters": {"shortest": lengths[0], "longest": lengths[-1]},
        "pictures": {"smallest": min(sizes, key=_area), "largest": max(sizes, key=_area)},
        "broken": [{"name": name, "cause": cause} for name, cause in sorted(broken.items())],
    }
    rows = [
        ("pairs", f"{len(sizes):,}"),
        ("captions", f"{len(captions):,} different, {lengths[0]} to {lengths[-1]} letters"),
        ("pictures", " to ".join(f"{w} × {h}" for w, h in answer["pictures"].values())),  # type: ignore[attr-defined]
        ("broken", f"{len(broken):,}"),
    ]
    emit(answer, json, [*table(rows), *(f"  {name}: {cause}" for name, cause in sorted(broken.items()))])


def dedupe(
    source: Annotated[str, typer.Argument(help="A folder of captioned pictures, or shards (.tar, .tar.gz).")],
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer on Python 3.11
        typer.Argument(help="A new folder for shards of what is left; without it they are only told."),
    ] = None,
    difference: Annotated[
        float, typer.Option(min=0.0, max=255.0, help="How far pictures of 16 × 16 pixels may be apart, of 255.")
    ] = 5.5,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find pictures that differ by size, encoding or little else; the largest of each stays."""
    from limner.data.dedupe import find, write
    from limner.data.epochs import Epochs
    from limner.data.sources import DataOptions, open_data
    from limner.errors import DataError
    from limner.progress import progress

    data = open_data(source, DataOptions(size=64, test_share=0.0, captions=False)).train
    if not isinstance(data, Epochs):
        raise DataError(f"{source}: expected one folder or shards, got a source without end, or several")
    with progress("looking", data.count, quiet=quiet or json) as bar:
        found = find(data, difference, bar.advance)
    kept = found.kept
    if out is not None:
        write(kept, out)
    names = [[found.items[index].key for index in group] for group in found.groups]
    answer = {
        "source": source,
        "pictures": len(found.items),
        "kept": len(kept),
        "groups": names,
        "broken": [{"name": name, "cause": cause} for name, cause in found.broken],
        "out": None if out is None else str(out),
    }
    rows = [("pictures", f"{len(found.items):,}"), ("kept", f"{len(kept):,}"), ("broken", f"{len(found.broken):,}")]
    lines = [f"  {group[0]} stands for {', '.join(group[1:])}" for group in names]
    emit(answer, json, [*table(rows), *lines])


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
