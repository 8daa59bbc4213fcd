"""Where a model came from, for its ``config.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limner.files import sha256


def source_facts(format_: str, files: Sequence[Path], activation: object, known_by: str, **more: Any) -> dict[str, Any]:
    """``source`` (format, files and their hashes), the activation and how it is known, and what else is handed in."""
    hashes = {file.name: sha256(file) for file in files}
    source = {"format": format_, "sha256": next(iter(hashes.values()), ""), "files": hashes}
    return {"source": source, "activation": activation, "activation_known_by": known_by, **more}
