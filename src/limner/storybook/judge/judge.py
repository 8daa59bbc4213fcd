"""The judge: from pixels alone, what stands in a picture, and whether that is what a caption said.

It has learned from drawn scenes only (``train.py``), never from a painter's or tokenizer's pictures or from a CLIP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from limner.config import from_table
from limner.device import autocast
from limner.errors import InputError, ModelError, RecipeError
from limner.storybook.judge.network import (
    BACKGROUND_ANSWERS,
    COLOUR_ANSWERS,
    GARMENT_ANSWERS,
    GRID,
    KINDS,
    NAMER_SPLITS,
    SIDE,
    Eyes,
    cut,
    to_input,
)
from limner.storybook.judge.thresholds import Thresholds
from limner.storybook.judge.verdict import Answers, Found, Verdict, decide
from limner.storybook.scene import GARMENTS, Scene

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "storybook" / "judge" / "judge.safetensors"
MOST_THINGS = 8
"""No scene has more than four things: of a picture full of centres only the surest are named."""
BATCH = 64


class Judge:
    """Answers and verdicts about pictures of the storybook's world."""

    def __init__(self, eyes: Eyes, thresholds: Thresholds, facts: dict[str, Any] | None = None) -> None:
        self.eyes = eyes.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.thresholds = thresholds
        self.facts = facts or {}

    @classmethod
    def load(cls, path: Path | str | None = None) -> Judge:
        """The judge in the safetensors file ``path`` (None: the one that ships). Raises ModelError."""
        path = WEIGHTS if path is None else Path(path)
        state, metadata = _read(path)
        eyes = Eyes()
        expected = {name: tuple(tensor.shape) for name, tensor in eyes.state_dict().items()}
        got = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if expected != got:
            odd = sorted(set(expected.items()) ^ set(got.items()))[0]
            raise ModelError(f"{path}: expected a judge's weights, got another model's ({odd[0]} does not fit)")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
            raise ModelError(f"{path}: expected finite weights, got some that are not; the file is damaged")
        eyes.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        try:
            thresholds = from_table(Thresholds, json.loads(metadata["thresholds"]), "thresholds")
            facts = json.loads(metadata.get("facts", "{}"))
        except (KeyError, ValueError, RecipeError) as error:
            raise ModelError(f"{path}: expected the judge's thresholds in the file's metadata, got {error}") from error
        return cls(eyes, thresholds, facts)

    def answers(self, pictures: np.ndarray) -> list[Answers]:
        """What stands in each of ``pictures`` (uint8 (N, H, W, 3), square). Raises InputError."""
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8 or 0 in pictures.shape[1:3]:
            raise InputError(f"pictures: expected uint8 (N, H, W, 3), got {pictures.dtype} {pictures.shape}")
        found: list[Answers] = []
        for start in range(0, len(pictures), BATCH):
            found += self._look(to_input(torch.from_numpy(np.ascontiguousarray(pictures[start : start + BATCH]))))
        return found

    def verdicts(self, pictures: np.ndarray, scenes: Sequence[Scene]) -> list[Verdict]:
        """Whether each picture (uint8 (N, H, W, 3)) shows its scene. Raises InputError."""
        if len(pictures) != len(scenes):
            raise InputError(f"scenes: expected one for each of {len(pictures)} pictures, got {len(scenes)}")
        if not len(pictures):
            return []
        return [decide(scene, answers) for scene, answers in zip(scenes, self.answers(pictures), strict=True)]

    @torch.inference_mode()
    def _look(self, pixels: Tensor) -> list[Answers]:
        limits = self.thresholds
        with autocast(torch.device("cpu")):
            centres, boxes, backgrounds = self.eyes.finder(pixels)
        which, places, sure = peaks(centres, boxes, limits.centre)
        names = torch.zeros(0, sum(NAMER_SPLITS))
        if len(which):
            with autocast(torch.device("cpu")):
                names = self.eyes.namer(cut(pixels, which, places))
        kinds, colours, *garments = (_surest(part) for part in names.split(NAMER_SPLITS, 1))
        things: list[list[Found]] = [[] for _ in range(len(pixels))]
        for i, picture in enumerate(which.tolist()):
            kind = _answer(kinds, i, KINDS[:-1], limits.kind)
            x, y, side = (value / SIDE for value in places[i].tolist())
            worn = {g: _answer(garments[j], i, GARMENT_ANSWERS[:-1], limits.garment) for j, g in enumerate(GARMENTS)}
            things[picture].append(
                Found(
                    kind=kind,
                    colour=_answer(colours, i, COLOUR_ANSWERS[:-1], limits.colour),
                    size=limits.size_of(side),
                    garments=worn,
                    box=(x, y, side),
                    confidence=float(sure[i]),
                )
            )
        ground = _surest(backgrounds)
        return [
            Answers(tuple(found), _answer(ground, b, BACKGROUND_ANSWERS[:-1], limits.background))
            for b, found in enumerate(things)
        ]


def peaks(centres: Tensor, boxes: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (M,), boxes (M, 3: x, y, side in pixels) and sureness (M,) of the centres above ``threshold``.

    A centre must be its neighbourhood's highest, and no surer centre's box may cover half of its own.
    """
    heat = centres.sigmoid()
    top = heat * (F.max_pool2d(heat[:, None], 3, 1, 1)[:, 0] == heat)
    which, rows, columns = (top > threshold).nonzero(as_tuple=True)
    sure = heat[which, rows, columns]
    cell = SIDE / GRID
    raw = boxes[which, :, rows, columns] * cell
    middle = torch.stack((columns, rows), 1) * cell + cell / 2
    places = torch.cat((middle + raw[:, :2], raw[:, 2:].clamp(4.0, float(SIDE))), 1)
    order = torch.argsort(sure, descending=True, stable=True).tolist()
    kept: list[int] = []
    for i in order:
        rivals = [j for j in kept if which[j] == which[i]]
        if len(rivals) < MOST_THINGS and all(_overlap(places[i].tolist(), places[j].tolist()) < 0.5 for j in rivals):
            kept.append(i)
    chosen = torch.tensor(kept, dtype=torch.long)
    return which[chosen], places[chosen], sure[chosen]


def _overlap(one: Sequence[float], two: Sequence[float]) -> float:
    """The shared area as a share of the smaller box."""
    shared = 1.0
    for axis in (0, 1):
        low = max(one[axis] - one[2] / 2, two[axis] - two[2] / 2)
        high = min(one[axis] + one[2] / 2, two[axis] + two[2] / 2)
        shared *= max(0.0, high - low)
    return shared / min(one[2], two[2]) ** 2


def _surest(logits: Tensor) -> list[tuple[float, int]]:
    shares, answers = logits.float().softmax(1).max(1)
    return list(zip(shares.tolist(), answers.tolist(), strict=True))


def _answer(surest: list[tuple[float, int]], at: int, words: Sequence[str], threshold: float) -> str | None:
    share, answer = surest[at]
    return words[answer] if share >= threshold and answer < len(words) else None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path}: expected the judge's weights, got no such file; install limner again")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: expected a whole safetensors file, got a damaged one ({error})") from error
