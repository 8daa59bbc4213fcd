"""A caption becomes pictures, a picture gets its label: the two commands that everything else serves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.pictures.load import load_picture
from limner.pictures.png import DRAWN, read_facts


def test_generate_then_classify(limner: Callable[..., Any], tiny_painter: Path, tmp_path: Path) -> None:
    command = [
        "generate",
        "a red cube",
        "一只红色的猫",
        "--count",
        2,
        "--candidates",
        3,
        "--seed",
        7,
        "--model",
        tiny_painter,
    ]
    result = limner(*command, "--out", "drawn", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    pictures = json.loads(result.stdout)["pictures"]
    assert len(pictures) == 4
    assert all({"path", "caption", "score", "seed", "index"} <= set(picture) for picture in pictures)
    assert {picture["caption"] for picture in pictures} == {"a red cube", "一只红色的猫"}
    for picture in pictures:
        path = tmp_path / picture["path"]
        facts = read_facts(path)
        assert {key: facts[key] for key in ("caption", "seed", "index")} == {
            key: picture[key] for key in ("caption", "seed", "index")
        }
        assert DRAWN.encode() in path.read_bytes()
    for caption in {picture["caption"] for picture in pictures}:
        scores = [picture["score"] for picture in pictures if picture["caption"] == caption]
        assert scores == sorted(scores, reverse=True)

    again = limner(*command, "--out", "again", "--json")
    for first, second in zip(pictures, json.loads(again.stdout)["pictures"], strict=True):
        assert load_picture(tmp_path / first["path"]).tobytes() == load_picture(tmp_path / second["path"]).tobytes()

    files = [picture["path"] for picture in pictures]
    looked = limner("classify", *files, "--labels", "a red cube,a cat", "--model", tiny_painter / "clip", "--json")
    assert looked.returncode == 0, looked.stderr
    told = json.loads(looked.stdout)["pictures"]
    assert [entry["path"] for entry in told] == files
    for entry in told:
        assert {label["label"] for label in entry["labels"]} == {"a red cube", "a cat"}
        assert sum(label["probability"] for label in entry["labels"]) == pytest.approx(1, abs=1e-5)
        assert all(-1 <= label["score"] <= 1 for label in entry["labels"])


def test_bad_requests_leave_nothing(refused: Callable[..., str], tiny_painter: Path, tmp_path: Path) -> None:
    assert "caption" in refused("generate", " ", "--model", tiny_painter)
    assert "known:" in refused("generate", "a cube", "--model", "nothing")
    assert "at most 96 tokens" in refused("generate", "cube " * 99, "--model", tiny_painter)
    assert list(tmp_path.iterdir()) == []


def test_control_c_keeps_what_is_finished(tiny_painter: Path, tmp_path: Path) -> None:
    captions = [f"a red cube {number}" for number in range(2000)]
    command = [sys.executable, "-m", "limner", "generate", *captions, "--count", "1", "--candidates", "64"]
    process = subprocess.Popen(
        [*command, "--model", str(tiny_painter), "--out", "out", "--json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("out/*.png"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "limner: interrupted\n"
    rows = json.loads(out)["pictures"]
    assert 3 <= len(rows) < 2000
    assert {row["path"] for row in rows} == {str(path.relative_to(tmp_path)) for path in tmp_path.glob("out/*")}
    assert all(read_facts(tmp_path / row["path"])["caption"] == row["caption"] for row in rows)
