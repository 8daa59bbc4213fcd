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
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from limner.looker import Looker
from limner.painter import Drawn, Painter
from limner.sampling.context import Step
from limner.sampling.rank import PASS, Best, ClipScorer, Ranking
from limner.sampling.retouch import Watch
from limner.sampling.settings import SamplingSettings
from limner.serve.engine import Busy, Engine, Stopping
from limner.serve.scheduler import Scheduler, Task
from limner.serve.settings import ServeSettings

T = TypeVar("T")
PING_SECONDS = 10.0
QUEUES = 32
"""Edits, or looks, that may be open at once."""
EDITS = 4
"""Edits that are drawn at once, token by token in turn with the batch."""


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
    """Candidate ``number`` when ``done`` (0 … 1) of it is drawn; of its unfinished pictures this is number ``at``.

    What is not drawn yet is grey, or in an edit as it was.
    """

    number: int
    at: int
    done: float
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
        self._finish = _Lane("limner-finish", 1)
        self._hands, self._eyes = _Lane("limner-edit", EDITS, QUEUES), _Lane("limner-look", 1, QUEUES)

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
        self._finish.stop()

    # Drawing

    async def draw(self, sketch: Sketch) -> AsyncIterator[Partial | Ping | list[Drawn]]:
        """Partial pictures, pings, and last the best pictures. Raises Busy, Stopping, InputError, ModelError."""
        painter, engine = self._painter(), self.engine
        assert engine is not None
        ranking = painter.studio.ranking(None, sketch.prompt, sketch.count, sketch.candidates)
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
                    # One picture at a time, so that who has many does not keep others waiting.
                    await self.finish(partial(finisher.add, number, what))
                    self.drawn += 1
                elif newest[number] == rows:  # else a newer one is there already
                    image = await self.finish(partial(unfinished, painter, what, rows))
                    yield Partial(number, sketch.rows.index(rows), rows / painter.config.rows, image)
            yield finisher.pictures()
        finally:
            engine.cancel(task)

    async def work(self, function: Callable[[Painter], T]) -> T:
        """Edits and the like: ``function`` with a painter that stops at the next token when nobody waits any more."""
        painter = self._painter()
        gone = threading.Event()
        shadow, studio = copy.copy(painter), copy.copy(painter.studio)
        assert self.engine is not None
        studio.step = _InTurn(painter.studio.step, self.engine, gone)  # type: ignore[assignment]
        shadow.studio = studio
        try:
            return await self._hands.run(lambda: None if gone.is_set() else function(shadow))  # type: ignore[return-value,arg-type]
        finally:
            gone.set()

    async def redraw(
        self, function: Callable[[Painter, Watch], list[Drawn]], count: int, partials: int
    ) -> AsyncIterator[Partial | Ping | list[Drawn]]:
        """As ``work``, with ``partials`` unfinished pictures of each of the first ``count`` candidates on the way."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Partial | list[Drawn] | BaseException]()
        told: dict[int, int] = {}

        def watch(number: int, done: float, picture: Callable[[], np.ndarray]) -> None:
            stage = int(done * (partials + 1))
            if number < count and told.get(number, 0) < stage <= partials:
                told[number] = stage
                put(Partial(number, stage - 1, done, Image.fromarray(picture())))

        def put(event: Partial) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        def ended(task: asyncio.Future[list[Drawn]]) -> None:
            if not task.cancelled():
                events.put_nowait(task.exception() or task.result())

        task = asyncio.ensure_future(self.work(lambda painter: function(painter, watch)))
        task.add_done_callback(ended)
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), PING_SECONDS)
                except TimeoutError:
                    yield Ping()
                    continue
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, list):
                    self.drawn += len(event)
                    return
        finally:
            task.cancel()

    async def look(self, function: Callable[[Looker], T]) -> T:
        """Something of the looker's."""
        looker = self.looker
        if self.stopping:
            raise Stopping
        assert looker is not None
        return await self._eyes.run(lambda: function(looker))

    async def finish(self, function: Callable[[], T]) -> T:
        """Small work on pictures, beside the drawing."""
        return await self._finish.run(function)

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
        self._unscored: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._scorer: ClipScorer | None = None

    def add(self, number: int, codes: np.ndarray) -> None:
        """Take a picture in; with the last one of its group the group is scored."""
        self._unscored[number] = codes, self._painter.studio.decode(codes[None])[0]
        start = number // PASS * PASS
        group = range(start, min(start + PASS, self._sketch.candidates))
        if all(one in self._unscored for one in group):
            self._score([(one, *self._unscored.pop(one)) for one in group])

    def _score(self, group: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
        scores = [0.0] * len(group)
        if self._ranking is not None:
            if self._scorer is None:
                self._scorer = self._painter.studio.scorer(self._sketch.prompt, self._ranking)
            images = np.stack([image for _, _, image in group])
            cosines = None if self._scorer is None else self._scorer.cosines(images)
            scores = self._ranking.scores(cosines, None).tolist()
        self._best.offer(
            (score, number, (codes, image)) for score, (number, codes, image) in zip(scores, group, strict=True)
        )
        self.left -= len(group)

    def pictures(self) -> list[Drawn]:
        """As ``Painter.generate`` gives them, with the same facts."""
        painter, sketch, ranking = self._painter, self._sketch, self._ranking
        facts: dict[str, Any] = {"verb": "generate", "model": painter.name, "model_id": painter.identity or None}
        facts |= {"engine": painter.studio.engine, "precision": painter.studio.precision} | asdict(sketch.settings)
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
    """A few threads; where ``most`` calls are open another one is refused (Busy), after the end all are (Stopping)."""

    def __init__(self, name: str, threads: int, most: int | None = None) -> None:
        self._pool, self._most = ThreadPoolExecutor(threads, name), most
        self._open, self._ended = 0, False

    async def run(self, function: Callable[[], T]) -> T:
        if self._ended:
            raise Stopping
        if self._most is not None and self._open >= self._most:
            raise Busy(after=5)
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._ended and not (task is not None and task.cancelling()):
                raise Stopping from None  # taken from the queue by ``stop``; the caller is still there
            raise
        finally:
            self._open -= 1

    def stop(self) -> None:
        self._ended = True
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Gone(Exception):
    """Nobody waits for this any more."""


class _InTurn:
    """A token step that the drawing thread computes between two of its own, until ``gone`` is set."""

    def __init__(self, step: Step, engine: Engine, gone: threading.Event) -> None:
        self._step, self._engine, self._gone = step, engine, gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def advance(self, *arguments: Any) -> Any:
        if self._gone.is_set():
            raise _Gone
        return self._engine.call(lambda: self._step.advance(*arguments))


def unfinished(painter: Painter, codes: np.ndarray, rows: int) -> Image.Image:
    """The picture of the first ``rows`` of cells of codes (N,), grey below."""
    page = np.full((painter.resolution, painter.resolution, 3), 128, np.uint8)
    top = painter.studio.decode(codes[None, : rows * painter.config.columns])[0]
    page[: len(top)] = top
    return Image.fromarray(page)
