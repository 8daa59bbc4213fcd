"""``limner classify``, ``search`` and ``embed``: what they print, what they write, what they refuse."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.cli.main import main


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_THREADS", "1")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> dict:
    capsys.readouterr()
    assert main(list(map(str, words))) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *words: object, code: int = 1) -> str:
    capsys.readouterr()
    assert main(list(map(str, words))) == code
    out, err = capsys.readouterr()
    assert out == ""
    if code == 1:
        assert len(err.strip().splitlines()) == 1, err
    return err


def test_classify_prints_the_promised_json(tiny_painter: Path, album: Path, capsys) -> None:
    got = answer(
        capsys,
        "classify",
        album / "0.png",
        album / "1.png",
        "--labels",
        "a cat, a cube",
        "--model",
        tiny_painter,
        "--json",
    )
    assert [p["path"] for p in got["pictures"]] == [str(album / "0.png"), str(album / "1.png")]
    for picture in got["pictures"]:
        assert {a["label"] for a in picture["labels"]} == {"a cat", "a cube"}
        assert sum(a["probability"] for a in picture["labels"]) == pytest.approx(1)
        assert all(set(a) == {"label", "probability", "score"} for a in picture["labels"])


def test_classify_folders_patterns_and_stdin(tiny_painter: Path, album: Path, capsys, monkeypatch) -> None:
    common = ("--labels", "a,b", "-m", tiny_painter, "--json")
    assert len(answer(capsys, "classify", album, *common)["pictures"]) == 4
    assert len(answer(capsys, "classify", album / "[01].png", *common)["pictures"]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{album / '2.png'}\n\n{album / '3.png'}\n"))
    assert len(answer(capsys, "classify", "-", *common)["pictures"]) == 2


def test_classify_csv_and_text(tiny_painter: Path, album: Path, capsys) -> None:
    assert main(["classify", str(album), "-l", "a,b", "-m", str(tiny_painter), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 8
    assert set(rows[0]) == {"path", "label", "probability", "score"}
    assert main(["classify", str(album), "-l", "a,b", "-m", str(tiny_painter)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert err == ""


def test_labels_from_files(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    plain, table = tmp_path / "labels.txt", tmp_path / "labels.json"
    plain.write_text("a cat\n\na cube, blue\n", encoding="utf-8")
    table.write_text(json.dumps({"cat": ["a cat", "a red cat"], "cube": ["a cube"]}), encoding="utf-8")
    for file, labels in ((plain, {"a cat", "a cube, blue"}), (table, {"cat", "cube"})):
        got = answer(capsys, "classify", album / "0.png", "--labels-file", file, "-m", tiny_painter, "--json")
        assert {a["label"] for a in got["pictures"][0]["labels"]} == labels


def test_templates_threshold_top_and_none(tiny_painter: Path, album: Path, capsys) -> None:
    common = ("classify", album / "0.png", "-l", "a cat,a cube", "-m", tiny_painter, "--json")
    plain = answer(capsys, *common)
    assert answer(capsys, *common, "--templates", "subset") != plain
    assert answer(capsys, *common, "--template", "red {}", "--template", "{}") != plain
    assert len(answer(capsys, *common, "--top", "1")["pictures"][0]["labels"]) == 1
    assert len(answer(capsys, *common, "--threshold", "0")["pictures"][0]["labels"]) == 2
    labels = [a["label"] for a in answer(capsys, *common, "--none", album)["pictures"][0]["labels"]]
    assert "none of these" in labels


def test_kept_heads(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    common = ("classify", album / "0.png", "-m", tiny_painter, "--json")
    made = answer(capsys, *common, "-l", "a cat,a cube", "--save-head", tmp_path / "pets")
    assert answer(capsys, *common, "--head", tmp_path / "pets") == made
    answer(capsys, *common, "--head", tmp_path / "pets", "--head", tmp_path / "pets")
    assert "excl" in refusal(capsys, *common, "--head", tmp_path / "pets", "-l", "a", code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "at least one"),
        (("-l", "a,a"), "twice"),
        (("-l", "a,,b"), "names"),
        (("--labels-file", "missing.txt"), "missing.txt"),
        (("-l", "a", "--templates", "nonsense"), "templates"),
        (("-l", "a", "--template", "no place"), "one {}"),
        (("-l", "a," + "zz" * 60), "tokens"),
        (("-l", "a", "--threshold", "7"), "threshold"),
        (("-l", "a", "--model", "nobody"), "nobody"),
    ],
)
def test_classify_refuses_in_one_line(tiny_painter: Path, album: Path, capsys, words, message: str) -> None:
    assert message in refusal(capsys, "classify", album, "-m", tiny_painter, *words)


def test_unreadable_pictures_are_skipped_and_named(tiny_painter: Path, album: Path, capsys) -> None:
    (album / "broken.png").write_bytes(b"junk")
    common = ("classify", album, "-l", "a,b", "-m", tiny_painter, "--json")
    assert main(list(map(str, common))) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["pictures"]) == 4
    assert "broken.png" in err
    assert "1 of 5" in err
    assert main([*map(str, common), "--strict"]) == 1
    capsys.readouterr()
    assert "broken.png" in refusal(capsys, "classify", album / "broken.png", "-l", "a,b", "-m", tiny_painter)
    assert "missing.png" in refusal(capsys, "classify", album / "missing.png", "-l", "a,b", "-m", tiny_painter)
    (album / "none").mkdir()
    assert "at least one" in refusal(capsys, "classify", album / "none", "-l", "a,b", "-m", tiny_painter)


def test_search_finds_and_keeps_its_index(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    common = ("search", album, "-m", tiny_painter, "--json")
    first = answer(capsys, *common, "a red cube", "-n", "3")
    assert len(first["pictures"]) == 3
    assert first["index"]["added"] == 4
    second = answer(capsys, *common, "a red cube", "--minus", "0.3:a cat", "--plus", "a ball")
    assert second["index"]["added"] == 0
    like = answer(capsys, *common, "--like", album / "2.png", "-n", "1")
    assert like["pictures"][0]["path"] == str(album / "2.png")
    assert like["pictures"][0]["score"] == pytest.approx(1, abs=1e-5)
    sheet, page = tmp_path / "found.png", tmp_path / "found.html"
    answer(capsys, *common, "a cat", "--sheet", sheet, "--html", page, "--only", "[12].png")
    assert Image.open(sheet).width > 400
    assert page.read_text(encoding="utf-8").count("<figure>") == 2


def test_approximate_search(tiny_painter: Path, album: Path, capsys) -> None:
    pytest.importorskip("usearch")
    common = ("search", album, "a red cube", "-m", tiny_painter, "--json")
    exact = [hit["path"] for hit in answer(capsys, *common)["pictures"]]
    assert [hit["path"] for hit in answer(capsys, *common, "--approximate")["pictures"]] == exact


def test_search_finds_near_duplicates(tiny_painter: Path, album: Path, capsys) -> None:
    (album / "copy.png").write_bytes((album / "1.png").read_bytes())
    got = answer(capsys, "search", album, "--duplicates", "0.99999", "-m", tiny_painter, "--json")
    assert [str(album / "1.png"), str(album / "copy.png")] in got["groups"]


def test_search_refuses(tiny_painter: Path, album: Path, capsys) -> None:
    refusal(capsys, "search", album, "-m", tiny_painter, code=2)
    assert "folder" in refusal(capsys, "search", album / "missing", "a cat", "-m", tiny_painter)
    assert "folder" in refusal(capsys, "search", album / "0.png", "a cat", "-m", tiny_painter)
    assert "missing.png" in refusal(capsys, "search", album, "--like", album / "missing.png", "-m", tiny_painter)


def test_embed_files_and_texts(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    got = answer(capsys, "embed", album, "-o", tmp_path / "x.npy", "-m", tiny_painter, "--json")
    assert (got["count"], got["dimensions"]) == (4, 16)
    features = np.load(tmp_path / "x.npy")
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    assert json.loads((tmp_path / "x.json").read_text())["names"] == [str(album / f"{i}.png") for i in range(4)]
    got = answer(capsys, "embed", "--text", "a cat", "--text", "a cube", "-m", tiny_painter, "--json")
    assert [e["name"] for e in got["embeddings"]] == ["a cat", "a cube"]
    assert len(got["embeddings"][0]["embedding"]) == 16


def test_embed_refuses(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    refusal(capsys, "embed", album, "-m", tiny_painter, code=2)
    refusal(capsys, "embed", "-o", tmp_path / "x.npy", "-m", tiny_painter, code=2)
    assert "npy" in refusal(capsys, "embed", album, "-o", tmp_path / "x.txt", "-m", tiny_painter)
    long = "zz" * 60
    assert "tokens" in refusal(capsys, "embed", "--text", long, "-o", tmp_path / "x.npy", "-m", tiny_painter)
    answer(capsys, "embed", "--text", long, "--cut", "-m", tiny_painter, "--json")


@pytest.fixture
def classes(album: Path) -> Path:
    for i in range(4):
        place = album / ("noise" if i % 2 else "grain")
        place.mkdir(exist_ok=True)
        (album / f"{i}.png").rename(place / f"{i}.png")
    return album


def test_zeroshot_accuracy(tiny_painter: Path, classes: Path, capsys) -> None:
    got = answer(capsys, "evaluate", "zeroshot", classes, "-m", tiny_painter, "--templates", "simple", "--json")
    assert (got["pictures"], got["classes"], got["top5"]["accuracy"]) == (4, 2, 1.0)
    assert main(["evaluate", "zeroshot", str(classes), "-m", str(tiny_painter)]) == 0
    assert "top 1 among 2" in capsys.readouterr().out
    assert "templates" in refusal(capsys, "evaluate", "zeroshot", classes, "--templates", "nonsense")
    assert "missing" in refusal(capsys, "evaluate", "zeroshot", classes / "missing", "-m", tiny_painter)


def test_fine_tuning_tells_the_figure_before_and_after(
    tiny_painter: Path, classes: Path, tmp_path: Path, capsys
) -> None:
    run = tmp_path / "run"
    common = ("train", "clip", "--init", tiny_painter, "--data", "storybook", "--steps", "2", "--set", "batch=4")
    common += ("--set", "workers=0", "--freeze", "visual", "--layer-decay", "0.5")
    assert "excl" not in refusal(capsys, "train", "clip", "--data", "storybook", "--out", run, code=2)
    assert "missing" in refusal(capsys, *common, "--out", run, "--zeroshot", tmp_path / "missing")
    assert not run.exists()
    got = answer(capsys, *common, "--out", run, "--zeroshot", classes, "--interpolate", "0.5", "--json")
    assert got["zeroshot"].keys() == {"before", "after"}
    assert json.loads((run / "zeroshot.json").read_text())["before"] == got["zeroshot"]["before"]
    blended = answer(capsys, "export", run, tmp_path / "blend", "--interpolate", "0.9", "--json")
    assert json.loads((Path(blended["out"]) / "config.json").read_text())["facts"]["interpolate"] == 0.9
    refusal(capsys, "export", tiny_painter, tmp_path / "x", "--format", "hf", "--interpolate", "0.5", code=2)
    refusal(capsys, "train", "dvae", "--recipe", "dvae_debug", "--out", tmp_path / "d", "--zeroshot", classes, code=2)


def tar(path: Path, pictures: list[Path]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for picture in pictures:
            file.add(picture, picture.name)
    return path


def test_embed_shards_by_pattern(tiny_painter: Path, album: Path, tmp_path: Path, capsys) -> None:
    for i in range(3):
        tar(tmp_path / f"{i:03d}.tar.gz", [album / f"{i}.png", album / "3.png"])
    common = ("-m", tiny_painter, "--json", "-o", tmp_path / "out")
    got = answer(capsys, "embed", tmp_path / "{000..001}.tar.gz", *common)
    assert [Path(f).name for f in got["files"]] == ["000.npy", "001.npy"]
    got = answer(capsys, "embed", tmp_path / "*.tar.gz", *common)
    assert ([Path(f).name for f in got["files"]], got["kept"]) == (["002.npy"], 2)
    pytest.importorskip("pyarrow")
    got = answer(capsys, "embed", tmp_path / "*.tar.gz", *common, "--parquet")
    assert len(got["files"]) == 3
    assert "no such file" in refusal(capsys, "embed", tmp_path / "9.tar", *common)
    assert "at least one" in refusal(capsys, "embed", tmp_path / "x*.tar", *common)
    refusal(capsys, "embed", tmp_path / "000.tar.gz", "-m", tiny_painter, "--json", code=2)
    refusal(capsys, "embed", tmp_path / "000.tar.gz", album, *common, code=2)


@pytest.mark.slow
def test_processes_of_torchrun_split_the_shards(tiny_painter: Path, album: Path, tmp_path: Path) -> None:
    for i in range(4):
        tar(tmp_path / f"{i}.tar.gz", [album / f"{i}.png"])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "limner"]
    command += ["embed", str(tmp_path / "*.tar.gz"), "-o", str(tmp_path / "out"), "-m", str(tiny_painter), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert sorted(len(one["files"]) for one in told) == [2, 2]
    assert sorted(f.name for f in (tmp_path / "out").glob("*.npy")) == [f"{i}.npy" for i in range(4)]
