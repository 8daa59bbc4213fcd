"""Drawing a batch of candidates token by token; the loop around ``step``, ``guide`` and ``choose``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limner.errors import InputError
from limner.sampling.choose import choose, log_probabilities, uniforms
from limner.sampling.context import Context, Step
from limner.sampling.guide import guide, rows_per_picture
from limner.sampling.linear import MOST_ROWS
from limner.sampling.settings import SamplingSettings


@dataclass(frozen=True)
class Candidate:
    """A picture to draw: number ``number`` of ``seed``, from what ``context`` says."""

    context: Context
    seed: int
    number: int


class Codes(NamedTuple):
    """The batch after ``done`` of N codes: ``codes`` int64 (B, N) (zeros where nothing is drawn yet; the same tensor at
    every token), and the log-likelihood in nats of the codes drawn, float64 (B,), under caption and temperature 1."""

    codes: Tensor
    done: int
    nats: Tensor


def most_pictures(settings: SamplingSettings) -> int:
    """How many pictures go into one batch."""
    return MOST_ROWS // rows_per_picture(settings)


def draw_codes(
    step: Step,
    candidates: Sequence[Candidate],
    settings: SamplingSettings,
    *,
    empty: Context | None = None,
    given: Tensor | None = None,
    likelihood: bool = False,
) -> Codes:
    """Draw ``candidates`` to the end; see ``drawing``."""
    *_, last = drawing(step, candidates, settings, empty=empty, given=given, likelihood=likelihood)
    return last


def drawing(
    step: Step,
    candidates: Sequence[Candidate],
    settings: SamplingSettings,
    *,
    empty: Context | None = None,
    given: Tensor | None = None,
    likelihood: bool = False,
) -> Iterator[Codes]:
    """Draw ``candidates``, at most ``most_pictures``, and give the batch after every token.

    All contexts have read the same number of codes, ``given`` (n,) where they have read some; ``empty`` is the empty
    caption's context, read with the same codes, and needed where guidance is not 1. Candidates of one context stand
    together. Without ``likelihood`` the nats stay 0. Raises InputError.
    """
    if not candidates or len(candidates) > most_pictures(settings):
        raise InputError(f"batch: expected 1 to {most_pictures(settings)} pictures, got {len(candidates)}")
    if settings.guidance != 1.0 and empty is None:
        raise InputError(f"guidance {settings.guidance}: expected the empty caption's context, got none")
    start, N, B = candidates[0].context.length, step.layout.image, len(candidates)
    # Equal contexts are the same object.
    spans = [(rows[0], len(rows)) for rows in (list(r) for _, r in groupby((c.context for c in candidates), key=id))]
    if settings.guidance != 1.0:
        assert empty is not None
        spans.append((empty, B))
    if any(context.length != start for context, _ in spans):
        raise InputError("batch: expected contexts that have read equally many codes")
    numbers = torch.from_numpy(numbers_of(candidates, N)).to(step.device)
    codes = torch.zeros(B, N, dtype=torch.int64, device=step.device)
    nats = torch.zeros(B, dtype=torch.float64, device=step.device)
    if given is not None:
        codes[:, :start] = given[:start]
    logits = torch.cat([context.logits.expand(rows, -1) for context, rows in spans])
    state = step.begin(spans) if start < N - 1 else None
    for i in range(start, N):
        tokens = choose(guide(logits, settings), numbers[:, i], settings)
        codes[:, i] = tokens
        if likelihood:
            nats += log_probabilities(logits[:B], tokens)
        yield Codes(codes, i + 1, nats)
        if i < N - 1:
            assert state is not None
            logits = step.advance(state, tokens if len(logits) == B else tokens.repeat(len(logits) // B), i)


def numbers_of(candidates: Sequence[Candidate], positions: int) -> np.ndarray:
    """Uniform numbers float64 (B, positions) of the candidates."""
    return np.concatenate([uniforms(c.seed, [c.number], positions) for c in candidates])
