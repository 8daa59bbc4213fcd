"""What ``--data`` may say: ``storybook``, a folder, shards, or several of them with weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from limner.data.codes import check_codes
from limner.data.epochs import Epochs, Item, Reader, split_test
from limner.data.folder import read_folder
from limner.data.mixture import Mixture
from limner.data.pair import Broken, Source
from limner.data.shards import expand, fits, is_shards, read_shards, remote
from limner.data.stream import Stream, items_to_look_at
from limner.data.worlds import Storybook
from limner.errors import DataError


@dataclass(frozen=True)
class DataOptions:
    """How sources are opened.

    size: pixels at which scenes are drawn. seed: of orders and scenes. captions: whether a sample needs one.
    codes: whether stored image tokens are read, made by the dVAE with the hash ``dvae``. caption_keys: lists in a
    sample's JSON from which its caption is drawn. test_share: of real samples, kept out of
    training to look at. batch: positions that are made together, for streams. families, languages, near: of
    the storybook (no family: all; near: see ``worlds.Storybook``).
    """

    size: int
    seed: int = 0
    captions: bool = True
    codes: bool = False
    dvae: str = ""
    caption_keys: tuple[str, ...] = ()
    test_share: float = 0.02
    batch: int = 64
    families: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en", "zh")
    near: int = 1


@dataclass(frozen=True)
class Opened:
    """A source to train on, and one of samples that training does not see."""

    train: Source
    test: Source


def open_data(text: str, options: DataOptions) -> Opened:
    """The data called ``text``: one source, or several with commas, weighted as ``SOURCE*3``. Raises DataError."""
    parts = [part for part in _split(text) if part]
    if not parts:
        raise DataError(f"--data: expected storybook, a folder or shards, got {text!r}")
    if len(parts) == 1:
        return _open(_weighted(parts[0])[0], options)
    opened = [(_open(name, options), weight) for name, weight in map(_weighted, parts)]
    weights = tuple(weight for _, weight in opened)
    return Opened(
        Mixture(tuple(o.train for o, _ in opened), weights, options.seed),
        Mixture(tuple(o.test for o, _ in opened), weights, options.seed),
    )


def _open(text: str, options: DataOptions) -> Opened:
    if text == "storybook":
        families = options.families or None
        train = Storybook(options.size, options.seed, "train", families, options.languages, options.near)
        return Opened(train, Storybook(options.size, options.seed, "test", families, options.languages))
    if Path(text).expanduser().is_dir():
        folder = Path(text).expanduser()
        shards = sorted(str(f) for f in folder.glob("*.tar*")) + sorted(str(f) for f in folder.glob("*.tgz"))
        if not shards:
            return _samples(text, read_folder(folder, options.captions), options)
        return _samples(text, read_shards(_checked(shards, options), options.captions, options.codes), options)
    if is_shards(text):
        shards = _checked(expand(text), options)
        if not fits(shards):
            return _streamed(text, shards, options)
        return _samples(text, read_shards(shards, options.captions, options.codes), options)
    raise DataError(f"--data {text}: expected storybook, a folder, or shards (.tar, .tar.gz), got no such thing")


def _checked(shards: list[str], options: DataOptions) -> list[str]:
    if options.codes:
        check_codes([shard for shard in shards if not remote(shard)], options.dvae)
    return shards


def _samples(name: str, found: tuple[list[Item], list[Broken]], options: DataOptions) -> Opened:
    items, broken = found
    train, test = split_test(items, options.test_share)
    read = Reader(options.caption_keys, options.captions)
    return Opened(
        Epochs(name, train, read, options.seed, tuple(broken)), Epochs(f"{name} (test)", test, read, options.seed)
    )


def _streamed(name: str, shards: list[str], options: DataOptions) -> Opened:
    read = Reader(options.caption_keys, options.captions)
    found = items_to_look_at(shards, options.test_share, options.captions, options.codes)
    if not found:
        raise DataError(f"--data {name}: expected samples KEY.jpg|png|webp with KEY.txt, got none in the first shards")
    train = Stream(name, shards, read, options.batch, options.seed, options.captions, options.codes, options.test_share)
    return Opened(train, Epochs(f"{name} (test)", found, read, options.seed))


def _split(text: str) -> list[str]:
    """At commas that stand outside braces."""
    return [part.strip() for part in re.split(r",(?![^{]*\})", text)]


def _weighted(part: str) -> tuple[str, float]:
    match = re.fullmatch(r"(.+)\*(\d+(?:\.\d+)?)", part)
    return (match[1], float(match[2])) if match else (part, 1.0)
