"""Two and four processes are one: the same losses and weights; checkpoints move between any numbers of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from limner.errors import LimnerError
from limner.files import sha256
from limner.models.modelfolder import read_folder
from limner.training import checkpoint, powersgd
from limner.training.journal import read_journal
from limner.training.recipe import Recipe, load_recipe
from limner.training.run import train


def recipe(kind: str, tmp_path: Path, **changes: str) -> Recipe:
    settings = {
        "steps": "4",
        "batch": "8",
        "threads": "1",
        "workers": "0",
        "checkpoint_every": "2",
        "journal_every": "1",
        "sample_every": "4",
        # Adam's first steps are signs of gradients; one that is nearly 0 may have either: larger eps, smaller steps.
        "eps": "1e-4",
        "learning_rate": "1e-3",
        **changes,
    }
    if kind == "dalle":
        settings |= {"data.dvae": f'"{tmp_path / "dvae-model"}"', "data.tokenizer_captions": "100"}
    if kind == "clip":
        settings |= {"data.tokenizer_captions": "100"}
    if kind == "dvae":  # rounding to codes is a jump: nothing that is off by a bit stays near
        settings |= {"model.bottleneck": "gumbel", "model.levels": "[]", "objective.likelihood": "0.0"}
    return load_recipe(f"{kind}_debug", settings, kind=kind)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train_together(
    world: int, resolved: Recipe, run: Path, before: Any = None, port: int = 0, more: dict[str, str] | None = None
) -> list[str]:
    """Train in ``world`` processes; their errors' lines ("" where there is none), in rank order.

    port: where a store stands already, as torchrun's does. more: of the environment.
    """
    port = port or free_port()
    answers = multiprocessing.get_context("fork").SimpleQueue()

    def work(rank: int) -> None:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            **(more or {}),
        }
        torch.set_num_threads(1)
        try:
            if before is not None:
                before(rank)
            train(resolved, run, resume=True, device="cpu", quiet=True)
            answers.put((rank, ""))
        except LimnerError as error:
            answers.put((rank, str(error)))

    children = [multiprocessing.get_context("fork").Process(target=work, args=(r,)) for r in range(world)]
    for child in children:
        child.start()
    for child in children:
        child.join(200)
        if child.is_alive():
            child.kill()
    lines = [f"exit code {child.exitcode}" for child in children]
    while not answers.empty():
        rank, line = answers.get()
        lines[rank] = line
    return lines


def a_dvae(tmp_path: Path) -> None:
    """A dVAE that makes tokens; any will do."""
    from limner.models.dvae.model import DVAE
    from limner.models.modelfolder import write_folder

    config = load_recipe("dvae_debug").model
    torch.manual_seed(0)
    write_folder(tmp_path / "dvae-model", kind="dvae", config=config, state=DVAE(config).state_dict())


def compare(one: Path, several: Path, tolerance: float = 1e-5) -> None:
    first, second = ([r for r in read_journal(run / "journal.jsonl") if "loss" in r] for run in (one, several))
    for a, b in zip(first, second, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=tolerance)
        assert b["gradient_norm"] == pytest.approx(a["gradient_norm"], rel=1e-3)
    weights = read_folder(one / "model").model.state_dict()
    for name, tensor in read_folder(several / "model").model.state_dict().items():
        assert torch.allclose(tensor, weights[name], atol=tolerance, rtol=tolerance), name


def same(kind: str, world: int, tmp_path: Path, **changes: str) -> None:
    if kind == "dalle":
        a_dvae(tmp_path)
    # Noise is drawn by parts of a batch: W processes are one that takes a batch in W parts.
    parts = str(world) if kind == "dvae" else "1"
    train(recipe(kind, tmp_path, accumulate=parts, **changes), tmp_path / "one", device="cpu", quiet=True)
    assert train_together(world, recipe(kind, tmp_path, **changes), tmp_path / "several") == [""] * world
    compare(tmp_path / "one", tmp_path / "several")
    samples = [sorted(f.name for f in (tmp_path / run / "samples").iterdir()) for run in ("one", "several")]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("kind", ["dvae", "dalle", "clip"])
def test_two_processes_are_one(kind: str, tmp_path: Path) -> None:
    same(kind, 2, tmp_path)


@pytest.mark.parametrize("kind", ["dvae", "dalle"])
def test_gradients_sent_whole_by_the_hook_are_those_of_one_process(kind: str, tmp_path: Path) -> None:
    same(kind, 2, tmp_path, powersgd="2")  # four updates: before compression begins


@pytest.mark.slow
def test_compressed_gradients_learn_as_well(tmp_path: Path) -> None:
    a_dvae(tmp_path)
    more = {"steps": "40", "journal_every": "40", "sample_every": "0", "schedule": '"constant"', "powersgd": "2"}
    resolved = recipe("dalle", tmp_path, **more)
    train(resolved, tmp_path / "one", device="cpu", quiet=True)
    assert train_together(2, resolved, tmp_path / "several") == ["", ""]
    one, several = (read_folder(tmp_path / run / "model").model.state_dict() for run in ("one", "several"))
    assert any(not torch.allclose(one[name], several[name], atol=1e-4) for name in one)  # they were compressed
    losses = [
        [r["loss"] for r in read_journal(tmp_path / run / "journal.jsonl") if "loss" in r][-1]
        for run in ("one", "several")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    lines = train_together(2, recipe("clip", tmp_path, powersgd="2"), tmp_path / "clip")
    assert all("expected dvae or dalle, got clip" in line for line in lines)


@pytest.mark.parametrize("kind", ["dvae", pytest.param("dalle", marks=pytest.mark.slow)])
def test_a_resumed_run_sends_what_the_unbroken_one_sends(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not sent and the factors come back: the same bytes, though compression has long begun."""
    monkeypatch.setattr(powersgd, "WHOLE", 2)
    monkeypatch.setattr(powersgd, "BUCKET", 20_000)  # several
    if kind == "dalle":
        a_dvae(tmp_path)
    more = {"schedule": '"constant"', "powersgd": "2", "sample_every": "0", "checkpoint_every": "100"}
    whole = recipe(kind, tmp_path, steps="7", **more)
    assert train_together(2, whole, tmp_path / "whole") == ["", ""]
    for steps in ("1", "4", "7"):  # before compression begins, and after
        assert train_together(2, recipe(kind, tmp_path, steps=steps, **more), tmp_path / "parts") == ["", ""]
    saved = [checkpoint.load_checkpoint(tmp_path / run, 7) for run in ("whole", "parts")]
    for part in (*checkpoint.PARTS, powersgd.PART):
        one, two = (found.load(part) for found in saved)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one), part
    names = set(saved[0].load(powersgd.PART))
    assert {"unsent/0/0", "unsent/1/0", "unsent/1/1", "q/1"} <= names
    assert sha256(tmp_path / "whole/model/model.safetensors") == sha256(tmp_path / "parts/model/model.safetensors")
    one, four = recipe(kind, tmp_path, steps="8", **more), recipe(kind, tmp_path, steps="9", **more)
    assert train_together(1, one, tmp_path / "parts") == [""]  # nobody to send to
    assert train_together(4, four, tmp_path / "whole") == [""] * 4


def test_other_processes_share_what_was_not_sent() -> None:
    unsent = {f"unsent/{rank}/{bucket}": torch.randn(5) for rank in range(3) for bucket in range(2)}
    own = powersgd.own_share({name: t for name, t in unsent.items() if name.startswith("unsent/1/")}, None)
    assert torch.equal(own[1], unsent["unsent/1/1"])
    shared = powersgd.own_share(unsent, 3)
    for bucket in range(2):
        mean = torch.stack([unsent[f"unsent/{rank}/{bucket}"] for rank in range(3)]).mean(0)
        assert torch.allclose(shared[bucket], mean)


def test_two_processes_learn_low_rank_products_as_one(tmp_path: Path) -> None:
    few = {"steps": "2", "lora": "2"}
    train(recipe("clip", tmp_path, **few), tmp_path / "one", device="cpu", quiet=True)
    assert train_together(2, recipe("clip", tmp_path, **few), tmp_path / "several") == ["", ""]
    compare(tmp_path / "one", tmp_path / "several")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dvae", "dalle", "clip"])
def test_four_processes_are_one(kind: str, tmp_path: Path) -> None:
    same(kind, 4, tmp_path)


@pytest.mark.parametrize("world", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_checkpoint_of_two_processes_goes_on_with_one_and_with_four(world: int, tmp_path: Path) -> None:
    a_dvae(tmp_path)
    half = recipe("dalle", tmp_path, steps="2", schedule='"constant"')
    whole = recipe("dalle", tmp_path, schedule='"constant"')
    train(whole, tmp_path / "one", device="cpu", quiet=True)
    run = tmp_path / "run"
    assert train_together(2, half, run) == ["", ""]
    assert (run / "checkpoints/2/weights").is_dir()  # shards
    assert train_together(world, whole, run) == [""] * world
    assert checkpoint.steps(run)[-1] == 4
    compare(tmp_path / "one", run)


def test_a_process_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    def die_later(rank: int) -> None:
        from limner.training import loop

        update = loop.Loop._update

        def dying(self: loop.Loop, *rest: object) -> None:
            if rank == 1 and self.step == 3:
                os._exit(7)
            update(self, *rest)

        loop.Loop._update = dying  # type: ignore[assignment]

    began = time.monotonic()
    lines = train_together(2, recipe("clip", tmp_path), tmp_path / "run", die_later)
    assert lines[1] == "exit code 7"
    assert "process 0 of 2: process 1 no longer answers" in lines[0]
    assert time.monotonic() - began < 60
    assert checkpoint.steps(tmp_path / "run") == [2]
    assert train_together(2, recipe("clip", tmp_path), tmp_path / "run") == ["", ""]


def test_more_processes_than_a_batch_has_pictures_is_one_line(tmp_path: Path) -> None:
    lines = train_together(2, recipe("clip", tmp_path, batch="1"), tmp_path / "run")
    assert all("expected a multiple of the 2 processes, got 1" in line for line in lines)


@pytest.mark.parametrize("kind", ["dvae", "clip"])
def test_recomputed_blocks_change_nothing_but_memory(kind: str, tmp_path: Path) -> None:
    for recompute in ("false", "true"):
        resolved = recipe(kind, tmp_path, recompute=recompute, sample_every="0")
        train(resolved, tmp_path / recompute, device="cpu", quiet=True)
    compare(tmp_path / "false", tmp_path / "true")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dvae", "dalle"])
def test_compiled_blocks_train_as_written_ones(kind: str, tmp_path: Path) -> None:
    if kind == "dalle":
        a_dvae(tmp_path)
    for compiled in ("off", "on"):
        small = {"model.attention": '["full"]', "model.last": "full", "model.layers": "2"} if kind == "dalle" else {}
        resolved = recipe(kind, tmp_path, compile=f'"{compiled}"', steps="2", sample_every="0", **small)
        train(resolved, tmp_path / compiled, device="cpu", quiet=True)
    compare(tmp_path / "off", tmp_path / "on", tolerance=1e-4)


@pytest.mark.slow
def test_a_restart_meets_its_own_processes_and_not_those_before(tmp_path: Path) -> None:
    """torchrun keeps one store over restarts; in it stand the addresses of processes that are gone."""
    host = "from torch.distributed import TCPStore as S; s = S('127.0.0.1', 0, None, True, wait_for_workers=False)"
    agent = subprocess.Popen(
        [sys.executable, "-c", f"{host}; print(s.port, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def late(rank: int) -> None:  # so that the other one looks for an address before there is a new one
        time.sleep(2.0 * (rank == 0))

    try:
        assert agent.stdout is not None
        port, started = int(agent.stdout.readline()), {"TORCHELASTIC_USE_AGENT_STORE": "True"}
        few = recipe("clip", tmp_path, steps="2", schedule='"constant"')
        assert train_together(2, few, tmp_path / "run", port=port, more=started) == ["", ""]
        started |= {"TORCHELASTIC_RESTART_COUNT": "1"}
        more = recipe("clip", tmp_path, schedule='"constant"')
        assert train_together(2, more, tmp_path / "run", late, port=port, more=started) == ["", ""]
    finally:
        agent.kill()


@pytest.mark.slow
def test_torchrun_starts_the_command_and_starts_it_again(tmp_path: Path) -> None:
    """``torchrun --max-restarts`` carries on after one of two processes is killed, to an unbroken run's weights."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    limner = ["-m", "limner", "train", "clip", "--recipe", "clip_debug", "--data", "storybook", "--threads", "1"]
    limner += ["--steps", "60", "--checkpoint-every", "5", "--set", "data.tokenizer_captions=100", "--set", "workers=0"]
    whole, broken, said = tmp_path / "whole", tmp_path / "broken", tmp_path / "stderr"
    subprocess.run([*command, *limner, "--out", str(whole)], check=True, timeout=300, capture_output=True)
    with open(said, "wb") as stderr:
        run = subprocess.Popen([*command, "--max-restarts", "1", *limner, "--out", str(broken)], stderr=stderr)
    end = time.monotonic() + 200
    while not checkpoint.steps(broken) and run.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    worker = next(child for child in children if str(broken) in Path(f"/proc/{child}/cmdline").read_text())
    os.kill(int(worker), signal.SIGKILL)
    assert run.wait(300) == 0, said.read_text()
    assert sha256(whole / "model/model.safetensors") == sha256(broken / "model/model.safetensors")
