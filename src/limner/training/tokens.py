"""The tokenizer of a run: taken over from a model, or trained on the run's own captions, and kept in the run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from limner import ranks
from limner.data.pair import Source
from limner.models.modelfolder import TOKENIZER

if TYPE_CHECKING:
    from limner.text.bytepairs import BytePairs
    from limner.text.clip_bytepairs import ClipBytePairs

CAPTIONS = 20_000
"""How many captions a tokenizer is trained on at most."""


def run_tokenizer(
    run: Path, source: Source, vocabulary: int, *, taken_from: str | None = None, captions: int = CAPTIONS
) -> BytePairs | ClipBytePairs:
    """``tokenizer.json`` of the run folder; made at the first start.

    taken_from: ``openai`` for CLIP's published one, a ``tokenizer.json``, or a model whose tokenizer is taken over.
    Without it one of ``vocabulary`` ids is trained on the first ``captions`` captions of ``source``. Other processes
    wait for the first. Raises TrainingError, ModelError.
    """
    from limner.text.tokenizer import load_tokenizer

    path = run / TOKENIZER
    if ranks.is_first() and not path.is_file():
        _make(source, vocabulary, taken_from, captions).save(path)
    ranks.wait(f"{path}: the first process writes it")
    return load_tokenizer(path)


def _make(source: Source, vocabulary: int, taken_from: str | None, captions: int) -> BytePairs | ClipBytePairs:
    from limner.text.bytepairs import BytePairs
    from limner.text.clip_bytepairs import ClipBytePairs
    from limner.text.tokenizer import load_tokenizer

    if taken_from == "openai":
        return ClipBytePairs.published()
    if taken_from:
        place = Path(taken_from)
        return load_tokenizer(place if place.suffix == ".json" else place / TOKENIZER)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    count = captions if source.count is None else min(captions, source.count)
    return BytePairs.train(_captions(source, count), vocabulary)


def _captions(source: Source, count: int) -> Iterator[str]:
    for position in range(count):
        yield source.caption(position)
