"""Best of many without holding many."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys
from limner.painter import load_painter
painter = load_painter(sys.argv[1], engine="torch", threads=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
painter.generate("a red cube", count=4, candidates=int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(model: str, candidates: int) -> tuple[int, int]:
    """Kilobytes that drawing adds at most, and of the whole process."""
    command = [sys.executable, "-c", CODE, model, str(candidates)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    added, whole = answer.stdout.split()
    return int(added), int(whole)


@pytest.mark.slow
def test_best_of_512_needs_little_more_memory_than_best_of_64() -> None:
    few, many = peak("storybook", 64), peak("storybook", 512)
    assert many[1] <= 1.3 * few[1], (few, many)
    # What the drawing itself adds stays the same too, but for the allocator's slack.
    assert many[0] <= 1.6 * few[0] + 20_000, (few, many)
