"""What people hand in by mistake, and what changes under a run: one clear line or a counted skip, and never a hang."""

from __future__ import annotations

import io
import multiprocessing
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.test_sources import shard

from limner.errors import DataError, LimnerError, RecipeError, TrainingError
from limner.training import checkpoint
from limner.training import loop as loops
from limner.training.journal import read_journal
from limner.training.recipe import Recipe, load_recipe
from limner.training.run import train


def picture(number: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    noise = np.random.RandomState(number).randint(0, 255, (24, 24, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def good(count: int) -> dict[str, dict[str, bytes]]:
    return {f"k{i:03d}": {"png": picture(i), "txt": f"a thing number {i}".encode()} for i in range(count)}


def recipe(source: object, kind: str = "clip", **changes: str) -> Recipe:
    settings = {"steps": "4", "batch": "8", "threads": "1", "workers": "0", "sample_every": "0", "journal_every": "1"}
    settings |= {"checkpoint_every": "2", "data.source": f'"{source}"', "data.test_share": "0.0", **changes}
    if kind == "clip":
        settings |= {"data.tokenizer_captions": "50"}
    return load_recipe(f"{kind}_debug", settings, kind=kind)


def go(resolved: Recipe, run: Path, resume: bool = False) -> list[dict]:
    train(resolved, run, device="cpu", quiet=True, resume=resume)
    return read_journal(run / "journal.jsonl")


def broken(records: list[dict]) -> tuple[dict[str, int], set[str]]:
    """The last counts by cause, and all names."""
    counts = [r["broken"] for r in records if "broken" in r]
    return counts[-1] if counts else {}, {name for r in records for name in r.get("broken_names", [])}


def test_a_start_that_fails_leaves_no_run_in_the_way(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for source, words in (
        (tmp_path / "nope.tar", "expected a shard, got no such file"),
        (tmp_path / "nope-*.tar", "the pattern matches none"),
        (shard(tmp_path / "nothing.tar.gz", {}), "empty shard"),
        (tmp_path / "noise.tar.gz", "shard unreadable"),
        ("pipe:true", "got none in the first shards"),
    ):
        (tmp_path / "noise.tar.gz").write_bytes(np.random.RandomState(0).bytes(3000))
        with pytest.raises(DataError, match=words) as error:
            go(recipe(source), run)
        assert "\n" not in str(error.value)
        assert not run.exists()
    go(recipe(shard(tmp_path / "good.tar", good(20))), run)


def test_one_kind_under_the_name_of_another(tmp_path: Path) -> None:
    samples = good(20) | {f"m-{e}": {e: picture(7), "txt": b"a png by another name"} for e in ("jpg", "webp", "jpeg")}
    samples["picture-as-text"] = {"png": picture(1), "txt": picture(2)}
    samples["text-as-picture"] = {"png": b"only words", "txt": b"words"}
    samples["pdf"] = {"jpg": b"%PDF-1.4", "txt": b"a document"}
    counts, names = broken(go(recipe(shard(tmp_path / "a.tar", samples), steps="8"), tmp_path / "run"))
    assert set(counts) == {"caption not UTF-8", "not a picture"}
    expected = {"picture-as-text: caption not UTF-8", "text-as-picture: not a picture", "pdf: not a picture"}
    assert names == expected


def test_captions_in_other_encodings_are_skipped_and_named(tmp_path: Path) -> None:
    odd = {
        "latin-1": "café crème".encode("latin-1"),
        "utf-16": "ein Bär".encode("utf-16"),
        "utf-16 without a mark": "a bear".encode("utf-16-le"),
        "half a letter": b"caf\xc3",
        "zeros": b"\0\0\0",
        "gbk": "红色".encode("gbk"),
    }
    samples = good(20) | {name: {"png": picture(i), "txt": text} for i, (name, text) in enumerate(odd.items())}
    samples["with a mark"] = {"png": picture(1), "txt": "ein Bär".encode("utf-8-sig")}
    counts, names = broken(go(recipe(shard(tmp_path / "a.tar", samples), steps="10"), tmp_path / "run"))
    assert set(counts) == {"caption not UTF-8"}
    assert names == {f"{name}: caption not UTF-8" for name in odd}


def test_the_share_of_bad_samples_counts_few_and_many(tmp_path: Path) -> None:
    """A handful of broken ones never stops a run by itself; more than the share does, be the data small or large."""
    mostly = good(2) | {f"bad{i}": {"png": b"no", "txt": b"x"} for i in range(3)}
    with pytest.raises(DataError, match=r"\d+ of \d+ samples are unusable \(not a picture \d+\)"):
        go(recipe(shard(tmp_path / "few.tar", mostly), steps="20"), tmp_path / "few")
    go(recipe(tmp_path / "few.tar", steps="20", bad_share="0.8"), tmp_path / "allowed")
    one = good(2) | {"bad": {"png": b"no", "txt": b"x"}}
    counts, _ = broken(go(recipe(shard(tmp_path / "one.tar", one), steps="20"), tmp_path / "one"))
    assert counts["not a picture"] > 8  # a third of what was seen
    many = good(200) | {f"mute{i}": {"png": picture(i)} for i in range(250)}
    with pytest.raises(DataError, match=r"250 of 450 samples are unusable \(no caption 250\)"):
        go(recipe(shard(tmp_path / "many.tar", many)), tmp_path / "many")
    some = good(200) | {f"mute{i}": {"png": picture(i)} for i in range(150)}
    counts, names = broken(go(recipe(shard(tmp_path / "some.tar", some)), tmp_path / "some"))
    assert counts["no caption"] == len(names) == 150


def test_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    source, run = shard(tmp_path / "a.tar", good(20)), tmp_path / "run"
    go(recipe(source, steps="2"), run)
    with pytest.raises(TrainingError, match="kind is 'clip' there and 'dvae' here"):
        go(recipe(source, "dvae"), run, resume=True)
    with pytest.raises(TrainingError, match=r"data\.source is '.*a\.tar' there"):
        go(recipe(shard(tmp_path / "b.tar", good(9))), run, resume=True)
    assert checkpoint.steps(run) == [2]


def test_each_file_of_a_checkpoint_may_be_cut_emptied_or_gone(tmp_path: Path) -> None:
    source, whole = shard(tmp_path / "a.tar", good(20)), tmp_path / "whole"
    go(recipe(source), whole)
    assert checkpoint.steps(whole) == [2, 4]
    more = recipe(source, steps="6")
    for file in sorted((whole / "checkpoints/4").iterdir()):
        for keep in (file.stat().st_size // 2, 0, None):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "run")
            damaged = tmp_path / "run/checkpoints/4" / file.name
            damaged.unlink() if keep is None else damaged.write_bytes(file.read_bytes()[:keep])
            if file.name == checkpoint.STATE and keep is None:  # a checkpoint without it was never finished
                assert checkpoint.steps(tmp_path / "run") == [2]
            else:
                with pytest.raises(TrainingError, match=r"checkpoints/4.*delete this folder to go on from the one"):
                    go(more, tmp_path / "run", resume=True)
                shutil.rmtree(tmp_path / "run/checkpoints/4")
    go(more, tmp_path / "run", resume=True)  # from step 2
    assert checkpoint.steps(tmp_path / "run")[-1] == 6
    for name, error in (("recipe.toml", RecipeError), ("tokenizer.json", LimnerError)):
        content = (whole / name).read_bytes()
        (whole / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(error, match=name):
            go(more, whole, resume=True)
        (whole / name).write_bytes(content)


@pytest.mark.parametrize("world", [2])
def test_more_processes_than_samples_share_them(world: int, tmp_path: Path) -> None:
    from tests.training.test_parallel import train_together

    source = shard(tmp_path / "one.tar", good(1))
    assert train_together(world, recipe(source, "dvae"), tmp_path / "run") == ["", ""]
    assert len([r for r in read_journal(tmp_path / "run/journal.jsonl") if "loss" in r]) == 4


@pytest.mark.parametrize("workers", ["0", "1"])
def test_files_that_vanish_or_shrink_while_training_are_skipped(
    workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i:02d}.png").write_bytes(picture(i))
        (folder / f"{i:02d}.txt").write_text(f"thing {i}")
    update = loops.Loop._update

    def changing(self: loops.Loop, *rest: object) -> None:
        if self.step == 1:
            (folder / "03.png").unlink()
            (folder / "05.txt").unlink()
            (folder / "07.png").write_bytes(picture(7)[:300])
            (folder / "09.png").write_bytes(b"")
        update(self, *rest)

    monkeypatch.setattr(loops.Loop, "_update", changing)
    run = tmp_path / "run"
    _, names = broken(go(recipe(folder, steps="16", workers=workers), run))
    expected = {"03.png: missing file", "05.png: missing file", "07.png: picture damaged", "09.png: picture empty"}
    assert names == expected


def test_a_shard_that_is_cut_or_taken_away_while_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = shard(tmp_path / "0.tar", good(20)), shard(tmp_path / "1.tar", good(20))
    update = loops.Loop._update

    def changing(self: loops.Loop, *rest: object) -> None:
        if self.step == 1:
            content = first.read_bytes()
            first.write_bytes(content[: len(content) // 2])
        if self.step == 30:
            first.unlink()
            second.unlink()
        update(self, *rest)

    monkeypatch.setattr(loops.Loop, "_update", changing)
    counts, _ = broken(go(recipe(f"{tmp_path}/*.tar", "dvae", steps="12"), tmp_path / "cut"))
    assert sum(counts.values()) > 0
    shard(first, good(20))
    with pytest.raises(DataError, match=r"unusable|expected usable samples"):
        go(recipe(f"{tmp_path}/*.tar", "dvae", steps="200"), tmp_path / "gone")


@pytest.mark.slow
def test_a_pipe_that_gives_nothing_ends_the_run(tmp_path: Path) -> None:
    """A reader that hangs is given up after its time limit."""
    from limner.data.loader import batches

    class Stuck:
        name, count, unusable, fingerprint = "stuck", None, (), ""

        def at(self, position: int, broken: list) -> object:
            time.sleep(60)
            raise DataError("late")

        def bookmarks(self) -> dict:
            return {}

    began = time.monotonic()
    supply = batches(Stuck(), lambda pairs, at: {}, batch=1, start=0, stop=1, workers=1, patience=1.0)  # type: ignore
    with pytest.raises(DataError, match="gave nothing for 1 s"):
        next(supply)
    assert time.monotonic() - began < 30
    del supply
    for child in multiprocessing.active_children():
        child.kill()
    assert threading.active_count() < 20
