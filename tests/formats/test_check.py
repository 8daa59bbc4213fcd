"""Weights that do not fit are refused by their name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from clip_samples import CONFIGS, random_clip

from limner.errors import ModelError
from limner.formats.check import expected_tensors, fit, is_finite

State = dict[str, torch.Tensor]
KEY = "visual.transformer.resblocks.0.mlp.c_fc.weight"


def change(key: str, to: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[State], None]:
    def apply(state: State) -> None:
        state[key] = to(state[key])

    return apply


def poke(value: float) -> Callable[[State], None]:
    def apply(state: State) -> None:
        state[KEY] = state[KEY].clone()
        state[KEY].view(-1)[7] = value

    return apply


DAMAGE: dict[str, tuple[Callable[[State], object], str]] = {
    "missing": (lambda s: s.pop(KEY), f"weight {KEY}, got none"),
    "extra": (lambda s: s.update(extra=torch.ones(1)), "got extra"),
    "renamed": (lambda s: s.update(wrong=s.pop(KEY)), f"weight {KEY}, got none; it has wrong"),
    "transposed": (change(KEY, lambda t: t.T), "shape"),
    "flattened": (change(KEY, lambda t: t.reshape(-1)), "shape"),
    "whole numbers": (change(KEY, lambda t: t.long()), "floating-point numbers, got int64"),
    "true and false": (change(KEY, lambda t: t > 0), "got bool"),
    "eight bits": (change(KEY, lambda t: t.to(torch.float8_e4m3fn)), "got float8"),
    "complex": (change(KEY, lambda t: t.to(torch.complex64)), "got complex64"),
    "NaN": (poke(float("nan")), "finite"),
    "infinity": (poke(float("-inf")), "finite"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name: str) -> None:
    state = dict(random_clip(CONFIGS["openai"]).state_dict())
    expected = expected_tensors("clip", CONFIGS["openai"])
    assert list(fit(state, expected, "x.pt")) == list(expected)
    damage, what = DAMAGE[name]
    damage(state)
    with pytest.raises(ModelError, match=rf"x\.pt.*{what}"):
        fit(state, expected, "x.pt")


def test_counts_of_a_batch_norm_may_be_absent() -> None:
    state = dict(random_clip(CONFIGS["resnet"]).state_dict())
    counts = [key for key in state if key.endswith("num_batches_tracked")]
    assert counts
    for key in counts:
        del state[key]
    fitted = fit(state, expected_tensors("clip", CONFIGS["resnet"]), "x")
    assert all(fitted[key].item() == 0 and not fitted[key].is_meta for key in counts)


def test_the_last_number_of_a_large_tensor_is_looked_at() -> None:
    large = torch.zeros(5_000_001)
    assert is_finite(large)
    large[-1] = float("inf")
    assert not is_finite(large)
    assert is_finite(torch.arange(3))
