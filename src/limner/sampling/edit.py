"""Redrawing any cells of a picture so that the kept ones count, those after a redrawn cell too.

The target is p(free codes | caption, all kept codes). In raster order the model gives free codes given what stands
before them; kept codes that come later are evidence. Sequential Monte Carlo: several particles draw the free codes in
order; at every kept code a particle's weight is multiplied by that code's probability; when the effective number of
particles falls under half, they are resampled systematically; at the end one is chosen by weight. With many particles
that is exact, and each Metropolis–Hastings sweep afterwards (redraw from a random place on, accept by the kept codes'
probabilities) leaves the target as it is. Where nothing is kept after the first free cell one particle is exact.

Free codes are drawn by the settings' temperature and filters; kept codes are weighed by the plain (guided)
distribution, so at temperature 1 without filters the target is the model's own conditional.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from limner.errors import InputError
from limner.sampling.choose import (
    FINAL_CHOICE,
    RESAMPLING,
    SWEEP_ACCEPTANCE,
    SWEEP_STARTS,
    SWEEP_TOKENS,
    TOKENS,
    choose,
    invert,
    log_probabilities,
    uniforms,
)  # fmt: skip
from limner.sampling.context import Context, State, Step
from limner.sampling.generate import most_pictures
from limner.sampling.guide import guide
from limner.sampling.settings import SamplingSettings, check_count

Watch = Callable[[int, Tensor, float], None]
"""Hears, at ends of rows, a picture's number, its codes (N,) as its likeliest particle has them (the old ones where
nothing is drawn yet), and the share of its tokens that is done, 0 … 1."""


@dataclass(frozen=True)
class Effort:
    """``particles`` for each picture (1: plain forcing of the kept codes) and Metropolis–Hastings ``sweeps`` after.

    Raises InputError.
    """

    particles: int = 16
    sweeps: int = 0

    def __post_init__(self) -> None:
        check_count("particles", self.particles)
        check_count("sweeps", self.sweeps, low=0)


def redraw(
    step: Step,
    caption: Tensor,
    codes: Tensor,
    free: Tensor,
    pictures: Sequence[int],
    *,
    seed: int,
    settings: SamplingSettings,
    effort: Effort,
    empty: Tensor | None = None,
    watch: Watch | None = None,
) -> Iterator[tuple[list[int], Tensor]]:
    """Redraw the ``free`` cells of a picture batch by batch: codes int64 (N,), free bool (N,) → a batch's numbers and
    their codes (B, N).

    ``caption`` and ``empty`` are rows of ids (L,); ``empty`` is needed where guidance is not 1. Picture k is a function
    of seed, k and the rest, whoever is drawn with it. Raises InputError.
    """
    places = free.nonzero().flatten()
    if not len(places):
        raise InputError("edit: expected at least one cell to redraw, got none")
    first, last = int(places[0]), int(places[-1])
    exact = bool(free[first:].all())
    particles = 1 if exact else effort.particles
    most = most_pictures(settings)
    if particles > most:
        raise InputError(f"particles: expected at most {most} with these settings, got {particles}")
    given = codes[:first] if first else None
    contexts = [step.read(caption, given)]
    if settings.guidance != 1.0:
        if empty is None:
            raise InputError(f"guidance {settings.guidance}: expected the empty caption too, got none")
        contexts.append(step.read(empty, given))
    scene = _Scene(step, contexts, codes.to(step.device), free.tolist(), first, last, seed, settings, watch)
    batch = max(1, most // particles)
    for start in range(0, len(pictures), batch):
        some = list(pictures[start : start + batch])
        drawn, kept = _monte_carlo(scene, some, particles)
        for sweep in range(0 if exact else effort.sweeps):
            drawn, kept = _sweep(scene, some, drawn, kept, sweep)
        yield some, drawn.cpu()


@dataclass(frozen=True)
class _Scene:
    """What does not change while a picture is redrawn; ``first`` and ``last`` are the first and last free places."""

    step: Step
    contexts: list[Context]
    codes: Tensor
    free: list[bool]
    first: int
    last: int
    seed: int
    settings: SamplingSettings
    watch: Watch | None

    def begin(self, rows: int) -> tuple[State | None, Tensor]:
        """A batch of ``rows`` before place ``first``, and the guided logits there (rows, Vi)."""
        logits = torch.cat([context.logits.expand(rows, -1) for context in self.contexts])
        ends_here = self.first == len(self.free) - 1
        state = None if ends_here else self.step.begin([(context, rows) for context in self.contexts])
        return state, guide(logits, self.settings)

    def advance(self, state: State, tokens: Tensor, place: int) -> Tensor:
        logits = self.step.advance(state, tokens.repeat(len(self.contexts)), place)
        return guide(logits, self.settings)

    def reorder(self, state: State, rows: Tensor) -> None:
        count = len(rows)
        every = torch.cat([rows + part * count for part in range(len(self.contexts))])
        spare = torch.arange(len(every), state.rows, device=rows.device)
        state.reorder(torch.cat([every, spare]))

    def numbers(self, pictures: Sequence[int], purpose: int, lane: int = 0) -> Tensor:
        """Uniform numbers float64 (len(pictures), N)."""
        rows = uniforms(self.seed, pictures, len(self.free), purpose=purpose, lane=lane)
        return torch.from_numpy(rows).to(self.step.device)


def _monte_carlo(scene: _Scene, pictures: list[int], particles: int) -> tuple[Tensor, Tensor]:
    """Codes (J, N) of the chosen particles, and the log-probabilities (J, N) of kept codes after the first free one."""
    J, P, N = len(pictures), particles, len(scene.free)
    # (J, P, N) → rows j · P + p
    numbers = torch.stack([scene.numbers(pictures, TOKENS, lane=p) for p in range(P)], dim=1).flatten(0, 1)
    resampling = scene.numbers(pictures, RESAMPLING)
    codes = scene.codes.repeat(J * P, 1)
    kept = torch.zeros(J * P, N, dtype=torch.float64, device=codes.device)
    weights = torch.zeros(J, P, dtype=torch.float64, device=codes.device)
    state, logits = scene.begin(J * P)
    for i in range(scene.first, N):
        if scene.free[i]:
            codes[:, i] = choose(logits, numbers[:, i], scene.settings)
        else:
            kept[:, i] = log_probabilities(logits, codes[:, i])
            weights += kept[:, i].view(J, P)
            few = effective(weights) < P / 2
            if bool(few.any()):
                rows = torch.arange(P, device=codes.device).repeat(J, 1)
                rows[few] = systematic(weights[few], resampling[few, i])
                weights[few] = 0.0
                rows = (rows + torch.arange(J, device=codes.device)[:, None] * P).flatten()
                codes, kept = codes[rows], kept[rows]
                if state is not None:
                    scene.reorder(state, rows)
        if scene.watch is not None and i < scene.last and (i + 1) % scene.step.layout.columns == 0:
            for j, row in enumerate(weights.argmax(dim=-1).tolist()):
                scene.watch(pictures[j], codes[j * P + row].clone(), (i + 1 - scene.first) / (N - scene.first))
        if i < N - 1:
            assert state is not None
            logits = scene.advance(state, codes[:, i], i)
    final = invert(torch.softmax(weights, dim=-1), scene.numbers(pictures, FINAL_CHOICE)[:, 0])
    rows = final + torch.arange(J, device=codes.device) * P
    return codes[rows], kept[rows]


def _sweep(scene: _Scene, pictures: list[int], codes: Tensor, kept: Tensor, sweep: int) -> tuple[Tensor, Tensor]:
    """One Metropolis–Hastings step for each picture; codes (J, N) and kept codes' log-probabilities (J, N)."""
    places = torch.tensor([i for i, free in enumerate(scene.free) if free], device=codes.device)
    luck = scene.numbers(pictures, SWEEP_STARTS, lane=sweep)[:, 0]
    starts = places[(luck * len(places)).long()]
    numbers = scene.numbers(pictures, SWEEP_TOKENS, lane=sweep)
    proposal, proposed = codes.clone(), kept.clone()
    state, logits = scene.begin(len(pictures))
    for i in range(scene.first, len(scene.free)):
        if scene.free[i]:
            drawn = choose(logits, numbers[:, i], scene.settings)
            proposal[:, i] = torch.where(starts <= i, drawn, codes[:, i])
        else:
            proposed[:, i] = log_probabilities(logits, proposal[:, i])
        if i < len(scene.free) - 1:
            assert state is not None
            logits = scene.advance(state, proposal[:, i], i)
    # Before a start nothing differs; the proposal is the prior, so only the kept codes decide.
    gain = proposed.sum(dim=-1) - kept.sum(dim=-1)
    accepted = scene.numbers(pictures, SWEEP_ACCEPTANCE, lane=sweep)[:, 0].log() < gain
    return torch.where(accepted[:, None], proposal, codes), torch.where(accepted[:, None], proposed, kept)


def effective(log_weights: Tensor) -> Tensor:
    """Effective number of particles 1 / Σ w² of normalised weights: (J, P) → (J,)."""
    weights = torch.softmax(log_weights, dim=-1)
    return 1.0 / weights.square().sum(dim=-1)


def systematic(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Systematic resampling: log-weights (J, P), one uniform number each (J,) → the particles that live on, (J, P)."""
    weights = torch.softmax(log_weights, dim=-1)
    P = weights.shape[1]
    ticks = (torch.arange(P, device=weights.device) + uniform[:, None]) / P
    cumulative = weights.cumsum(dim=-1)
    return torch.searchsorted(cumulative / cumulative[:, -1:], ticks, right=True).clamp(max=P - 1)


def as_places(cells: np.ndarray) -> Tensor:
    """Cells bool (rows, columns) → places bool (N,) in raster order."""
    return torch.from_numpy(np.ascontiguousarray(cells)).flatten()
