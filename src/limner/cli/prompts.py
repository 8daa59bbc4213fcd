"""Prompts from a file: plain text, one caption a line, or JSON lines with settings of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limner.errors import FileError, InputError
from limner.files import explain

KNOWN = ("caption", "count", "candidates", "seed", "temperature", "top_k", "top_p", "guidance")


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The prompts of ``path`` in order: ``{"caption": …}`` each, with the settings of a JSON line.

    Empty lines are skipped. Raises FileError, InputError (a line that is not what its file promises, no prompt at all).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(explain(error, path)) from error
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text in UTF-8, got something else") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected a caption on each line, got an empty file")
    as_json = path.suffix in (".jsonl", ".ndjson") or lines[0][1].startswith("{")
    return [_from_json(path, number, line) if as_json else {"caption": line} for number, line in lines]


def _from_json(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        table = json.loads(line)
    except ValueError:
        table = None
    if not isinstance(table, dict) or not isinstance(table.get("caption"), str) or not table["caption"].strip():
        raise InputError(f'{path}, line {number}: expected JSON with a caption, {{"caption": "…"}}, got {line[:60]!r}')
    unknown = sorted(set(table) - set(KNOWN))
    if unknown:
        raise InputError(f"{path}, line {number}: unknown setting {unknown[0]!r}; known: {', '.join(KNOWN)}")
    return table
