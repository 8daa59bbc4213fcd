"""Every picture becomes upright RGB, or one clear line."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import PictureError
from limner.pictures.load import MAX_PIXELS, load_picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """40 × 20, left half red, right half blue."""
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    return picture.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
def test_formats_give_the_same_colours(kind: str) -> None:
    picture = load_picture(encoded(halves(), kind))
    assert (picture.mode, picture.size) == ("RGB", (40, 20))
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(halves())).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_modes_become_rgb(mode: str) -> None:
    assert load_picture(Image.new(mode, (3, 2))).mode == "RGB"


def test_transparency_becomes_white_and_half_of_it_half() -> None:
    picture = Image.new("RGBA", (3, 1))
    picture.putpixel((1, 0), (0, 0, 0, 128))
    picture.putpixel((2, 0), (0, 0, 0, 255))
    assert [load_picture(encoded(picture)).getpixel((x, 0))[0] for x in range(3)] == [255, 127, 0]  # type: ignore[index]


def test_transparent_palette_becomes_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.putpixel((1, 0), 1)
    loaded = load_picture(encoded(picture, transparency=0))
    assert loaded.getpixel((0, 0)) == (255, 255, 255)
    assert loaded.getpixel((1, 0)) == (10, 200, 30)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    picture = Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16))
    assert np.asarray(load_picture(encoded(picture)))[0, :, 0].tolist() == [0, 100, 255]


def test_exif_turn_and_without() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    data = encoded(halves(), "JPEG", exif=exif, quality=95)
    upright = load_picture(data)
    assert upright.size == (20, 40)
    top = upright.getpixel((10, 5))
    assert top[0] > 200 > 60 > top[2]  # type: ignore[index]
    assert load_picture(data, exif=False).size == (40, 20)


def test_the_callers_picture_is_left_alone(tmp_path: Path) -> None:
    original = halves()
    load_picture(original).putpixel((0, 0), (0, 255, 0))
    assert original.getpixel((0, 0)) == (255, 0, 0)
    original.save(tmp_path / "a.png")
    assert load_picture(tmp_path / "a.png").tobytes() == load_picture(str(tmp_path / "a.png")).tobytes()


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header claims the size; decoding it would fail differently from refusing it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(8_001, 8_000), (12_000, 12_000), (60_000, 60_000)])
@pytest.mark.filterwarnings("error")
def test_huge_pictures_are_refused_before_decoding(size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MAX_PIXELS
    with pytest.raises(PictureError, match="at most 64 megapixels"):
        load_picture(huge_png(*size))


BAD = {
    "empty": b"",
    "text": b"this is no picture",
    "truncated png": encoded(Image.effect_noise((64, 64), 50))[:-400],
    "truncated jpeg": encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:600],
    "zero size": huge_png(0, 5),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_clear_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(BAD[name])
    with pytest.raises(PictureError) as caught:
        load_picture(file)
    assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)
    with pytest.raises(PictureError):
        load_picture(BAD[name])


def test_missing_and_folders_and_zero_size(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        load_picture(tmp_path / "nowhere.png")
    with pytest.raises(PictureError, match="a folder"):
        load_picture(tmp_path)
    with pytest.raises(PictureError, match="0 × 5"):
        load_picture(Image.new("RGB", (0, 5)))
