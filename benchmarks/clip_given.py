"""What ``clip.py`` gives to both sides: pictures, captions, a head's classes and templates, a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FINGERPRINT = "benchmark-vit-b32-seed-0"
"""The name under which OpenVINO's compiled towers are kept."""

PICTURES, TEXTS, WORDS = 32, 64, 16
NOUNS = "cat dog house tree boat car bear clock teapot lamp chair table book star fish owl pig fox snail cup"
QUALITIES = (
    "red blue old small tall striped wooden happy broken golden wet dusty painted heavy round empty loud sleeping "
    "running flying frozen burning hollow folded twisted shiny rusty furry spiky soft giant tiny ancient modern "
    "plastic paper glass stone iron silver velvet woollen crooked upright floating sunken hidden famous royal common"
)


def pictures() -> np.ndarray:
    """Drawn scenes and noise, uint8 (B, 224, 224, 3)."""
    from limner.engines.calibration import drawn_samples

    config, tokenizer = model_parts()[1:]
    return drawn_samples(config, tokenizer, seed=1).pictures[:PICTURES]


def text_rows() -> np.ndarray:
    """Captions of 16 words, int64 (B, longest)."""
    random = np.random.default_rng(0)
    words = f"{NOUNS} {QUALITIES}".split()
    captions = [" ".join(random.choice(words, WORDS)) for _ in range(TEXTS)]
    return model_parts()[2].clip_row(captions, 77)


class HeadPlan(NamedTuple):
    """A head of ``classes`` × ``templates`` in ``rounds``; a peer does ``share`` classes in each."""

    classes: int
    templates: int
    rounds: int
    share: int

    @classmethod
    def of(cls, small: bool) -> HeadPlan:
        """The table's head, or a smaller one."""
        return cls(250, 8, 2, 10) if small else cls(1000, 80, 5, 3)

    @property
    def scale(self) -> float:
        """What a peer's time is multiplied by."""
        return self.classes / (self.rounds * self.share)

    def names(self) -> list[str]:
        """The classes' names, shuffled."""
        names = [f"{quality} {noun}" for noun in NOUNS.split() for quality in QUALITIES.split()][:1000]
        return [names[i] for i in np.random.default_rng(0).permutation(1000)[: self.classes]]

    def sentences(self) -> list[str]:
        """The templates, shuffled, so that rounds are alike."""
        from limner.looking.templates import IMAGENET

        return [IMAGENET[i] for i in np.random.default_rng(1).permutation(80)[: self.templates]]


def model_parts() -> tuple[Any, Any, Any]:
    """limner's model with random weights, its config, OpenAI's tokenizer."""
    import torch

    from limner.models.clip.model import CLIP
    from limner.text.clip_bytepairs import ClipBytePairs
    from limner.training.recipe import load_recipe

    config = load_recipe("clip_vit_b32").model
    torch.manual_seed(0)
    return CLIP(config).eval().requires_grad_(False), config, ClipBytePairs.published()
