"""Importing, looking names up and drawing open no socket: only ``limner models pull`` does, when asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GUARD = """
import sys
def guard(event, arguments):
    if event.startswith("socket."):
        print("SOCKET", event, arguments, file=sys.stderr, flush=True)
        import os
        os._exit(99)
sys.addaudithook(guard)
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", GUARD + code], capture_output=True, text=True, timeout=120, cwd=folder, check=False
    )


def test_the_guard_catches_a_socket(tmp_path: Path) -> None:
    result = run("import socket; socket.socket()", tmp_path)
    assert result.returncode == 99
    assert "SOCKET" in result.stderr


CALLS = {
    "import": "import limner, limner.cli.main; from limner.cli import models, info, plan, doctor",
    "unknown hub id": """
from limner.cli.main import main
assert main(["models", "show", "openai/clip-vit-base-patch32"]) == 1
assert main(["models", "list"]) == 0
""",
    "faces": """
import limner
limner.load_painter, limner.load_looker
""",
    "draw and look": """
import limner
painter = limner.load_painter(PAINTER)
pictures = painter.generate("a red cube", count=1, candidates=2, seed=1)
pictures[0].save("a.png")
limner.load_looker(PAINTER + "/clip").classify(["a.png"], ["a red cube", "a cat"])
""",
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_opens_a_socket(name: str, tmp_path: Path, tiny_painter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    result = run(f"PAINTER = {str(tiny_painter)!r}\n" + CALLS[name], tmp_path)
    assert "SOCKET" not in result.stderr
    assert result.returncode == 0, result.stderr


def test_engines_report_nothing(tmp_path: Path, tiny_painter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnxruntime would send to its makers, natively, is first kept beside other programs' caches."""
    pytest.importorskip("onnxruntime")
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code = f"""
import limner
painter = limner.load_painter({str(tiny_painter)!r}, engine="onnxruntime", precision="float32")
painter.generate("a red cube", candidates=2)
"""
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["limner"]
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "limner-home", "hf-home"}
