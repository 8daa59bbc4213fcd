"""Several pictures on one sheet, row by row, each with its caption below."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from limner.errors import InputError

_CHINESE = ("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "wqy-zenhei.ttc", "msyh.ttc", "PingFang.ttc")
"""Fonts with Chinese letters, looked for by name in the system's folders; Pillow's own has none."""


def sheet(
    images: Sequence[Image.Image | np.ndarray],
    columns: int,
    captions: Sequence[str] | None = None,
    *,
    gap: int = 8,
    cell: int | None = None,
    colour: str = "white",
) -> Image.Image:
    """One RGB picture with ``images`` (PIL, or uint8 (H, W, 3)) in rows of ``columns``.

    ``cell`` is the side that each picture is scaled to fit (default: the largest among them, in pixels); ``captions``
    stand below, broken into lines and cut after five. Raises InputError.
    """
    if not images:
        raise InputError("sheet: expected at least one picture, got none")
    if columns < 1:
        raise InputError(f"sheet: expected at least 1 column, got {columns}")
    if captions is not None and len(captions) != len(images):
        raise InputError(f"sheet: expected {len(images)} captions, one for each picture, got {len(captions)}")
    pictures = [Image.fromarray(i) if isinstance(i, np.ndarray) else i for i in images]
    side = cell or max(max(p.size) for p in pictures)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    letter = max(11, side // 11)
    texts = [_lines(c, side, letter) for c in captions] if captions is not None else [[] for _ in pictures]
    line = letter + letter // 3
    below = max(len(t) for t in texts) * line
    page = Image.new("RGB", (gap + columns * (side + gap), gap + rows * (side + below + gap)), colour)
    pen = ImageDraw.Draw(page)
    for number, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left = gap + number % columns * (side + gap)
        top = gap + number // columns * (side + below + gap)
        fitted = _fit(picture, side)
        page.paste(fitted, (left + (side - fitted.width) // 2, top + (side - fitted.height) // 2))
        for row, words in enumerate(text):
            place = (left + side / 2, top + side + row * line + line / 2)
            pen.text(place, words, fill="black", font=_font(letter, words.isascii()), anchor="mm")
    return page


def _fit(picture: Image.Image, side: int) -> Image.Image:
    largest = max(picture.size)
    if largest == side:
        return picture.convert("RGB")
    width, height = (max(1, round(extent * side / largest)) for extent in picture.size)
    method = Image.Resampling.LANCZOS if largest > side else Image.Resampling.BICUBIC
    return picture.convert("RGB").resize((width, height), method)


def _lines(caption: str, width: int, letter: int, most: int = 5) -> list[str]:
    """``caption`` in lines no wider than ``width`` pixels; what does not fit in ``most`` lines ends in "…"."""
    font = _font(letter, caption.isascii())
    # Chinese has no spaces to break at: any of its letters may end a line.
    pieces = caption.split() if caption.isascii() else [c for word in caption.split() for c in [*word, " "]]
    joint = " " if caption.isascii() else ""
    lines: list[str] = []
    current = ""
    for piece in pieces:
        longer = f"{current}{joint}{piece}" if current else piece
        if current and font.getlength(longer.strip()) > width:
            lines.append(current.strip())
            longer = piece
        current = longer
    lines.append(current.strip())
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    return [text for text in (_shorten(text, width, font) for text in lines) if text]


def _shorten(text: str, width: int, font: Any) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1].rstrip()
    return text + "…"


@lru_cache(maxsize=16)
def _font(size: int, plain: bool) -> Any:
    if not plain:
        for name in _CHINESE:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)
