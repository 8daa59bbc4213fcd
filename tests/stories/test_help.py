"""Help is there at once, and it is what docs/help.md shows."""

from __future__ import annotations

import resource
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
SECONDS = 0.3
MAKE = runpy.run_path(str(DOCS / "make_help.py"))


def seconds_of(limner: Callable[..., Any], *arguments: str) -> float:
    """Processor time of one call (wall time would measure the neighbours too)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = limner(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0, result.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", MAKE["names"]())
def test_help_takes_less_than_a_third_of_a_second(name: str, limner: Callable[..., Any]) -> None:
    tries = (seconds_of(limner, *name.split(), "--help") for _ in range(3))  # the first may have to write .pyc files
    assert any(seconds < SECONDS for seconds in tries)


def test_help_in_the_documents_is_the_programs_own() -> None:
    assert (DOCS / "help.md").read_text(encoding="utf-8") == MAKE["document"](), (
        "run python docs/make_help.py > docs/help.md"
    )
