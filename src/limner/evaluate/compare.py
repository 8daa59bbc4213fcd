"""``limner evaluate compare A B``: two composition reports side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from limner.errors import FileError, InputError
from limner.files import explain

FORMAT = "limner composition report"
VERSION = 1


def read_report(path: Path | str) -> dict[str, Any]:
    """The ``report.json`` at ``path`` or in the folder ``path``. Raises FileError, InputError (another version)."""
    file = Path(path)
    file = file / "report.json" if file.is_dir() else file
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(explain(error, file)) from error
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise InputError(f"{file}: expected a report.json of limner evaluate composition, got something else") from None
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"{file}: expected a report.json of limner evaluate composition, got another file")
    if report.get("version") != VERSION:
        raise InputError(
            f"{file}: expected a report of version {VERSION}, got version {report.get('version')}; evaluate that model "
            f"again with this limner (the report's settings are in it), or use limner {report.get('limner')}"
        )
    return report


def compare(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Both reports' figures and differences (``two`` − ``one``); ``clear`` where the 95 % intervals allow no zero.

    The interval of a difference is taken from both intervals' half widths, as of independent samples.
    """
    rows = {"overall": _row(one["overall"], one["overall_interval"], two["overall"], two["overall_interval"])}
    for name in one["tasks"]:
        if name in two["tasks"]:
            a, b = one["tasks"][name], two["tasks"][name]
            rows[name] = _row(a["accuracy"], a["interval"], b["accuracy"], b["interval"])
    same = {key: (one["settings"].get(key), two["settings"].get(key)) for key in one["settings"]}
    return {
        "a": one["model"],
        "b": two["model"],
        "rows": rows,
        "settings_that_differ": {key: list(pair) for key, pair in same.items() if pair[0] != pair[1]},
        "only_in_a": sorted(set(one["tasks"]) - set(two["tasks"])),
        "only_in_b": sorted(set(two["tasks"]) - set(one["tasks"])),
    }


def _row(a: float, a_interval: list[float], b: float, b_interval: list[float]) -> dict[str, Any]:
    half = math.hypot(a_interval[1] - a_interval[0], b_interval[1] - b_interval[0]) / 2
    difference = b - a
    return {
        "a": a,
        "b": b,
        "difference": difference,
        "interval": [difference - half, difference + half],
        "clear": abs(difference) > half,
    }
