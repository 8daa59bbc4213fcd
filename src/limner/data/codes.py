"""Image tokens computed once and stored: shards of ``KEY.codes.npy`` and ``KEY.txt``, and ``codes.json`` beside them.

DALL·E trains on them as on any shards, without the dVAE's work in the loop.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from limner.data.crops import Crop
from limner.data.pair import Broken, Pair, Source, mixed
from limner.data.shards import add_file
from limner.errors import DataError, InputError
from limner.files import whole_folder, write_atomically

ABOUT = "codes.json"

Encode = Callable[[np.ndarray], np.ndarray]
"""uint8 pictures (B, H, W, 3) → codes (B, rows, columns)."""


def write_codes(
    source: Source,
    out: Path,
    encode: Encode,
    crop: Crop,
    *,
    dvae: str,
    count: int | None = None,
    crops: int = 1,
    seed: int = 0,
    batch: int = 64,
    per_shard: int = 2048,
    told: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Tokenize ``count`` pairs of ``source`` (None: an epoch), each in ``crops`` crops, into the folder ``out``.

    dvae: hash of the weights that ``encode``, kept beside the codes and checked when they are trained on. told: hears
    how many are done. Returns what ``codes.json`` says. Raises DataError, InputError, FileError.
    """
    if count is None:
        count = source.count
    if count is None or count < 1 or crops < 1:
        raise InputError(f"tokenize: expected how many pairs (the storybook has no end), got {count} in {crops} crops")
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: expected a new or empty folder for codes, got one with files in it")
    broken: list[Broken] = []
    done = 0
    with whole_folder(out) as folder:
        samples = _samples(source, count, crops, batch, broken, encode, lambda p, x: crop(p.picture, mixed(seed, x)))
        for shard in itertools.count():
            rows = list(itertools.islice(samples, per_shard))
            if not rows:
                break
            with tarfile.open(folder / f"codes-{shard:05d}.tar", "w") as tar:
                for position, caption, grid in rows:
                    add_file(tar, f"{position:09d}.codes.npy", _npy(grid))
                    add_file(tar, f"{position:09d}.txt", caption.encode("utf-8", "replace"))
            done += len(rows)
            told(done)
        causes = {cause: sum(b.cause == cause for b in broken) for cause in sorted({b.cause for b in broken})}
        about = {"dvae": dvae, "size": crop.size, "pairs": done, "crops": crops, "data": source.name, "broken": causes}
        write_atomically(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return about


def check_codes(shards: list[str], dvae: str) -> None:
    """Raise DataError where ``codes.json`` beside a shard names another dVAE than ``dvae`` (a hash of its weights)."""
    for folder in sorted({Path(shard).parent for shard in shards}):
        if not (folder / ABOUT).is_file():
            continue
        try:
            made_by = json.loads((folder / ABOUT).read_text(encoding="utf-8")).get("dvae")
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(f"{folder / ABOUT}: expected JSON about the codes, got something else ({error})") from error
        if made_by != dvae:
            raise DataError(
                f"{folder}: these codes were made by the dVAE {str(made_by)[:12]}…, not by {dvae[:12]}… that --dvae "
                "names; tokenize again, or name that dVAE"
            )


def _samples(
    source: Source,
    count: int,
    crops: int,
    batch: int,
    broken: list[Broken],
    encode: Encode,
    crop: Callable[[Pair, int], np.ndarray],
) -> Iterator[tuple[int, str, np.ndarray]]:
    """(number, caption, codes) of every crop of every pair."""
    for start in range(0, count * crops, batch):
        numbers = range(start, min(start + batch, count * crops))
        pairs = [source.at(number // crops, broken) for number in numbers]
        codes = encode(np.stack([crop(pair, number) for pair, number in zip(pairs, numbers)]))
        yield from zip(numbers, (pair.caption for pair in pairs), codes)


def _npy(codes: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, codes.astype(np.uint16 if codes.max() < 2**16 else np.uint32), allow_pickle=False)
    return buffer.getvalue()
