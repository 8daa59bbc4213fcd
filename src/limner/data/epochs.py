"""A finite set of samples as an endless, shuffled sequence that can be entered anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limner.data.pair import Broken, Pair, mixed
from limner.errors import DataError, PictureError
from limner.pictures.load import load_picture

EMPTY = np.zeros((0, 0, 3), np.uint8)
TRIES = 1000
"""Broken samples in a row before a source gives up."""


class Span(NamedTuple):
    """Bytes inside a larger file, such as a member of a tar."""

    file: str
    offset: int
    size: int


Where = bytes | Path | Span
"""Where some bytes are: here, in a file of their own, or inside one."""


class Item(NamedTuple):
    """A sample that is not read yet: its picture (or codes), its caption as text, its further facts as JSON."""

    key: str
    picture: Where | None
    caption: Where | str | None
    facts: Where | None = None
    codes: Where | None = None


class Unusable(Exception):
    """A sample cannot be used; the message is its cause in a word or two."""


def content(where: Where) -> bytes:
    """The bytes. Raises Unusable where the file is gone or shorter than it was."""
    if isinstance(where, bytes):
        return where
    try:
        if isinstance(where, Path):
            return where.read_bytes()
        with open(where.file, "rb") as file:
            file.seek(where.offset)
            data = file.read(where.size)
    except OSError:
        raise Unusable("missing file") from None
    if len(data) != where.size:
        raise Unusable("truncated file")
    return data


@dataclass(frozen=True)
class Reader:
    """How an item becomes a pair.

    caption_keys: lists or texts of the facts (``captions``, ``captions_zh``) from which the caption is drawn instead.
    captions: whether a sample without a caption is unusable; a dVAE reads none.
    """

    caption_keys: tuple[str, ...] = ()
    captions: bool = True

    def __call__(self, item: Item, seed: int) -> Pair:
        """The pair; ``seed`` chooses among several captions. Raises Unusable."""
        caption = self.caption(item, seed)
        if item.codes is not None:
            return Pair(EMPTY, caption, item.key, codes=_codes(content(item.codes)))
        assert item.picture is not None
        try:
            picture = np.asarray(load_picture(content(item.picture)))
        except PictureError as error:
            raise Unusable(_cause(str(error))) from error
        return Pair(picture, caption, item.key)

    def caption(self, item: Item, seed: int) -> str:
        """A caption of the item: one of its lines, or of the lists that ``caption_keys`` name. Raises Unusable."""
        options = self._listed(item) or self._lines(item)
        if not options:
            if self.captions:
                raise Unusable("no caption" if item.caption is None else "empty caption")
            return ""
        return options[mixed(seed, 3) % len(options)]

    def _lines(self, item: Item) -> list[str]:
        if item.caption is None:
            return []
        text = item.caption if isinstance(item.caption, str) else _text(content(item.caption), self.captions)
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _listed(self, item: Item) -> list[str]:
        if not self.caption_keys or item.facts is None:
            return []
        try:
            facts = json.loads(content(item.facts))
        except ValueError:
            raise Unusable("JSON unreadable") from None
        options: list[str] = []
        for key in self.caption_keys:
            found = facts.get(key, []) if isinstance(facts, dict) else []
            options += [found] if isinstance(found, str) else [text for text in found if isinstance(text, str)]
        return [text.strip() for text in options if text.strip()]


def _text(data: bytes, strict: bool) -> str:
    try:
        text = data.decode("utf-8-sig")
        if "\0" not in text:  # UTF-16 without a mark is UTF-8 full of zeros
            return text
    except UnicodeDecodeError:
        pass
    if strict:
        raise Unusable("caption not UTF-8")
    return ""


def _codes(data: bytes) -> np.ndarray:
    import io

    try:
        codes = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise Unusable("codes unreadable") from None
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise Unusable("codes misshapen")
    return codes.astype(np.int64)


def _cause(message: str) -> str:
    for words, cause in (
        ("megapixels", "picture too large"),
        ("truncated or damaged", "picture damaged"),
        ("empty file", "picture empty"),
        ("no such file", "missing file"),
    ):
        if words in message:
            return cause
    return "not a picture"


@dataclass(frozen=True)
class Epochs:
    """``items`` in an order that is new in each epoch, by ``seed``; a broken one gives its place to the next.

    unusable: what was passed over when the source was opened. fingerprint: changes where the set of samples changes.
    """

    name: str
    items: Sequence[Item]
    read: Callable[[Item, int], Pair]
    seed: int = 0
    unusable: tuple[Broken, ...] = ()
    fingerprint: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise DataError(f"{self.name}: expected at least one sample, got none")
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(item.key for item in self.items))

    @property
    def count(self) -> int:
        """Samples in an epoch."""
        return len(self.items)

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The pair at ``position``; broken ones on the way are named. Raises DataError where all are broken."""
        tries = min(TRIES, self.count)
        for shift in range(tries):
            item = self._item(position, shift)
            try:
                return self.read(item, mixed(self.seed, position))
            except Unusable as unusable:
                broken.append(Broken(item.key, str(unusable)))
        raise DataError(
            f"{self.name}: expected usable samples, got {tries} broken ones in a row, the last {broken[-1].name} "
            f"({broken[-1].cause}); limner data check names them all"
        )

    def bookmarks(self) -> dict[str, list[int]]:
        """None are needed: every position can be entered."""
        return {}

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        """Nothing to remember."""

    def caption(self, position: int) -> str:
        """The caption at ``position``; empty where it is broken."""
        reader = self.read
        item = self._item(position, 0)
        try:
            return reader.caption(item, mixed(self.seed, position)) if isinstance(reader, Reader) else ""
        except Unusable:
            return ""

    def _item(self, position: int, shift: int) -> Item:
        epoch, place = divmod(position, self.count)
        return self.items[int(_order(self.seed, epoch, self.count)[(place + shift) % self.count])]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    # RandomState's streams are frozen for ever; Generator's are not.
    return np.random.RandomState(mixed(seed, epoch) & 0xFFFFFFFF).permutation(count)


def fingerprint(keys: Any) -> str:
    """A short hash of the samples' names in order."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:16]


def split_test(items: Sequence[Item], share: float) -> tuple[list[Item], list[Item]]:
    """Training and test items: about ``share`` of the keys, by their hash, are kept out of training."""
    if share <= 0:
        return list(items), list(items)
    test = [i for i in items if in_test(i.key, share)]
    train = [i for i in items if not in_test(i.key, share)]
    # A handful of pictures is all training; one looks at what one has.
    return (train, test) if train and len(test) >= 4 else (list(items), list(items))


def in_test(key: str, share: float) -> bool:
    """Whether a sample is kept out of training: by the hash of its key, about ``share`` of them."""
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:4], "big")
    return number < share * 2**32
