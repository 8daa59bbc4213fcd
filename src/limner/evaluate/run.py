"""One whole composition evaluation: prompts, pictures, verdicts, controls, all in one report table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import limner
from limner.errors import InputError
from limner.evaluate.calibrate import another, best_for_each, blanks, drawn_side, of_other_scenes
from limner.evaluate.compare import FORMAT, VERSION
from limner.evaluate.composition import Draws, Outcome, by, by_task, draw_and_judge, summary, to_pixels
from limner.evaluate.editing import evaluate_editing
from limner.evaluate.statistics import interval, mean
from limner.evaluate.sweeps import evaluate_sweeps
from limner.evaluate.tasks import LANGUAGES, Prompt, Task, all_prompts
from limner.evaluate.wordings import evaluate_wordings
from limner.storybook.draw import draw
from limner.storybook.judge import Judge
from limner.storybook.scene import Scene

PARTS = ("seen", "heldout", "wording")
"""seen: combinations and wordings that training may see; heldout: combinations kept from it; wording: the scenes of
"seen" in wordings kept from it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is drawn: ``prompts`` for each task and part, ``count`` kept of ``candidates``; ``seed`` is all chance's.

    ``unconditional``: pictures without a caption, a control. ``editing``: pictures of which a region is redrawn.
    ``wordings``: scenes that are said in many ways. ``sweeps``: values of the sampler's settings to compare, on
    ``sweep_prompts`` of each task.
    """

    prompts: int = 20
    count: int = 1
    candidates: int = 16
    seed: int = 0
    parts: tuple[str, ...] = PARTS
    languages: tuple[str, ...] = LANGUAGES
    unconditional: int = 32
    editing: int = 0
    wordings: int = 0
    sweeps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    sweep_prompts: int = 4

    def __post_init__(self) -> None:
        for name, number in (("editing", self.editing), ("wordings", self.wordings)):
            if number < 0:
                raise InputError(f"{name}: expected 0 or more, got {number}")
        if self.sweep_prompts < 1:
            raise InputError(f"prompts of each task in a sweep: expected 1 or more, got {self.sweep_prompts}")
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
    untrained: np.ndarray | None = None,
    note: str = "",
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Outcome]]:
    """The report (without pictures) and all outcomes. ``prompts`` that were read take the place of the tasks' own;
    ``step`` tells what the painter's token step runs through. For ``reconstruct`` and ``untrained`` see ``calibrate``;
    ``note`` is shown with the figures.

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
        "note": note,
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
        "controls": controls(painter, judge, main, settings, sampling or {}, reconstruct, untrained),
        "judge": judge.facts,
        "seconds": {"drawing": drawing, "judging": judging},
    }
    report["amounts"] = amounts(report["tasks"])
    every = [outcome for group in outcomes.values() for outcome in group]
    again = {"seed": settings.seed, "sampling": sampling, "quiet": quiet}
    if settings.wordings:
        said, shown = evaluate_wordings(
            painter,
            judge,
            settings.wordings,
            languages=settings.languages,
            **again,  # type: ignore[arg-type]
        )
        report["wording"] = said
        every += shown
    if settings.sweeps:
        few = [outcome.prompt for group in by_task(main).values() for outcome in group[: settings.sweep_prompts]]
        report["sweeps"] = evaluate_sweeps(
            painter,
            judge,
            few,
            settings.sweeps,
            candidates=settings.candidates,
            **again,  # type: ignore[arg-type]
        )
    if settings.editing:
        report["editing"], edited = evaluate_editing(
            painter,  # type: ignore[arg-type]  # a painter that draws also edits
            judge,
            settings.editing,
            **again,  # type: ignore[arg-type]
        )
        every += edited
    return report, every


AMOUNTS: dict[str, tuple[str, ...]] = {
    "things": ("colours", "binding", "three", "four"),
    "garments": ("garments 1", "garments 2", "garments 3", "garments 4"),
}
"""Tasks with one, two, three and four things or garments."""


def amounts(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How accuracy falls as more is asked for at once: number → accuracy and interval, of things and of garments."""
    return {
        what: {
            str(number): {key: tasks[name][key] for key in ("accuracy", "interval", "single_draw")}
            for number, name in enumerate(names, 1)
            if name in tasks
        }
        for what, names in AMOUNTS.items()
    }


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
    untrained: np.ndarray | None = None,
) -> dict[str, Any]:
    """What the same judge says where the answer is known: ceilings that should pass, and pictures that should not."""
    scenes = [o.prompt.scene for o in outcomes]
    side = drawn_side(painter.resolution)
    drawn = np.stack([draw(o.prompt.scene, size=side, seed=o.prompt.seed) for o in outcomes])
    tables = {"drawn scenes": _judged(judge, drawn, scenes)}
    if reconstruct is not None:
        tables["dVAE ceiling"] = _judged(judge, reconstruct(drawn), scenes)
    tables["shuffled captions"] = _shuffled(judge, outcomes)
    tables["another scene, drawn"] = _control(of_other_scenes(judge, drawn, scenes))
    if untrained is not None:
        tables[f"best of {len(untrained)} untrained"] = _control(best_for_each(judge, untrained, scenes))
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
    return _judged(judge, np.stack(pictures), scenes) if pictures else _control([])


def _judged(judge: Judge, pictures: np.ndarray, scenes: Sequence[Scene]) -> dict[str, Any]:
    return _control([[float(v.right)] for v in judge.verdicts(pictures, scenes)])


def _control(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {"accuracy": mean(rows), "interval": list(interval(rows)), "pictures": len(rows)}
