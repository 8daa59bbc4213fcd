"""A picture file in its own mode, as OpenAI's preprocessing wants it: resized before it becomes RGB.

``pictures.load`` turns everything into upright RGB first, which is right for training and for people; CLIP's published
answers rest on another order, so here only the checks are shared: format, size, damage.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from PIL import Image

from limner.errors import PictureError
from limner.pictures.load import FORMATS, MAX_PIXELS, SUFFIXES

Source = Path | str | bytes | Image.Image


def open_picture(source: Source, *, shrink: int | None = None) -> Image.Image:
    """The picture in ``source`` (path, bytes of a file, PIL picture), decoded, in its own mode, not turned.

    ``shrink``: the shortest side in pixels that is needed; a JPEG is then decoded at the smallest of 1/1, 1/2, 1/4, 1/8
    that leaves twice as many, which is faster and no longer exact. Raises PictureError.
    """
    if isinstance(source, Image.Image):
        return _loaded(source, "picture")
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "picture", len(source), shrink)
    path = Path(source)
    try:
        with open(path, "rb") as file:
            return _decode(file, str(path), os.fstat(file.fileno()).st_size, shrink)
    except IsADirectoryError:
        raise PictureError(f"{path}: expected a picture, got a folder") from None
    except FileNotFoundError:
        raise PictureError(f"{path}: expected a picture, got no such file; check the path") from None
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error


def _decode(file: IO[bytes], name: str, size: int, shrink: int | None) -> Image.Image:
    if not size:
        raise PictureError(f"{name}: expected a picture, got an empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is the lower one
            picture: Any = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        raise PictureError(f"{name}: {_too_large('far more')}") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error … on foreign bytes
        raise PictureError(f"{name}: expected a picture (PNG, JPEG, WebP, …), got something else") from error
    _check_size(picture, name)
    if shrink is not None and picture.format == "JPEG":
        scale = min(picture.size) // (2 * shrink)
        if scale >= 2:
            picture.draft(picture.mode, (picture.width // scale, picture.height // scale))
    # Decoded it needs its file no more, and 36 MB need not be copied.
    return _loaded(picture, name)


def _loaded(picture: Image.Image, name: str) -> Image.Image:
    _check_size(picture, name)
    try:
        picture.load()
    except Exception as error:
        raise PictureError(f"{name}: the picture is truncated or damaged ({error}); replace the file") from error
    return picture


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError(f"{name}: expected at least 1 × 1 pixels, got {width} × {height}")
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name}: {_too_large(f'{width} × {height}')}")


def _too_large(got: str) -> str:
    return f"expected at most {MAX_PIXELS // 1_000_000} megapixels, got {got}; make it smaller first"


def find_pictures(places: Iterable[Path | str], *, recursive: bool = True) -> list[Path]:
    """Files that the ``places`` name: files as they are, folders by the endings of pictures, patterns with ``*?[``.

    Sorted within a folder; hidden files and folders are left out; nothing is named twice. A file or a pattern that
    leads to nothing raises PictureError.
    """
    found: dict[Path, None] = {}
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            for inner in pictures_of(path, recursive=recursive):
                found[inner] = None
        elif path.exists() or not any(c in str(place) for c in "*?["):
            found[path] = None  # a missing file is told where it is opened
        else:
            import glob

            matches = sorted(glob.glob(str(path), recursive=True))
            if not matches:
                raise PictureError(f"{place}: expected a pattern that fits at least one file, got none")
            for match in matches:
                if Path(match).is_file():
                    found[Path(match)] = None
    return list(found)


def pictures_of(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Picture files in ``folder`` (and below it), sorted, hidden ones and limner's own index left out."""
    found = []
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        found += [Path(root, f) for f in sorted(files) if not f.startswith(".") and Path(f).suffix.lower() in SUFFIXES]
    return found
