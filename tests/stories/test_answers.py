"""What commands answer: JSON of a fixed shape on stdout and nothing else, lines for people without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.pictures.png import save_png


def answer(limner: Callable[..., Any], *arguments: object) -> dict:  # type: ignore[type-arg]
    result = limner(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)  # type: ignore[no-any-return]


@pytest.mark.slow
def test_plan(limner: Callable[..., Any]) -> None:
    plan = answer(limner, "plan", "clip_vit_b32")
    assert plan["parameters"] == 151_277_313
    assert plan["kind"] == "clip"
    assert sum(plan["parts"].values()) == plan["parameters"]
    assert plan["operations_per_sample"] == pytest.approx(2 * 7.4e9, rel=0.05)  # 7.4 G multiply-adds


def test_info_of_a_picture(limner: Callable[..., Any], tmp_path: Path) -> None:
    facts = {"caption": "一只戴着红色帽子的猫", "seed": 7, "model": "storybook"}
    save_png(np.zeros((8, 12, 3), np.uint8), tmp_path / "a.png", facts)
    about = answer(limner, "info", "a.png")
    assert (about["width"], about["height"]) == (12, 8)
    assert facts.items() <= about["facts"].items()
    printed = limner("info", "a.png").stdout
    assert "一只戴着红色帽子的猫" in printed
    assert "12 × 8" in printed


def test_info_of_a_model_and_show(limner: Callable[..., Any], tiny_painter: Path) -> None:
    about = answer(limner, "info", tiny_painter)
    assert about == answer(limner, "models", "show", tiny_painter)
    assert about["kind"] == "painter"
    assert set(about["parts"]) == {"dvae", "dalle", "clip"}
    assert about["parameters"] == sum(part["parameters"] for part in about["parts"].values())
    assert answer(limner, "info", tiny_painter / "clip")["kind"] == "clip"
    printed = limner("models", "show", tiny_painter / "clip")
    assert "sizes.embedding" in printed.stdout
    assert "# clip model" in printed.stdout


def test_info_of_a_run(limner: Callable[..., Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints" / "20").mkdir(parents=True)
    (run / "recipe.toml").write_text('kind = "clip"\nname = "mine"\n[training]\nsteps = 60\n')
    (run / "journal.jsonl").write_text('{"step": 10, "loss": 3.0}\n{"step": 20, "loss": 2.5}\n{"step": 30, "lo')
    about = answer(limner, "info", run)
    assert (about["kind"], about["recipe"], about["steps"], about["checkpoints"]) == ("clip", "mine", 60, [20])
    assert about["last"] == {"step": 20, "loss": 2.5}


def test_data_check(limner: Callable[..., Any], tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (20 + number, 10), "red").save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"picture {number % 2}")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "bad.txt").write_text("a caption")
    Image.new("RGB", (5, 5)).save(tmp_path / "silent.png")
    found = answer(limner, "data", "check", ".")
    assert (found["pairs"], found["distinct_captions"]) == (3, 2)
    assert found["pictures"] == {"smallest": [20, 10], "largest": [22, 10]}
    assert [entry["name"] for entry in found["broken"]] == ["bad.png", "silent.png"]
    printed = limner("data", "check", ".").stdout
    assert "bad.png: not a picture" in printed


def test_doctor(limner: Callable[..., Any]) -> None:
    result = limner("doctor", "--json")
    checks = json.loads(result.stdout)
    assert {"versions", "device", "models", "hub cache", "settings", "extras"} == set(checks["checks"])
    assert result.returncode == (0 if checks["ok"] else 1)
    assert "torch" in checks["checks"]["versions"]["detail"]


def test_settings_from_the_folder(limner: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "limner.toml").write_text("[models.list]\njson = true\n")
    assert json.loads(limner("models", "list").stdout)["models"] is not None
