"""``limner`` as people call it: a process of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Limner = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    """``limner("info", "a.png", env={…})`` runs the command in ``tmp_path`` and returns the finished process."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "limner", *map(str, arguments)]
        surroundings = os.environ | {"PYTHONIOENCODING": "utf-8"} | (env or {})
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            cwd=tmp_path,
            env=surroundings,
            check=False,
        )

    return run


@pytest.fixture
def refused(limner: Limner) -> Callable[..., str]:
    """``refused("info", "nowhere.png")`` is the one line of a command that refuses; it printed nothing else."""

    def run(*arguments: object, env: dict[str, str] | None = None, code: int = 1) -> str:
        result = limner(*arguments, env=env)
        assert result.returncode == code, result.stderr
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("limner: ")
        assert "Traceback" not in result.stderr
        return result.stderr

    return run
