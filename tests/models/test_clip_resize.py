"""Positions for other sizes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from limner.errors import RecipeError
from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.clip.model import CLIP
from limner.models.clip.resize import at_resolution, resized_positions
from limner.pictures.preprocess import Preprocessing

TEXT = TextConfig(vocabulary=40, context=12, width=16, layers=1, heads=2)
VIT = CLIPConfig(embedding=8, resolution=32, vision=ViTConfig(1, 16, 8, heads=2), text=TEXT)
RESNET = CLIPConfig(embedding=8, resolution=64, vision=ResNetConfig((1, 1, 1, 1), 4), text=TEXT)


@pytest.mark.parametrize(("config", "resolution"), [(VIT, 48), (VIT, 16), (RESNET, 96)])
def test_another_size_answers_and_keeps_everything_else(config: CLIPConfig, resolution: int) -> None:
    model = CLIP(config).eval()
    other = at_resolution(model, resolution)
    assert other.config.size == (resolution, resolution)
    assert other.encode_image(torch.randn(2, 3, resolution, resolution)).shape == (2, 8)
    changed = [k for k, v in other.state_dict().items() if v.shape != model.state_dict()[k].shape]
    assert len(changed) == 1
    assert changed[0].endswith("positional_embedding")
    ids = torch.tensor([[1, 5, 39]])
    assert torch.equal(model.encode_text(ids), other.encode_text(ids))


def test_the_same_size_is_the_same_model() -> None:
    model = CLIP(VIT)
    assert at_resolution(model, 32) is model


def test_a_ramp_stays_a_ramp() -> None:
    ramp = torch.arange(4.0)[:, None].expand(4, 6)
    positions = torch.cat([torch.full((1, 1), 9.0), ramp.reshape(24, 1)])
    larger = resized_positions(positions, (4, 6), (8, 12), "bilinear")
    assert float(larger[0]) == 9.0
    image = larger[1:].reshape(8, 12)
    assert torch.allclose(image, image[:, :1].expand(8, 12), atol=1e-6)
    assert torch.allclose(image[2:6, 0].diff(), torch.full((3,), 0.5), atol=1e-6)


def test_preprocessing_follows() -> None:
    steps = Preprocessing(size=(32, 32), resize_to=36, mean=(0.5, 0.5, 0.5))
    other = at_resolution(CLIP(dataclasses.replace(VIT, preprocessing=steps)), 64)
    assert (other.config.pixels.size, other.config.pixels.resize_to) == ((64, 64), 72)
    assert other.config.pixels.mean == (0.5, 0.5, 0.5)
    with pytest.raises(RecipeError, match="resolution"):
        at_resolution(CLIP(VIT), 4)
