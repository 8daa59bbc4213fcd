"""Where the parity fixtures are: ``LIMNER_PARITY=DIR``, else ``shared/parity`` beside the checkout. Absent: skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def fixture_folder(family: str) -> Path | None:
    """The folder of one family ("clip", "dalle"): DIR/family, or DIR itself where it is that family's."""
    given = os.environ.get("LIMNER_PARITY")
    base = Path(given) if given else ROOT.parent / "shared" / "parity"
    for folder in (base / family, base):
        if (folder / "index.json").is_file() and is_family(folder, family):
            return folder
    return None


def is_family(folder: Path, family: str) -> bool:
    """Whether the folder's index lists fixtures of that family."""
    entries = load_index(folder).get("fixtures", [])
    entries = list(entries.values()) if isinstance(entries, dict) else entries
    looks_like_clip = any("text_pooling" in entry for entry in entries)
    return looks_like_clip == (family == "clip")


def load_index(folder: Path) -> dict[str, Any]:
    """The folder's ``index.json``."""
    return json.loads((folder / "index.json").read_text())
