"""Tiny CLIPs of many kinds with random weights, and people's files made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.clip.model import CLIP
from limner.models.modelfolder import write_folder
from limner.pictures.preprocess import Preprocessing
from limner.text.bytepairs import BytePairs
from limner.text.clip_bytepairs import ClipBytePairs, byte_alphabet

CAPTIONS = ["a cat", "It's 2 DOGS", "", "the dog at a cat"]

VIT = ViTConfig(layers=2, width=64, patch=8, heads=1)
TEXT = TextConfig(vocabulary=518, context=12, width=64, layers=2, heads=1)

CONFIGS = {
    "openai": CLIPConfig(24, 32, VIT, TEXT),
    "resnet": CLIPConfig(20, 64, ResNetConfig((1, 2, 1, 1), 8, heads=4), TEXT),
    "gelu": CLIPConfig(
        24,
        36,
        ViTConfig(1, 48, 8, heads=3, mlp_width=100, activation="gelu_tanh", norm_eps=1e-3),
        TextConfig(518, 12, 24, 1, heads=2, mlp_width=50, activation="gelu", norm_eps=1e-3, pool="eos", eos_id=517),
        preprocessing=Preprocessing((36, 36), resize="squash", interpolation="bilinear"),
    ),
    "siglip": CLIPConfig(
        24,
        32,
        ViTConfig(1, 32, 8, heads=4, activation="gelu", pre_norm=False, pool="average", layer_scale=0.1),
        TextConfig(518, 12, 24, 1, heads=2, activation="gelu", causal=False, pool="last", projection_bias=True),
        resolution_width=40,
        logit_bias=-10.0,
        preprocessing=Preprocessing((32, 40), resize="longest", fill=90),
    ),
    "averaged": CLIPConfig(
        24,
        32,
        ViTConfig(1, 48, 8, heads=2, mlp_width=139, activation="gelu", pool="average", norm_before_pool=True),
        TextConfig(518, 12, 24, 1, heads=2, mlp_width=79, activation="gelu", pool="first", layer_scale=0.01),
    ),
}


def small_tokenizer(clean: str = "openai") -> ClipBytePairs:
    """Byte pairs of CLIP's kind with 518 ids."""
    alphabet = list(byte_alphabet().values())
    merges = [("a", "t</w>"), ("c", "at</w>"), ("d", "o"), ("do", "g</w>")]
    tokens = [*alphabet, *(c + "</w>" for c in alphabet), *(a + b for a, b in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return ClipBytePairs.from_parts({token: i for i, token in enumerate(tokens)}, merges, clean=clean)


def random_clip(config: CLIPConfig, seed: int = 0) -> CLIP:
    """A CLIP with weights large enough that every part of it shows in the features."""
    model = CLIP(config)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point() or name in ("logit_scale", "logit_bias"):
                continue
            noise = torch.randn(tensor.shape, generator=random)
            if "running_var" in name:
                tensor.copy_(noise.abs() + 0.5)
            elif tensor.ndim == 1:
                tensor.add_(0.2 * noise)
            else:
                tensor.copy_(noise * max(tensor[0].numel(), 1) ** -0.5 * 1.5)
    return model.eval().requires_grad_(False)


def inputs(config: CLIPConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (3, 3, H, W) and ids (4, context)."""
    random = torch.Generator().manual_seed(1)
    pixels = torch.randn((3, 3, *config.size), generator=random)
    return pixels, torch.from_numpy(small_tokenizer().clip_row(CAPTIONS, config.text.context, cut=True))


def features(model: Any, config: CLIPConfig) -> torch.Tensor:
    """All features of a model on the inputs, one below the other."""
    pixels, ids = inputs(config)
    with torch.inference_mode():
        return torch.cat([model.encode_image(pixels), model.encode_text(ids)])


def written(path: Path, name: str, tokenizer: ClipBytePairs | BytePairs | None = None) -> CLIP:
    """A model folder of limner's with the sample ``name``; returns the model."""
    model = random_clip(CONFIGS[name])
    words = small_tokenizer() if tokenizer is None else tokenizer
    write_folder(path, kind="clip", config=CONFIGS[name], state=model.state_dict(), tokenizer=words, facts={"x": 1})
    return model
