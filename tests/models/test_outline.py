"""A model's outline costs neither memory nor random numbers, nor the second that torch's compiler takes to load."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from limner.models.outline import outline


def test_names_and_shapes_stand_and_no_random_number_is_spent() -> None:
    state = torch.random.get_rng_state()
    with outline():
        made = nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 6), nn.Linear(1 << 20, 1 << 20))
        nn.init.normal_(made[0].weight, std=0.02)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {name: tuple(t.shape) for name, t in made.state_dict().items()} == {
        "0.weight": (4, 3),
        "0.bias": (4,),
        "1.weight": (5, 6),
        "2.weight": (1 << 20, 1 << 20),
        "2.bias": (1 << 20,),
    }
    assert all(t.is_meta for t in made.state_dict().values())


def test_the_compiler_is_not_loaded() -> None:
    program = """
import sys
from limner.models.outline import outline
from limner.models.clip.config import CLIPConfig, TextConfig, ViTConfig
from limner.models.clip.model import CLIP
with outline():
    CLIP(CLIPConfig(8, 8, ViTConfig(1, 8, 4, heads=1), TextConfig(32, 8, 8, 1, heads=1)))
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.split() == ["False", "False"]
