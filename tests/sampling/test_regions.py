"""Regions, masks, cells and seams."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError
from limner.sampling.regions import blend, cells_of, fade, pixel_mask, random_rectangle

SIZE, CELL = (32, 24), 8


def test_a_region_is_its_pixels_and_every_cell_it_touches():
    wanted = pixel_mask(SIZE, CELL, region=(8, 4, 17, 24))
    assert wanted.shape == (24, 32)
    assert wanted.sum() == 9 * 20
    assert wanted[4, 8]
    assert not wanted[4, 17]
    assert cells_of(wanted, CELL).tolist() == [[False, True, True, False]] * 3


def test_masks_of_every_kind():
    plain = np.zeros((24, 32), dtype=np.uint8)
    plain[8:16, 8:16] = 255
    for mask in (plain, plain > 0, Image.fromarray(plain), Image.fromarray(plain).convert("1"),
                 Image.fromarray(plain).convert("RGB"), np.stack([plain] * 3, axis=-1)):  # fmt: skip
        assert np.array_equal(pixel_mask(SIZE, CELL, mask=mask), plain > 0)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ((-1, 0, 16, 16), "within the picture of 32 × 24"), ((0, 0, 33, 16), "within the picture"),
        ((0, 0, 16, 25), "within"), ((8, 8, 8, 16), "empty"), ((16, 8, 8, 16), "empty"),
        ((0, 0, 7, 16), "at least one cell of 8 × 8 pixels, got 7 × 16"), ((0, 0, 16, 7), "at least one cell"),
        ((0, 0, 16), "four whole numbers"), ((0.0, 0, 16, 16), "four whole numbers"), ("0,0,1,1", "four whole"),
        ((True, 0, 16, 16), "four whole numbers"), (5, "four whole numbers"),
    ],
)  # fmt: skip
def test_wrong_regions_are_named(region, words):
    with pytest.raises(InputError, match=words):
        pixel_mask(SIZE, CELL, region=region)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((24, 31)), "32 × 24, got 31 × 24"), (np.ones((32, 24)), "32 × 24, got 24 × 32"),
        (np.zeros((24, 32)), "all black"), (np.eye(24, 32), "at least one cell"), (np.ones(5), "1 axes"),
        (Image.new("L", (8, 8), 255), "got 8 × 8"),
    ],
)  # fmt: skip
def test_wrong_masks_are_named(mask, words):
    with pytest.raises(InputError, match=words):
        pixel_mask(SIZE, CELL, mask=mask)


def test_exactly_one_of_region_and_mask():
    with pytest.raises(InputError, match="neither"):
        pixel_mask(SIZE, CELL)
    with pytest.raises(InputError, match="both"):
        pixel_mask(SIZE, CELL, region=(0, 0, 8, 8), mask=np.ones((24, 32)))


def test_pixels_outside_stay_and_the_seam_fades_inside():
    before, drawn = np.full((24, 32, 3), 10, np.uint8), np.full((24, 32, 3), 210, np.uint8)
    wanted = pixel_mask(SIZE, CELL, region=(8, 8, 32, 24))
    mixed = blend(before, drawn, wanted, seam=3)
    assert (mixed[~wanted] == 10).all()
    # From the left border of the region inwards; its right border is the picture's, so no seam there.
    assert mixed[20, 7:13, 0].tolist() == [10, 60, 110, 160, 210, 210]
    assert mixed[20, 31, 0] == 210
    assert mixed[23, 20, 0] == 210
    assert np.array_equal(blend(before, drawn, wanted, seam=0), np.where(wanted[..., None], drawn, before))
    assert fade(np.ones((4, 4), bool), 3).min() == 1.0


def test_random_rectangles_cover_their_share():
    rng = np.random.default_rng(0)
    for share in (0.2, 0.5, 1.0):
        sizes = []
        for _ in range(200):
            left, top, right, bottom = random_rectangle((8, 6), share, rng.random(3))
            assert 0 <= left < right <= 8
            assert 0 <= top < bottom <= 6
            sizes.append((right - left) * (bottom - top) / 48)
        assert np.mean(sizes) == pytest.approx(share, abs=0.1)
