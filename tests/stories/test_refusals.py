"""Wrong input is one clear line on stderr, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

CASES = {
    "unknown recipe": (["plan", "nothing"], "recipe"),
    "unknown setting": (["plan", "dvae_debug", "--set", "model.depth=3"], "unknown setting 'depth'"),
    "setting without value": (["plan", "dvae_debug", "--set", "model.depth"], "KEY=VALUE"),
    "missing picture": (["info", "nowhere.png"], "nowhere.png"),
    "unknown model": (["models", "show", "nothing"], "unknown; known:"),
    "not a picture": (["info", "text.png"], "text.png: expected a picture"),
    "empty picture": (["info", "empty.png"], "empty.png: expected a picture, got an empty file"),
    "empty folder": (["info", "."], "expected a model folder"),
    "remove a stranger": (["models", "rm", "someone/else"], "hub cache, which holds nothing"),
    "offline": (["models", "pull", "someone/else"], "HF_HUB_OFFLINE is set"),
    "no data": (["data", "check", "nowhere"], "nowhere"),
    "no pair that can be used": (["data", "check", "."], "a .txt beside each"),
    "data without end": (["data", "check", "storybook"], "without end"),
    "not a hub id": (["models", "pull", "a b"], "a b"),
}


SAME_WAY = ("setting without value", "unknown model", "empty folder", "no data", "data without end", "not a hub id")
"""Their errors take the way of others: the slow set sees them."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SAME_WAY else name for name in CASES]
)
def test_one_line(name: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    before = sorted(p.name for p in tmp_path.iterdir())
    arguments, words = CASES[name]
    assert words in refused(*arguments, env={"HF_HUB_OFFLINE": "1"})
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", [["plan"], ["info", "a", "b"], ["nothing"], ["doctor", "--what"], ["models", "nothing"]]
)
def test_wrong_usage_is_two(arguments: list[str], limner: Callable[..., Any]) -> None:
    result = limner(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Usage: limner" in result.stderr


def test_debug_shows_where(limner: Callable[..., Any]) -> None:
    result = limner("info", "nowhere.png", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m limner plan --help | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert "Traceback" not in result.stderr


def test_no_permission(refused: Callable[..., str], tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert "permission" in refused("info", "a.png")


def test_interrupted_is_130(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.toml")  # reading it waits for ever
    process = subprocess.Popen(
        [sys.executable, "-m", "limner", "plan", "recipe.toml"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background with SIGINT ignored, and this test may be among it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not waits_for_pipe(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == "limner: interrupted\n"


def waits_for_pipe(pid: int) -> bool:
    """Whether the process sleeps in the kernel's opening of a pipe."""
    try:
        return Path(f"/proc/{pid}/wchan").read_text() in ("wait_for_partner", "fifo_open")
    except OSError:
        return False
