"""``limner evaluate names``: real pictures with names (emoji, photographs) before a CLIP, and drawn by their names.

A picture's own name must beat the names of others, 64 to a group (or ``among``), as in zero-shot classification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from limner.data.pair import Broken
from limner.data.sources import DataOptions, open_data
from limner.errors import InputError
from limner.evaluate.captions import Looks, look
from limner.evaluate.composition import Draws
from limner.evaluate.statistics import interval, mean
from limner.progress import progress


@dataclass(frozen=True, slots=True)
class Named:
    """A picture and what it is called."""

    picture: Image.Image
    name: str


def read_named(data: str, *, key: str, count: int, seed: int = 0) -> list[Named]:
    """``count`` pictures of ``data`` (a folder or shards) with names all different, in an order by ``seed``.

    ``key``: where a sample's JSON has the name (``name``, ``captions.1``); "" takes its caption. Fewer where the data
    have fewer names. Raises DataError, InputError.
    """
    keys = (key,) if key else ()
    source = open_data(data, DataOptions(size=0, seed=seed, caption_keys=keys, test_share=0.0)).train
    if source.count is None:
        raise InputError(f"--data {data}: expected pictures that can be counted (a folder, local shards), got a stream")
    found: dict[str, Named] = {}
    broken: list[Broken] = []
    for position in range(source.count):
        pair = source.at(position, broken)
        found.setdefault(pair.caption, Named(Image.fromarray(pair.picture), pair.caption))
        if len(found) == count:
            break
    return list(found.values())


def evaluate_named(looker: Looks, named: Sequence[Named], *, among: int = 64) -> dict[str, Any]:
    """How often a picture's own name scores highest among ``among``. Raises InputError where there are fewer."""
    hits: list[list[float]] = []
    for group in _groups(named, among):
        table = look(looker, [one.picture for one in group], [one.name for one in group])
        hits += [[float(hit)] for hit in table.argmax(1) == np.arange(among)]
    return _table(hits, among)


def evaluate_drawn(
    painter: Draws,
    looker: Looks,
    named: Sequence[Named],
    *,
    among: int = 64,
    prompts: int = 64,
    candidates: int = 16,
    rank: str = "likelihood",
    seed: int = 0,
    sampling: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Named]]:
    """Names drawn (the best of ``candidates`` by ``rank``), then recognised among ``among`` names by the CLIP.

    Ranking by likelihood keeps the CLIP that judges from choosing what it judges.
    """
    groups = _groups(named, among)
    names = [one.name for group in groups for one in group][:prompts]
    drawn: list[Named] = []
    with progress("drawing names", len(names), quiet=quiet) as bar:
        for number, name in enumerate(names):
            options = {"candidates": candidates, "rank": rank, **(sampling or {})}
            best = painter.generate(name, count=1, seed=seed + number, **options)[0]  # type: ignore[arg-type]
            drawn.append(Named(best.image, name))
            bar.advance()
    hits: list[list[float]] = []
    for start, group in zip(range(0, len(names), among), groups, strict=False):
        own = drawn[start : start + among]
        table = look(looker, [one.picture for one in own], [one.name for one in group])
        hits += [[float(hit)] for hit in table.argmax(1) == np.arange(len(own))]
    return _table(hits, among), drawn


def _groups(named: Sequence[Named], among: int) -> list[Sequence[Named]]:
    if not 2 <= among <= len(named):
        raise InputError(f"among: expected 2 to {len(named)} (the different names), got {among}")
    return [named[start : start + among] for start in range(0, len(named) - among + 1, among)]


def _table(hits: Sequence[Sequence[float]], among: int) -> dict[str, Any]:
    return {"accuracy": mean(hits), "interval": list(interval(hits)), "count": len(hits), "among": among}
