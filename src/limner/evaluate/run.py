"""One whole composition evaluation: prompts, pictures, verdicts, controls, all in one report table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import limner
from limner.errors import InputError
from limner.evaluate.calibrate import another, blanks
from limner.evaluate.compare import FORMAT, VERSION
from limner.evaluate.composition import Draws, Outcome, by, by_task, draw_and_judge, summary, to_pixels
from limner.evaluate.statistics import interval, mean
from limner.evaluate.tasks import LANGUAGES, Prompt, Task, all_prompts
from limner.storybook.draw import draw
from limner.storybook.judge import Judge
from limner.storybook.scene import Scene

PARTS = ("seen", "heldout", "wording")
"""seen: combinations and wordings that training may see; heldout: combinations kept from it; wording: the scenes of
"seen" in wordings kept from it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is drawn: ``prompts`` for each task and part, ``count`` kept of ``candidates``; ``seed`` is all chance's."""

    prompts: int = 20
    count: int = 1
    candidates: int = 16
    seed: int = 0
    parts: tuple[str, ...] = PARTS
    languages: tuple[str, ...] = LANGUAGES
    unconditional: int = 32

    def __post_init__(self) -> None:
        if self.prompts < 1:
            raise InputError(f"prompts per task: expected 1 or more, got {self.prompts}")
        if not 1 <= self.count <= self.candidates:
            raise InputError(f"count: expected 1 to {self.candidates} (the candidates), got {self.count}")
        for part in self.parts:
            if part not in PARTS:
                raise InputError(f"parts: expected some of {', '.join(PARTS)}, got {part!r}")
        for language in self.languages:
            if language not in LANGUAGES:
                raise InputError(f"languages: expected some of {', '.join(LANGUAGES)}, got {language!r}")
        if not self.parts or not self.languages:
            raise InputError("parts and languages: expected at least one of each, got none")


def evaluate_composition(
    painter: Draws,
    judge: Judge,
    tasks: Sequence[Task],
    settings: Settings,
    *,
    model: str,
    prompts: Sequence[Prompt] | None = None,
    sampling: Mapping[str, Any] | None = None,
    step: Mapping[str, str] | None = None,
    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Outcome]]:
    """The report (without pictures) and all outcomes. ``prompts`` that were read take the place of the tasks' own;
    ``step`` tells what the painter's token step runs through.

    Accuracies are of the ``count`` pictures that the painter keeps of ``candidates``; "single_draw" is of all of them.
    """
    outcomes: dict[str, list[Outcome]] = {}
    drawing = judging = 0.0
    for number, part in enumerate(("read",) if prompts is not None else settings.parts):
        asked = list(prompts) if prompts is not None else part_prompts(tasks, part, settings)
        # Parts draw with seeds of their own; "wording" with those of "seen", so that only the words differ.
        first = settings.seed + (0 if part == "wording" else 1_000_000 * number)
        kinds = {"count": settings.count, "candidates": settings.candidates, "seed": first}
        outcomes[part], clock = draw_and_judge(
            painter, judge, asked, sampling=sampling, title=part, quiet=quiet, **kinds
        )
        drawing, judging = drawing + clock.drawing, judging + clock.judging
    main = next(iter(outcomes.values()))
    report = {
        "format": FORMAT,
        "version": VERSION,
        "limner": limner.__version__,
        "model": model,
        "settings": {
            "prompts_per_task": settings.prompts if prompts is None else None,
            "count": settings.count,
            "candidates": settings.candidates,
            "seed": settings.seed,
            "languages": list(settings.languages),
            "parts": list(outcomes),
            "sampling": dict(sampling or {}),
            "step": dict(step or {}),
        },
        **summary(main, settings.seed),
        "parts": {part: summary(group, settings.seed) for part, group in outcomes.items()},
        "languages": by(main, lambda prompt: prompt.language, settings.seed),
        "controls": controls(painter, judge, main, settings, sampling or {}, reconstruct),
        "judge": judge.facts,
        "seconds": {"drawing": drawing, "judging": judging},
    }
    return report, [outcome for group in outcomes.values() for outcome in group]


def part_prompts(tasks: Sequence[Task], part: str, settings: Settings) -> list[Prompt]:
    """The prompts of one part. Raises InputError where the tasks have none."""
    split, wording = {"seen": ("test", "seen"), "heldout": ("heldout", "seen"), "wording": ("test", "kept")}[part]
    kinds = {"split": split, "seed": settings.seed, "languages": settings.languages, "wording": wording}
    prompts = all_prompts(tasks, settings.prompts, **kinds)  # type: ignore[arg-type]
    if not prompts:
        raise InputError(
            f"tasks: expected some with prompts in the part {part!r}, got {', '.join(t.name for t in tasks)}"
        )
    return [replace(prompt, split=part) for prompt in prompts]


def controls(
    painter: Draws,
    judge: Judge,
    outcomes: Sequence[Outcome],
    settings: Settings,
    sampling: Mapping[str, Any],
    reconstruct: Callable[[np.ndarray], np.ndarray] | None,
) -> dict[str, Any]:
    """What the same judge says where the answer is known: ceilings that should pass, and pictures that should not."""
    scenes = [o.prompt.scene for o in outcomes]
    drawn = np.stack([draw(o.prompt.scene, seed=o.prompt.seed) for o in outcomes])
    tables = {"drawn scenes": _judged(judge, drawn, scenes)}
    if reconstruct is not None:
        tables["dVAE ceiling"] = _judged(judge, reconstruct(drawn), scenes)
    tables["shuffled captions"] = _shuffled(judge, outcomes)
    if settings.unconditional:
        number = settings.unconditional
        blank = painter.generate("", count=number, candidates=number, seed=settings.seed, **sampling)
        pictures = to_pixels([p.image for p in blank])
        tables["unconditional"] = _judged(judge, pictures[np.arange(len(scenes)) % number], scenes)
    for name, empty in blanks(drawn, settings.seed).items():
        tables[name] = _judged(judge, empty, scenes)
    return tables


def _shuffled(judge: Judge, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Each prompt's best picture before another prompt's scene, of the same task where there is one that differs."""
    pictures, scenes = [], []
    for group in by_task(outcomes).values():
        own = [o.prompt.scene for o in group]
        for at, outcome in enumerate(group):
            other = another(own, at)
            if other is not None:
                pictures.append(outcome.pictures[0])
                scenes.append(own[other])
    if not pictures:
        return {"accuracy": 0.0, "interval": [0.0, 1.0], "pictures": 0}
    return _judged(judge, np.stack(pictures), scenes)


def _judged(judge: Judge, pictures: np.ndarray, scenes: Sequence[Scene]) -> dict[str, Any]:
    rows = [[float(v.right)] for v in judge.verdicts(pictures, scenes)]
    return {"accuracy": mean(rows), "interval": list(interval(rows)), "pictures": len(rows)}
