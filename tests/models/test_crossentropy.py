"""Chunked cross-entropy is cross-entropy, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from limner.models.crossentropy import CHUNK, linear_cross_entropy


@pytest.mark.parametrize("rows", [1, CHUNK, CHUNK + 7])
def test_equals_torchs_cross_entropy(rows: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(rows, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(31, 12, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 31, (rows,))
    mine = linear_cross_entropy(hidden, weight, targets)
    plain = F.cross_entropy(F.linear(hidden, weight), targets, reduction="none")
    torch.testing.assert_close(mine, plain, rtol=1e-12, atol=1e-12)
    # Rows may count for more, less, or against.
    shares = torch.randn(rows, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((nats * shares).sum(), (hidden, weight)) for nats in (mine, plain))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_under_autocast_it_stays_near_float32() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(300, 32, requires_grad=True), torch.randn(77, 32, requires_grad=True)
    targets = torch.randint(0, 77, (300,))
    exact = linear_cross_entropy(hidden, weight, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = linear_cross_entropy(hidden, weight, targets)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=2e-2, atol=2e-2)
    for gradient in torch.autograd.grad(rough.mean(), (hidden, weight)):
        assert gradient.dtype == torch.float32


def test_without_gradients_nothing_is_kept() -> None:
    with torch.no_grad():
        value = linear_cross_entropy(torch.zeros(5, 4), torch.zeros(8, 4), torch.arange(5))
    assert value.tolist() == pytest.approx([2.0794415] * 5, rel=1e-6)
