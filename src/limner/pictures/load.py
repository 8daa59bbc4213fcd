"""Any picture file as an upright RGB picture, or one clear error."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from limner.errors import PictureError

MAX_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF")
"""Formats that are decoded. Pillow knows more, EPS among them, which would start another program. (Those that Pillow
loads at once stand first; AVIF last, for older Pillows lack it.)"""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".avif"})
"""Endings of file names that are taken for pictures when a folder is read."""


def load_picture(source: Path | str | bytes | Image.Image, *, exif: bool = True) -> Image.Image:
    """The picture in ``source`` (a path, the bytes of a file, or a PIL picture) as RGB, 8 bits a channel.

    It is turned upright as its EXIF says (OpenAI's CLIP does not: ``exif=False``); what is transparent becomes white;
    of an animation the first frame is taken. Raises PictureError: missing, empty, not a picture, truncated, zero size,
    above 64 megapixels (refused before it is decoded).
    """
    if isinstance(source, Image.Image):
        return _upright_rgb(source, "picture", exif)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "picture", exif, empty=not source)
    path = Path(source)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise PictureError(f"{path}: expected a picture, got {what}; check the path")
    try:
        with open(path, "rb") as file:
            return _decode(file, str(path), exif, empty=os.fstat(file.fileno()).st_size == 0)
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror}); check the permissions") from error


def _decode(file: io.IOBase, name: str, exif: bool, *, empty: bool) -> Image.Image:
    if empty:
        raise PictureError(f"{name}: expected a picture, got an empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is the lower one
            picture = Image.open(file, formats=FORMATS)  # type: ignore[arg-type]
    except Image.DecompressionBombError:
        raise PictureError(f"{name}: {_too_large('far more')}") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error … on foreign bytes
        known = "PNG, JPEG, WebP, GIF, TIFF, BMP, PPM or AVIF"
        raise PictureError(f"{name}: expected a picture ({known}), got something else") from error
    with picture:
        return _upright_rgb(picture, name, exif)


def _upright_rgb(picture: Image.Image, name: str, exif: bool) -> Image.Image:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError(f"{name}: expected at least 1 × 1 pixels, got {width} × {height}")
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name}: {_too_large(f'{width} × {height}')}")
    try:
        picture.load()
        return _rgb(ImageOps.exif_transpose(picture) if exif else picture.copy())
    except Exception as error:
        raise PictureError(f"{name}: the picture is truncated or damaged ({error}); replace the file") from error


def _too_large(got: str) -> str:
    return f"expected at most {MAX_PIXELS // 1_000_000} megapixels, got {got}; make it smaller first"


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255 instead of scaling them
        levels = np.asarray(picture).astype(np.float32) / 257
        return Image.fromarray(np.rint(levels).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")
