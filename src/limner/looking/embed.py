"""Pictures and captions as points: in batches, decoding overlapped with the towers, unreadable pictures told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from limner.device import default_threads
from limner.errors import InputError, PictureError
from limner.looking.read import Source, open_picture
from limner.looking.towers import Tokens, Towers, unit

TooLong = Literal["error", "cut", "windows"]


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read: its place among the sources, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Embedded:
    """``features`` float32 (n, E) of unit length; ``indices``: which sources they are of; ``broken``: the others."""

    features: np.ndarray
    indices: list[int]
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """How pictures are read: ``exif`` turns them upright, ``fast`` decodes JPEGs smaller (not exact), ``threads``."""

    exif: bool = False
    fast: bool = False
    threads: int | None = None


EXACT = Reading()
"""As CLIP's owners read pictures."""


def read_pixels(source: Source | np.ndarray, towers: Towers, reading: Reading) -> np.ndarray:
    """One source as the towers' bytes: uint8 (H, W, 3). Raises PictureError."""
    steps = towers.config.pixels
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
            raise PictureError(f"picture: expected uint8 (H, W, 3), got {source.dtype} {source.shape}")
        picture = Image.fromarray(source)
    else:
        need = steps.resize_to if isinstance(steps.resize_to, int) else max(steps.size)
        picture = open_picture(source, shrink=need if reading.fast else None)
    if reading.exif and not steps.exif:
        from PIL import ImageOps

        picture = ImageOps.exif_transpose(picture)
    return steps.uint8(picture)


def stream_pictures(
    towers: Towers, sources: Iterable[Source | np.ndarray], reading: Reading = EXACT
) -> Iterator[Embedded]:
    """Features batch by batch, in the order of ``sources``; the threads decode the next batches meanwhile.

    At most four batches are decoded ahead, so memory does not grow with the number of sources. Towers whose threads
    suffer from others at work (``towers.alone``) have the cores to themselves: no picture is begun meanwhile.
    """
    threads = reading.threads or default_threads()
    ahead = max(2 * threads, 4 * towers.batch)
    free = threading.Event()
    free.set()

    def decode(source: Source | np.ndarray) -> np.ndarray:
        free.wait()
        return read_pixels(source, towers, reading)

    def features() -> np.ndarray:
        if not pixels:
            return _none(towers)
        if towers.alone:
            free.clear()
        try:
            return unit(towers.images(np.stack(pixels)))
        finally:
            free.set()

    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
        pixels: list[np.ndarray] = []
        indices: list[int] = []
        broken: list[Broken] = []

        def take() -> None:
            index, future = waiting.popleft()
            try:
                pixels.append(future.result())
                indices.append(index)
            except PictureError as error:
                broken.append(Broken(index, str(error)))

        def flush() -> Embedded:
            done = Embedded(features(), list(indices), list(broken))
            pixels.clear()
            indices.clear()
            broken.clear()
            return done

        try:
            for index, source in enumerate(sources):
                waiting.append((index, pool.submit(decode, source)))
                while len(waiting) >= ahead:
                    take()
                if len(pixels) >= towers.batch:
                    yield flush()
            while waiting:
                take()
                if len(pixels) >= towers.batch:
                    yield flush()
            if pixels or broken:
                yield flush()
        finally:
            # Who stops early waits for the pictures in hand, not for all that are queued.
            for _, future in waiting:
                future.cancel()


def embed_pictures(
    towers: Towers,
    sources: Sequence[Source | np.ndarray],
    reading: Reading = EXACT,
    *,
    each: Callable[[int], None] | None = None,
) -> Embedded:
    """All of ``sources`` (paths, bytes, PIL pictures, uint8 arrays); ``each`` hears how many more are done."""
    features, indices, broken = [_none(towers)], [], []
    for part in stream_pictures(towers, sources, reading):
        features.append(part.features)
        indices += part.indices
        broken += part.broken
        if each is not None:
            each(len(part.indices) + len(part.broken))
    return Embedded(np.concatenate(features), indices, broken)


def embed_texts(
    towers: Towers,
    tokenizer: Tokens,
    texts: Sequence[str],
    *,
    too_long: TooLong = "error",
    each: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Unit features float32 (n, E) of ``texts``.

    Texts are taken in order of length, so that short ones are not padded to long ones. ``too_long``: what becomes of a
    text above the context: InputError, its beginning, or the mean of windows over it.
    """
    check_texts(texts)
    if not texts:
        return _none(towers)
    context = towers.config.text.context
    if too_long == "windows":
        windows = getattr(tokenizer, "windows", None)
        if windows is None:
            raise InputError("long texts: expected a tokenizer with windows (an imported CLIP), got limner's; cut them")
        rows, owners = windows(texts, context)
        features = embed_rows(towers, rows, each=each)
        total = np.zeros((len(texts), features.shape[1]), np.float32)
        np.add.at(total, owners, features)
        return unit(total)
    return embed_rows(towers, tokenizer.clip_row(list(texts), context, cut=too_long == "cut"), each=each)


def embed_rows(towers: Towers, rows: np.ndarray, *, each: Callable[[int], None] | None = None) -> np.ndarray:
    """Unit features float32 (n, E) of rows of token ids (n, L), which the engine gets sorted by length."""
    lengths = row_lengths(towers, rows)
    order = np.argsort(lengths, kind="stable")
    features = np.empty((len(rows), towers.config.embedding), np.float32)
    # Texts cost by their tokens: about as many of them at once as a batch of pictures' worth of full rows has.
    budget = towers.batch * max(16, towers.config.text.context)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * int(lengths[order[stop]]) <= budget:
            stop += 1
        chosen = order[start:stop]
        features[chosen] = towers.texts(rows[chosen])
        if each is not None:
            each(len(chosen))
        start = stop
    return unit(features)


def row_lengths(towers: Towers, rows: np.ndarray) -> np.ndarray:
    """How many positions of each row (n, L) count: up to the pooled one where the mask is causal, else all."""
    text = towers.config.text
    if not text.cuttable or not rows.size:
        return np.full(len(rows), rows.shape[1])
    if text.pool == "first":
        return np.ones(len(rows), np.int64)
    found = rows.argmax(axis=1) if text.pool == "argmax" else (rows == text.eos_id).argmax(axis=1)
    return np.asarray(found + 1)


def check_texts(texts: Sequence[str]) -> None:
    """Raises InputError for anything but a list of texts."""
    if isinstance(texts, str):
        raise InputError('texts: expected a list of texts, got one text; write ["…"]')
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"texts: expected text, got {type(text).__name__}")


def describe_source(source: Source | np.ndarray) -> str:
    """A name for a source in messages."""
    return str(source) if isinstance(source, str | Path) else "picture"


def _none(towers: Towers) -> np.ndarray:
    return np.zeros((0, towers.config.embedding), np.float32)
