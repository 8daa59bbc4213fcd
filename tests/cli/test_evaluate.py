"""``limner evaluate``: real commands with an untrained painter, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.cli.main import main
from limner.evaluate.tasks import Prompt, read_prompts, write_prompts
from limner.storybook.judge.judge import WEIGHTS
from limner.storybook.scene import Scene, Thing

shipped = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the judge's weights are not in this checkout")
Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *words: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["evaluate", *map(str, words)]) == code
    out = capsys.readouterr()
    return out.out, out.err


@shipped
def test_composition_writes_reports_that_compare_reads(capsys: Captured, tiny_painter: Path, tmp_path: Path) -> None:
    cube, pair = Thing("cube", "red"), (Thing("cube", "red"), Thing("cat"))
    prompts = [
        Prompt("colours", Scene("single", (cube,)), "a red cube", "en", "read", 1),
        Prompt("two", Scene("two", pair), "a red cube and a cat", "en", "read", 2),
    ]
    write_prompts(prompts, tmp_path / "prompts.jsonl")
    many = ("--model", tiny_painter, "--prompts", tmp_path / "prompts.jsonl", "--candidates", 2, "--threads", 1)
    table, _ = run(capsys, "composition", *many, "--out", tmp_path / "a", "--top-k", 4)
    assert "overall" in table and "control drawn scenes" in table and "control dVAE ceiling" in table
    printed, _ = run(capsys, "composition", *many, "--out", tmp_path / "b", "--json")
    report = json.loads(printed)
    assert report == json.loads((tmp_path / "b" / "report.json").read_text(encoding="utf-8"))
    assert report["overall"] == 0.0 and set(report["tasks"]) == {"colours", "two"}
    assert report["controls"]["drawn scenes"]["accuracy"] == 1.0
    assert report["settings"]["step"] == {"engine": "torch", "precision": "float32"}
    by_int8, _ = run(capsys, "composition", *many, "--engine", "torch", "--precision", "int8", "--json")
    assert json.loads(by_int8)["settings"]["step"] == {"engine": "torch", "precision": "int8"}
    lines, _ = run(capsys, "compare", tmp_path / "a", tmp_path / "b" / "report.json")
    assert "overall" in lines and "sampling differs" in lines
    rows = json.loads(run(capsys, "compare", tmp_path / "a", tmp_path / "b", "--json")[0])["rows"]
    assert rows["overall"]["difference"] == 0.0


@shipped
def test_calibration_is_printed_and_written(capsys: Captured, tiny_painter: Path, tmp_path: Path) -> None:
    words = ("composition", "--calibrate", "--scenes", 2, "--threads", 1, "--out", tmp_path)
    lines, _ = run(capsys, *words)
    assert "right captions" in lines and "wrong captions (near misses)" in lines and "control: noise" in lines
    answer = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert answer["model"] is None and answer["right_accepted"]["count"] == 10


def test_captions_of_an_untrained_clip_are_guesses(capsys: Captured, tiny_painter: Path) -> None:
    words = ("captions", "--model", tiny_painter, "--pictures", 16, "--among", 8, "--threads", 1)
    printed, err = run(capsys, *words, "--json")
    answer = json.loads(printed)
    assert 0 <= answer["accuracy"] <= 0.6 and answer["among"] == 8 and not err
    assert "near misses: pairs" in run(capsys, *words)[0]


def test_prompts_are_written_for_others(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    printed, _ = run(
        capsys, "composition", "--write-prompts", file, "--prompts-per-task", 2, "--parts", "seen", "--json"
    )
    assert json.loads(printed)["prompts"] == len(read_prompts(file)) == 22


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("composition", "--prompts-per-task", "0"), "prompts per task: expected 1 or more, got 0"),
        (("composition", "--count", "3", "--candidates", "2"), "count: expected 1 to 2"),
        (("composition", "--tasks", "colors"), "task: expected one of single"),
        (("composition", "--parts", "all"), "parts: expected some of seen"),
        (("composition", "--model", "no-such-model"), "no-such-model"),
        (("composition", "--engine", "tpu"), "engine: expected auto, torch, openvino or onnxruntime, got 'tpu'"),
        (("composition", "--prompts", "no-such-file.jsonl"), "no such file"),
        (("composition", "--calibrate", "--scenes", "1"), "scenes: expected 2 or more"),
        (("captions", "--split", "train"), "split: expected test or heldout"),
        (("compare", "no-such-report", "no-such-report"), "no such file"),
    ],
)
def test_wrong_words_give_one_line(capsys: Captured, words: tuple[str, ...], why: str) -> None:
    out, err = run(capsys, *words, code=1)
    assert not out and err.startswith("limner: ") and err.count("\n") == 1 and why in err
