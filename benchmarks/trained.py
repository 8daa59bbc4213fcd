"""Short trainings for the comparisons: what a folder holds already is not trained again, a broken-off run goes on."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from limner.training.journal import read_journal


def trained(kind: str, run: Path, recipe: str, changes: dict[str, str], *options: str) -> Path:
    """The run folder, after ``limner train`` in a process of its own with ``changes`` and further ``options``."""
    if not (run / "model").is_dir():
        settings = [word for item in changes.items() for word in ("--set", "=".join(item))]
        command = [sys.executable, "-m", "limner", "train", kind, "--recipe", recipe, "--out", str(run)]
        subprocess.run([*command, *options, "--resume", "--quiet", *settings], check=True, stdout=subprocess.DEVNULL)
    return run


def last(run: Path, measure: str) -> float:
    """The newest value of a measure in a run's journal."""
    return next(float(r[measure]) for r in reversed(read_journal(run / "journal.jsonl")) if measure in r)


def against(values: Sequence[float], base: Sequence[float]) -> tuple[list[float], str]:
    """Differences to the base, and their mean with lowest and highest.

    A seed deals the same pictures in the same order to all, so that its runs are pairs.
    """
    gains = [value - other for value, other in zip(values, base, strict=True)]
    return gains, f"{statistics.mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})"
