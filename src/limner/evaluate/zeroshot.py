"""``limner evaluate zeroshot``: pictures told apart by naming their classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from limner.data.epochs import Epochs, Item, Reader
from limner.data.pair import Broken, Pair, Source
from limner.data.sources import DataOptions, open_data
from limner.errors import DataError, InputError
from limner.evaluate.statistics import share
from limner.looking.heads import Head
from limner.looking.read import pictures_of
from limner.progress import progress

BATCH = 64
SIZE = 256
"""Pixels at which the storybook's scenes are drawn."""


class Looks(Protocol):
    """What this evaluation needs of a looker."""

    def embed_images(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors float32 (n, E) of uint8 (H, W, 3) arrays."""
        ...

    def head(self, labels: Sequence[str], templates: str | Sequence[str] | None, *, cut: bool) -> Head:
        """A zero-shot head."""
        ...


def labelled(data: str, *, held_out: bool = False, caption_keys: Sequence[str] = (), seed: int = 0) -> Source:
    """The pictures of ``data`` with a class each: what ``--data`` names (a picture's caption is its class), or a folder
    with a folder for each class.

    held_out: the part alone that training on the same data does not see. Raises DataError.
    """
    folder = Path(data).expanduser()
    if folder.is_dir() and not any(folder.glob("*.tar*")) and not any(folder.glob("*.tgz")):
        pictures = pictures_of(folder)
        described = (folder / "metadata.csv").is_file() or any(p.with_suffix(".txt").is_file() for p in pictures)
        if not described:
            return _class_folders(folder, pictures, seed)
    options = DataOptions(SIZE, seed, caption_keys=tuple(caption_keys), languages=("en",))
    return open_data(data, options if held_out else replace(options, test_share=0.0)).test


def _class_folders(folder: Path, pictures: list[Path], seed: int) -> Source:
    items = [
        Item(path.relative_to(folder).as_posix(), path, path.parent.name.replace("_", " "))
        for path in pictures
        if path.parent != folder
    ]
    if not items:
        raise DataError(
            f"{folder}: expected pictures with captions, or in a folder for each class, got "
            f"{len(pictures)} pictures without either"
        )
    return Epochs(str(folder), items, Reader(), seed)


def evaluate_zeroshot(
    looker: Looks,
    source: Source,
    *,
    pictures: int = 1000,
    classes: int | None = None,
    templates: str | Sequence[str] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Accuracies of at most ``pictures`` pictures of ``source`` among their classes: the different captions, cut where
    they are too long.

    classes: no more than so many; pictures of others are passed over. Gives ``top1`` and ``top5`` (accuracy, 95 %
    interval, count), ``per_class`` (the mean of the classes' own accuracies) and what was ``broken``. Raises
    InputError (sizes below 1, fewer than two classes), DataError.
    """
    if pictures < 1 or (classes is not None and classes < 2):
        raise InputError(f"expected 1 picture and 2 classes or more, got {pictures} and {classes}")
    broken: list[Broken] = []
    pairs = _different(source, pictures, classes, broken)
    labels = list(dict.fromkeys(pair.caption for pair in pairs))
    if len(labels) < 2:
        raise InputError(f"{source.name}: expected pictures of two classes or more, got {len(labels)}")
    head = looker.head(labels, templates, cut=True)
    ranks: list[int] = []
    with progress("zero-shot", len(pairs), quiet=quiet) as bar:
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]
            cosines = head.cosines(looker.embed_images([pair.picture for pair in part]))
            own = cosines[np.arange(len(part)), [labels.index(pair.caption) for pair in part]]
            # Of equal cosines the own one counts last: a model that says the same of everything is never right.
            ranks += (cosines >= own[:, None]).sum(axis=1).tolist()
            bar.advance(len(part), top1=sum(rank == 1 for rank in ranks) / len(ranks))
    by_class: dict[str, list[float]] = defaultdict(list)
    for pair, rank in zip(pairs, ranks, strict=True):
        by_class[pair.caption].append(float(rank == 1))
    return {
        "pictures": len(pairs),
        "classes": len(labels),
        "top1": share([[float(rank == 1)] for rank in ranks]),
        "top5": share([[float(rank <= 5)] for rank in ranks]),
        "per_class": float(np.mean([np.mean(hits) for hits in by_class.values()])),
        "broken": dict(Counter(one.cause for one in broken)),
    }


def _different(source: Source, pictures: int, classes: int | None, broken: list[Broken]) -> list[Pair]:
    """The source's first pairs, each once, of its first ``classes`` captions."""
    found: dict[str, Pair] = {}
    captions: set[str] = set()
    limit = 20 * pictures if source.count is None else source.count
    for position in range(limit):
        if len(found) == pictures:
            break
        pair = source.at(position, broken)
        if pair.caption not in captions and classes is not None and len(captions) == classes:
            continue
        captions.add(pair.caption)
        found.setdefault(pair.key, pair)
    return list(found.values())
