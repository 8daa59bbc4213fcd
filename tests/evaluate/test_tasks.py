"""Tasks hold what they say; prompts survive GenEval's JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.errors import FileError, InputError
from limner.evaluate.tasks import TASKS, all_prompts, choose_tasks, prompts_of, read_prompts, to_line, write_prompts
from limner.storybook.scene import Scene, Thing, held_out


def test_every_task_has_prompts_of_its_own_kind() -> None:
    prompts = all_prompts(TASKS, 6, split="test", seed=0)
    assert len(prompts) == 6 * len(TASKS)
    for prompt in prompts:
        scene = prompt.scene
        worn = sum(len(thing.garments) for thing in scene.things)
        assert not held_out(scene)
        assert (worn > 0) == prompt.task.startswith("garments")
        assert not worn or prompt.task == f"garments {worn}"
        assert (scene.relation is not None) == (prompt.task == "position")
        assert (scene.count > 1) == (prompt.task == "counting")
    assert {p.language for p in prompts if p.task == "two"} == {"en", "zh"}


def test_held_out_prompts_are_held_out_and_single_things_never_are() -> None:
    for task in TASKS:
        prompts = prompts_of(task, 3, split="heldout", seed=0)
        never = task.families == ("single",) or task.name == "garments 1"
        assert len(prompts) == (0 if never else 3)
        assert all(held_out(p.scene) for p in prompts)


def test_kept_wordings_say_the_same_scenes() -> None:
    seen, kept = (prompts_of(TASKS[1], 8, split="test", seed=0, wording=w) for w in ("seen", "kept"))
    assert [p.scene for p in seen] == [p.scene for p in kept]
    assert not {p.caption for p in seen} & {p.caption for p in kept}


def test_prompts_survive_the_file(tmp_path: Path) -> None:
    prompts = all_prompts(TASKS, 3, split="test", seed=4)
    write_prompts(prompts, tmp_path / "prompts.jsonl")
    assert read_prompts(tmp_path / "prompts.jsonl") == prompts


def test_genevals_own_lines_are_read() -> None:
    line = {
        "tag": "position",
        "include": [
            {"class": "boat", "count": 1},
            {"class": "dog", "count": 1, "color": "red", "position": ["right of", 0]},
        ],
        "prompt": "a photo of a red dog right of a boat",
    }
    from limner.evaluate.tasks import from_line

    prompt = from_line(line)
    assert prompt.scene == Scene("relation", (Thing("dog", "red"), Thing("boat")), "right of")
    again = to_line(prompt)
    assert again["include"] == [line["include"][0], line["include"][1]] and again["prompt"] == line["prompt"]
    assert from_line(again) == prompt
    many = {"tag": "counting", "include": [{"class": "cat", "count": 3}], "prompt": "three cats"}
    assert from_line(many).scene == Scene("counting", (Thing("cat"),), count=3)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"tag": "a", "include": [{"class": "zebra", "count": 1}], "prompt": "a zebra"}, "storybook's world"),
        ({"tag": "a", "include": [{"class": "cat", "color": "mauve"}], "prompt": "a mauve cat"}, "storybook's world"),
        ({"tag": "a", "prompt": "a cat"}, "expected GenEval's keys"),
        ({"tag": "a", "include": [{"class": "cat", "count": 9}], "prompt": "nine cats"}, "count"),
        ({"tag": "a", "include": [], "prompt": ""}, "include"),
        ([1, 2], "expected GenEval's keys"),
    ],
)
def test_prompts_of_another_world_are_refused_by_line(tmp_path: Path, line: object, why: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=why) as caught:
        read_prompts(file)
    assert "line 1" in str(caught.value)


def test_bad_prompt_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "words.jsonl").write_text("a red cube\n", encoding="utf-8")
    for name in ("empty", "binary", "words"):
        with pytest.raises(InputError):
            read_prompts(tmp_path / f"{name}.jsonl")
    with pytest.raises(InputError, match="task: expected one of single"):
        choose_tasks(["colors"])
