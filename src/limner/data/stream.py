"""Shards that are remote or too large to hold: read from front to back by webdataset's openers, shuffled in blocks.

A run reads them in *lanes*, each an endless sequence of its own: it takes all shards in an order of its own, cuts them
into blocks and shuffles each block. Position p of the source belongs to the lane of its batch and its place therein, so
that processes and workers read different lanes, whatever their number. A lane is entered again at a *bookmark* (the
block's beginning), which checkpoints keep: resuming reads one block again, not all that went before. As shards are
drawn anew by each lane, samples come equally often in the long run rather than once an epoch.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limner.data.epochs import Item, Unusable, Where, fingerprint, in_test
from limner.data.pair import Broken, Pair, mixed
from limner.data.shards import DAMAGE, make_item, remote, split_name
from limner.errors import DataError

BLOCK = 128
"""Samples that are shuffled with each other in a lane."""
GROUPS = 8
"""Batches that go on in lanes of their own before the first lanes' turn comes again; workers share them out."""
UNITS = 8
"""Parts of a batch with lanes of their own; processes share them out."""
PATIENCE = 50
"""Shards in a row that may be broken."""

Bookmark = tuple[int, int, int, int]
"""Where a block begins: number of the lane's sample, then epoch, shard and sample in the shard."""


@dataclass
class _Lane:
    """A lane's current block, shuffled, and where it and the next begin."""

    bookmark: Bookmark = (0, 0, 0, 0)
    items: list[Item] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    next: Bookmark = (0, 0, 0, 0)
    reading: Iterator[tuple[Item | Broken, int, int, int]] | None = None


@dataclass
class Stream:
    """``shards`` (paths or URLs) as a source; ``batch`` is the number of positions that are made together."""

    name: str
    shards: Sequence[str]
    read: Callable[[Item, int], Pair]
    batch: int
    seed: int = 0
    captions: bool = True
    codes: bool = False
    test_share: float = 0.0
    count: None = None
    unusable: tuple[Broken, ...] = ()
    _lanes: dict[int, _Lane] = field(default_factory=dict, repr=False)
    _read: set[int] = field(default_factory=set, repr=False)
    _captions: Iterator[str] | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """Changes with the names of the shards."""
        return fingerprint(self.shards)

    # --- positions

    def place(self, position: int) -> tuple[int, int]:
        """(lane, number of its sample) of a position."""
        units = math.gcd(self.batch, UNITS)
        size = self.batch // units
        batch, place = divmod(position, self.batch)
        turn, group = divmod(batch, GROUPS)
        unit, rest = divmod(place, size)
        return group * units + unit, turn * size + rest

    def at(self, position: int, broken: list[Broken]) -> Pair:
        """The pair at ``position``. Raises DataError where shard after shard is broken."""
        number, k = self.place(position)
        lane = self._lanes.setdefault(number, _Lane())
        if k < lane.bookmark[0]:
            lane = self._lanes[number] = _Lane()
        while k >= lane.bookmark[0] + len(lane.items):
            self._advance(number, lane)
        first = k - lane.bookmark[0]
        self._read.add(number)
        if first == 0:
            broken.extend(lane.broken)
        for shift in range(len(lane.items)):
            item = lane.items[(first + shift) % len(lane.items)]
            try:
                return self.read(item, mixed(self.seed, position))
            except Unusable as unusable:
                broken.append(Broken(item.key, str(unusable)))
        raise DataError(f"{self.name}: expected usable samples, got {len(lane.items)} broken ones in a row")

    def caption(self, position: int) -> str:
        """The next caption in the shards' own order (a tokenizer is trained on the first ones)."""
        if self._captions is None or position == 0:
            self._captions = self._all_captions()
        return next(self._captions, "")

    def _all_captions(self) -> Iterator[str]:
        for item, *_ in self._samples(-1, 0, 0, 0):
            if isinstance(item, Item):
                with contextlib.suppress(Unusable):
                    yield self.read.caption(item, 0) if hasattr(self.read, "caption") else ""

    # --- bookmarks

    def bookmarks(self) -> dict[str, list[int]]:
        """Where the current block of each lane that this process has read begins."""
        return {str(number): list(self._lanes[number].bookmark) for number in sorted(self._read)}

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        """Enter lanes where ``bookmarks`` of another process say."""
        for number, (k, epoch, shard, sample) in bookmarks.items():
            mark = (k, epoch, shard, sample)
            self._lanes[int(number)] = _Lane(bookmark=mark, next=mark)

    # --- reading

    def _advance(self, number: int, lane: _Lane) -> None:
        """Read the lane's next block."""
        k, epoch, shard, sample = lane.next
        if lane.reading is None:
            lane.reading = self._samples(number, epoch, shard, sample)
        lane.bookmark, lane.items, lane.broken = lane.next, [], []
        for item, *after in lane.reading:
            epoch, shard, sample = after
            if isinstance(item, Broken):
                lane.broken.append(item)
            else:
                lane.items.append(item)
            if len(lane.items) == BLOCK:
                break
        lane.next = (k + len(lane.items), epoch, shard, sample)
        order = np.random.RandomState(mixed(self.seed, number, k) & 0xFFFFFFFF).permutation(len(lane.items))
        lane.items = [lane.items[i] for i in order]

    def _samples(self, lane: int, epoch: int, shard: int, sample: int) -> Iterator[tuple[Item | Broken, int, int, int]]:
        """The lane's samples from a bookmark on, each with the place of the one after it. Raises DataError."""
        failed = 0
        for e in itertools.count(epoch):
            order = np.random.RandomState(mixed(self.seed, lane, e, 5) & 0xFFFFFFFF).permutation(len(self.shards))
            for s in range(shard if e == epoch else 0, len(order)):
                url = self.shards[int(order[s])]
                skip = sample if (e, s) == (epoch, shard) else 0
                found, number = False, skip
                try:
                    for item in itertools.islice(stream_items(url, self.captions, self.codes), skip, None):
                        number += 1
                        if isinstance(item, Item) and in_test(item.key, self.test_share):
                            continue
                        found = True
                        yield item, e, s, number
                except DAMAGE as error:
                    yield Broken(url, f"shard damaged ({type(error).__name__})"), e, s, number
                failed = 0 if found else failed + 1
                if failed >= min(PATIENCE, 2 * len(self.shards)):
                    raise DataError(
                        f"{self.name}: expected samples, got {failed} empty or broken shards in a row, last {url}"
                    )


def stream_items(url: str, captions: bool = True, codes: bool = False) -> Iterator[Item | Broken]:
    """A shard's samples from front to back; files of one sample stand together, as webdataset has it. Raises DAMAGE."""
    key = ""
    files: dict[str, Where] = {}
    with _opened(url) as file, tarfile.open(fileobj=file, mode="r|*") as tar:
        for info in tar:
            name, extension = split_name(info.name)
            if not info.isreg() or not name:
                continue
            if name != key and files:
                yield make_item(key, files, captions, codes)
                files = {}
            key = name
            content = tar.extractfile(info)
            data: Where = content.read() if content is not None else b""
            files.setdefault(extension, data)
            tar.members = []  # type: ignore[attr-defined]
    if files:
        yield make_item(key, files, captions, codes)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Any]:
    if not remote(url):
        with open(url.removeprefix("file://"), "rb") as file:
            yield file
        return
    from webdataset.gopen import gopen

    stream = gopen(url)
    try:
        yield stream
    finally:
        with contextlib.suppress(Exception):  # a pipe that is closed early complains
            stream.close()


def items_to_look_at(
    shards: Sequence[str], share: float, captions: bool = True, codes: bool = False, most: int = 256
) -> list[Item]:
    """Samples of the first shards: those kept out of training, or simply the first where there are few."""
    first: list[Item] = []
    kept: list[Item] = []
    for shard in shards[:4]:
        with contextlib.suppress(*DAMAGE):
            for item in stream_items(shard, captions, codes):
                if isinstance(item, Item):
                    first += [item] if len(first) < most else []
                    kept += [item] if in_test(item.key, share) else []
                if len(kept) >= most or (share <= 0 and len(first) >= most):
                    return kept or first
    return kept if len(kept) >= 4 else first
