"""The one progress bar: on stderr, only on a terminal, silent otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Protocol


class Bar(Protocol):
    """What a loop tells its bar."""

    def advance(self, steps: int = 1, **measures: float | str) -> None:
        """``steps`` more are done; ``measures`` (loss=…, rate=…) stand beside the bar."""


class _Silent:
    def advance(self, steps: int = 1, **measures: float | str) -> None:
        return


class _Shown:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def advance(self, steps: int = 1, **measures: float | str) -> None:
        text = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in measures.items())
        self._bar.update(self._task, advance=steps, **({"measures": text} if measures else {}))


def wanted(quiet: bool = False) -> bool:
    """Whether a bar may be shown: stderr is a terminal and nobody asked for quiet."""
    return not quiet and sys.stderr.isatty()


@contextlib.contextmanager
def progress(title: str, total: int | None, *, done: int = 0, quiet: bool = False) -> Iterator[Bar]:
    """A bar titled ``title`` over ``total`` steps (None: unknown), of which ``done`` are done already."""
    if not wanted(quiet):
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[measures]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(title, total=total, completed=done, measures="")
        yield _Shown(bar, task)
