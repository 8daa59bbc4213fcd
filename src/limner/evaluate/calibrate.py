"""The judge judged: what it accepts of drawn scenes, near misses, damaged pictures, reconstructions and controls.

Its scenes come from the test and held-out splits, dealt as captions are; the judge learned from other ones.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limner.evaluate.ceiling import psnr
from limner.evaluate.faults import faults
from limner.evaluate.statistics import interval, mean
from limner.progress import progress
from limner.storybook.deal import Dealt, deal
from limner.storybook.draw import draw
from limner.storybook.judge import Answers, Judge
from limner.storybook.judge.nearmiss import compatible, near_misses
from limner.storybook.judge.verdict import decide
from limner.storybook.scene import FAMILIES, Scene

Change = Callable[[np.ndarray], np.ndarray]
PART = 50


def calibrate(
    judge: Judge,
    *,
    scenes: int = 300,
    seed: int = 0,
    reconstruct: Change | None = None,
    untrained: np.ndarray | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """All figures about the judge, ``scenes`` drawn for each family.

    ``reconstruct``: a tokenizer's way there and back; ``untrained``: pictures by a painter that has learned nothing, of
    which the judge may pick the one that it likes best for each scene.
    """
    dealt = {family: deal_scenes(family, scenes, seed) for family in FAMILIES}
    right: dict[str, list[list[float]]] = defaultdict(list)
    missed: dict[str, list[list[float]]] = defaultdict(list)
    missed_in: dict[str, list[list[float]]] = defaultdict(list)
    changed: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    noise: dict[str, list[float]] = defaultdict(list)
    examples: list[dict[str, Any]] = []
    seconds = 0.0
    ways = {name: change for name, change in {**damages(seed), "reconstructed": reconstruct}.items() if change}
    with progress("calibration", len(FAMILIES) * scenes, quiet=quiet) as bar:
        for family in FAMILIES:
            for start in range(0, scenes, PART):
                part = dealt[family][start : start + PART]
                pictures = np.stack([draw(d.scene, seed=d.draw_seed) for d in part])
                began = time.perf_counter()
                answers = judge.answers(pictures)
                seconds += time.perf_counter() - began
                for d, one in zip(part, answers, strict=True):
                    verdict = decide(d.scene, one)
                    right[family].append([float(verdict.right)])
                    if not verdict.right and len(examples) < 20:
                        examples.append({"family": family, "caption": d.caption, "reasons": verdict.reasons})
                    for name, wrong in near_misses(d.scene, d.draw_seed):
                        accepted = float(decide(wrong, one).right)
                        missed[name].append([accepted])
                        missed_in[family].append([accepted])
                for name, change in ways.items():
                    spoiled = change(pictures)
                    noise[name].append(psnr(pictures, spoiled))
                    changed[name][family] += [
                        [float(v.right)] for v in judge.verdicts(spoiled, [d.scene for d in part])
                    ]
                bar.advance(len(part), right=mean(right[family]))
    everything = [d for family in FAMILIES for d in dealt[family]]
    return {
        "right_accepted": _share([row for rows in right.values() for row in rows]),
        "wrong_accepted": _share([row for rows in missed.values() for row in rows]),
        "families": {f: {"right": _share(right[f]), "near_misses": _share(missed_in[f])} for f in FAMILIES},
        "near_misses": {name: _share(rows) for name, rows in missed.items()},
        "changed": {
            name: {
                "accepted": _share([row for rows in groups.values() for row in rows]),
                "psnr": float(np.mean(noise[name])),
                "families": {family: _share(rows) for family, rows in groups.items()},
            }
            for name, groups in changed.items()
        },
        "faults": _faults(judge, everything, seed),
        "controls": _controls(judge, everything, seed, untrained),
        "pictures_per_second": len(everything) / seconds,
        "refused": examples,
        "judge": judge.facts,
    }


def deal_scenes(family: str, count: int, seed: int) -> list[Dealt]:
    """Scenes of a family: test and held-out ones in turn (single things are never held out)."""
    splits = ("test",) if family == "single" else ("test", "heldout")
    return [deal(i, seed=seed, split=splits[i % len(splits)], families=(family,)) for i in range(count)]


def damages(seed: int) -> dict[str, Change]:
    """Slight blur and noise, and the training's damage at a strength that leaves captions true."""
    import torch

    from limner.storybook.judge import spoil

    chance = torch.Generator().manual_seed(seed)

    def as_change(damage: Callable[[torch.Tensor], torch.Tensor]) -> Change:
        def change(pictures: np.ndarray) -> np.ndarray:
            pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
            spoiled = (damage(pixels).clamp(-1, 1) + 1) * 127.5
            return spoiled.round().byte().permute(0, 2, 3, 1).contiguous().numpy()

        return change

    return {
        "slight blur": as_change(lambda x: spoil.blurred(x, 0.25, chance)),
        "slight noise": as_change(lambda x: spoil.noisy(x, 0.15, chance)),
        "coarse patches": as_change(lambda x: spoil.cosines(x, 0.5, chance)),
    }


def blanks(pictures: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Pictures of nothing, as many as ``pictures``: noise, white, each picture's mean colour, shuffled patches."""
    chance = np.random.default_rng(seed)
    count, height, width, _ = pictures.shape
    means = pictures.mean((1, 2), keepdims=True)
    cells = pictures.reshape(count, height // 16, 16, width // 16, 16, 3).transpose(1, 3, 0, 2, 4, 5)
    # Each place of the grid takes its patch from a picture of its own.
    shuffled = np.empty_like(cells)
    for row in range(height // 16):
        for column in range(width // 16):
            shuffled[row, column] = cells[row, column, chance.permutation(count)]
    return {
        "noise": chance.integers(0, 256, pictures.shape, dtype=np.uint8),
        "blank": np.full_like(pictures, 255),
        "mean colour": np.broadcast_to(means.round(), pictures.shape).astype(np.uint8),
        "shuffled patches": shuffled.transpose(2, 0, 3, 1, 4, 5).reshape(pictures.shape),
    }


def _controls(judge: Judge, dealt: Sequence[Dealt], seed: int, untrained: np.ndarray | None) -> dict[str, Any]:
    chosen = dealt[:: max(1, len(dealt) // 240)]
    scenes = [d.scene for d in chosen]
    pictures = np.stack([draw(d.scene, seed=d.draw_seed) for d in chosen])
    tables = {}
    for name, empty in blanks(pictures, seed).items():
        tables[name] = _share([[float(v.right)] for v in judge.verdicts(empty, scenes)])
    answers = judge.answers(pictures)
    others = [another(scenes, i) for i in range(len(scenes))]
    rows = [[float(decide(scenes[i], answers[j]).right)] for i, j in enumerate(others) if j is not None]
    tables["another scene"] = _share(rows)
    if untrained is not None:
        found = judge.answers(untrained)
        tables[f"best of {len(found)} untrained"] = _share([[float(_any_right(scene, found))] for scene in scenes])
    return tables


def _faults(judge: Judge, dealt: Sequence[Dealt], seed: int) -> dict[str, Any]:
    rows: dict[str, list[list[float]]] = defaultdict(list)
    found = list(faults(dealt[:: max(1, len(dealt) // 500)], seed))
    for start in range(0, len(found), PART):
        part = found[start : start + PART]
        answers = judge.answers(np.stack([picture for _, picture, _ in part]))
        for (name, _, scenes), one in zip(part, answers, strict=True):
            rows[name].append([float(any(decide(scene, one).right for scene in scenes))])
    return {name: _share(accepted) for name, accepted in rows.items()}


def another(scenes: Sequence[Scene], at: int) -> int | None:
    """The next scene in the list that no picture of ``scenes[at]`` can show; None where all could be meant."""
    for step in range(1, len(scenes)):
        other = (at + step) % len(scenes)
        if not compatible(scenes[at], scenes[other]):
            return other
    return None


def _any_right(scene: Scene, found: Sequence[Answers]) -> bool:
    return any(decide(scene, answers).right for answers in found)


def _share(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {"share": mean(rows), "interval": list(interval(rows)), "count": len(rows)}
