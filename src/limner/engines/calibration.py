"""What 8 bits are calibrated on where nobody gives pictures: drawn scenes and noise, sentences about both."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from limner.models.clip.config import CLIPConfig
from limner.storybook.deal import deal
from limner.storybook.draw import draw

SCENES, CLOUDS = 60, 40
_FRAMES = ("{}", "a photo of {}.", "a bad photo of the {}.", "{} in a video game.", "a sketch of {}")


class Samples(NamedTuple):
    """Pictures uint8 (n, H, W, 3) as the model wants them, and rows of token ids int64 (m, L)."""

    pictures: np.ndarray
    ids: np.ndarray


def drawn_samples(config: CLIPConfig, tokenizer: Any, seed: int = 0) -> Samples:
    """The storybook's scenes and their captions, and clouds of noise whose waves fall off as photographs' do."""
    random = np.random.default_rng(seed)
    dealt = [deal(i, seed=seed, split="test", languages=("en",)) for i in range(SCENES)]
    pictures = [draw(scene.scene, size=128, seed=scene.draw_seed) for scene in dealt]
    pictures += [_cloud(random) for _ in range(CLOUDS)]
    pixels = np.stack([config.pixels.uint8(Image.fromarray(picture)) for picture in pictures])
    captions = [frame.replace("{}", scene.caption) for scene in dealt for frame in _FRAMES[:2]]
    captions += [frame.replace("{}", scene.caption) for i, scene in enumerate(dealt) for frame in (_FRAMES[2 + i % 3],)]
    context = config.text.context
    if tokenizer is None:
        ids = random.integers(1, config.text.vocabulary, (len(captions), context))
    else:
        ids = tokenizer.clip_row(captions, context, cut=True)
        if config.text.cuttable:
            # Columns that are padding in every row teach nothing.
            used = np.flatnonzero((ids != ids[:, -1:]).any(axis=0))
            ids = ids[:, : (int(used[-1]) + 1 if len(used) else context)]
    return Samples(pixels[random.permutation(len(pixels))], ids[random.permutation(len(ids))])


def _cloud(random: np.random.Generator, side: int = 64) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) + 1 / side
    waves = np.fft.fft2(random.normal(size=(3, side, side))) / frequency
    cloud = np.real(np.fft.ifft2(waves)).transpose(1, 2, 0)
    return ((cloud - cloud.min()) / (cloud.max() - cloud.min()) * 255).astype(np.uint8)
