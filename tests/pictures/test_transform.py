"""Crops keep to the papers' bounds, are functions of their generator, and never flip what must not be flipped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError
from limner.pictures import transform


def ramp(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards, so that a crop tells where it came from."""
    x = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


CROPS = [transform.dvae_crop, transform.dalle_crop, transform.clip_crop]


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("size", [(200, 140), (90, 300), (64, 64), (40, 30), (64, 65)])
def test_every_picture_gives_the_asked_size_from_its_generator_alone(crop, size) -> None:  # type: ignore[no-untyped-def]
    picture = ramp(*size)
    first = crop(picture, 64, np.random.default_rng(3))
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    assert np.array_equal(first, crop(picture, 64, np.random.default_rng(3)))


@pytest.mark.parametrize(("crop", "flips"), [(transform.dvae_crop, True), (transform.dalle_crop, False)])
def test_only_the_dvaes_crop_flips(crop, flips) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    crops = [crop(ramp(200, 160), 64, rng) for _ in range(60)]
    flipped = [int(c[0, 0, 0]) > int(c[0, -1, 0]) for c in crops]
    assert (15 < sum(flipped) < 45) if flips else not any(flipped)


def test_dvae_zoom_lies_between_the_papers_bounds() -> None:
    rng, zooms = np.random.default_rng(1), []
    for _ in range(200):
        pixels = transform.dvae_crop(ramp(600, 600), 64, rng).astype(float)
        across = abs(pixels[:, -1, 0] - pixels[:, 0, 0]).mean() / 255  # the share of the picture's width that is seen
        zooms.append(1 / across)
    assert 1.1 < min(zooms) < 1.2 and 1.42 < max(zooms) < 1.56


def test_dalle_crop_stays_near_the_middle() -> None:
    rng = np.random.default_rng(2)
    middles = [transform.dalle_crop(ramp(640, 64), 64, rng)[..., 0].mean() for _ in range(200)]
    # Slack 576, offsets 216…359: the middle of the square lies between 248 and 391 of 640.
    assert 248 / 640 * 255 - 2 < min(middles) < 255 * 0.43
    assert 255 * 0.57 < max(middles) < 391 / 640 * 255 + 2


def test_clip_crop_reaches_everywhere() -> None:
    rng = np.random.default_rng(2)
    lefts = [int(transform.clip_crop(ramp(640, 64), 64, rng)[0, 0, 0]) for _ in range(300)]
    assert min(lefts) < 8 and max(lefts) > 220


@pytest.mark.parametrize(
    ("size", "resized", "offset"),
    [((100, 67), (47, 32), (8, 0)), ((67, 101), (32, 48), (0, 8)), ((35, 32), (35, 32), (2, 0))],
)
def test_centre_crop_has_openais_geometry(size, resized, offset) -> None:  # type: ignore[no-untyped-def]
    picture = ramp(*size)
    whole = picture if picture.size == resized else picture.resize(resized, Image.Resampling.BICUBIC)
    expected = whole.crop((*offset, offset[0] + 32, offset[1] + 32))
    assert transform.centre_crop(picture, 32).tobytes() == expected.tobytes()


def test_floats_and_bytes_come_back() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    floats = transform.to_float(pictures)
    assert floats.shape == (2, 3, 5, 7) and floats.dtype == np.float32 and floats.min() >= 0 and floats.max() <= 1
    assert floats[1, 2, 3, 4] == pytest.approx(pictures[1, 3, 4, 2] / 255)
    assert np.array_equal(transform.to_uint8(floats), pictures)
    assert transform.to_uint8(np.array([[[-1.0]], [[0.5]], [[2.0]]])).tolist() == [[[0, 128, 255]]]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        transform.to_float(np.zeros((4, 4, 3), dtype=np.float32))
    with pytest.raises(InputError, match="H, W"):
        transform.to_uint8(np.zeros((4, 4, 3)))
