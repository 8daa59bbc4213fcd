"""Painters and judges that are made of the storybook itself: they know what they draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.dice import Dice
from limner.storybook.draw import draw
from limner.storybook.judge import Answers, Found
from limner.storybook.judge.verdict import Verdict, decide
from limner.storybook.scene import Scene


@dataclass(frozen=True)
class Picture:
    image: Image.Image
    score: float | None


class DrawingPainter:
    """Draws, with a chance, the scene that a caption is known to say, else another one. Right ones score higher."""

    def __init__(self, skill: float, known: dict[str, Scene], tell: bool = True) -> None:
        self.skill, self.known, self.tell = skill, known, tell
        self.asked: list[tuple[str, int, int]] = []

    def generate(self, caption: str, *, count: int, candidates: int, seed: int, **sampling: float) -> list[Picture]:
        self.asked.append((caption, candidates, seed))
        self.sampling = sampling
        drawn = []
        for i in range(candidates):
            dice = Dice("painter", caption, seed, i)
            skilled = caption in self.known and dice.chance(self.skill)
            scene = self.known[caption] if skilled else deal(dice.below(10_000), seed=99).scene
            score = (2.0 if skilled else 0.0) + dice.unit() if self.tell else None
            drawn.append(Picture(Image.fromarray(draw(scene, seed=dice.below(2**31))), score))
        return sorted(drawn, key=lambda p: -(p.score or 0.0))[:count]


class KnowingJudge:
    """Tells a picture by having seen it drawn."""

    def __init__(self) -> None:
        self.facts = {"judge": "of the tests"}
        self.seen: dict[bytes, Scene] = {}

    def learn(self, scene: Scene, picture: np.ndarray) -> None:
        self.seen[picture.tobytes()] = scene

    def answers(self, pictures: np.ndarray) -> list[Answers]:
        found = []
        for picture in pictures:
            scene = self.seen.get(picture.tobytes())
            things = () if scene is None else scene.things * scene.count
            found.append(Answers(tuple(_found(scene, i) for i in range(len(things))), scene and scene.background))
        return found

    def verdicts(self, pictures: np.ndarray, scenes: list[Scene]) -> list[Verdict]:
        return [decide(scene, one) for scene, one in zip(scenes, self.answers(pictures), strict=True)]


def _found(scene: Scene | None, at: int) -> Found:
    assert scene is not None
    thing = (scene.things * scene.count)[at]
    places = {"left of": (0.25, 0.5), "right of": (0.75, 0.5), "above": (0.5, 0.25), "below": (0.5, 0.75)}
    x, y = places.get(scene.relation or "", (0.5, 0.5)) if at == 0 else (0.5, 0.5)
    worn = dict.fromkeys(("hat", "gloves", "shirt", "trousers"), "absent") | {g.kind: g.colour for g in thing.garments}
    return Found(thing.kind, thing.colour, thing.size, worn, (x, y, 0.3), 1.0)


@pytest.fixture
def knowing_judge(monkeypatch: pytest.MonkeyPatch) -> KnowingJudge:
    """A judge that remembers every picture drawn in the test, and so is never wrong."""
    judge = KnowingJudge()

    really_draw = draw

    def remembered(scene: Scene, *, size: int = 128, seed: int = 0) -> np.ndarray:
        picture = really_draw(scene, size=size, seed=seed)
        judge.learn(scene, picture)
        return picture

    monkeypatch.setattr("limner.evaluate.run.draw", remembered)
    monkeypatch.setitem(globals(), "draw", remembered)
    return judge


@pytest.fixture
def painter_of() -> Callable[..., DrawingPainter]:
    """``painter_of(prompts, skill)``: a painter that knows these prompts' scenes."""

    def make(prompts: list, skill: float, tell: bool = True) -> DrawingPainter:  # type: ignore[type-arg]
        known = {said: p.scene for p in prompts for say in (english, chinese) for said in say.captions(p.scene)}
        return DrawingPainter(skill, known, tell)

    return make
