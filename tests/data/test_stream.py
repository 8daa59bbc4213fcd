"""Shards read as streams: the same run for any number of workers and processes, resumed anywhere, nothing lost."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from limner.data import sources, stream
from limner.data.loader import Batch, Tensors, batches
from limner.data.pair import Broken, Pair
from limner.data.sources import DataOptions, open_data
from limner.data.stream import Stream, stream_items
from limner.errors import DataError

BLOCK = 12


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (value % 256, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def make(folder: Path, shards: int, each: int) -> str:
    for s in range(shards):
        with tarfile.open(folder / f"{s}.tar.gz", "w:gz") as tar:
            for i in range(each):
                number = s * each + i
                for extension, data in (("png", png(number)), ("txt", f"number {number}".encode())):
                    info = tarfile.TarInfo(f"n{number:04d}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return f"{folder}/*.tar.gz"


@pytest.fixture(autouse=True)
def _nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "fits", lambda shards: False)
    monkeypatch.setattr(stream, "BLOCK", BLOCK)


def opened(text: str, batch: int = 8, test_share: float = 0.0) -> Stream:
    train = open_data(text, DataOptions(size=4, batch=batch, seed=3, test_share=test_share)).train
    assert isinstance(train, Stream)
    return train


def collate(pairs: list[Pair], positions: list[int]) -> Tensors:
    return {"number": torch.tensor([int(p.caption.split()[1]) for p in pairs])}


def run(source: Stream, start: int, stop: int, **settings: int) -> list[Batch]:
    return list(batches(source, collate, **{"batch": 8, "start": start, "stop": stop, "workers": 0, **settings}))


def numbers(found: list[Batch]) -> list[int]:
    return [int(n) for batch in found for n in batch.tensors["number"]]


def test_a_stream_is_the_same_for_any_workers_and_processes(tmp_path: Path) -> None:
    text = make(tmp_path, 3, 40)
    whole = numbers(run(opened(text), 0, 20))
    assert numbers(run(opened(text), 0, 20, workers=2)) == whole
    slices = [run(opened(text), 0, 20, rank=rank, world=4) for rank in range(4)]
    assert [n for step in zip(*slices) for n in numbers(list(step))] == whole
    assert len(set(whole)) > 20
    assert whole != sorted(whole)


def test_a_stream_goes_on_at_its_bookmarks_without_reading_what_went_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = make(tmp_path, 4, 30)
    rounds = 8 * (2 * BLOCK + 9)  # every lane is in its third block
    whole = run(opened(text), 0, rounds + 16)
    bookmarks: dict[str, list[int]] = {}
    for batch in whole[:rounds]:
        bookmarks |= batch.bookmarks
    assert max(mark[0] for mark in bookmarks.values()) == 2 * BLOCK
    source = opened(text)
    source.remember(bookmarks)
    read = Counter()

    def counted(url: str, *options: bool):
        for item in stream_items(url, *options):
            read["items"] += 1
            yield item

    monkeypatch.setattr("limner.data.stream.stream_items", counted)
    again = run(source, rounds, rounds + 16)
    assert numbers(again) == numbers(whole[rounds:])
    assert read["items"] <= len(bookmarks) * (BLOCK + 2 * 30)
    for batch, same in zip(again, whole[rounds:], strict=True):
        assert batch.bookmarks.items() <= same.bookmarks.items()


def test_every_sample_comes_about_equally_often(tmp_path: Path) -> None:
    text = make(tmp_path, 3, 20)
    counts = Counter(numbers(run(opened(text), 0, 600)))
    assert len(counts) == 60
    assert max(counts.values()) < 1.5 * min(counts.values())


def test_broken_shards_and_samples_of_a_stream_are_named_once(tmp_path: Path) -> None:
    text = make(tmp_path, 2, 20)
    whole = (tmp_path / "0.tar.gz").read_bytes()
    (tmp_path / "0.tar.gz").write_bytes(whole[: len(whole) * 2 // 3])
    source = opened(text, batch=1)
    broken: list[Broken] = []
    for position in range(40):
        source.at(position * 8, broken)  # one lane
    assert any(b.cause.startswith("shard damaged") and b.name.endswith("0.tar.gz") for b in broken)
    again: list[Broken] = []
    source.at(39 * 8, again)
    assert again == []


def test_shards_that_are_all_broken_are_one_line(tmp_path: Path) -> None:
    text = make(tmp_path, 2, 3)
    source = opened(text)
    for name in ("0.tar.gz", "1.tar.gz"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match="empty or broken shards in a row"):
        source.at(0, [])
    with pytest.raises(DataError, match="got none in the first shards"):
        open_data(text, DataOptions(size=4))


def test_pipes_are_read_and_the_test_part_is_kept_out(tmp_path: Path) -> None:
    make(tmp_path, 1, 60)
    text = f"pipe:cat {tmp_path}/0.tar.gz"
    both = open_data(text, DataOptions(size=4, batch=8, test_share=0.2))
    test = {both.test.at(i, []).key for i in range(both.test.count or 0)}
    assert 4 <= len(test) <= 25
    train = {both.train.at(i, []).key for i in range(48 * 8)}
    assert not train & test
    assert [both.train.caption(i) for i in range(3)] == [f"number {int(k[1:])}" for k in sorted(train)[:3]]
