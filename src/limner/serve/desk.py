"""The models behind the routes: drawing joins the batch, edits and looks have a thread each, whoever waits may leave.

Every wait here ends when its caller is cancelled, and what it waited for is let go.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from limner.looker import Looker
from limner.painter import Drawn, Painter
from limner.sampling.rank import PASS, Best, ClipScorer, Ranking
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import TokenStep
from limner.serve.engine import Busy, Engine, Stopping
from limner.serve.scheduler import Scheduler, Task
from limner.serve.settings import ServeSettings

T = TypeVar("T")
PING_SECONDS = 10.0
QUEUES = 32
"""Edits, or looks, that may wait."""


@dataclass(frozen=True)
class Sketch:
    """What to draw: ``count`` best of ``candidates``; ``rows`` of cells after which partial pictures are wanted."""

    prompt: str
    count: int
    candidates: int
    seed: int
    settings: SamplingSettings
    rows: tuple[int, ...] = ()
    cut: bool = False


class Partial(NamedTuple):
    """Candidate ``number`` with its upper ``rows`` of cells drawn, the rest grey."""

    number: int
    rows: int
    image: Image.Image


class Ping(NamedTuple):
    """Nothing new for a while."""


class Desk:
    """A painter, a looker (either may be None), and the threads that they work in."""

    def __init__(self, painter: Painter | None, looker: Looker | None, settings: ServeSettings) -> None:
        self.painter, self.looker, self.settings = painter, looker, settings
        self.engine: Engine | None = None
        if painter is not None:
            studio, limits = painter.studio, settings.limits
            scheduler = Scheduler(studio.step, studio.ids([""], False)[0], rows=limits.rows)
            self.engine = Engine(scheduler, waiting=limits.waiting)
        self.drawn = 0
        self.stopping = False
        self._finish = ThreadPoolExecutor(1, "limner-finish")
        self._hands, self._eyes = _Lane("limner-edit"), _Lane("limner-look")

    def start(self) -> None:
        """Begin to work."""
        if self.engine is not None:
            self.engine.start()

    def stop_taking(self) -> None:
        """Take nothing more; what is begun goes on."""
        self.stopping = True
        if self.engine is not None:
            self.engine.stop_taking()

    def stop(self) -> None:
        """End all threads; what is not done fails."""
        self.stopping = True
        if self.engine is not None:
            self.engine.stop()
        self._hands.stop()
        self._eyes.stop()
        self._finish.shutdown(wait=False, cancel_futures=True)

    # Drawing

    async def draw(self, sketch: Sketch) -> AsyncIterator[Partial | Ping | list[Drawn]]:
        """Partial pictures, pings, and last the best pictures. Raises Busy, Stopping, InputError, ModelError."""
        painter, engine = self._painter(), self.engine
        assert engine is not None
        ranking = painter.studio.ranking("clip", sketch.prompt, sketch.count, sketch.candidates)
        loop, events = asyncio.get_running_loop(), asyncio.Queue[tuple[str, int, Any, int]]()
        newest: dict[int, int] = {}

        def put(*event: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        def row(number: int, codes: np.ndarray, rows: int) -> None:
            newest[number] = rows
            put("row", number, codes, rows)

        def drawn(number: int, codes: np.ndarray) -> None:
            put("drawn", number, codes, 0)

        task = Task(
            painter.studio.ids([sketch.prompt], sketch.cut)[0],
            sketch.settings,
            sketch.seed,
            range(sketch.candidates),
            drawn,
            row=row,
            rows=frozenset(sketch.rows),
            shown=frozenset(range(sketch.count)),
            failed=lambda error: put("failed", 0, error, 0),
        )
        engine.submit(task)
        try:
            finisher = _Finisher(painter, sketch, ranking)
            while finisher.left:
                try:
                    kind, number, what, rows = await asyncio.wait_for(events.get(), PING_SECONDS)
                except TimeoutError:
                    yield Ping()
                    continue
                if kind == "failed":
                    raise what
                if kind == "drawn":
                    ready = finisher.add(number, what)
                    if ready:
                        await loop.run_in_executor(self._finish, finisher.finish, ready)
                        self.drawn += len(ready)
                elif newest[number] == rows:  # else a newer one is there already
                    image = await loop.run_in_executor(self._finish, unfinished, painter, what, rows)
                    yield Partial(number, rows, image)
            yield finisher.pictures()
        finally:
            engine.cancel(task)

    async def work(self, function: Callable[[Painter], T]) -> T:
        """Edits and the like: ``function`` with a painter that stops at the next token when nobody waits any more."""
        painter = self._painter()
        gone = threading.Event()
        shadow, studio = copy.copy(painter), copy.copy(painter.studio)
        studio.step = _Watched(painter.studio.step, gone)  # type: ignore[assignment]
        shadow.studio = studio
        try:
            return await self._hands.run(lambda: None if gone.is_set() else function(shadow))  # type: ignore[return-value,arg-type]
        finally:
            gone.set()

    async def look(self, function: Callable[[Looker], T]) -> T:
        """Something of the looker's."""
        looker = self.looker
        if self.stopping:
            raise Stopping
        assert looker is not None
        return await self._eyes.run(lambda: function(looker))

    async def finish(self, function: Callable[[], T]) -> T:
        """Small work on pictures, beside the drawing."""
        return await asyncio.get_running_loop().run_in_executor(self._finish, function)

    def _painter(self) -> Painter:
        if self.stopping:
            raise Stopping
        assert self.painter is not None
        return self.painter


class _Finisher:
    """Codes become pictures and scores, in groups of candidates that are the same whatever the order they came in."""

    def __init__(self, painter: Painter, sketch: Sketch, ranking: Ranking | None) -> None:
        self.left = sketch.candidates
        self._painter, self._sketch, self._ranking = painter, sketch, ranking
        self._best: Best[tuple[np.ndarray, np.ndarray]] = Best(sketch.count)
        self._codes: dict[int, np.ndarray] = {}
        self._scorer: ClipScorer | None = None

    def add(self, number: int, codes: np.ndarray) -> list[int]:
        """The numbers of a group that is complete now."""
        self._codes[number] = codes
        start = number // PASS * PASS
        group = list(range(start, min(start + PASS, self._sketch.candidates)))
        return group if all(one in self._codes for one in group) else []

    def finish(self, numbers: list[int]) -> None:
        codes = np.stack([self._codes.pop(number) for number in numbers])
        images = self._painter.studio.decode(codes)
        scores = [0.0] * len(codes)
        if self._ranking is not None:
            if self._scorer is None:
                self._scorer = self._painter.studio.scorer(self._sketch.prompt, self._ranking)
            cosines = None if self._scorer is None else self._scorer.cosines(images)
            scores = self._ranking.scores(cosines, None).tolist()
        self._best.offer(zip(scores, numbers, zip(codes, images, strict=True), strict=True))
        self.left -= len(numbers)

    def pictures(self) -> list[Drawn]:
        """As ``Painter.generate`` gives them, with the same facts."""
        painter, sketch, ranking = self._painter, self._sketch, self._ranking
        facts: dict[str, Any] = {"verb": "generate", "model": painter.name, "model_id": painter.identity or None}
        facts |= {"precision": painter.studio.precision} | asdict(sketch.settings)
        rank = None if ranking is None else {key: value for key, value in asdict(ranking).items() if value}
        facts |= {"candidates": sketch.candidates, "rank": rank}
        shape = painter.config.rows, painter.config.columns
        return [
            Drawn(
                Image.fromarray(image), score if ranking else None, sketch.seed, number, codes.reshape(shape),
                sketch.prompt, dict(facts),
            )
            for score, number, (codes, image) in self._best.kept
        ]  # fmt: skip


class _Lane:
    """One thread, with a bounded number of calls that wait for it."""

    def __init__(self, name: str) -> None:
        self._pool, self._open = ThreadPoolExecutor(1, name), 0

    async def run(self, function: Callable[[], T]) -> T:
        if self._open >= QUEUES:
            raise Busy(after=5)
        self._open += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, function)
        try:
            return await future
        finally:
            self._open -= 1

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Gone(Exception):
    """Nobody waits for this any more."""


class _Watched:
    """A token step that stops when ``gone`` is set."""

    def __init__(self, step: TokenStep, gone: threading.Event) -> None:
        self._step, self._gone = step, gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def advance(self, *arguments: Any) -> Any:
        if self._gone.is_set():
            raise _Gone
        return self._step.advance(*arguments)


def unfinished(painter: Painter, codes: np.ndarray, rows: int) -> Image.Image:
    """The picture of the first ``rows`` of cells of codes (N,), grey below."""
    page = np.full((painter.resolution, painter.resolution, 3), 128, np.uint8)
    top = painter.studio.decode(codes[None, : rows * painter.config.columns])[0]
    page[: len(top)] = top
    return Image.fromarray(page)
