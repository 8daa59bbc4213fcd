"""How accuracy depends on one setting of the sampler (guidance, temperature …), with the same prompts and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limner.errors import InputError
from limner.evaluate.composition import Draws, by_task, draw_and_judge, summary
from limner.evaluate.statistics import interval_of_means
from limner.evaluate.tasks import Prompt
from limner.storybook.judge import Judge

SWEPT = ("guidance", "temperature", "top_k", "top_p")
"""The settings that can be varied."""


def evaluate_sweeps(
    painter: Draws,
    judge: Judge,
    prompts: Sequence[Prompt],
    values: Mapping[str, Sequence[float]],
    *,
    candidates: int,
    seed: int = 0,
    sampling: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """For each setting in ``values`` a row for each of its values: single draws and best of ``candidates``.

    All other settings are those of ``sampling``. Raises InputError for a setting that is none.
    """
    for name in values:
        if name not in SWEPT:
            raise InputError(f"sweep: expected one of {', '.join(SWEPT)}, got {name!r}")
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, steps in values.items():
        tables[name] = []
        for value in steps:
            outcomes, _ = draw_and_judge(
                painter,
                judge,
                prompts,
                candidates=candidates,
                seed=seed,
                sampling={**(sampling or {}), name: value},
                title=f"{name} {value:g}",
                quiet=quiet,
            )
            whole = summary(outcomes, seed)
            groups = by_task(outcomes).items()
            draws = {task: [[float(right) for right in o.right] for o in group] for task, group in groups}
            tables[name].append(
                {
                    "value": value,
                    "single_draw": _mean([table["single_draw"] for table in whole["tasks"].values()]),
                    "single_draw_interval": list(interval_of_means(draws, seed)),
                    "best": whole["overall"],
                    "best_interval": whole["overall_interval"],
                    "prompts": len(outcomes),
                }
            )
    return tables


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else 0.0
