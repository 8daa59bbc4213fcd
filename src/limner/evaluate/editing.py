"""Region editing: one of two drawn things is redrawn as something else; the judge asks for the new scene.

The picture that is edited is drawn by the storybook, not by the painter; the region is the changed thing's box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from limner.evaluate.composition import Drawn, Outcome, to_pixels
from limner.evaluate.statistics import interval, mean
from limner.evaluate.tasks import LANGUAGES, Prompt
from limner.progress import progress
from limner.storybook.deal import LANGUAGES as SAID
from limner.storybook.deal import deal
from limner.storybook.draw import draw, layout
from limner.storybook.judge import Judge
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.scene import Scene
from limner.storybook.splits import held_out

TASK = "region editing"
CHANGES = ("kind", "colour")


class Edits(Protocol):
    """What this evaluation needs of a painter."""

    resolution: int

    def edit(
        self, image: Image.Image, caption: str, *, region: tuple[int, int, int, int], count: int, **options: Any
    ) -> Sequence[Drawn]:
        """``count`` edited pictures, the best first."""


@dataclass(frozen=True, slots=True)
class Change:
    """A drawn scene, what it is to become, and which of its two things changes."""

    before: Scene
    prompt: Prompt
    at: int


def changes(count: int, *, seed: int, split: str = "test", languages: Sequence[str] = LANGUAGES) -> Iterator[Change]:
    """``count`` scenes of two things in which one takes another kind or colour; what is asked for is in ``split``."""
    found = 0
    index = -1
    while found < count:
        index += 1
        language = languages[found % len(languages)]
        dealt = deal(
            index, seed=seed, split="test", families=("two", "relation"), languages=(language,), wording="seen"
        )
        for name, after in near_misses(dealt.scene, dealt.draw_seed):
            at = [i for i, (a, b) in enumerate(zip(dealt.scene.things, after.things)) if a != b]
            if name in CHANGES and len(at) == 1 and held_out(after) == (split == "heldout"):
                caption = SAID[language](after, dealt.draw_seed, "seen")
                prompt = Prompt(TASK, after, caption, language, split, dealt.draw_seed)
                yield Change(dealt.scene, prompt, at[0])
                found += 1
                break


def evaluate_editing(
    painter: Edits,
    judge: Judge,
    count: int,
    *,
    candidates: int = 4,
    seed: int = 0,
    sampling: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], list[Outcome]]:
    """Accuracy of the best edit, how many left all pixels outside the region untouched, and the outcomes."""
    outcomes: list[Outcome] = []
    kept: list[float] = []
    side = painter.resolution
    with progress(TASK, count, quiet=quiet) as bar:
        for number, change in enumerate(changes(count, seed=seed)):
            prompt = change.prompt
            before = Image.fromarray(draw(change.before, size=side, seed=prompt.seed))
            region = _region(change, side)
            options = {"count": 1, "candidates": candidates, "seed": seed + number, **(sampling or {})}
            best = painter.edit(before, prompt.caption, region=region, **options)[0]
            pixels = to_pixels([best.image])
            verdict = judge.verdicts(pixels, [prompt.scene])[0]
            outcomes.append(
                Outcome(prompt, (verdict.right,), (best.score or 0.0,), (0,), (pixels[0],), (verdict.reasons,))
            )
            outside = np.ones((side, side), bool)
            outside[region[1] : region[3], region[0] : region[2]] = False
            kept.append(float((pixels[0][outside] == np.asarray(before)[outside]).all()))
            bar.advance(right=mean([o.row for o in outcomes]))
    rows = [outcome.row for outcome in outcomes]
    table = {"accuracy": mean(rows), "interval": list(interval(rows, seed)), "prompts": len(rows)}
    return table | {"untouched_outside": float(np.mean(kept)) if kept else 0.0}, outcomes


def _region(change: Change, side: int) -> tuple[int, int, int, int]:
    """The changed thing's box in pixels, a little wider, on the picture."""
    box = layout(change.before, change.prompt.seed).figures[change.at].box
    reach = box.side * 0.54
    low_x, low_y = max(0, int((box.x - reach) * side)), max(0, int((box.y - reach) * side))
    return low_x, low_y, min(side, int((box.x + reach) * side) + 1), min(side, int((box.y + reach) * side) + 1)
