"""The soak of ``benchmarks/soak.py``, short: a crowd of all kinds, nothing lost, mixed up or wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_a_crowd(tiny_painter: Path) -> None:
    command = [sys.executable, str(SOAK), "--minutes", "0.25", "--clients", "32", "--model", str(tiny_painter)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["lost"], told["mixed_up"], told["wrong"], told["left_behind"]) == (0, 0, 0, 0)
    for kind in ("draw", "stream", "edit", "classify", "search", "embed", "gone", "bad"):
        assert told[kind] > 0, kind
