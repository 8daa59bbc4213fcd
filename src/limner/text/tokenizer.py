"""Reading a model folder's ``tokenizer.json``, whichever of the two encodings it holds."""

from __future__ import annotations

import json
from pathlib import Path

from limner.errors import ModelError
from limner.text.bytepairs import BytePairs
from limner.text.clip_bytepairs import SUFFIX, ClipBytePairs

LARGEST = 64 << 20


def load_tokenizer(path: Path | str) -> BytePairs | ClipBytePairs:
    """CLIP's encoding where words end in ``</w>``, limner's own otherwise. Raises ModelError."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path}: expected a tokenizer.json of at most {LARGEST} bytes, got {path.stat().st_size}")
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a tokenizer.json, got {type(error).__name__}") from error
    model = table.get("model") if isinstance(table, dict) else None
    suffix = model.get("end_of_word_suffix") if isinstance(model, dict) else None
    return ClipBytePairs.load(path) if suffix == SUFFIX else BytePairs.load(path)
