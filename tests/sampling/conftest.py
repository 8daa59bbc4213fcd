"""Small transformers whose logits are far from flat, so that a wrong key or position shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limner.models.dalle import DALLE, DALLEConfig


def small_dalle(seed: int = 0, **changes: Any) -> DALLE:
    sizes: dict[str, Any] = {
        "text_vocabulary": 40, "text_length": 7, "image_vocabulary": 24, "rows": 6, "columns": 5, "width": 32,
        "layers": 4, "heads": 2, "attention": ("row", "column", "row"), "last": "conv", "conv_kernel": 3,
    }  # fmt: skip
    torch.manual_seed(seed)
    model = DALLE(DALLEConfig(**(sizes | changes))).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.mul_(8)
        elif parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(scope="session")
def dalle() -> DALLE:
    return small_dalle()


@pytest.fixture(scope="session")
def caption() -> torch.Tensor:
    return torch.tensor([3, 9, 1, 43, 44, 45, 46])


@pytest.fixture(scope="session")
def empty() -> torch.Tensor:
    return torch.arange(40, 47)
