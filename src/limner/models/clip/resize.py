"""A CLIP for pictures of another size: its learned positions are read as an image and interpolated.

So OpenAI made ViT-L/14@336px out of ViT-L/14 before its last epoch (bilinear there; bicubic and antialiased is what
open_clip does, and the default here). Nothing else of the towers depends on the size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from limner.models.clip.config import CLIPConfig, ViTConfig
from limner.models.clip.model import CLIP


def at_resolution(model: CLIP, resolution: int, mode: Literal["bicubic", "bilinear"] = "bicubic") -> CLIP:
    """A copy of ``model`` for square pictures of ``resolution`` pixels. Raises RecipeError for fewer than a cell."""
    old = model.config
    steps = old.preprocessing
    if steps is not None:
        # What was resized to another size before the crop keeps its proportion to it.
        to = steps.resize_to
        scaled = round(to * resolution / old.resolution) if isinstance(to, int) else None if to is None else steps.size
        steps = dataclasses.replace(steps, size=(resolution, resolution), resize_to=scaled)
    config = dataclasses.replace(old, resolution=resolution, resolution_width=None, preprocessing=steps)
    if config == old:
        return model
    with torch.device("meta"):
        resized = CLIP(config)
    resized.load_state_dict(resized_state(model.state_dict(), old, config, mode), assign=True)
    return resized.train(model.training)


def resized_state(
    state: Mapping[str, Tensor], old: CLIPConfig, new: CLIPConfig, mode: Literal["bicubic", "bilinear"] = "bicubic"
) -> dict[str, Tensor]:
    """``state`` of a model of ``old`` sizes with the vision tower's positions for ``new``'s grid."""
    vit = isinstance(old.vision, ViTConfig)
    key = "visual.positional_embedding" if vit else "visual.attnpool.positional_embedding"
    return {**state, key: resized_positions(state[key], old.grid, new.grid, mode)}


def resized_positions(
    positions: Tensor, old: tuple[int, int], new: tuple[int, int], mode: Literal["bicubic", "bilinear"] = "bicubic"
) -> Tensor:
    """Positions (1 + R · Q, D) of an ``old`` grid → (1 + R' · Q', D); the first row, of no place, is kept."""
    if old == new:
        return positions
    first, places = positions[:1], positions[1:]
    image = places.float().unflatten(0, old).permute(2, 0, 1)[None]  # 1, D, R, Q
    image = F.interpolate(image, size=new, mode=mode, align_corners=False, antialias=True)
    return torch.cat([first, image[0].permute(1, 2, 0).flatten(0, 1).to(positions.dtype)])
