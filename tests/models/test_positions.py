"""Rotary positions in two dimensions."""

from __future__ import annotations

import pytest
import torch

from limner.errors import InputError
from limner.models.positions import coordinates, rotate, rotation
from limner.shapes import Layout


def test_coordinates() -> None:
    where = coordinates(Layout(2, 2, 3)).tolist()
    assert where == [[0, 0], [1, 1], [2, 2], [2, 3], [2, 4], [3, 2], [3, 3], [3, 4]]


def test_scores_depend_on_offsets_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 16).double().unbind()

    def score(query: tuple[int, int], key: tuple[int, int]) -> float:
        turned = rotate(q, rotation(torch.tensor([query]), 16)), rotate(k, rotation(torch.tensor([key]), 16))
        return float((turned[0] * turned[1]).sum())

    assert score((3, 5), (1, 4)) == pytest.approx(score((13, 25), (11, 24)), abs=1e-4)
    assert score((3, 5), (1, 4)) != pytest.approx(score((3, 5), (2, 3)), abs=1e-3), "rows and columns differ"


def test_type_is_kept() -> None:
    x = torch.randn(1, 1, 4, 8, dtype=torch.bfloat16)
    assert rotate(x, rotation(coordinates(Layout(4, 1, 1))[:4], 8)).dtype == torch.bfloat16


def test_bad_head_width() -> None:
    with pytest.raises(InputError, match="4 divides"):
        rotation(torch.zeros(1, 2), 6)
