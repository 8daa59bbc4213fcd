"""Steps from a picture to pixels: sizes, orders of conversion, and what must be refused. Owners: tests/parity."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from limner.config import from_table, to_table
from limner.errors import PictureError, RecipeError
from limner.pictures.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocessing
from limner.pictures.transform import centre_crop


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


@pytest.mark.parametrize(("width", "height"), [(50, 37), (37, 50), (24, 24), (9, 120), (1, 1), (173, 122)])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_openai_equals_the_crop_that_training_uses(width: int, height: int, mode: str) -> None:
    picture = noise(width, height, mode)
    expected = np.array(centre_crop(picture, 24).convert("RGB"))
    np.testing.assert_array_equal(Preprocessing((24, 24)).uint8(picture), expected)


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash", "none"])
@pytest.mark.parametrize("convention", ["openai", "transformers_4", "transformers_5"])
@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "1", "RGBA", "CMYK", "I;16"])
def test_every_way_gives_the_size_for_every_mode(resize: str, convention: str, mode: str) -> None:
    way = Preprocessing((20, 26), resize=resize, convention=convention)  # type: ignore[arg-type]
    for shape in ((30, 20), (5, 7), (26, 20)):
        picture = noise(*shape, mode) if mode != "I;16" else Image.fromarray(np.full(shape[::-1], 300, np.uint16))
        assert way.uint8(picture).shape == (20, 26, 3)


def test_resizing_to_another_size_before_the_crop() -> None:
    picture = noise(60, 45)
    got = Preprocessing((32, 32), resize_to=36, convention="transformers_4").uint8(picture)
    resized = np.array(picture.resize((48, 36), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(got, resized[2:34, 8:40])
    squashed = Preprocessing((32, 32), resize="squash", resize_to=(36, 36)).uint8(picture)
    np.testing.assert_array_equal(squashed, np.array(picture.resize((36, 36), Image.Resampling.BICUBIC))[2:34, 2:34])


def test_crop_offsets_differ_by_one_where_the_surplus_is_three() -> None:
    picture = noise(27, 24)
    np.testing.assert_array_equal(Preprocessing((24, 24)).uint8(picture), np.array(picture)[:, 2:26])
    rounded_down = Preprocessing((24, 24), convention="transformers_4").uint8(picture)
    np.testing.assert_array_equal(rounded_down, np.array(picture)[:, 1:25])


def test_transparency_is_dropped_or_laid_on_white() -> None:
    clear = Image.new("RGBA", (24, 24), (10, 20, 30, 0))
    assert Preprocessing((24, 24)).uint8(clear)[0, 0].tolist() == [10, 20, 30]
    assert Preprocessing((24, 24), convention="transformers_4").uint8(clear)[0, 0].tolist() == [10, 20, 30]
    assert Preprocessing((24, 24), convention="transformers_5").uint8(clear)[0, 0].tolist() == [255, 255, 255]


def test_exif_turns_the_picture_only_when_asked() -> None:
    picture = noise(24, 24)
    picture.getexif()[0x0112] = 6
    np.testing.assert_array_equal(Preprocessing((24, 24)).uint8(picture), np.array(picture))
    turned = Preprocessing((24, 24), exif=True).uint8(picture)
    np.testing.assert_array_equal(turned, np.rot90(np.array(picture), -1))


def test_pixels_are_normalised_channels_first() -> None:
    picture = noise(24, 24)
    pixels = Preprocessing((24, 24))(picture).numpy()
    assert pixels.shape == (3, 24, 24)
    assert pixels.dtype == np.float32
    back = pixels.transpose(1, 2, 0) * np.array(OPENAI_STD) + np.array(OPENAI_MEAN)
    np.testing.assert_allclose(back * 255, np.array(picture), atol=1e-3)


def test_a_thread_of_a_picture_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(PictureError, match="crop it first"):
        Preprocessing((224, 224)).uint8(Image.new("L", (1, 60_000)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", (0, 3)), ("size", (10**9, 3)), ("resize_to", -1), ("std", (0.0, 1.0, 1.0)), ("fill", 256)]
    + [("mean", (float("nan"), 0.0, 0.0)), ("std", (float("inf"), 1.0, 1.0))],
)
def test_unusable_settings_are_named(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=field):
        Preprocessing(**{field: value})  # type: ignore[arg-type]


def test_settings_survive_a_table() -> None:
    for way in (
        Preprocessing(),
        Preprocessing((20, 26), resize="squash", resize_to=(30, 30), convention="transformers_5"),
    ):
        assert from_table(Preprocessing, to_table(way)) == way
