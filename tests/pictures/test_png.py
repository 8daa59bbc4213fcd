"""What a PNG says about itself survives, in any language, and whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import FileError, PictureError
from limner.pictures.png import DRAWN, EDITED, png_bytes, read_facts, save_png

FACTS = {
    "caption": 'a "red" cube, left of: a ball',
    "seed": 7,
    "index": 0,
    "model": "storybook",
    "score": 31.25,
    "settings": {"top_k": 64, "temperature": 1.0},
}
PICTURE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


@pytest.mark.parametrize("caption", ["a red cube", "一只戴着红色帽子的猫", "café – naïve ☃ 🐧", "two\nlines\x00", ""])
def test_facts_come_back(caption: str, tmp_path: Path) -> None:
    path = save_png(PICTURE, tmp_path / "a.png", FACTS | {"caption": caption})
    facts = read_facts(path)
    assert facts.pop("limner")
    assert facts == FACTS | {"caption": caption}
    assert np.array_equal(np.asarray(Image.open(path)), PICTURE)


def test_parameters_read_as_automatic1111_reads_them(tmp_path: Path) -> None:
    save_png(PICTURE, tmp_path / "a.png", FACTS | {"caption": "红色 cube"})
    *caption, last = Image.open(tmp_path / "a.png").text["parameters"].split("\n")  # type: ignore[attr-defined]
    # Its parser: words, a colon, then a JSON string or anything without a comma; fewer than three pairs are no line.
    pairs = dict(re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last))
    assert caption == ["红色 cube"]
    assert pairs["Seed"] == "7" and pairs["Size"] == "8x8" and pairs["Model"] == "storybook"
    assert pairs["Settings"].startswith('"{')


@pytest.mark.parametrize(("edited", "mark"), [(False, DRAWN), (True, EDITED)])
def test_the_mark_for_generated_pictures(edited: bool, mark: str, tmp_path: Path) -> None:
    save_png(Image.fromarray(PICTURE), tmp_path / "a.png", FACTS, edited=edited)
    xmp = Image.open(tmp_path / "a.png").info["XML:com.adobe.xmp"]
    assert f"<Iptc4xmpExt:DigitalSourceType>{mark}</" in xmp
    from xml.etree import ElementTree

    assert ElementTree.fromstring(re.sub(r"<\?xpacket.*?\?>", "", xmp)).tag.endswith("xmpmeta")


def test_bytes_and_file_are_the_same(tmp_path: Path) -> None:
    data = png_bytes(PICTURE, FACTS)
    assert save_png(PICTURE, tmp_path / "a.png", FACTS).read_bytes() == data
    assert read_facts(data) == read_facts(tmp_path / "a.png")


def test_others_pictures(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    Image.fromarray(PICTURE).save(tmp_path / "silent.png")
    Image.fromarray(PICTURE).save(tmp_path / "silent.jpg")
    assert read_facts(tmp_path / "silent.png") == read_facts(tmp_path / "silent.jpg") == {}
    notes = PngInfo()
    notes.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 1")
    Image.fromarray(PICTURE).save(tmp_path / "other.png", pnginfo=notes)
    assert read_facts(tmp_path / "other.png") == {"parameters": "a cat\nSteps: 20, Sampler: Euler, Seed: 1"}
    notes = PngInfo()
    notes.add_text("limner", "{broken")
    Image.fromarray(PICTURE).save(tmp_path / "broken.png", pnginfo=notes)
    with pytest.raises(PictureError, match="damaged"):
        read_facts(tmp_path / "broken.png")


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_png(PICTURE, tmp_path / "a.png", FACTS)
    before = (tmp_path / "a.png").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="disk is full"):
        save_png(255 - PICTURE, tmp_path / "a.png", FACTS)
    assert (tmp_path / "a.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]
