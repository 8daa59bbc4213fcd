"""What a whole report has beyond tasks: wordings, sweeps, editing, amounts; each finds what a made painter can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError
from limner.evaluate.editing import changes, evaluate_editing
from limner.evaluate.plots import bars, curves
from limner.evaluate.report import write_report
from limner.evaluate.run import Settings, amounts, evaluate_composition, part_prompts
from limner.evaluate.sweeps import evaluate_sweeps
from limner.evaluate.tasks import TASKS, choose_tasks
from limner.evaluate.wordings import evaluate_wordings, ways_to_say
from limner.storybook import chinese, english
from limner.storybook.scene import FAMILIES
from limner.storybook.splits import held_out

Makes = Callable[..., Any]
PROMPTS = part_prompts(choose_tasks(["colours", "binding"]), "seen", Settings(prompts=6))


def test_a_scene_is_said_in_different_sentences_of_each_set_and_language() -> None:
    ways = list(ways_to_say(15, 2, seed=3))
    assert {way.prompt.scene.family for way in ways} == set(FAMILIES)
    assert len({way.prompt.caption for way in ways}) == len(ways) == 15 * 2 * 2 * 2
    for way in ways:
        found = {"en": english, "zh": chinese}[way.prompt.language].wordings(way.prompt.scene)
        assert way.prompt.caption in getattr(found, way.wording) and not held_out(way.prompt.scene)
    assert ways == list(ways_to_say(15, 2, seed=3)) != list(ways_to_say(15, 2, seed=4))


def test_a_painter_that_knows_all_words_has_no_spread_and_one_of_english_has_no_chinese(
    knowing_judge: Any, painter_of: Makes
) -> None:
    prompts = [way.prompt for way in ways_to_say(8, 2, seed=0)]
    painter = painter_of(prompts, 1.0)
    table, outcomes = evaluate_wordings(painter, knowing_judge, 8, draws=2)
    assert {name: t["accuracy"] for name, t in table["groups"].items()} == dict.fromkeys(
        ("en seen", "en kept", "zh seen", "zh kept"), 1.0
    )
    assert table["spread"] == {"en": 0.0, "zh": 0.0} and len(outcomes) == table["sentences"] == 64
    assert {seed for _, _, seed in painter.asked} == set(range(8))  # one for each scene, whatever the words
    painter.known = {said: p.scene for p in prompts for said in english.wordings(p.scene).seen}
    table, _ = evaluate_wordings(painter, knowing_judge, 8, draws=2)
    assert table["groups"]["en seen"]["accuracy"] == 1.0
    assert table["groups"]["en kept"]["accuracy"] == table["groups"]["zh seen"]["accuracy"] == 0.0
    assert table["differences"]["kept - seen"]["difference"] == pytest.approx(-0.5)
    assert table["differences"]["zh - en"] == {"difference": pytest.approx(-0.5), "interval": [-0.5, -0.5]}
    assert table["spread"] == {"en": 1.0, "zh": 0.0}
    with pytest.raises(InputError, match="draws: expected 1 or more"):
        evaluate_wordings(painter, knowing_judge, 1, draws=0)


def test_a_sweep_finds_where_a_painter_is_best(knowing_judge: Any, painter_of: Makes) -> None:
    painter = painter_of(PROMPTS, 1.0)
    really = painter.generate

    def by_guidance(caption: str, *, guidance: float, **options: Any) -> Any:
        painter.skill = {1.0: 0.0, 2.0: 1.0, 4.0: 0.5}[guidance]
        return really(caption, **options)

    painter.generate = by_guidance
    found = evaluate_sweeps(
        painter, knowing_judge, PROMPTS, {"guidance": (1.0, 2.0, 4.0)}, candidates=4, sampling={"temperature": 0.5}
    )
    assert [row["value"] for row in found["guidance"]] == [1.0, 2.0, 4.0]
    draws = [row["single_draw"] for row in found["guidance"]]
    assert draws[:2] == [0.0, 1.0] and 0.25 < draws[2] < 0.75
    for row in found["guidance"]:
        assert row["single_draw_interval"][0] <= row["single_draw"] <= row["single_draw_interval"][1]
        assert row["best"] >= row["single_draw"] and row["prompts"] == 12
    assert painter.sampling == {"temperature": 0.5}
    with pytest.raises(InputError, match="sweep: expected one of guidance"):
        evaluate_sweeps(painter, knowing_judge, PROMPTS, {"colour": (1.0,)}, candidates=1)


class Editor:
    """Draws the wanted scene with the seed of the picture that is edited, whole or in the region alone."""

    resolution = 128

    def __init__(self, judge: Any, whole: bool) -> None:
        from limner.storybook.draw import draw

        self.draw, self.judge, self.whole = draw, judge, whole
        self.wanted = {change.prompt.caption: change.prompt for change in changes(6, seed=0)}

    def edit(self, image: Image.Image, caption: str, *, region: Any, count: int, **options: Any) -> list[Any]:
        from limner.evaluate import editing

        prompt = self.wanted[caption]
        after = editing.draw(prompt.scene, size=128, seed=prompt.seed)  # which the judge of the tests remembers
        picture = np.asarray(image).copy()
        left, top, right, bottom = region
        picture[top:bottom, left:right] = after[top:bottom, left:right]
        edited = Image.fromarray(after if self.whole else picture)
        return [type("Picture", (), {"image": edited, "score": 1.0})()]


def test_editing_asks_for_the_new_scene_and_for_the_rest_of_the_picture(knowing_judge: Any) -> None:
    table, outcomes = evaluate_editing(Editor(knowing_judge, whole=True), knowing_judge, 6, seed=0, quiet=True)
    assert table["accuracy"] == 1.0 and table["prompts"] == len(outcomes) == 6
    table, _ = evaluate_editing(Editor(knowing_judge, whole=False), knowing_judge, 6, seed=0, quiet=True)
    assert table["untouched_outside"] == 1.0


def test_what_is_changed_in_an_edit_is_one_of_two_things() -> None:
    for change in changes(20, seed=1):
        before, after = change.before.things, change.prompt.scene.things
        assert [a != b for a, b in zip(before, after, strict=True)] == [at == change.at for at in range(2)]
    assert all(held_out(change.prompt.scene) for change in changes(5, seed=1, split="heldout"))


def test_a_report_has_all_of_it_on_one_page(knowing_judge: Any, painter_of: Makes, tmp_path: Path) -> None:
    tasks = choose_tasks(["colours", "binding", "three", "four", "garments 1", "garments 4"])
    settings = Settings(
        prompts=2,
        candidates=2,
        parts=("seen",),
        unconditional=0,
        wordings=2,
        sweeps={"guidance": (1.0, 2.0)},
        sweep_prompts=1,
    )
    painter = painter_of(part_prompts(tasks, "seen", settings), 1.0)
    report, outcomes = evaluate_composition(
        painter, knowing_judge, tasks, settings, model="m", note="has not learned the storybook", quiet=True
    )
    assert set(report["amounts"]["things"]) == {"1", "2", "3", "4"}
    assert set(report["amounts"]["garments"]) == {"1", "4"}
    assert report["amounts"]["things"]["3"]["accuracy"] == report["tasks"]["three"]["accuracy"] == 1.0
    assert report["wording"]["scenes"] == 2 and len(report["sweeps"]["guidance"]) == 2
    page = write_report(report, outcomes, tmp_path)[1].read_text(encoding="utf-8")
    for words in ("More at once", "Guidance", "Wording", "has not learned the storybook", "best of 2", "garments"):
        assert words in page
    assert page.count("<svg") == 4


def test_amounts_are_taken_from_the_tasks_that_were_drawn() -> None:
    table = {"accuracy": 0.5, "interval": [0.4, 0.6], "single_draw": 0.2, "single_draw_interval": [0.1, 0.3]}
    assert amounts({"three": table}) == {"things": {"3": {k: table[k] for k in list(table)[:3]}}, "garments": {}}
    names = {task.name for task in TASKS}
    assert {"colours", "binding", "three", "four", "garments 1"} <= names


def test_plots_escape_names_and_keep_line_ends_apart() -> None:
    drawn = curves({"<a>": {"1": 0.5, "2": 0.9}, "b": {"1": (0.5, 0.4, 0.6), "2": (0.9, 0.8, 1.0)}}, "N")
    assert "<a>" not in drawn and "&lt;a&gt;" in drawn and drawn.count("<polyline") == 2
    places = [float(part.split('"')[0]) for part in drawn.split('y="')[1:]]
    assert max(places) <= 270
    assert curves({}) == "" and "12.5 %" in bars({"x": (0.125, 0.1, 0.2)})


@pytest.mark.parametrize("wrong", [{"editing": -1}, {"wordings": -1}, {"sweep_prompts": 0}])
def test_wrong_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        Settings(**wrong)  # type: ignore[arg-type]
