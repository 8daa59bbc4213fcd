"""Runs killed with SIGKILL at random moments, full disks, dying workers: nothing is lost, nothing is half there."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from limner.errors import FileError, LimnerError
from limner.files import sha256
from limner.training import checkpoint
from limner.training import loop as loops
from limner.training.journal import TIMES, read_journal
from limner.training.recipe import Recipe, load_recipe
from limner.training.run import train

with contextlib.suppress(ImportError):
    import torch.utils.tensorboard  # once here rather than in every child

KINDS = ("dvae", "dalle", "clip")


@pytest.fixture(scope="module")
def dvae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("dvae") / "run"
    changes = {"steps": "1", "batch": "4", "workers": "0", "sample_every": "0", "threads": "1"}
    train(load_recipe("dvae_debug", changes), run, device="cpu", quiet=True)
    return run


def recipe(kind: str, dvae: Path, steps: int) -> Recipe:
    changes = {
        "steps": str(steps),
        "batch": "4",
        "threads": "1",
        "workers": "1",
        "checkpoint_every": "3",  # so that many kills fall into a checkpoint
        "journal_every": "2",
        "sample_every": "0",
    }
    if kind == "dalle":
        changes |= {"data.dvae": f'"{dvae}"', "data.tokenizer_captions": "100"}
    return load_recipe(f"{kind}_debug", changes, kind=kind)


def journal(run: Path) -> list[dict]:
    return [{k: v for k, v in r.items() if k not in TIMES} for r in read_journal(run / "journal.jsonl")]


def train_in_child(resolved: Recipe, run: Path, kill_at: int | None = None, delay: float = 0.0) -> bool:
    """Train in a process of its own; kill it ``delay`` seconds after step ``kill_at``. True if it came to its end."""
    step = multiprocessing.Value("l", -1)

    def work() -> None:
        os.setpgrp()  # its data worker dies with it, as when the power goes
        update = loops.Loop._update

        def told(self: loops.Loop, *rest: object) -> None:
            step.value = self.step
            update(self, *rest)

        loops.Loop._update = told  # type: ignore[assignment]
        train(resolved, run, resume=True, device="cpu", quiet=True)
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    end = time.monotonic() + 300
    while child.is_alive() and (kill_at is None or step.value < kill_at):
        child.join(0.005)
        assert time.monotonic() < end
    if not child.is_alive():
        assert child.exitcode == 0
        return True
    time.sleep(delay)
    assert child.pid is not None
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet, or is done already
        child.kill()
    child.join(30)
    return False


def killed_run_is_the_whole_run(kind: str, dvae: Path, folder: Path, kills: int, steps: int) -> None:
    resolved = recipe(kind, dvae, steps)
    assert train_in_child(resolved, folder / "whole")
    chance = random.Random(f"{kind} {kills}")
    for kill_at in sorted(chance.sample(range(-1, steps - 4), kills)):
        # Most of a delay this long falls into a checkpoint, or the steps around it.
        assert not train_in_child(resolved, folder / "killed", kill_at, chance.uniform(0, 0.03))
    assert train_in_child(resolved, folder / "killed")
    assert sha256(folder / "killed/model/model.safetensors") == sha256(folder / "whole/model/model.safetensors")
    for part in checkpoint.PARTS:
        name = f"checkpoints/{steps}/{part}.safetensors"
        assert sha256(folder / "killed" / name) == sha256(folder / "whole" / name)
    assert journal(folder / "killed") == journal(folder / "whole")
    leftovers = [f for f in (folder / "killed").rglob("*") if f.name.startswith(".")]
    assert not leftovers


def test_three_kills_change_nothing(dvae: Path, tmp_path: Path) -> None:
    killed_run_is_the_whole_run("dalle", dvae, tmp_path, kills=3, steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_five_kills_change_nothing(kind: str, dvae: Path, tmp_path: Path) -> None:
    killed_run_is_the_whole_run(kind, dvae, tmp_path, kills=25, steps=60)


@pytest.mark.parametrize("stage", ["weights", "optimizer", "state"])
def test_a_full_disk_keeps_the_checkpoint_before(
    stage: str, dvae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    train(recipe("dvae", dvae, 3), run, resume=True, device="cpu", quiet=True)
    before = {f.name: sha256(f) for f in (run / "checkpoints/3").iterdir()}

    save, write = checkpoint._save, checkpoint.write_atomically

    def full_save(tensors: dict, file: Path) -> None:
        if file.name.startswith(stage):
            file.write_bytes(b"the first bytes")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, file)

    def full_write(path: Path, content: str) -> Path:
        if stage == "state":
            raise FileError(f"{path}: the disk is full; free some room or write elsewhere")
        return write(path, content)

    monkeypatch.setattr(checkpoint, "_save", full_save)
    monkeypatch.setattr(checkpoint, "write_atomically", full_write)
    with pytest.raises(FileError, match="the disk is full"):
        train(recipe("dvae", dvae, 6), run, resume=True, device="cpu", quiet=True)
    assert checkpoint.steps(run) == [3]
    assert {f.name: sha256(f) for f in (run / "checkpoints/3").iterdir()} == before
    assert [f.name for f in (run / "checkpoints").iterdir()] == ["3"]
    monkeypatch.undo()
    train(recipe("dvae", dvae, 6), run, resume=True, device="cpu", quiet=True)
    assert checkpoint.steps(run) == [3, 6]


def test_a_worker_that_is_killed_ends_the_run_with_one_line_and_its_checkpoint(dvae: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        torch.set_num_threads(1)
        try:
            train(recipe("dvae", dvae, 100_000), run, resume=True, device="cpu", quiet=True)
        except LimnerError as error:
            sender.send(str(error))

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    assert child.pid is not None
    end = time.monotonic() + 60
    while not checkpoint.steps(run) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    assert receiver.poll(60)
    assert "a process that reads data died" in receiver.recv()
    child.join(30)
    assert checkpoint.load_checkpoint(run, checkpoint.steps(run)[-1]).step > 0
