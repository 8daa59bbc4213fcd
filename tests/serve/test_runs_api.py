"""Runs to watch: what is broken shows less, and nothing outside the configured folder is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image


def a_run(folder: Path, journal: str, recipe: str = 'kind = "dalle"\n[training]\nsteps = 400\n') -> Path:
    (folder / "samples").mkdir(parents=True)
    (folder / "journal.jsonl").write_text(journal, encoding="utf-8")
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    Image.new("RGB", (8, 8), "teal").save(folder / "samples" / "00000100.png")
    return folder


@pytest.fixture(scope="module")
def watched(launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("watched")
    runs = base / "runs"
    lines = [json.dumps({"step": step, "loss": 4 / step, "seconds": 1.0}) for step in range(1, 3001)]
    a_run(runs / "good", "\n".join(lines))
    strange = [
        '{"step": 1, "loss": NaN, "other": Infinity, "huge": 1e999, "fine": 2}',
        '{"step": 2, "loss": "nan", "flag": true, "list": [1], "none": null, "fine": 3}',
        f'{{"step": 1{"0" * 400}, "loss": 1{"0" * 400}, "fine": 4}}', "[]", "7", "", "no JSON", '{"step": 3, "fi',
    ]  # fmt: skip
    a_run(runs / "strange", "\n".join(strange), "kind = 7\ntraining = 1979-05-27")
    a_run(runs / "broken", "\x00\xff\x00" * 99, "= = =")
    (runs / "no run").mkdir()
    (runs / "a file").write_text("x")
    secret = a_run(base / "secret", '{"step": 1, "secret": 1}')
    (runs / "link").symlink_to(secret)
    lured = a_run(runs / "lured", '{"step": 1, "loss": 1}')
    (lured / "samples" / "secret.png").symlink_to(secret / "samples" / "00000100.png")
    for name, inside in (
        ("lured journal", "journal.jsonl"),
        ("lured recipe", "recipe.toml"),
        ("lured sheets", "samples"),
    ):
        run = a_run(runs / name, '{"step": 1, "loss": 1}')
        (run / inside).rename(run / "away")
        (run / inside).symlink_to(secret / inside)
    with httpx.Client(base_url=launch(runs=runs).url, timeout=30) as http:
        yield http


def curves(http: Any, run: str, query: str = "") -> Any:
    answer = http.get(f"/api/runs/{run}{query}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=pytest.fail)  # NaN is no JSON


def test_runs_are_listed(watched):
    found = {run["id"]: run for run in watched.get("/api/runs").json()["data"]}
    assert sorted(found) == ["broken", "good", "lured", "lured recipe", "lured sheets", "strange"]
    assert (found["good"]["step"], found["good"]["steps"], found["good"]["samples"]) == (3000, 400, 1)
    assert (found["strange"]["steps"], found["strange"]["step"]) == (None, 3 - 1)
    assert found["lured recipe"]["kind"] == ""
    assert [found[name]["samples"] for name in ("lured", "lured sheets")] == [1, 0]


def test_curves_are_thinned_out_and_go_on_from_a_step(watched):
    points = curves(watched, "good")["curves"]["loss"]
    assert len(points) <= 1001
    assert (points[0], points[-1]) == ([1, 4.0], [3000, 4 / 3000])
    later = curves(watched, "good", "?after=2990")["curves"]["loss"]
    assert [step for step, _ in later] == list(range(2991, 3001))
    assert curves(watched, "good", "?after=3000")["curves"] == {}


def test_what_is_no_number_is_left_out(watched):
    found = curves(watched, "strange")["curves"]
    assert found == {"fine": [[1, 2.0], [2, 3.0], [0, 4.0]]}
    assert curves(watched, "broken")["curves"] == {}


@pytest.mark.parametrize("after", ["", "x", "1.5", "1e3", "9" * 20, "1 OR 1", "%00"])
def test_a_step_is_a_whole_number(watched, after):
    answer = watched.get(f"/api/runs/good?after={after}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "after"


@pytest.mark.parametrize(
    "path",
    ["link", "secret", "..%2fsecret", "../secret", "lured journal", "no run", "a file", "a%00b", "%2e%2e", "x" * 5000],
)
def test_other_folders_are_no_runs(watched, path):
    for tail in ("", "/samples/00000100.png"):
        answer = watched.get(f"/api/runs/{path}{tail}")
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "name", ["secret.png", "..%2fjournal.jsonl", "../journal.jsonl", "recipe.toml", "a%00b", "%2f"]
)
def test_only_sheets_can_be_had(watched, name):
    assert watched.get("/api/runs/lured/samples/" + name).status_code == 404
    assert watched.get("/api/runs/lured%20sheets/samples/00000100.png").status_code == 404
    sheet = watched.get("/api/runs/lured/samples/00000100.png")
    assert sheet.headers["content-type"] == "image/png"


def test_without_runs(running):
    assert httpx.get(f"{running.url}/api/runs").json()["data"] == []
    assert httpx.get(f"{running.url}/api/runs/good").status_code == 404
