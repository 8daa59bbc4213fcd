"""The thread that draws: it ticks the scheduler as long as there is work, and takes requests from other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from limner.serve.scheduler import Scheduler, Task

T = TypeVar("T")

WAIT = 300.0
"""Seconds that another thread waits at most for its turn between two steps."""


class Busy(Exception):
    """The queue is full; ``after`` seconds are worth waiting."""

    def __init__(self, after: int) -> None:
        super().__init__(f"the queue is full; try again in {after} seconds")
        self.after = after


class Stopping(Exception):
    """The server is leaving and takes nothing more."""


class NoTurn(Exception):
    """The drawing thread let nobody in for ``WAIT`` seconds."""

    def __init__(self) -> None:
        super().__init__(f"drawing has stood still for {WAIT:.0f} seconds; try again later")


class Engine:
    """Drives ``scheduler`` in a thread of its own. ``waiting``: requests at most that are open at once."""

    def __init__(self, scheduler: Scheduler, *, waiting: int = 128) -> None:
        self._scheduler, self._limit = scheduler, waiting
        self._inbox: list[Callable[[], None]] = []
        self._wake = threading.Condition()
        self._open: set[Task] = set()
        self._stopping = self._ended = False
        self._thread = threading.Thread(target=self._run, name="limner-draw", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    @property
    def open(self) -> int:
        """Requests that are drawn or wait."""
        return len(self._open)

    @property
    def rows(self) -> int:
        """Rows that are being drawn now."""
        return self._scheduler.rows

    @property
    def waiting(self) -> int:
        """Pictures that wait for a row."""
        return self._scheduler.waiting

    @property
    def ticks(self) -> int:
        """Tokens' steps since the start."""
        return self._scheduler.ticks

    def submit(self, task: Task) -> None:
        """Draw a task. Raises Busy, Stopping."""
        with self._wake:
            if self._stopping:
                raise Stopping
            if len(self._open) >= self._limit:
                raise Busy(after=2)
            self._open.add(task)
            self._inbox.append(lambda: self._scheduler.submit(task))
            self._wake.notify()

    def cancel(self, task: Task) -> None:
        """Let a task go, whether it is done or not."""
        with self._wake:
            if task in self._open:
                self._open.discard(task)
                self._inbox.append(lambda: self._scheduler.cancel(task))
                self._wake.notify()

    def call(self, function: Callable[[], T]) -> T:
        """What ``function`` gives, run between two steps in the drawing thread. Raises Stopping, NoTurn.

        So that edits take turns with the batch, and one thread alone uses the token step.
        """
        found: Future[T] = Future()

        def run() -> None:
            if not found.set_running_or_notify_cancel():
                return
            try:
                found.set_result(function())
            except BaseException as error:
                found.set_exception(error)

        with self._wake:
            if self._ended:
                raise Stopping
            self._inbox.append(run)
            self._wake.notify()
        try:
            return found.result(timeout=WAIT)
        except TimeoutError:
            found.cancel()
            raise NoTurn from None

    def stop_taking(self) -> None:
        """Take nothing more; what has not begun fails with Stopping, what has goes on."""
        with self._wake:
            self._stopping = True
            self._inbox.append(self._fail_waiting)
            self._wake.notify()

    def stop(self, seconds: float = 5.0) -> None:
        """End the thread after the token it is at; what is not done fails with Stopping."""
        with self._wake:
            self._stopping = self._ended = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._inbox or self._scheduler.tasks or self._ended):
                    self._wake.wait(timeout=60.0)
                inbox, self._inbox = self._inbox, []
                ended = self._ended
            for order in inbox:
                order()
            if ended:
                self._fail(list(self._scheduler.tasks), Stopping())
                return
            try:
                self._scheduler.tick()
            except Exception as error:  # out of memory, a bug: those who were drawn hear of it, the others go on
                self._fail([task for task in self._scheduler.tasks if task.active], error)

    def _fail_waiting(self) -> None:
        self._fail([task for task in self._scheduler.tasks if not task.begun], Stopping())

    def _fail(self, tasks: list[Task], error: Exception) -> None:
        for task in tasks:
            self._scheduler.cancel(task)
            task.failed(error)
