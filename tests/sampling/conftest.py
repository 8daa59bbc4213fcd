"""Small transformers whose logits are far from flat, so that a wrong key or position shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limner.models.dalle import DALLE, DALLEConfig
from limner.sampling.edit import redraw


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


def redrawn(*arguments: Any, **options: Any) -> torch.Tensor:
    """All that ``redraw`` draws: codes (pictures, N)."""
    return torch.cat([codes for _, codes in redraw(*arguments, **options)])


@pytest.fixture(scope="session")
def dalle() -> DALLE:
    return small_dalle()


@pytest.fixture(scope="session")
def caption() -> torch.Tensor:
    return torch.tensor([3, 9, 1, 43, 44, 45, 46])


@pytest.fixture(scope="session")
def empty() -> torch.Tensor:
    return torch.arange(40, 47)


def delayed(step: Any, spans: list[tuple[Any, int]], codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (5, N - 1, Vi) of five rows that go together, and of the same rows each some tokens behind the others."""
    N = codes.shape[1]
    together = step.begin(spans)
    same = torch.stack([step.advance(together, codes[:, i], i) for i in range(N - 1)], dim=1)
    delays = torch.tensor([0, 3, 11, 1, 20])
    state, apart = step.begin(spans), torch.full_like(same, float("nan"))
    for clock in range(N - 1 + int(delays.max())):
        position = (clock - delays).clamp(0, N - 2)
        logits = step.advance(state, codes[torch.arange(5), position], position)
        for row in range(5):
            if 0 <= clock - delays[row] < N - 1:
                apart[row, position[row]] = logits[row]
    return same, apart


def check_same_bits(step: Any, caption: torch.Tensor, empty: torch.Tensor, codes: torch.Tensor) -> None:
    """Rows of 64 pictures' ``codes`` have the same bits in batches of other sizes, and beside another caption."""
    context, other = step.read(caption), step.read(empty)

    def run(rows: slice, spans: list[tuple[Any, int]]) -> torch.Tensor:
        state = step.begin(spans)
        return torch.stack([step.advance(state, codes[rows, i], i) for i in range(codes.shape[1] - 1)], dim=1)

    whole = run(slice(0, 64), [(context, 64)])
    for first, last in ((0, 1), (5, 12), (63, 64), (10, 43)):
        assert torch.equal(run(slice(first, last), [(context, last - first)]), whole[first:last])
    assert torch.equal(run(slice(0, 9), [(context, 3), (other, 6)])[:3], whole[:3])
