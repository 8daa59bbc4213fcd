"""What a search found, as a page that stands by itself: thumbnails inside, links to the files."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from limner.errors import PictureError
from limner.files import write_atomically
from limner.looking.search import Hit
from limner.pictures.load import load_picture

_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;background:#fff;color:#222}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:1.2em}"
    "figure{margin:0}img{width:100%;aspect-ratio:1;object-fit:contain;background:#f2f2f2}"
    "figcaption{font-size:12px;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}img{background:#222}}"
)


def write_page(hits: Sequence[Hit], title: str, path: Path | str, *, side: int = 256) -> Path:
    """An HTML page with a thumbnail of at most ``side`` pixels for each hit. Raises FileError."""
    figures = "\n".join(_figure(hit, side) for hit in hits)
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    return write_atomically(path, f"{head}\n<h1>{html.escape(title)}</h1>\n<main>\n{figures}\n</main></html>\n")


def _figure(hit: Hit, side: int) -> str:
    name = html.escape(str(hit.path))
    link = html.escape(hit.path.resolve().as_uri())
    return (
        f'<figure><a href="{link}"><img loading="lazy" alt="{name}" src="{_thumbnail(hit.path, side)}"></a>'
        f"<figcaption>{name}<br>{hit.score:.3f}</figcaption></figure>"
    )


def _thumbnail(path: Path, side: int) -> str:
    try:
        picture = load_picture(path)
    except PictureError:  # gone since it was indexed
        return ""
    picture.thumbnail((side, side))
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
