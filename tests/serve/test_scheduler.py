"""Continuous batching, tick by tick, without a clock: same pictures as alone, fair, and free of who has gone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.sampling.conftest import small_dalle

from limner.sampling.context import State, Step
from limner.sampling.engine_step import EngineStep
from limner.sampling.generate import Candidate, draw_codes
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import TokenStep
from limner.serve.engine import Busy, Engine, NoTurn, Stopping
from limner.serve.scheduler import Scheduler, Task

MODELS = {
    "the paper's patterns": {},
    "the storybook's": {"attention": ("full",), "last": "full", "qk_norm": True},
}


@pytest.fixture(params=[*MODELS, "openvino", "onnxruntime"], scope="module")
def step(request: pytest.FixtureRequest) -> Step:
    if request.param in MODELS:
        return TokenStep(small_dalle(**MODELS[request.param]))
    pytest.importorskip(request.param)
    from limner.engines.onnxruntime_step import ONNXRuntimeStep
    from limner.engines.openvino_step import OpenVINOStep

    model = small_dalle(**MODELS["the storybook's"])
    made = {"openvino": OpenVINOStep, "onnxruntime": ONNXRuntimeStep}[request.param]
    return EngineStep(model, made(model, "float32", threads=1))


def ids_of(step: Step, number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.randint(0, step.model.config.text_vocabulary, (step.layout.text,), generator=generator)


class Asked:
    """A task and what came of it."""

    def __init__(self, step: Step, caption: int, settings: SamplingSettings, seed: int, count: int) -> None:
        self.step, self.caption, self.settings, self.seed = step, caption, settings, seed
        self.codes: dict[int, np.ndarray] = {}
        self.rows: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.task = Task(
            ids_of(step, caption), settings, seed, range(count), self.drawn, row=self.row, rows=frozenset({1, 3}),
            failed=self.failed,
        )  # fmt: skip

    def drawn(self, number: int, codes: np.ndarray) -> None:
        assert number not in self.codes
        self.codes[number] = codes

    def row(self, number: int, codes: np.ndarray, rows: int) -> None:
        assert not codes[rows * self.step.layout.columns :].any()
        self.rows.append((number, rows))

    def failed(self, error: Exception) -> None:
        self.error = error

    def alone(self, number: int) -> np.ndarray:
        context, empty = self.step.read(ids_of(self.step, self.caption)), self.step.read(ids_of(self.step, 0))
        drawn = draw_codes(self.step, [Candidate(context, self.seed, number)], self.settings, empty=empty)
        return drawn.codes[0].numpy()


PLAIN = SamplingSettings()
GUIDED = SamplingSettings(guidance=3.0, temperature=0.7)
FILTERED = SamplingSettings(top_k=5, top_p=0.9)


def run(scheduler: Scheduler, arrivals: dict[int, list[Asked]], leavers: dict[int, list[Asked]] | None = None) -> None:
    clock = 0
    while scheduler.tasks or any(when >= clock for when in arrivals):
        for asked in arrivals.get(clock, []):
            scheduler.submit(asked.task)
        for asked in (leavers or {}).get(clock, []):
            scheduler.cancel(asked.task)
        scheduler.tick()
        clock += 1
        assert clock < 3000


def test_what_a_request_gets_is_what_it_gets_alone(step: Step) -> None:
    """Six requests of other captions, settings and seeds come at other tokens, two leave; no bit of a code differs."""
    scheduler = Scheduler(step, ids_of(step, 0), rows=16)
    asked = [
        Asked(step, 1, PLAIN, 7, 5),
        Asked(step, 2, GUIDED, 8, 3),
        Asked(step, 3, FILTERED, 2**63, 6),
        Asked(step, 1, GUIDED, 7, 2),
        Asked(step, 4, PLAIN, 1, 1),
        Asked(step, 5, PLAIN, 3, 3),
    ]
    gone, late_gone = Asked(step, 6, GUIDED, 4, 4), Asked(step, 1, PLAIN, 9, 30)
    run(
        scheduler,
        {0: [asked[0], gone], 3: [asked[1]], 4: [late_gone], 11: asked[2:4], 29: [asked[4]], 31: [asked[5]]},
        {9: [gone], 50: [late_gone]},
    )
    for one in asked:
        assert sorted(one.codes) == list(one.task.numbers)
        for number, codes in one.codes.items():
            assert np.array_equal(codes, one.alone(number)), (one.caption, number)
        assert sorted(one.rows) == [(number, rows) for number in one.task.numbers for rows in (1, 3)]
    assert not gone.codes
    assert scheduler.rows == 0
    # The comparison can fail: another seed draws another picture.
    assert not np.array_equal(asked[0].codes[0], asked[5].codes[0])


def test_a_large_request_does_not_starve_a_small_one(step: Step) -> None:
    N = step.layout.image
    scheduler = Scheduler(step, ids_of(step, 0), rows=16)
    large, small = Asked(step, 1, PLAIN, 1, 512), Asked(step, 2, PLAIN, 2, 4)
    scheduler.submit(large.task)
    for _ in range(5):
        scheduler.tick()
    assert scheduler.rows == 12  # three quarters, not all
    scheduler.submit(small.task)
    for _ in range(N):
        scheduler.tick()
    assert len(small.codes) == 4
    assert len(large.codes) < 512
    # Many small ones: each gets a row before anyone gets the next.
    many = [Asked(step, caption, PLAIN, caption, 4) for caption in range(3, 8)]
    for one in many:
        scheduler.submit(one.task)
    for _ in range(2 * N):
        scheduler.tick()
    assert all(one.codes for one in many)
    scheduler.cancel(large.task)
    assert scheduler.rows == sum(len(one.task.active) for one in many)


def test_who_goes_away_frees_its_rows_at_once(step: Step) -> None:
    scheduler = Scheduler(step, ids_of(step, 0), rows=8)
    gone, waits = Asked(step, 1, GUIDED, 1, 3), Asked(step, 2, PLAIN, 2, 4)
    scheduler.submit(gone.task)
    scheduler.tick()
    assert scheduler.rows == 6
    scheduler.cancel(gone.task)
    assert scheduler.rows == 0
    scheduler.cancel(gone.task)  # twice is nothing
    scheduler.submit(waits.task)
    run(scheduler, {})
    assert len(waits.codes) == 4
    assert not gone.codes


def test_rows_of_who_has_left_are_taken_over_or_given_up(step: Step) -> None:
    """Moving rows costs as much as a step: it is only done where rows are missing, or empty ones have cost a step."""
    sizes: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(step, name)

        def advance(self, state: State, tokens: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
            sizes.append(len(tokens))
            assert state.rows == len(tokens)
            return step.advance(state, tokens, position)

    scheduler = Scheduler(Counting(), ids_of(step, 0), rows=16)  # type: ignore[arg-type]
    first, leaves = Asked(step, 1, GUIDED, 1, 4), Asked(step, 2, PLAIN, 2, 4)
    for one in (first, leaves):
        scheduler.submit(one.task)
    scheduler.tick()
    assert sizes == [12]
    scheduler.cancel(leaves.task)
    scheduler.tick()
    comes = Asked(step, 3, PLAIN, 3, 4)
    scheduler.submit(comes.task)
    scheduler.tick()
    assert sizes == [12, 12, 12]  # the four rows had a new owner
    scheduler.cancel(comes.task)
    for _ in range(5):
        scheduler.tick()
    assert sizes[3:] == [12, 12, 8, 8, 8]  # a third of the rows was idle for three steps in all
    run(scheduler, {})
    for one in (first,):
        assert all(np.array_equal(codes, one.alone(number)) for number, codes in one.codes.items())


def test_a_caption_that_cannot_be_read_ends_its_own_request_only(step: Step) -> None:
    scheduler = Scheduler(step, ids_of(step, 0), rows=8)
    good, bad = Asked(step, 1, PLAIN, 1, 2), Asked(step, 2, PLAIN, 1, 2)
    bad.task.ids = torch.full((step.layout.text,), 10**6)
    scheduler.submit(good.task)
    scheduler.submit(bad.task)
    run(scheduler, {})
    assert isinstance(bad.error, IndexError)
    assert len(good.codes) == 2


def test_the_engine_bounds_its_queue_and_stops(step: Step) -> None:
    engine = Engine(Scheduler(step, ids_of(step, 0), rows=4), waiting=2)
    first, second, third = (Asked(step, 1, PLAIN, seed, 40) for seed in range(3))
    engine.submit(first.task)
    engine.submit(second.task)
    with pytest.raises(Busy, match="try again in 2 seconds"):
        engine.submit(third.task)
    engine.cancel(first.task)
    engine.submit(third.task)
    engine.start()
    engine.stop()
    assert isinstance(third.error, Stopping)
    assert not engine._thread.is_alive()
    with pytest.raises(Stopping):
        engine.submit(first.task)


def test_who_gets_no_turn_hears_of_it(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.serve.engine.WAIT", 0.05)
    engine, ran = Engine(Scheduler(step, ids_of(step, 0), rows=4)), []
    with pytest.raises(NoTurn, match="stood still"):
        engine.call(lambda: ran.append("too late"))
    engine.start()
    monkeypatch.setattr("limner.serve.engine.WAIT", 10.0)
    assert engine.call(lambda: len(ran)) == 0  # what nobody waits for any more is not run
    engine.stop()


def test_stopping_lets_finish_what_has_begun(step: Step) -> None:
    scheduler = Scheduler(step, ids_of(step, 0), rows=2)
    begun, waiting = Asked(step, 1, PLAIN, 1, 1), Asked(step, 2, PLAIN, 2, 1)
    scheduler.batch.most = 1
    engine = Engine(scheduler)
    engine.submit(begun.task)
    scheduler.submit(begun.task)
    engine._inbox.clear()
    scheduler.tick()
    engine.submit(waiting.task)
    engine.stop_taking()
    for order in engine._inbox:
        order()
    assert isinstance(waiting.error, Stopping)
    run(scheduler, {})
    assert begun.error is None
    assert len(begun.codes) == 1
