"""A whole evaluation of painters whose skill is known: the figures must find that skill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import InputError
from limner.evaluate.compare import compare, read_report
from limner.evaluate.report import write_report
from limner.evaluate.run import Settings, evaluate_composition, part_prompts
from limner.evaluate.tasks import TASKS, choose_tasks

SMALL = Settings(prompts=4, count=1, candidates=6, parts=("seen", "heldout"), unconditional=4)
CHOSEN = choose_tasks(["colours", "position", "garments 3"])


def _evaluate(painter: Any, judge: Any, settings: Settings = SMALL, **more: Any) -> tuple[dict[str, Any], list[Any]]:
    return evaluate_composition(painter, judge, CHOSEN, settings, model="test", quiet=True, **more)


def _prompts(settings: Settings = SMALL) -> list[Any]:
    return [prompt for part in settings.parts for prompt in part_prompts(TASKS, part, settings)]


def test_a_painter_that_knows_everything_is_right_and_controls_are_not(
    knowing_judge: Any, painter_of: Callable[..., Any]
) -> None:
    report, outcomes = _evaluate(painter_of(_prompts(), 1.0), knowing_judge, reconstruct=lambda pictures: pictures)
    assert report["overall"] == 1.0 and report["overall_interval"] == [1.0, 1.0]
    assert set(report["tasks"]) == {"colours", "position", "garments 3"}
    assert set(report["parts"]["heldout"]["tasks"]) == {"position", "garments 3"}
    controls = {name: table["accuracy"] for name, table in report["controls"].items()}
    assert controls.pop("drawn scenes") == controls.pop("dVAE ceiling") == 1.0
    assert set(controls) == {"shuffled captions", "unconditional", "noise", "blank", "mean colour", "shuffled patches"}
    assert not any(controls.values())
    assert len(outcomes) == 4 * 3 + 4 * 2


def test_skill_is_measured_by_draw_by_clip_and_by_oracle(knowing_judge: Any, painter_of: Callable[..., Any]) -> None:
    settings = Settings(prompts=20, count=1, candidates=8, parts=("seen",), unconditional=0)
    report, _ = _evaluate(painter_of(_prompts(settings), 0.3), knowing_judge, settings)
    for table in report["tasks"].values():
        assert table["single_draw"] == pytest.approx(0.3, abs=0.12)
        # Right pictures score higher than wrong ones: CLIP is an oracle here.
        assert table["best_of"]["clip"] == pytest.approx(table["best_of"]["oracle"])
        assert table["accuracy"] == pytest.approx(table["best_of"]["clip"]["8"])
        assert table["best_of"]["clip"]["4"] == pytest.approx(1 - 0.7**4, abs=0.15)
        low, high = table["interval"]
        assert low <= table["accuracy"] <= high


def test_a_painter_without_scores_counts_by_single_draws(knowing_judge: Any, painter_of: Callable[..., Any]) -> None:
    settings = Settings(prompts=4, count=2, candidates=4, parts=("seen",), unconditional=0)
    report, _ = _evaluate(painter_of(_prompts(settings), 0.5, tell=False), knowing_judge, settings)
    for table in report["tasks"].values():
        assert table["pictures"] == 8
        assert table["best_of"]["clip"]["4"] == pytest.approx(table["single_draw"])


def test_same_seed_same_report_and_every_prompt_its_own_seed(
    knowing_judge: Any, painter_of: Callable[..., Any]
) -> None:
    painter = painter_of(_prompts(), 0.5)
    one, two = (_evaluate(painter, knowing_judge)[0] for _ in range(2))
    assert one | {"seconds": 0} == two | {"seconds": 0}
    seeds = [seed for _, _, seed in painter.asked[: len(painter.asked) // 2]]
    assert len(set(seeds[:-1])) == len(seeds) - 1


def test_wordings_are_drawn_with_the_seeds_of_the_seen_ones(knowing_judge: Any, painter_of: Callable[..., Any]) -> None:
    settings = Settings(prompts=2, candidates=1, parts=("seen", "wording"), unconditional=0)
    painter = painter_of(_prompts(settings), 1.0)
    report, _ = _evaluate(painter, knowing_judge, settings, sampling={"guidance": 2.0})
    assert painter.sampling == report["settings"]["sampling"] == {"guidance": 2.0}
    half = len(painter.asked) // 2
    assert [seed for _, _, seed in painter.asked[:half]] == [seed for _, _, seed in painter.asked[half:]]
    assert not {said for said, _, _ in painter.asked[:half]} & {said for said, _, _ in painter.asked[half:]}
    assert report["parts"]["wording"]["overall"] == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompts": 0},
        {"count": 0},
        {"count": 5, "candidates": 4},
        {"parts": ("all",)},
        {"languages": ("fr",)},
        {"parts": ()},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Settings(**wrong)


def test_a_task_without_held_out_prompts_says_so() -> None:
    with pytest.raises(InputError, match="part 'heldout'"):
        part_prompts(choose_tasks(["colours"]), "heldout", SMALL)


# The report


@pytest.fixture
def reported(tmp_path: Path, knowing_judge: Any, painter_of: Callable[..., Any]) -> Path:
    report, outcomes = _evaluate(painter_of(_prompts(), 0.12), knowing_judge)
    report["model"] = "<b>a & b</b>"
    write_report(report, outcomes, tmp_path / "report")
    return tmp_path / "report"


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(reported: Path) -> None:
    page = (reported / "report.html").read_text(encoding="utf-8")
    assert "<b>a & b</b>" not in page and "&lt;b&gt;a &amp; b&lt;/b&gt;" in page
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert "<link" not in page and "http" not in page and "<script" not in page
    assert page.count("<figure class=right>") and page.count("<figure>"), "right and wrong ones are shown"
    assert page.count("<svg") == 2


def test_reports_are_compared_and_other_files_refused(reported: Path, tmp_path: Path) -> None:
    report = read_report(reported)
    same = compare(report, report)
    assert all(row["difference"] == 0 and not row["clear"] for row in same["rows"].values())
    assert set(same["rows"]) == {"overall", *report["tasks"]} and not same["settings_that_differ"]
    report["overall"], report["overall_interval"] = 0.5, [0.4, 0.6]
    perfect = json.loads(json.dumps(report)) | {"overall": 0.9, "overall_interval": [0.8, 1.0]}
    perfect["settings"]["seed"] = 5
    better = compare(report, perfect)
    assert better["rows"]["overall"]["clear"] and better["rows"]["overall"]["difference"] == pytest.approx(0.4)
    assert not compare(report, perfect | {"overall": 0.6})["rows"]["overall"]["clear"]
    assert better["settings_that_differ"] == {"seed": [0, 5]}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(report | {"version": 0}), encoding="utf-8")
    with pytest.raises(InputError, match="evaluate that model again"):
        read_report(other)
    other.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"expected a report\.json"):
        read_report(other)


def test_pictures_in_the_outcomes_are_the_kept_ones(knowing_judge: Any, painter_of: Callable[..., Any]) -> None:
    _, outcomes = _evaluate(painter_of(_prompts(), 0.5), knowing_judge)
    for outcome in outcomes:
        verdicts = knowing_judge.verdicts(np.stack(outcome.pictures), [outcome.prompt.scene])
        assert [v.right for v in verdicts] == [outcome.right[i] for i in outcome.kept]
