"""A run is a function of its recipe: whole, stopped and resumed runs end with the same bytes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from limner.errors import DataError, RecipeError, TrainingError
from limner.files import sha256
from limner.training import checkpoint
from limner.training import loop as loops
from limner.training.journal import TIMES, read_journal
from limner.training.recipe import load_recipe
from limner.training.run import train

SMALL = {
    "steps": "12",
    "batch": "4",
    "checkpoint_every": "5",
    "journal_every": "4",
    "sample_every": "6",
    "workers": "0",
    "threads": "1",
}


def debug(kind: str = "dvae", **changes: str):
    return load_recipe(f"{kind}_debug", {**SMALL, **changes}, kind=kind)


def updates(run: Path) -> list[dict]:
    return [r for r in records(run) if "loss" in r]


@pytest.fixture(scope="module")
def dvae(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dVAE that makes tokens for DALL·E (of no use otherwise)."""
    run = tmp_path_factory.mktemp("dvae") / "run"
    train(debug(steps="2", sample_every="0"), run, device="cpu", quiet=True)
    return str(run)


def records(run: Path) -> list[dict]:
    return [{k: v for k, v in r.items() if k not in TIMES} for r in read_journal(run / "journal.jsonl")]


def test_a_run_leaves_all_its_files(tmp_path: Path) -> None:
    model = train(debug(), tmp_path / "run", device="cpu", quiet=True)
    assert model == tmp_path / "run" / "model"
    about = json.loads((model / "config.json").read_text())
    assert about["kind"] == "dvae"
    assert about["facts"]["steps"] == 12
    assert sorted(f.name for f in (tmp_path / "run/checkpoints").iterdir()) == ["10", "12"]
    assert sorted(f.name for f in (tmp_path / "run/samples").iterdir()) == ["00000006.png", "00000012.png"]
    lines = updates(tmp_path / "run")
    assert [r["step"] for r in lines] == [4, 8, 12]
    assert lines[0]["loss"] > lines[-1]["loss"]
    assert records(tmp_path / "run")[0] == {"step": 0, "data": "storybook", "pairs": None}
    assert not [f for f in (tmp_path / "run").rglob("*") if f.name.endswith((".part", ".old"))]


def test_statistics_stay_from_the_update_on_that_fixes_them(tmp_path: Path) -> None:
    changes = {"model.standardise": "true", "sample_every": "0", "checkpoint_every": "2", "keep": "9"}
    train(debug(**changes, **{"objective.fixed_statistics": "4"}), tmp_path / "run", device="cpu", quiet=True)
    saved = [tmp_path / f"run/checkpoints/{step}/weights.safetensors" for step in (2, 4, 6, 12)]
    second, fourth, sixth, last = (load_file(f)["bottleneck.norm.running_mean"] for f in saved)
    assert not second.equal(fourth)
    assert fourth.equal(sixth)
    assert sixth.equal(last)
    with pytest.raises(RecipeError, match="fixed_statistics"):
        train(debug(**{"objective.fixed_statistics": "-1"}), tmp_path / "other", device="cpu", quiet=True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["dvae", "dalle", "clip"])
def test_a_stopped_and_resumed_run_is_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, dvae: str
) -> None:
    recipe = debug(kind, **{"data.dvae": f'"{dvae}"'} if kind == "dalle" else {})
    train(recipe, tmp_path / "whole", device="cpu", quiet=True)
    update = loops.Loop._update

    def stop_at(step: int) -> None:
        def stopping(self: loops.Loop, *rest: object) -> None:
            update(self, *rest)
            if self.step == step:
                self._take(signal.SIGTERM)  # by the handler: a real signal at a known step could only go to pytest

        monkeypatch.setattr(loops.Loop, "_update", stopping)

    for step in (3, 7, 10):
        stop_at(step)
        with pytest.raises(loops.Stopped) as stopped:
            train(recipe, tmp_path / "parts", device="cpu", quiet=True, resume=True)
        assert stopped.value.step == step
    monkeypatch.setattr(loops.Loop, "_update", update)
    train(recipe, tmp_path / "parts", device="cpu", quiet=True, resume=True)
    assert records(tmp_path / "parts") == records(tmp_path / "whole")
    for name in ("model/model.safetensors", "checkpoints/12/optimizer.safetensors", "recipe.toml"):
        assert sha256(tmp_path / "parts" / name) == sha256(tmp_path / "whole" / name)


@pytest.mark.slow
def test_a_process_that_is_asked_to_end_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    limner = [sys.executable, "-m", "limner", "train", "dvae", "--recipe", "dvae_debug", "--data", "storybook"]
    limner += ["--threads", "1", "--set", "workers=0", "--checkpoint-every", "2", "--out", str(run)]
    process = subprocess.Popen([*limner, "--steps", "100000"], stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 100
        while not checkpoint.steps(run) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=100)
    finally:
        process.kill()
    reached = checkpoint.steps(run)[-1]
    assert process.returncode == 143
    assert said.splitlines()[-1] == f"stopped at step {reached}; the same command with --resume goes on"
    subprocess.run([*limner, "--steps", str(reached + 2), "--resume"], check=True, timeout=100, capture_output=True)
    assert checkpoint.steps(run)[-1] == reached + 2


def test_workers_do_not_change_the_run(tmp_path: Path) -> None:
    for workers in ("0", "2"):
        recipe = debug(steps="4", workers=workers, sample_every="0")
        train(recipe, tmp_path / workers, device="cpu", quiet=True)
    assert records(tmp_path / "0") == records(tmp_path / "2")


def test_steps_may_be_added_but_nothing_else_changed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(debug(steps="2"), run, device="cpu", quiet=True)
    with pytest.raises(TrainingError, match="a run stands here already"):
        train(debug(steps="3"), run, device="cpu", quiet=True)
    with pytest.raises(TrainingError, match=r"training\.learning_rate is 0\.003 there and 0\.1 here"):
        train(debug(steps="3", learning_rate="0.1"), run, device="cpu", quiet=True, resume=True)
    train(debug(steps="3"), run, device="cpu", quiet=True, resume=True)
    assert records(run)[-1]["step"] == 3


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="expected an empty or new folder"):
        train(debug(), tmp_path, device="cpu", quiet=True)
    assert [f.name for f in tmp_path.iterdir() if f.name != "limner-home"] == ["thesis.txt"]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(debug(steps="2"), run, device="cpu", quiet=True)
    file = run / "checkpoints/2/weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(TrainingError, match=r"weights\.safetensors.*changed file; delete this folder"):
        train(debug(steps="3"), run, device="cpu", quiet=True, resume=True)


@pytest.mark.parametrize("kind", ["dvae", "dalle", "clip"])
def test_accumulated_parts_are_one_batch(tmp_path: Path, kind: str, dvae: str) -> None:
    """Also for DALL·E, whose captions differ in length, and CLIP, whose loss is over all pairs (cached features)."""
    extra = {"data.dvae": f'"{dvae}"'} if kind == "dalle" else {}
    for parts in ("1", "4"):
        recipe = debug(kind, steps="3", batch="8", accumulate=parts, journal_every="1", sample_every="0", **extra)
        train(recipe, tmp_path / parts, device="cpu", quiet=True)
    one, four = updates(tmp_path / "1"), updates(tmp_path / "4")
    # Rounding to codes makes a jump of the last bit's difference, so that dVAEs part after the first update.
    compared = 1 if kind == "dvae" else 3
    for name in ("loss", "gradient_norm"):
        assert [r[name] for r in four[:compared]] == pytest.approx([r[name] for r in one[:compared]], rel=1e-4)


@pytest.mark.parametrize(("step", "names"), [(2, "loss"), (None, "layer")])
def test_steps_without_finite_numbers_are_skipped_and_then_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int | None, names: str
) -> None:
    import torch

    from limner.training.objective_dvae import DVAEObjective

    loss = DVAEObjective.loss

    def sick(self: DVAEObjective, model: torch.nn.Module, batch: dict, at: int) -> tuple:
        value, measures = loss(self, model, batch, at)
        return (value * float("inf") if step is None or at == step else value), measures

    monkeypatch.setattr(DVAEObjective, "loss", sick)
    recipe = debug(steps="30" if step is None else "4", sample_every="0")
    if step is None:
        with pytest.raises(TrainingError, match="20 updates in a row had a loss or gradient that is not finite"):
            train(recipe, tmp_path / "run", device="cpu", quiet=True)
    else:
        train(recipe, tmp_path / "run", device="cpu", quiet=True)
        assert records(tmp_path / "run")[-1]["skipped_steps"] == 1


def test_unusable_data_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        train(debug(**{"data.source": "nowhere"}), tmp_path / "run", device="cpu", quiet=True)


def test_the_bar_tells_the_share_of_the_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict] = []

    class Told:
        def advance(self, steps: int = 1, **measures: float | str) -> None:
            told.append(measures)

    monkeypatch.setattr(loops, "wanted", lambda quiet: True)
    monkeypatch.setattr(loops, "progress", lambda *_, **__: contextlib.nullcontext(Told()))
    train(debug(sample_every="0"), tmp_path / "run", device="cpu", quiet=True)
    shares = [float(str(m["of chip"]).rstrip("%")) for m in told]
    assert len(shares) == 3
    assert all(0 < share < 100 for share in shares)
