"""A picture with some pixels to redraw: encoded, its cells redrawn, decoded, blended in, ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from limner.sampling.edit import Effort, as_places, redraw
from limner.sampling.likelihood import log_likelihoods
from limner.sampling.rank import Best, ClipScorer, Ranking
from limner.sampling.regions import blend, cells_of
from limner.sampling.settings import SamplingSettings
from limner.sampling.studio import Studio


@dataclass(frozen=True)
class Retouch:
    """Redraw the pixels ``wanted``, bool (H, W), of the picture ``before``, uint8 (H, W, 3), to fit ``caption``.

    The drawing fades in over ``seam`` pixels inside of what is wanted.
    """

    before: np.ndarray
    wanted: np.ndarray
    caption: str
    seed: int
    settings: SamplingSettings
    effort: Effort
    seam: int
    ranking: Ranking | None = None
    cut: bool = False


class Retouched(NamedTuple):
    """One outcome: its score (0 where nothing ranks), number, codes (N,), and pixels uint8 (H, W, 3)."""

    score: float
    number: int
    codes: np.ndarray
    image: np.ndarray


Watch = Callable[[int, float, Callable[[], np.ndarray]], None]
"""Hears, at ends of rows of cells, a picture's number, the share that is done (0 … 1), and how to see it as it stands:
a function that gives pixels uint8 (H, W, 3)."""


def retouch(
    studio: Studio,
    job: Retouch,
    numbers: Sequence[int],
    count: int,
    watch: Watch | None = None,
    each: Callable[[int, list[Retouched]], None] | None = None,
) -> list[Retouched]:
    """The ``count`` best of the pictures ``numbers`` of the job's seed, best first. Raises InputError.

    ``each`` hears, after every batch, how many are finished and the best so far.
    """

    def told(number: int, codes: Tensor, done: float) -> None:
        assert watch is not None
        watch(number, done, lambda: blend(job.before, studio.decode(codes[None])[0], job.wanted, job.seam))

    ids = studio.ids([job.caption, ""], job.cut)
    scorer = studio.scorer(job.caption, job.ranking)
    best: Best[tuple[np.ndarray, np.ndarray]] = Best(count)
    finished = 0
    for some, codes in redraw(
        studio.step,
        ids[0],
        studio.encode(job.before),
        as_places(cells_of(job.wanted, studio.cell)),
        numbers,
        seed=job.seed,
        settings=job.settings,
        effort=job.effort,
        empty=ids[1],
        watch=None if watch is None else told,
    ):
        images = [blend(job.before, image, job.wanted, job.seam) for image in studio.decode(codes)]
        scores = _scores(studio, job, scorer, ids[:1], codes, images)
        best.offer(zip(scores, some, zip(codes.numpy(), images, strict=True), strict=True))
        finished += len(some)
        if each is not None:
            each(finished, _outcomes(best))
    return _outcomes(best)


def _scores(
    studio: Studio,
    job: Retouch,
    scorer: ClipScorer | None,
    ids: Tensor,
    codes: Tensor,
    images: list[np.ndarray],
) -> list[float]:
    if job.ranking is None:
        return [0.0] * len(codes)
    nats = None
    if job.ranking.likelihood:
        nats = log_likelihoods(studio.model, ids.expand(len(codes), -1), codes) / codes.shape[1]
    cosines = None if scorer is None else scorer.cosines(np.stack(images))
    scores: list[float] = job.ranking.scores(cosines, nats).tolist()
    return scores


def _outcomes(best: Best[tuple[np.ndarray, np.ndarray]]) -> list[Retouched]:
    return [Retouched(score, number, codes, image) for score, number, (codes, image) in best.kept]
