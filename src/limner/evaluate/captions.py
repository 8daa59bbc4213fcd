"""``limner evaluate captions``: does a CLIP find a picture's caption among many, and among near misses?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from limner.errors import InputError
from limner.evaluate.statistics import mean, share
from limner.progress import progress
from limner.storybook import chinese, english
from limner.storybook.deal import Dealt, deal
from limner.storybook.draw import draw
from limner.storybook.judge.nearmiss import compatible, near_misses
from limner.storybook.scene import Scene

SAID: dict[str, Callable[[Scene, int], str]] = {"en": english.caption, "zh": chinese.caption}


class Looks(Protocol):
    """What an evaluation needs of a looker: unit vectors (n, dim), float32."""

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...

    def embed_texts(self, texts: Sequence[str], *, too_long: Literal["cut"]) -> np.ndarray: ...


def evaluate_captions(
    looker: Looks,
    *,
    pictures: int = 1024,
    among: int = 64,
    seed: int = 0,
    languages: Sequence[str] = ("en", "zh"),
    split: str = "test",
    quiet: bool = False,
) -> dict[str, Any]:
    """Accuracies with intervals: the right caption among ``among`` different ones, and against near misses.

    Groups of ``among`` drawn scenes, no two of which one picture could show, each said once. ``caption``: the picture's
    own caption scores highest; ``picture``: the caption's own picture does. Captions that are too long for the CLIP are
    cut. Raises InputError for sizes below 2.
    """
    if among < 2 or pictures < among:
        raise InputError(f"among: expected 2 to {pictures} (the pictures), got {among}")
    groups = pictures // among
    tables = {}
    with progress("captions", groups * len(languages), quiet=quiet) as bar:
        for language in languages:
            by_caption: list[list[float]] = []
            by_picture: list[list[float]] = []
            for group in _groups(groups, among, seed, language, split):
                table = look(looker, [_drawn(d) for d in group], [d.caption for d in group])
                own = np.arange(among)
                by_caption += [[float(hit)] for hit in table.argmax(1) == own]
                by_picture += [[float(hit)] for hit in table.argmax(0) == own]
                bar.advance(right=mean(by_caption))
            tables[language] = {"caption": share(by_caption), "picture": share(by_picture)}
    hard = hard_negatives(looker, scenes=pictures, seed=seed, languages=languages, split=split)
    own_captions = [tables[language]["caption"]["accuracy"] for language in languages]
    return {
        "accuracy": float(np.mean(own_captions)),
        "among": among,
        "split": split,
        "languages": tables,
        "hard_negatives": hard,
    }


def hard_negatives(
    looker: Looks, *, scenes: int, seed: int, languages: Sequence[str], split: str = "test", batch: int = 64
) -> dict[str, Any]:
    """How often the right caption beats its near misses: by kind of change, and all of a scene's at once."""
    changes: dict[str, list[list[float]]] = defaultdict(list)
    all_beaten: list[list[float]] = []
    for start in range(0, scenes, batch):
        numbers = range(start, min(start + batch, scenes))
        part = [deal(i, seed=seed, split=split, languages=(languages[i % len(languages)],)) for i in numbers]
        names, texts, owners = [], [], []
        for at, d in enumerate(part):
            say = SAID[d.language]
            # The same wording for all of them, so that only the change tells them apart.
            wrong = [("", d.scene), *near_misses(d.scene, d.draw_seed)]
            names += [name for name, _ in wrong]
            texts += [say(scene, d.draw_seed) for _, scene in wrong]
            owners += [at] * len(wrong)
        images = looker.embed_images([_drawn(d) for d in part])
        scores = (np.asarray(images)[owners] * np.asarray(looker.embed_texts(texts, too_long="cut"))).sum(1)
        for at in range(len(part)):
            mine = [i for i, owner in enumerate(owners) if owner == at]
            right = scores[mine[0]]
            for i in mine[1:]:
                changes[names[i]].append([float(right > scores[i])])
            all_beaten.append([float(all(right > scores[i] for i in mine[1:]))])
    every = [row for rows in changes.values() for row in rows]
    return {
        "pairs": share(every),
        "all_of_a_scene": share(all_beaten),
        "changes": {name: share(rows) for name, rows in sorted(changes.items())},
    }


def look(looker: Looks, images: Sequence[Image.Image], texts: Sequence[str]) -> np.ndarray:
    """Cosines (images, texts)."""
    return np.asarray(looker.embed_images(images)) @ np.asarray(looker.embed_texts(texts, too_long="cut")).T


def _groups(count: int, among: int, seed: int, language: str, split: str) -> list[list[Dealt]]:
    """Groups in which no caption but its own is right for a picture."""
    groups: list[list[Dealt]] = [[]]
    for index in range(200 * count * among):
        dealt = deal(index, seed=seed, split=split, languages=(language,))
        if not any(compatible(dealt.scene, other.scene) for other in groups[-1]):
            groups[-1].append(dealt)
            if len(groups[-1]) == among:
                if len(groups) == count:
                    return groups
                groups.append([])
    raise InputError(f"among: expected at most the storybook's different scenes, got {among}")


def _drawn(dealt: Dealt) -> Image.Image:
    return Image.fromarray(draw(dealt.scene, seed=dealt.draw_seed))
