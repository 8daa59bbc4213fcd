"""A sheet holds every picture at its place and something readable below it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError
from limner.pictures.sheet import sheet

COLOURS = ["red", "blue", "lime", "black", "cyan"]


def plain() -> list[Image.Image]:
    return [Image.new("RGB", (32, 32), colour) for colour in COLOURS]


def test_pictures_stand_row_by_row() -> None:
    page = sheet(plain(), 3, gap=4)
    assert page.size == (4 + 3 * 36, 4 + 2 * 36)
    for number, picture in enumerate(plain()):
        spot = (4 + number % 3 * 36 + 16, 4 + number // 3 * 36 + 16)
        assert page.getpixel(spot) == picture.getpixel((0, 0))
    assert page.getpixel((page.width - 20, page.height - 20)) == (255, 255, 255)


def test_arrays_of_several_shapes_are_fitted() -> None:
    wide, tall = np.zeros((10, 40, 3), np.uint8), np.zeros((60, 20, 3), np.uint8)
    page = np.asarray(sheet([wide, tall], 2, gap=0, cell=60))
    assert page.shape == (60, 120, 3)
    assert page[30, 30].max() == 0 and page[2, 30].min() == 255  # wide: a band in the middle
    assert page[30, 90].max() == 0 and page[30, 62].min() == 255


@pytest.mark.parametrize(
    "caption", ["a cat", "一只戴着红色帽子的猫" * 5, "word " * 40, "unbreakable" * 20, "", "e\u0301"]
)
def test_captions_stay_within_their_column(caption: str) -> None:
    white = Image.new("RGB", (64, 64), "white")
    page = np.asarray(sheet([white, white], 2, [caption, ""], gap=8))
    ink = page.min(axis=2) < 128
    assert ink[:, :72].any() == bool(caption)
    assert not ink[:, 72:].any()


def test_wrong_calls() -> None:
    for arguments in [([], 2), (plain(), 0), (plain(), 2, ["one"])]:
        with pytest.raises(InputError):
            sheet(*arguments)  # type: ignore[arg-type]
