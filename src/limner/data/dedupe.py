"""Near-duplicates: pictures that stay the same when they are made small, whatever their size and encoding."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from limner.data.epochs import Epochs, Item, Unusable, content
from limner.data.pair import Broken
from limner.data.shards import add_file
from limner.errors import DataError
from limner.files import whole_folder

SIDE = 16
"""Pictures are compared at this many pixels squared."""
DIFFERENCE = 5.5
"""Two pictures are the same up to this root mean square of differences, in the 256 steps of a colour. At any size from
50 pixels on an emoji is 0.4 to 2.3 away from itself, as a JPEG of quality 40 up to 5.2; two clocks that differ by a
hand are 9 apart."""
PER_SHARD = 2048


class Look(NamedTuple):
    """A picture made small: float32 (SIDE · SIDE · 3,), and how many pixels it had."""

    small: np.ndarray
    pixels: int


def look(picture: np.ndarray) -> Look:
    """``picture`` uint8 (H, W, 3) for comparison; its shape counts too, as both sides are scaled to SIDE."""
    small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return Look(np.asarray(small, np.float32).reshape(-1), picture.shape[0] * picture.shape[1])


def groups(looks: Sequence[Look], difference: float = DIFFERENCE, block: int = 512) -> list[list[int]]:
    """Indices of pictures that are the same as the first of their list, which has most pixels (of equals the earliest).

    Every list has two or more. Means differ by no more than pictures do: only those with near means are compared.
    """
    if len(looks) < 2:
        return []
    small = np.stack([one.small for one in looks])
    means, squares = small.mean(axis=1), np.square(small).sum(axis=1)
    order = np.argsort(means, kind="stable")
    limit = difference**2 * small.shape[1]
    same: dict[int, set[int]] = {}
    for start in range(0, len(order), block):
        rows = order[start : start + block]
        end = int(np.searchsorted(means[order], means[rows[-1]] + difference, side="right"))
        for first in range(start, end, block):
            columns = order[first : min(first + block, end)]
            apart = squares[rows, None] + squares[columns] - 2 * small[rows] @ small[columns].T
            for r, c in zip(*np.nonzero(apart <= limit + 1e-3 * squares[rows, None])):
                a, b = int(rows[r]), int(columns[c])
                # Products of large numbers leave small differences inexact: looked at once more.
                if a != b and float(np.square(small[a] - small[b]).sum()) <= limit:
                    same.setdefault(a, set()).add(b)
                    same.setdefault(b, set()).add(a)
    found: list[list[int]] = []
    taken: set[int] = set()
    for first in sorted(same, key=lambda i: (-looks[i].pixels, i)):
        if first not in taken:
            # Not the neighbours' neighbours: a chain of small steps leads far away.
            others = sorted(same[first] - taken)
            taken |= {first, *others}
            found += [[first, *others]] if others else []
    return found


class Found(NamedTuple):
    """What ``find`` saw: usable items, lists of indices into them (see ``groups``), and what could not be read."""

    items: list[Item]
    groups: list[list[int]]
    broken: list[Broken]

    @property
    def kept(self) -> list[Item]:
        """All items but those that an earlier or larger one stands for."""
        dropped = {index for group in self.groups for index in group[1:]}
        return [item for index, item in enumerate(self.items) if index not in dropped]


def find(source: Epochs, difference: float = DIFFERENCE, told: Callable[[], None] = lambda: None) -> Found:
    """Read every picture of ``source`` and find those that are the same. ``told`` is called after each."""
    items, looks, broken = [], [], list(source.unusable)
    for item in source.items:
        try:
            looks.append(look(source.read(item, 0).picture))
            items.append(item)
        except Unusable as unusable:
            broken.append(Broken(item.key, str(unusable)))
        told()
    if not items:
        raise DataError(f"{source.name}: expected pictures, got {len(broken)} broken ones")
    return Found(items, groups(looks, difference), broken)


def write(items: Sequence[Item], out: Path) -> None:
    """Write items as shards into the new folder ``out``, their bytes as they are. Raises DataError, FileError."""
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: expected a new or empty folder for shards, got one with files in it")
    with whole_folder(out) as folder:
        for shard in range(0, len(items), PER_SHARD):
            with tarfile.open(folder / f"pictures-{shard // PER_SHARD:05d}.tar", "w") as tar:
                for item in itertools.islice(items, shard, shard + PER_SHARD):
                    assert item.picture is not None
                    place, slash, name = item.key.rpartition("/")
                    key = place + slash + name.replace(".", "_")  # a shard's key ends at the first dot
                    picture = content(item.picture)
                    with Image.open(io.BytesIO(picture)) as opened:
                        kind = str(opened.format).lower()
                    add_file(tar, f"{key}.{'jpg' if kind == 'jpeg' else kind}", picture)
                    if item.caption is not None:
                        text = item.caption.encode() if isinstance(item.caption, str) else content(item.caption)
                        add_file(tar, f"{key}.txt", text)
                    if item.facts is not None:
                        add_file(tar, f"{key}.json", content(item.facts))
