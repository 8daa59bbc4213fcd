"""Folders, shards and mixtures: what is whole is read, what is broken is counted and named."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.data.pair import Broken
from limner.data.sources import DataOptions, Opened, open_data
from limner.errors import DataError

OPTIONS = DataOptions(size=32, test_share=0.0)


def png(colour: tuple[int, int, int] = (255, 0, 0), size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def folder(path: Path, captions: dict[str, str | None], table: bool = False) -> Path:
    path.mkdir()
    for i, (name, caption) in enumerate(captions.items()):
        (path / name).write_bytes(png((i, 0, 0)))
        if caption is not None and not table:
            (path / name).with_suffix(".txt").write_text(caption, encoding="utf-8")
    if table:
        lines = ["file_name,text"] + [f'{name},"{caption}"' for name, caption in captions.items()]
        (path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    return path


def shard(path: Path, samples: dict[str, dict[str, bytes]]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for key, files in samples.items():
            for extension, data in files.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def samples(count: int, start: int = 0) -> dict[str, dict[str, bytes]]:
    return {f"s{i:03d}": {"png": png((i, 1, 2)), "txt": f"number {i}".encode()} for i in range(start, start + count)}


def epoch(opened: Opened, epochs: int = 1) -> tuple[list[str], list[Broken]]:
    broken: list[Broken] = []
    count = opened.train.count
    assert count is not None
    return [opened.train.at(i, broken).caption for i in range(epochs * count)], broken


@pytest.mark.parametrize("table", [False, True])
def test_a_folder_gives_every_pair_once_an_epoch_in_new_orders(tmp_path: Path, table: bool) -> None:
    captions = {f"{i}.png": f"picture {i}, 猫" for i in range(12)}
    opened = open_data(str(folder(tmp_path / "d", captions, table)), OPTIONS)
    found, broken = epoch(opened, 2)
    assert Counter(found) == Counter(list(captions.values()) * 2)
    assert found[:12] != found[12:]
    assert not broken
    again, _ = epoch(open_data(str(tmp_path / "d"), OPTIONS), 2)
    assert again == found
    pair = opened.train.at(5, [])
    assert pair.picture[0, 0, 0] == int(pair.key.removesuffix(".png"))


def test_broken_pictures_of_a_folder_are_passed_over_and_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", {"a.png": "a", "b.png": "b", "c.png": "c", "d.png": None, "e.png": " ", "f.png": "f"})
    (path / "b.png").write_bytes(b"not a picture")
    (path / "c.png").write_bytes(png()[:40])
    (path / "f.txt").write_bytes(b"\xff\xfe\x00 latin")
    (path / "notes.md").write_text("not data")
    opened = open_data(str(path), OPTIONS)
    assert opened.train.unusable == (Broken("d.png", "no caption"),)
    found, broken = epoch(opened)
    assert set(found) == {"a"}
    causes = {b.name: b.cause for b in broken}
    assert causes["b.png"] == "not a picture"
    assert causes["c.png"] in ("picture damaged", "not a picture")
    assert causes["e.png"] == "empty caption"
    assert causes["f.png"] == "caption not UTF-8"


def test_a_picture_that_vanishes_while_training_is_a_counted_skip(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", {f"{i}.png": f"{i}" for i in range(4)})
    opened = open_data(str(path), OPTIONS)
    (path / "2.png").unlink()
    found, broken = epoch(opened)
    assert "2" not in found
    assert set(broken) == {Broken("2.png", "missing file")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,caption\na.png,x\n", "file_name and text, got name, caption"),
        ("", "got nothing"),
        ("file_name,text\nnone.png,x\n", r"got 1 without \(none.png: missing file\)"),
        ("file_name,text\na.png,\n", r"got 1 without \(a.png: empty caption\)"),
    ],
)
def test_a_metadata_table_that_cannot_be_used_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = folder(tmp_path / "d", {"a.png": None})
    (path / "metadata.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        open_data(str(path), OPTIONS)


def test_a_folder_without_captions_serves_a_dvae_alone(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", {f"{i}.png": None for i in range(3)})
    with pytest.raises(DataError, match=r"got 3 without \(0.png: no caption\)"):
        open_data(str(path), OPTIONS)
    opened = open_data(str(path), DataOptions(size=32, captions=False, test_share=0.0))
    assert epoch(opened)[0] == ["", "", ""]


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz"])
def test_shards_give_every_sample_once(tmp_path: Path, name: str) -> None:
    shard(tmp_path / f"0{name}", samples(5))
    shard(tmp_path / f"1{name}", samples(6, 5))
    for text in (f"{tmp_path}/*{name}", f"{tmp_path}/{{0..1}}{name}", f"{tmp_path}/0{name}::{tmp_path}/1{name}"):
        opened = open_data(text, OPTIONS)
        found, broken = epoch(opened)
        assert sorted(found) == sorted(f"number {i}" for i in range(11)), text
        assert not broken
        assert opened.train.at(0, []).picture.shape == (8, 8, 3)


def test_captions_may_come_from_lists_in_the_json(tmp_path: Path) -> None:
    facts = json.dumps({"captions": ["one", "two"], "captions_zh": ["三"]}).encode()
    shard(tmp_path / "a.tar", {"k": {"png": png(), "txt": b"first", "json": facts}})
    text = f"{tmp_path}/a.tar"
    assert {open_data(text, OPTIONS).train.at(i, []).caption for i in range(30)} == {"first"}
    keyed = DataOptions(size=32, caption_keys=("captions", "captions_zh"), test_share=0.0)
    assert {open_data(text, keyed).train.at(i, []).caption for i in range(60)} == {"one", "two", "三"}


def test_broken_shards_are_counted_and_their_whole_samples_used(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar.gz", samples(5))
    whole = (tmp_path / "0.tar.gz").read_bytes()
    noise = np.random.RandomState(0).bytes(30000)
    shard(tmp_path / "1.tar.gz", {"big": {"png": png(), "txt": b"big"}, "cut": {"png": noise, "txt": b"x"}})
    cut = (tmp_path / "1.tar.gz").read_bytes()
    (tmp_path / "1.tar.gz").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "2.tar.gz").write_bytes(b"")
    (tmp_path / "3.tar.gz").write_bytes(b"hello, I am no archive")
    shard(tmp_path / "4.tar.gz", {"lonely": {"txt": b"no picture"}, "mute": {"jpg": png()}})
    shard(tmp_path / "5.tar.gz", {})
    opened = open_data(f"{tmp_path}/*.tar.gz", OPTIONS)
    assert sorted(epoch(opened)[0]) == sorted([f"number {i}" for i in range(5)] + ["big"])
    causes = Counter(b.cause.split(" (")[0] for b in opened.train.unusable)
    assert causes["shard damaged"] == 1
    assert causes["shard unreadable"] == 2
    assert causes["no picture"] >= 1
    assert causes["no caption"] == 1
    assert causes["empty shard"] == 1
    assert whole


def test_a_picture_under_another_kinds_extension_is_read(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", {"k": {"JPG": png(), "TXT": b"a png called jpg"}})
    assert open_data(f"{tmp_path}/a.tar", OPTIONS).train.at(0, []).caption == "a png called jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected storybook, a folder or shards"),
        ("storybok", "got no such thing"),
        ("nowhere-{0..3}.tar", "nowhere-0.tar: expected a shard, got no such file"),
        ("nowhere-*.tar", "the pattern matches none"),
    ],
)
def test_data_that_is_not_there_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_data(text, OPTIONS)


def test_a_mixture_has_its_shares_and_every_sample_of_its_parts(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", {f"{i}.png": f"a{i}" for i in range(7)})
    second = shard(tmp_path / "b.tar", samples(9))
    opened = open_data(f"{first}*3,{second}*1,storybook*0.5", OPTIONS)
    found = [opened.train.caption(i) for i in range(2000)]
    a = [c for c in found if c.startswith("a") and c[1:].isdigit()]
    b = [c for c in found if c.startswith("number")]
    assert len(a) == pytest.approx(2000 * 3 / 4.5, abs=3)
    assert len(b) == pytest.approx(2000 / 4.5, abs=3)
    for part, size in ((a, 7), (b, 9)):  # each part's epochs are whole
        for start in range(0, len(part) - size, size):
            assert len(set(part[start : start + size])) == size
    assert opened.train.at(1500, []).caption == found[1500]


def test_the_test_part_is_never_trained_on(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", samples(200))
    opened = open_data(f"{tmp_path}/a.tar", DataOptions(size=32, test_share=0.1))
    train = {opened.train.at(i, []).key for i in range(opened.train.count or 0)}
    test = {opened.test.at(i, []).key for i in range(opened.test.count or 0)}
    assert train | test == set(samples(200))
    assert not train & test
    assert 8 <= len(test) <= 35


def test_other_samples_have_another_fingerprint(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", {f"{i}.png": f"a{i}" for i in range(7)})
    before = open_data(str(path), OPTIONS).train.fingerprint
    assert open_data(str(path), OPTIONS).train.fingerprint == before
    (path / "3.png").unlink()
    assert open_data(str(path), OPTIONS).train.fingerprint != before


@pytest.mark.parametrize("name", ["emoji/twemoji-*.tar.gz", "clipart/*-0000[01].tar.gz", "photos/0000{0..1}.tar.gz"])
def test_the_shared_shards_are_whole(shared: Path, name: str) -> None:
    opened = open_data(str(shared / "data" / name), OPTIONS)
    assert opened.train.unusable == ()
    assert (opened.train.count or 0) > 1000
    broken: list[Broken] = []
    pairs = [opened.train.at(i, broken) for i in range(40)]
    assert not broken
    assert all(p.caption and p.picture.shape in ((128, 128, 3), (64, 64, 3)) for p in pairs)
