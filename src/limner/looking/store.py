"""Features as files: ``.npy`` with a ``.json`` beside it, or ``.parquet``; over tar shards, part by part, resumable."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from limner.errors import DataError, InputError, MissingExtra
from limner.files import make_folder, write_atomically
from limner.looking.embed import EXACT, Broken, Reading, stream_pictures
from limner.looking.towers import Towers
from limner.pictures.load import SUFFIXES

SHARDS = (".tar", ".tar.gz", ".tgz")
LARGEST = 256 << 20
"""A member of a shard with more bytes is no picture of ours."""


def write_features(
    path: Path | str, names: Sequence[str], features: np.ndarray, facts: dict[str, Any], *, skipped: Sequence[str] = ()
) -> list[Path]:
    """Write ``features`` float32 (n, E) of ``names`` to ``path``: ``.npy`` (names in ``.json`` beside) or ``.parquet``.

    Returns the files; the one that is asked for is written last. Raises InputError, FileError, MissingExtra.
    """
    path = Path(path)
    if path.suffix == ".npy":
        beside = path.with_suffix(".json")
        table = {"names": list(names), "skipped": list(skipped), **facts}
        write_atomically(beside, json.dumps(table, ensure_ascii=False) + "\n")
        write_atomically(path, lambda file: np.save(file, features))
        return [beside, path]
    if path.suffix == ".parquet":
        write_atomically(path, lambda file: _parquet(file, names, features, facts))
        return [path]
    raise InputError(f"{path}: expected a file name ending in .npy or .parquet")


def check_suffix(path: Path | str) -> None:
    """Raises InputError or MissingExtra before any work where ``write_features`` would after it."""
    if Path(path).suffix not in (".npy", ".parquet"):
        raise InputError(f"{path}: expected a file name ending in .npy or .parquet")
    if Path(path).suffix == ".parquet":
        _pyarrow()


def is_shard(path: Path | str) -> bool:
    """Whether ``path`` is named as a tar shard."""
    return str(path).endswith(SHARDS)


def find_shards(places: Sequence[Path | str]) -> list[Path]:
    """Shards that ``places`` name: files, braces ``{0000..0123}``, patterns with ``*?[``. Raises DataError."""
    import glob

    from webdataset.shardlists import expand_urls

    found: dict[Path, None] = {}
    for place in places:
        for text in expand_urls(str(Path(place).expanduser())):
            matches = sorted(filter(is_shard, glob.glob(text))) if any(c in text for c in "*?[") else [text]
            if not matches:
                raise DataError(f"{text}: expected a pattern that fits at least one tar shard, got none")
            for match in matches:
                if not Path(match).is_file():
                    raise DataError(f"{match}: expected a tar shard, got no such file; check the path")
                found[Path(match)] = None
    return list(found)


def embed_shards(
    towers: Towers,
    shards: Sequence[Path],
    out: Path | str,
    *,
    facts: dict[str, Any],
    suffix: str = ".npy",
    reading: Reading = EXACT,
    rank: int = 0,
    world: int = 1,
    each: Callable[[int], None] | None = None,
) -> list[Path]:
    """Features of the pictures in tar ``shards``: a part ``OUT/SHARD.npy`` (or ``.parquet``) for each, whole or absent.

    Parts that stand are kept, so that a stopped run goes on where it was; process ``rank`` of ``world`` takes every
    ``world``-th shard. Returns the parts that it made. Raises DataError, FileError.
    """
    out = make_folder(out)
    names = [_stem(shard) for shard in shards]
    if len(set(names)) < len(names):
        raise DataError("shards: expected different names, got the same twice; embed them into different folders")
    made = []
    for shard, name in list(zip(shards, names, strict=True))[rank::world]:
        part = out / f"{name}{suffix}"
        if part.is_file():
            continue
        made.append(_embed_shard(towers, shard, part, facts, reading, each))
    return made


def _embed_shard(
    towers: Towers,
    shard: Path,
    part: Path,
    facts: dict[str, Any],
    reading: Reading,
    each: Callable[[int], None] | None,
) -> Path:
    keys: list[str] = []
    good: list[str] = []
    rows, broken = [np.zeros((0, towers.config.embedding), np.float32)], list[Broken]()

    def contents() -> Iterator[bytes]:
        for key, content in pictures_of_shard(shard):
            keys.append(key)
            yield content

    for found in stream_pictures(towers, contents(), reading):
        rows.append(found.features)
        good += [keys[i] for i in found.indices]
        broken += found.broken
        if each is not None:
            each(len(found.indices) + len(found.broken))
    skipped = [f"{keys[b.index]}: {b.reason.removeprefix('picture: ')}" for b in broken]
    write_features(part, good, np.concatenate(rows), {**facts, "shard": str(shard)}, skipped=skipped)
    return part


def pictures_of_shard(shard: Path | str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture of a tar shard, in its order. Raises DataError for a file that is no whole tar."""
    try:
        with tarfile.open(shard, "r|*") as tar:
            for member in tar:
                if not member.isfile() or PurePosixPath(member.name).suffix.lower() not in SUFFIXES:
                    continue
                if member.size > LARGEST:
                    yield member.name, b""
                    continue
                file = tar.extractfile(member)
                yield member.name, b"" if file is None else file.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{shard}: expected a whole tar file, got {error}; fetch it again") from None


def _stem(shard: Path) -> str:
    for ending in SHARDS[::-1]:
        if shard.name.endswith(ending):
            return shard.name.removesuffix(ending)
    return shard.stem


def _parquet(file: IO[bytes], names: Sequence[str], features: np.ndarray, facts: dict[str, Any]) -> None:
    arrow, parquet = _pyarrow()
    flat = arrow.array(np.ascontiguousarray(features).reshape(-1))
    columns = {
        "name": arrow.array(list(names), arrow.string()),
        "embedding": arrow.FixedSizeListArray.from_arrays(flat, features.shape[1]),
    }
    table = arrow.table(columns).replace_schema_metadata({"limner": json.dumps(facts, ensure_ascii=False)})
    parquet.write_table(table, file)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("parquet needs pyarrow; pip install 'limner[eval]', or write .npy") from None
    return pyarrow, pyarrow.parquet
