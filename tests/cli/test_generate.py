"""limner generate, edit, complete and variations, called as the command line calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.cli.main import main
from limner.pictures.png import read_facts
from limner.sampling.drafts import Drafts


class Answer:
    def __init__(self, capsys: pytest.CaptureFixture[str], model: Path) -> None:
        self.capsys, self.model = capsys, model

    def __call__(self, *words: object, code: int = 0) -> Any:
        got = main([*map(str, words), "--model", str(self.model)])
        out = self.capsys.readouterr()
        assert got == code, out.err
        if code not in (0, 130):
            assert out.out == ""
            assert out.err.count("\n") == 1
            return out.err
        return json.loads(out.out)["pictures"] if "--json" in words else out.out


@pytest.fixture
def limner(capsys: pytest.CaptureFixture[str], tiny_painter: Path) -> Answer:
    return Answer(capsys, tiny_painter)


def test_captions_become_pngs(limner: Answer, tmp_path: Path) -> None:
    words = ("generate", "a red cube", "一只红色的猫", "--count", 2, "--candidates", 5, "--seed", 7, "--out", tmp_path)
    rows = limner(*words, "--json")
    assert [row["caption"] for row in rows] == ["a red cube"] * 2 + ["一只红色的猫"] * 2
    assert [set(row) for row in rows] == [{"path", "caption", "score", "seed", "index"}] * 4
    for row in rows:
        facts = read_facts(row["path"])
        assert {key: facts[key] for key in ("caption", "score", "seed", "index")} == {
            key: row[key] for key in ("caption", "score", "seed", "index")
        }
        assert facts["candidates"] == 5
        assert Image.open(row["path"]).size == (16, 16)
    assert Path(rows[0]["path"]).name == f"a-red-cube-7-{rows[0]['index']}.png"
    # The same again writes the same files; other settings never write over them.
    assert limner(*words, "--json") == rows
    warm = limner(*words, "--json", "--temperature", 0.5)
    assert len(list(tmp_path.glob("*.png"))) == len({row["path"] for row in [*rows, *warm]})


def test_for_people(limner: Answer, tmp_path: Path) -> None:
    lines = limner("generate", "a red cube", "--count", 1, "--out", tmp_path).splitlines()
    path, score = lines[0].rsplit("  ", 1)
    assert Path(path).is_file()
    assert -1 <= float(score) <= 1


def test_a_picture_again_from_its_own_file(limner: Answer, tmp_path: Path) -> None:
    row = limner("generate", "a red cube", "--seed", 3, "--guidance", 2, "--out", tmp_path / "a", "--json")[0]
    again = limner("generate", "--from", row["path"], "--out", tmp_path / "b", "--json")
    assert again[0] | {"path": 0} == row | {"path": 0}
    assert Path(again[0]["path"]).read_bytes() == Path(row["path"]).read_bytes()


def test_prompts_from_a_file_go_on_where_they_stopped(
    limner: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("a red cube\n\na blue ball\na cat\n", encoding="utf-8")
    words = ("generate", "--prompts", prompts, "--count", 2, "--candidates", 3, "--out", out, "--json")
    drawn: list[int] = []
    draw = Drafts.__iter__

    def counted(self: Drafts[Any]) -> Any:
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(1)
        return draw(self)

    monkeypatch.setattr(Drafts, "__iter__", counted)
    assert [row["caption"] for row in limner(*words, code=130)] == ["a red cube"] * 2 + ["a blue ball"] * 2
    drawn.clear()
    # One of the second prompt's pictures is lost: that prompt is drawn again, the first is not.
    sorted(out.glob("00002-*.png"))[0].unlink()
    rows = limner(*words)
    assert len(drawn) == 2
    assert sorted(row["caption"] for row in rows) == ["a blue ball"] * 2 + ["a cat"] * 2 + ["a red cube"] * 2
    drawn.clear()
    assert limner(*words) == sorted(rows, key=lambda row: (Path(row["path"]).name[:5], -row["score"], row["index"]))
    assert not drawn
    assert "choose another --out" in limner(*words, "--seed", 5, code=1)


def test_prompts_as_json_lines(limner: Answer, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    lines = [{"caption": "a red cube", "seed": 4, "count": 1}, {"caption": "a cat", "temperature": 0.5}]
    prompts.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    rows = limner("generate", "--prompts", prompts, "--count", 2, "--out", tmp_path / "out", "--json")
    assert [(row["caption"], row["seed"]) for row in rows] == [("a red cube", 4), ("a cat", 0), ("a cat", 0)]
    assert read_facts(rows[1]["path"])["temperature"] == 0.5


def test_interrupting_keeps_the_best_so_far(limner: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Drafts.__iter__

    def interrupted(self: Drafts[Any]) -> Any:
        for done in draw(self):
            yield done
            raise KeyboardInterrupt

    monkeypatch.setattr(Drafts, "__iter__", interrupted)
    rows = limner(
        "generate", "a red cube", "--count", 3, "--candidates", 200, "--out", tmp_path, "--json", code=130
    )  # fmt: skip
    assert len(rows) == 3
    assert all(Path(row["path"]).is_file() and row["index"] < 64 for row in rows)
    assert read_facts(rows[0]["path"])["candidates"] == 64


def test_without_a_caption(limner: Answer, tmp_path: Path) -> None:
    rows = limner("generate", "--unconditional", "--count", 2, "--out", tmp_path, "--json")
    assert [(row["caption"], row["score"]) for row in rows] == [("", None)] * 2


def test_editing_verbs(limner: Answer, tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(source)
    edited = limner("edit", source, "a red cube", "--region", "0,0,8,8", "--out", tmp_path / "e", "--json")[0]
    before, after = np.asarray(Image.open(source)), np.asarray(Image.open(edited["path"]))
    assert np.array_equal(before[8:], after[8:])
    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), ((0, 8), (8, 0)))).save(mask)
    masked = limner("edit", source, "a cat", "--mask", mask, "--count", 2, "--out", tmp_path / "m", "--json")
    assert len(masked) == 2
    completed = limner("complete", source, "--rows", 1, "--out", tmp_path / "c", "--json")[0]
    assert np.array_equal(before[:8], np.asarray(Image.open(completed["path"]))[:8])
    varied = limner("variations", source, "--count", 3, "--out", tmp_path / "v", "--json")
    assert [row["index"] for row in varied] == [0, 1, 2]
    big = tmp_path / "big.png"
    Image.new("RGB", (40, 30), "red").save(big)
    assert "--fit" in limner("edit", big, "a cat", "--region", "0,0,8,8", code=1)
    assert limner("edit", big, "a cat", "--region", "0,0,8,8", "--fit", "--out", tmp_path / "f", "--json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "s.png")
    return tmp_path / "s.png"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--region=-8,0,8,8",), "region: expected corners within the picture of 16 × 16 pixels, got (-8, 0, 8, 8); "),
        (("--region", "0,0,17,8"), "region: expected corners within the picture of 16 × 16 pixels, got"),
        (("--region", "8,8,8,16"), "left < right and top < bottom, got (8, 8, 8, 16), which is empty; "),
        (("--region", "0,0,7,16"), "region: expected at least one cell of 8 × 8 pixels, got 7 × 16; "),
        (("--region", "0,0,8"), "region: expected four whole numbers"),
        (("--mask", "small.png"), "mask: expected the picture's size, 16 × 16, got 8 × 8; "),
        (("--mask", "black.png"), "mask: expected something to redraw (not black), got a mask that is all black; "),
        (("--mask", "dot.png"), "mask: expected at least one cell of 8 × 8 pixels to redraw, got 1 pixels; "),
        (("--mask", "text.png"), "text.png: expected a picture"), (("--mask", "no.png"), "no such file"),
        ((), "edit: expected either a region or a mask, got neither; "),
        (("--mask", "dot.png", "--region", "0,0,8,8"), "edit: expected either a region or a mask, got both; "),
        (("--region", "0,0,8,8", "--rank", "beauty"), "rank: expected clip, likelihood, or weights of both, got 'b"),
    ],
)  # fmt: skip
def test_regions_and_masks_that_are_wrong(
    limner: Answer, source: Path, words: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    for name, size in {"small": 8, "black": 16, "dot": 16}.items():
        mask = Image.new("L", (size, size), 255 if name == "small" else 0)
        if name == "dot":
            mask.putpixel((3, 3), 255)
        mask.save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no picture")
    named = [str(tmp_path / word) if word.endswith(".png") else word for word in words]
    assert line in limner("edit", source, "a cat", *named, "--out", tmp_path / "out", code=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["edit", "complete", "variations"])
def test_settings_that_are_wrong_in_every_editing_verb(limner: Answer, source: Path, verb: str, tmp_path: Path) -> None:
    words = (verb, source) + (("a cat", "--region", "0,0,8,8") if verb == "edit" else ())
    wrong = [
        ("--temperature", "nan"), ("--temperature", "-1"), ("--guidance", "nan"), ("--guidance", "-1"),
        ("--top-p", "nan"), ("--top-p", "0"), ("--top-k", "0"), ("--seed", "-1"), ("--count", "0"),
    ]  # fmt: skip
    for flag, value in wrong:
        line = limner(*words, f"{flag}={value}", "--out", tmp_path / "out", code=1)
        assert line.startswith(f"limner: {flag[2:].replace('-', '_')}: expected ")
        assert ", got " in line
    long = (verb, source, "cube " * 120, *words[3:])
    assert "expected at most 96 tokens, got" in limner(*long, "--out", tmp_path / "out", code=1)
    if verb != "variations":
        line = limner(*words, "--count", 5, "--candidates", 4, "--out", tmp_path / "out", code=1)
        assert "count: expected at most as many pictures as candidates (4), got 5; draw more" in line
        small = tmp_path / "small.png"
        Image.new("RGB", (9, 8)).save(small)
        line = limner(verb, small, *(words[2:] or ("a cat",)), "--out", tmp_path / "out", code=1)
        assert "picture: expected 16 × 16 pixels, got 9 × 8; crop and resize it first (painter.fit, --fit)" in line
    assert not (tmp_path / "out").exists()


def test_ranking_without_a_clip(
    capsys: pytest.CaptureFixture[str], tiny_painter: Path, source: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for part in ("dvae", "dalle"):
        (bare / part).symlink_to(tiny_painter / part)
    limner, out = Answer(capsys, bare), tmp_path / "out"
    edit = ("edit", source, "a cat", "--region", "0,0,8,8")
    for words in (("generate", "a cat"), edit, ("complete", source, "a cat")):
        for asked in (("--candidates", 8), ("--rank", "clip"), ("--rank", "clip=1,likelihood=0.1")):
            line = limner(*words, *asked, "--out", out, code=1)
            assert "model bare: expected a CLIP (clip/) to rank" in line
            assert "found none; give one (clip=), rank by likelihood, or draw as many" in line
    assert not out.exists()
    assert limner("generate", "a cat", "--count", 2, "--out", out, "--json")[0]["score"] is None
    assert limner("generate", "a cat", "--rank", "likelihood", "--count", 1, "--out", out, "--json")[0]["score"] < 0


def test_interrupting_variations_keeps_the_finished_ones(
    limner: Answer, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import limner.painter as room

    done: list[int] = []
    retouch = room.retouch

    def interrupted(*given: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return retouch(*given)

    monkeypatch.setattr(room, "retouch", interrupted)
    rows = limner("variations", source, "--count", 9, "--out", tmp_path / "out", "--json", code=130)
    assert [row["index"] for row in rows] == [0, 1]
    assert all(Path(row["path"]).is_file() for row in rows)


@pytest.mark.parametrize(("verb", "words", "at_once"), [
    ("edit", ("a red cube", "--region", "0,0,8,8", "--particles", 32), 2),
    ("complete", ("a red cube", "--rows", 1), 64),
])  # fmt: skip
def test_interrupting_edits_keeps_the_best_of_the_finished_batches(
    limner: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, words: tuple[Any, ...], at_once: int
) -> None:
    import limner.sampling.retouch as room

    source = tmp_path / "source.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(source)
    redraw, batches = room.redraw, 1

    def interrupted(*given: Any, **options: Any) -> Any:
        for done, batch in enumerate(redraw(*given, **options)):
            if done == batches:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(room, "redraw", interrupted)
    asked = (verb, source, *words, "--count", 2, "--candidates", 130, "--json")
    rows = limner(*asked, "--out", tmp_path / "some", code=130)
    assert len(rows) == 2
    assert all(row["index"] < at_once for row in rows)
    assert rows[0]["score"] >= rows[1]["score"]
    assert {(read_facts(row["path"])["verb"], read_facts(row["path"])["candidates"]) for row in rows} == {
        (verb, at_once)
    }
    batches = 0
    asked = (verb, source, *words, "--out", tmp_path / "none", "--json")
    assert limner(*asked, code=130) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("generate",), "expected captions, --prompts, --from or --unconditional"),
        (("generate", ""), "caption 1: expected some words"),
        (("generate", "a cat", "  "), "caption 2: expected some words"),
        (("generate", "a cat", "--count", 5, "--candidates", 4), "count: expected at most"),
        (("generate", "a cat", "--count", 0), "count: expected"),
        (("generate", "a cat", "--temperature", "nan"), "temperature: expected"),
        (("generate", "a cat", "--top-p", "-1"), "top_p: expected"),
        (("generate", "a cat", "--guidance", "nan"), "guidance: expected"),
        (("generate", "a cat", "--rank", "clip=much"), "rank: expected NAME=NUMBER"),
        (("generate", "cube " * 50), "tokens, got"),
        (("generate", "--prompts", "no.txt"), "no such file"),
        (("generate", "--from", "no.png"), "no such file"),
        (("edit", "no.png", "a cat", "--region", "0,0,8,8"), "no such file"),
        (("edit", "no.png", "a cat", "--region", "0,0,x,8"), "region: expected left,top,right,bottom"),
    ],
)
def test_one_clear_line(limner: Answer, words: tuple[object, ...], line: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert line in limner(*words, "--out", out, code=1)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.txt", "", "expected a caption on each line"), ("a.jsonl", '{"caption": 3}', "line 1: expected JSON"),
        ("a.jsonl", '{"caption": "a cat"}\nnot json', "line 2: expected JSON"),
        ("a.jsonl", '{"caption": "a cat", "heat": 1}', "line 1: unknown setting 'heat'"),
        ("a.jsonl", '{"caption": "a cat", "seed": -4}', "seed: expected"),
    ],
)  # fmt: skip
def test_prompt_files_that_are_wrong(limner: Answer, name: str, content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert line in limner("generate", "--prompts", tmp_path / name, "--out", tmp_path / "out", code=1)


def test_an_out_that_is_a_file(limner: Answer, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("here")
    assert "out" in limner("generate", "a cat", "--out", tmp_path / "out", code=1)
