"""Pictures as PNG that say what they are: caption, seed, model and settings, and the mark for generated pictures.

Three notes travel in the file. ``parameters`` is the text that AUTOMATIC1111's tools show (caption, then a line of
``Key: value``); ``limner`` is the same as JSON, complete; ``XML:com.adobe.xmp`` holds IPTC's DigitalSourceType.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import limner
from limner.config import to_table
from limner.errors import PictureError
from limner.files import write_atomically
from limner.pictures.load import load_picture

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DRAWN, EDITED = SOURCE_TYPE + "trainedAlgorithmicMedia", SOURCE_TYPE + "compositeWithTrainedAlgorithmicMedia"

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmp:CreatorTool="limner {version}">
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def save_png(
    image: Image.Image | np.ndarray, path: Path | str, facts: Mapping[str, Any], *, edited: bool = False
) -> Path:
    """Write ``image`` (PIL, or uint8 (H, W, 3)) to ``path`` as PNG with ``facts`` inside, whole or not at all.

    ``facts`` are plain values; ``caption`` opens the text, the others follow. ``edited`` marks a picture of which only
    a region was drawn. Raises FileError.
    """
    return write_atomically(path, png_bytes(image, facts, edited=edited))


def png_bytes(image: Image.Image | np.ndarray, facts: Mapping[str, Any], *, edited: bool = False) -> bytes:
    """The bytes of the file that ``save_png`` writes."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    table = {"limner": limner.__version__, **to_table(facts)}
    notes = PngInfo()
    _add(notes, "parameters", parameters_text(table, picture.size))
    _add(notes, "limner", json.dumps(table, default=str))  # ASCII: other scripts are escaped and survive any reader
    xmp = _XMP.format(version=limner.__version__, source=EDITED if edited else DRAWN)
    notes.add_itxt("XML:com.adobe.xmp", xmp)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def read_facts(path: Path | str | bytes) -> dict[str, Any]:
    """What a picture (a path, or a file's bytes) says about itself: limner's facts; of another tool's picture
    ``{"parameters": text}``; of a silent one ``{}``.

    Raises PictureError: not a readable picture, or its JSON is damaged.
    """
    name = "picture" if isinstance(path, bytes) else str(path)
    load_picture(path)  # the limits and the errors of every picture, before its notes are believed
    with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as picture:
        picture.load()
        notes = {key: str(value) for key, value in picture.info.items() if key in ("limner", "parameters")}
    if "limner" in notes:
        try:
            facts = json.loads(notes["limner"])
        except ValueError as error:
            raise PictureError(f"{name}: its note 'limner' is damaged ({error})") from error
        if isinstance(facts, dict):
            return facts
    return {"parameters": notes["parameters"]} if "parameters" in notes else {}


def parameters_text(facts: Mapping[str, Any], size: tuple[int, int]) -> str:
    """The caption, then one line ``Seed: 7, Model: storybook, Size: 128x128, …`` as AUTOMATIC1111's tools read it."""
    caption = str(facts.get("caption", ""))
    others = {key: value for key, value in facts.items() if key not in ("caption", "limner") and value is not None}
    line = {key.replace("_", " ").capitalize(): _value(value) for key, value in others.items()}
    line |= {"Size": f"{size[0]}x{size[1]}", "Version": f"limner {facts.get('limner', limner.__version__)}"}
    text = ", ".join(f"{key}: {value}" for key, value in line.items())
    return re.sub(r"[\x00-\x08\x0b-\x1f]", "", f"{caption}\n{text}" if caption else text)


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:\n"]', text) else text


def _add(notes: PngInfo, key: str, text: str) -> None:
    if text.isascii():
        notes.add_text(key, text)
    else:  # tEXt is Latin-1 by its standard and UTF-8 by many readers; iTXt is UTF-8 for all
        notes.add_itxt(key, text)
