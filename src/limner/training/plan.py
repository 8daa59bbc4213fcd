"""What a recipe needs, told before anything is allocated: memory by part, operations, days."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limner.errors import InputError, RecipeError, expected
from limner.training.footprint import SOME, Footprint, Sizes, footprints, operations, sizes
from limner.training.recipe import Recipe

RATE = 125e12
"""Operations/s that a device is taken to sustain: 40 % of the 312 TFLOP/s that an A100's bf16 products could reach."""
FULL = 0.9
"""The share of a device's memory that is planned with; allocators and libraries take the rest."""


@dataclass(frozen=True)
class Share:
    """Bytes on one of the devices, by part, for parts of a batch of ``pictures`` each."""

    pictures: int
    recompute: bool
    states: int
    gradients: int
    gathered: int
    activations: int

    @property
    def peak(self) -> int:
        """All parts together."""
        return self.states + self.gradients + self.gathered + self.activations


def plan(recipe: Recipe, gpus: int = 0, memory: int = 0, rate: float = RATE) -> dict[str, Any]:
    """Facts about ``recipe``: parameters, bytes by part, operations; with ``gpus`` also what each device holds.

    gpus: devices that share weights, states and the batch (0: the recipe's own parts on one device). memory: bytes of a
    device, for which the largest part of a batch is sought (0: the recipe's own). rate: operations/s that one sustains.
    Activations are counted as on a CPU: kernels of a GPU that fuse attention keep less. Raises RecipeError.
    """
    settings = recipe.training
    if gpus and settings.batch % gpus:
        raise RecipeError(expected("--gpus", f"a number that divides training.batch = {settings.batch}", gpus))
    one = operations(recipe.kind, recipe.model)
    whole = 3 * one * settings.batch * settings.steps
    # Where devices share the batch, its parts are of what is left to each.
    own = max(1, settings.batch // settings.accumulate // max(1, gpus))
    facts, shares = sizes(recipe), []
    update = footprints(recipe, gathered=gpus > 1)
    for recompute in (False, True):

        def share(pictures: int, recompute: bool = recompute) -> Share:
            return _share(facts, update(pictures, recompute), pictures, recompute, gpus)

        size = _largest(share, settings.batch // max(1, gpus), memory) if memory else own
        shares += [share(size)] if size else []
    return {
        "memory": {
            "weights in float16": 2 * facts.parameters,
            "weights in float32": facts.weights,
            "gradients": facts.gradients,
            "moments": facts.moments,
            "average": facts.average,
            "training without activations": facts.weights + facts.gradients + facts.moments + facts.average,
        },
        "devices": [
            {"peak": s.peak, **vars(s), "parts_of_a_batch": settings.batch // max(1, gpus) // s.pictures}
            for s in shares
        ],
        "operations_per_sample": one,
        "operations_per_step": 3 * one * settings.batch,
        "operations_of_training": whole,
        "days": whole / (rate * max(1, gpus)) / 86_400,
        "days_recomputed": whole * 4 / 3 / (rate * max(1, gpus)) / 86_400,
    }


def _share(facts: Sizes, found: Footprint, pictures: int, recompute: bool, gpus: int) -> Share:
    states = facts.weights + facts.moments + facts.average
    if gpus <= 1:
        # At the peak there are few gradients yet, or few activations left.
        return Share(pictures, recompute, states, found.together - found.activations, 0, found.activations)
    return Share(
        pictures,
        recompute,
        states=states // gpus,
        gradients=facts.gradients // gpus,
        # In bf16: the block that works and the one that is fetched for it, embeddings and head; a block's gradients in
        # bf16, and as they are summed in float32.
        gathered=(2 * facts.largest + facts.rest) // 2 + facts.largest // 2 + facts.largest,
        activations=found.activations,
    )


def _largest(share: Callable[[int], Share], most: int, memory: int) -> int:
    """How many of a device's ``most`` pictures of a batch fit at once, a divisor; 0 where not one does."""
    few, more = (SOME // 2, SOME) if most >= SOME else (1, 2)
    each = max(1.0, (share(more).peak - share(few).peak) / (more - few))
    fits = few + math.floor((FULL * memory - share(few).peak) / each)
    return max((n for n in range(1, min(fits, most) + 1) if most % n == 0), default=0)


def parse_bytes(text: str) -> int:
    """``80GB`` → 80,000,000,000; GiB counts by 1,024. Raises InputError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*", text)
    if not match:
        raise InputError(expected("--memory", "a size such as 80GB or 512MiB", repr(text)))
    power = " KMGT".index(match[2].upper() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)
