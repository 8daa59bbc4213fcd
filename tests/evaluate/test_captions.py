"""A looker that knows, one that guesses: the caption figures must tell them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from limner.errors import InputError
from limner.evaluate.captions import evaluate_captions
from limner.storybook import chinese, english
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.storybook.scene import Scene, combination


def _vector(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Guessing:
    """Unit vectors that have nothing to do with what is shown or said."""

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return np.stack([_vector(str(image.tobytes())) for image in images])

    def embed_texts(self, texts: Sequence[str], *, too_long: str) -> np.ndarray:
        return np.stack([_vector(text) for text in texts])


class Knowing:
    """One vector for a scene's picture and each of its captions; what it has never met has a vector of its own."""

    def __init__(self, scenes: int) -> None:
        self.meaning: dict[bytes | str, str] = {}
        for language in ("en", "zh"):
            for i in range(scenes):
                for languages in ((language,), ("en", "zh")):
                    d = deal(i, split="test", languages=languages)
                    self._learn(d.scene, draw(d.scene, seed=d.draw_seed))

    def _learn(self, scene: Scene, picture: np.ndarray) -> None:
        word = f"{combination(scene)} {scene.background}"
        self.meaning[picture.tobytes()] = word
        for said in (*english.captions(scene), *chinese.captions(scene)):
            self.meaning[said] = word

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return np.stack([_vector(self.meaning[np.asarray(image).tobytes()]) for image in images])

    def embed_texts(self, texts: Sequence[str], *, too_long: str) -> np.ndarray:
        return np.stack([_vector(self.meaning.get(text, text)) for text in texts])


def test_knowing_finds_all_and_guessing_one_in_sixteen() -> None:
    kinds = {"pictures": 64, "among": 16, "quiet": True}
    knows = evaluate_captions(Knowing(150), **kinds)  # type: ignore[arg-type]
    guesses = evaluate_captions(Guessing(), **kinds)  # type: ignore[arg-type]
    assert knows["accuracy"] == 1.0 and knows["hard_negatives"]["all_of_a_scene"]["accuracy"] == 1.0
    assert guesses["accuracy"] == pytest.approx(1 / 16, abs=0.08)
    assert guesses["hard_negatives"]["pairs"]["accuracy"] == pytest.approx(0.5, abs=0.12)
    assert set(knows["languages"]) == {"en", "zh"} and knows["languages"]["zh"]["caption"]["count"] == 64
    assert {"kind", "colour", "relation", "count", "garment colours swapped"} <= set(knows["hard_negatives"]["changes"])


def test_sizes_that_make_no_group_are_refused() -> None:
    for pictures, among in ((64, 1), (8, 16)):
        with pytest.raises(InputError, match="among: expected"):
            evaluate_captions(Guessing(), pictures=pictures, among=among, quiet=True)
