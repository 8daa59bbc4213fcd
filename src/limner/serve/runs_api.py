"""Training folders to watch: curves and sample sheets, read only."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from limner.serve.answers import Refusal, answer
from limner.training.journal import read_journal

POINTS = 1000
"""Points of a curve at most."""
CLOCKS = {"step", "seconds", "rate", "time", "pictures"}


def routes(folder: Path | None) -> list[Route]:
    """The routes of this file, for the runs in ``folder`` (or the run that it is)."""
    api = RunsAPI(folder)
    return [
        Route("/api/runs", api.runs, methods=["GET"]),
        Route("/api/runs/{run}", api.run, methods=["GET"]),
        Route("/api/runs/{run}/samples/{name}", api.sample, methods=["GET"]),
    ]


class RunsAPI:
    """What lies in run folders. A run is looked up by name among those that are there, never made a path of."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def runs(self, request: Request) -> Response:
        """GET /api/runs."""
        found = await asyncio.to_thread(self._found)
        return answer({"object": "list", "data": [await asyncio.to_thread(_about, run) for run in found.values()]})

    async def run(self, request: Request) -> Response:
        """GET /api/runs/RUN: its curves, thinned out, from ``?after=STEP`` on."""
        run = await self._find(request)
        after = request.query_params.get("after", "-1")
        if not re.fullmatch(r"-?\d{1,12}", after):
            raise Refusal(400, "after: expected a step", param="after", code="invalid_value")
        return answer(await asyncio.to_thread(_curves, run, int(after)))

    async def sample(self, request: Request) -> Response:
        """GET /api/runs/RUN/samples/NAME."""
        run, name = await self._find(request), request.path_params["name"]
        if name not in await asyncio.to_thread(_samples, run):
            raise Refusal(404, "sample: no such picture in this run", code="not_found")
        return FileResponse(run / "samples" / name, media_type="image/png", headers={"cache-control": "no-cache"})

    async def _find(self, request: Request) -> Path:
        found = await asyncio.to_thread(self._found)
        run = found.get(request.path_params["run"])
        if run is None:
            raise Refusal(404, "run: no such run here (GET /api/runs)", code="not_found")
        return run

    def _found(self) -> dict[str, Path]:
        if self._folder is None or not self._folder.is_dir():
            return {}
        places = [self._folder, *sorted(self._folder.iterdir())]
        root = self._folder.resolve()
        return {
            place.resolve().name: place
            for place in places
            if place.resolve().is_relative_to(root) and _own(place, "journal.jsonl").is_file()
        }


def _own(run: Path, name: str) -> Path:
    """The run's file ``name``; one that is not there where a link leads out of the run."""
    path = run / name
    return path if path.resolve().is_relative_to(run.resolve()) else run / ".nothing"


def _about(run: Path) -> dict[str, Any]:
    recipe: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        recipe = tomllib.loads(_own(run, "recipe.toml").read_text(encoding="utf-8"))
    records = read_journal(run / "journal.jsonl")
    training = recipe.get("training", {})
    steps = training.get("steps") if isinstance(training, dict) else None
    return {
        "id": run.resolve().name,
        "kind": str(recipe.get("kind", "")),
        "step": max((_step(record) for record in records), default=0),
        "steps": steps if isinstance(steps, int) else None,
        "changed": (run / "journal.jsonl").stat().st_mtime,
        "samples": len(_samples(run)),
    }


def _curves(run: Path, after: int) -> dict[str, Any]:
    records = [record for record in read_journal(run / "journal.jsonl") if _step(record) > after]
    thin = records[:: max(1, -(-len(records) // POINTS))]
    if records and thin[-1] is not records[-1]:
        thin.append(records[-1])
    curves: dict[str, list[tuple[int, float]]] = {}
    for record in thin:
        for name, value in record.items():
            if name not in CLOCKS and isinstance(value, int | float) and not isinstance(value, bool):
                with contextlib.suppress(OverflowError):  # JSON has no number that is not finite
                    if math.isfinite(number := float(value)):
                        curves.setdefault(name, []).append((_step(record), number))
    return {"run": _about(run), "curves": curves, "samples": _samples(run)[-24:]}


def _samples(run: Path) -> list[str]:
    folder = _own(run, "samples")
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.suffix == ".png" and not file.is_symlink())
    return sorted(file.name for file in files if file.is_file())


def _step(record: dict[str, Any]) -> int:
    step = record.get("step", 0)
    return step if isinstance(step, int) and abs(step) < 10**12 else 0
