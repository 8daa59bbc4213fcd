"""``limner evaluate composition``: a painter's pictures before the judge, on GenEval's conventions.

For each prompt the painter draws ``candidates`` pictures and keeps its ``count`` best (by its CLIP). A task's accuracy
is the mean over the kept pictures, the overall the plain mean of the tasks. All candidates are judged, so that curves
best-of-N by CLIP and by an oracle come from the same pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from limner.errors import InputError
from limner.evaluate.statistics import best_of, interval, interval_of_means, mean, powers_of_two
from limner.evaluate.tasks import Prompt
from limner.progress import progress
from limner.storybook.judge import Judge, Verdict


class Drawn(Protocol):
    """What an evaluation needs of a painter's picture."""

    image: Image.Image
    score: float | None


class Draws(Protocol):
    """What an evaluation needs of a painter."""

    def generate(self, caption: str, *, count: int, candidates: int, seed: int, **sampling: Any) -> Sequence[Drawn]:
        """``count`` pictures of ``candidates`` drawn, the best first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One prompt's candidates: which are right, their scores, and the kept pictures with their verdicts."""

    prompt: Prompt
    right: tuple[bool, ...]
    scores: tuple[float, ...]
    kept: tuple[int, ...]
    pictures: tuple[np.ndarray, ...] = field(repr=False)
    reasons: tuple[tuple[str, ...], ...] = field(repr=False)

    @property
    def row(self) -> list[float]:
        """1 for each kept picture that is right, 0 for each that is not."""
        return [float(self.right[i]) for i in self.kept]


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds spent on drawing and on judging."""

    drawing: float
    judging: float


def draw_and_judge(
    painter: Draws,
    judge: Judge,
    prompts: Sequence[Prompt],
    *,
    count: int = 1,
    candidates: int = 16,
    seed: int = 0,
    sampling: Mapping[str, Any] | None = None,
    title: str = "composition",
    quiet: bool = False,
) -> tuple[list[Outcome], Clock]:
    """Every prompt drawn and judged. Raises InputError where ``count`` > ``candidates`` or one is below 1."""
    if not 1 <= count <= candidates:
        raise InputError(f"count: expected 1 to {candidates} (the candidates), got {count}")
    outcomes: list[Outcome] = []
    drawing = judging = 0.0
    with progress(title, len(prompts), quiet=quiet) as bar:
        for number, prompt in enumerate(prompts):
            began = time.perf_counter()
            many = {"count": candidates, "candidates": candidates, "seed": seed + number}
            drawn = painter.generate(prompt.caption, **many, **(sampling or {}))
            pixels = to_pixels([picture.image for picture in drawn])
            drawn_at = time.perf_counter()
            verdicts = judge.verdicts(pixels, [prompt.scene] * len(pixels))
            drawing += drawn_at - began
            judging += time.perf_counter() - drawn_at
            scores = [0.0 if p.score is None else float(p.score) for p in drawn]
            outcomes.append(_outcome(prompt, verdicts, scores, pixels, count))
            bar.advance(right=mean([o.row for o in outcomes]))
    return outcomes, Clock(drawing, judging)


def _outcome(
    prompt: Prompt, verdicts: Sequence[Verdict], scores: Sequence[float], pixels: np.ndarray, count: int
) -> Outcome:
    kept = sorted(range(len(scores)), key=lambda i: -scores[i])[:count]
    return Outcome(
        prompt,
        tuple(v.right for v in verdicts),
        tuple(scores),
        tuple(kept),
        tuple(pixels[i] for i in kept),
        tuple(verdicts[i].reasons for i in kept),
    )


def to_pixels(images: Sequence[Image.Image]) -> np.ndarray:
    """Pictures of one size as uint8 (N, H, W, 3)."""
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def by_task(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes in groups, tasks in the order in which they first come."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.prompt.task, []).append(outcome)
    return groups


def summary(outcomes: Sequence[Outcome], seed: int = 0) -> dict[str, Any]:
    """Overall, its interval, and a table for each task: accuracy, interval, single draw and best-of-N curves."""
    groups = by_task(outcomes)
    tasks = {name: _task_table(group, seed) for name, group in groups.items()}
    rows = {name: [o.row for o in group] for name, group in groups.items()}
    low, high = interval_of_means(rows, seed)
    overall = float(np.mean([table["accuracy"] for table in tasks.values()])) if tasks else 0.0
    # A curve of curves: the plain mean of the tasks' at each N, as for the overall.
    best: dict[str, dict[str, float]] = {"clip": {}, "oracle": {}}
    for way, curve in best.items():
        for n in next(iter(tasks.values()))["best_of"][way] if tasks else ():
            curve[n] = float(np.mean([table["best_of"][way][n] for table in tasks.values()]))
    return {"overall": overall, "overall_interval": [low, high], "tasks": tasks, "best_of": best}


def _task_table(group: Sequence[Outcome], seed: int) -> dict[str, Any]:
    rows = [o.row for o in group]
    most = min(len(o.right) for o in group)
    curves: dict[str, dict[str, float]] = {"clip": {}, "oracle": {}}
    for n in powers_of_two(most):
        pairs = [best_of(o.right, o.scores, n) for o in group]
        curves["clip"][str(n)] = float(np.mean([pair[0] for pair in pairs]))
        curves["oracle"][str(n)] = float(np.mean([pair[1] for pair in pairs]))
    return {
        "accuracy": mean(rows),
        "interval": list(interval(rows, seed)),
        "single_draw": mean([[float(r) for r in o.right] for o in group]),
        "single_draw_interval": list(interval([[float(r) for r in o.right] for o in group], seed)),
        "best_of": curves,
        "prompts": len(group),
        "pictures": sum(len(row) for row in rows),
    }


def by(outcomes: Sequence[Outcome], key: Callable[[Prompt], str], seed: int = 0) -> dict[str, Any]:
    """Overall accuracy (mean of tasks) for each value of ``key`` (language, wording …), with intervals."""
    values = sorted({key(o.prompt) for o in outcomes})
    tables = {}
    for value in values:
        part = [o for o in outcomes if key(o.prompt) == value]
        rows = {name: [o.row for o in group] for name, group in by_task(part).items()}
        accuracy = float(np.mean([mean(r) for r in rows.values()]))
        tables[value] = {
            "overall": accuracy,
            "overall_interval": list(interval_of_means(rows, seed)),
            "tasks": {name: mean(r) for name, r in rows.items()},
            "prompts": len(part),
        }
    return tables
