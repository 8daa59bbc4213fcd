"""Tar shards in webdataset's layout: ``KEY.jpg|png|webp|…`` with ``KEY.txt`` and, if one likes, ``KEY.json``.

Local shards are indexed once and then read at random: compressed ones are held in memory, plain ones read where they
lie. What is remote, or too large to hold, is read as a stream (``stream.py``).
"""

from __future__ import annotations

import glob
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from limner.data.epochs import Item, Span, Where
from limner.data.pair import Broken
from limner.errors import DataError
from limner.pictures.load import SUFFIXES

PICTURES = frozenset(suffix[1:] for suffix in SUFFIXES)
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
HELD = 2 << 30
"""Bytes of compressed shards that are held in memory; more are streamed."""
DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)


class Member(NamedTuple):
    """A file of a shard: its key (up to the first dot), its extension (the rest, lower case) and its bytes."""

    key: str
    extension: str
    where: Where


def is_shards(text: str) -> bool:
    """Whether ``--data`` names shards: a URL, a pattern, or a name with a tar's ending."""
    return "://" in text or text.startswith("pipe:") or text.lower().endswith(ENDINGS) or any(c in text for c in "*?[{")


def expand(text: str) -> list[str]:
    """The shards that ``text`` names: braces ``{0000..0123}``, several with ``::``, glob patterns. Raises DataError."""
    from webdataset.shardlists import expand_urls

    found: list[str] = []
    for url in expand_urls(text):
        if remote(url):
            found.append(url)
        elif any(c in url for c in "*?["):
            matches = sorted(m for m in glob.glob(str(Path(url).expanduser())) if m.lower().endswith(ENDINGS))
            if not matches:
                raise DataError(f"--data {url}: expected tar shards ({', '.join(ENDINGS)}), the pattern matches none")
            found += matches
        elif not Path(url).expanduser().is_file():
            raise DataError(f"--data {url}: expected a shard, got no such file; check the path")
        else:
            found.append(str(Path(url).expanduser()))
    return found


def remote(url: str) -> bool:
    """Whether a shard is read over a network or a pipe."""
    return url.startswith("pipe:") or ("://" in url and not url.startswith("file://"))


def fits(shards: list[str], held: int = HELD) -> bool:
    """Whether the shards can be indexed: all local, compressed ones small enough to hold."""
    if any(remote(shard) for shard in shards):
        return False
    return sum(Path(s).stat().st_size for s in shards if not s.lower().endswith(".tar")) <= held


def read_shards(shards: list[str], captions: bool = True, codes: bool = False) -> tuple[list[Item], list[Broken]]:
    """The samples of local shards, in order, and what cannot be used. Raises DataError where nothing can."""
    items: list[Item] = []
    broken: list[Broken] = []
    for shard in shards:
        samples: dict[str, dict[str, Where]] = {}
        try:
            for member in members(shard):
                samples.setdefault(member.key, {}).setdefault(member.extension, member.where)
            if not samples:
                broken.append(Broken(shard, "empty shard"))
        except DAMAGE as error:
            broken.append(Broken(shard, "shard damaged" if samples else f"shard unreadable ({_first_line(error)})"))
        for key, files in samples.items():
            item = make_item(key, files, captions, codes)
            if isinstance(item, Broken):
                broken.append(item)
            else:
                items.append(item)
    if not items:
        got = f"{broken[0].name}: {broken[0].cause}" if broken else "no file in them"
        raise DataError(f"{shards[0]}: expected samples KEY.jpg|png|webp with KEY.txt, got none ({got})")
    return items, broken


def _first_line(error: BaseException) -> str:
    """Without what tarfile tried in vain, one compression after the other."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(" :")


def make_item(key: str, files: dict[str, Where], captions: bool, codes: bool = False) -> Item | Broken:
    """A sample from its files by extension, or why it is none. ``codes``: stored image tokens stand for a picture."""
    picture = next((files[e] for e in files if e in PICTURES), None)
    tokens = files.get("codes.npy") if codes else None
    caption, facts = files.get("txt"), files.get("json")
    if picture is None and tokens is None:
        return Broken(key, "no picture")
    if captions and caption is None and facts is None:
        return Broken(key, "no caption")
    return Item(key, picture, caption, facts, tokens)


def members(shard: str) -> Iterator[Member]:
    """The regular files of a local shard; bytes are held if it is compressed. Raises one of DAMAGE."""
    plain = shard.lower().endswith(".tar")
    with tarfile.open(shard, "r:" if plain else "r:*") as tar:
        for info in tar:
            if not info.isreg():
                continue
            key, extension = split_name(info.name)
            if not key:
                continue
            where: Where
            if plain:
                where = Span(shard, info.offset_data, info.size)
            else:
                file = tar.extractfile(info)
                assert file is not None
                where = file.read()
                if len(where) != info.size:
                    raise EOFError("truncated")
            yield Member(key, extension, where)
            tar.members = []  # type: ignore[attr-defined]  # tarfile would remember every header


def add_file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Append a file to a shard that is being written."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def split_name(name: str) -> tuple[str, str]:
    """``a/b.codes.npy`` → ``("a/b", "codes.npy")``, webdataset's rule; ("", "") for hidden files."""
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    if not stem or not dot:
        return "", ""
    return folder + slash + stem, extension.lower()
