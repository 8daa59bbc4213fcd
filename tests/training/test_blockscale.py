"""Gradients below float16's range reach the weights; above it they are left out, and the scale is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limner.errors import RecipeError
from limner.files import sha256
from limner.models.block import Block, init_blocks
from limner.training.blockscale import CUT, GROWTH, PAUSE, START, BlockScales
from limner.training.journal import read_journal
from limner.training.recipe import load_recipe
from limner.training.run import train


def a_stack() -> nn.ModuleList:
    torch.manual_seed(0)
    blocks = nn.ModuleList(Block(32, 2) for _ in range(3))
    init_blocks(blocks, std=0.2)
    return blocks


def gradients(scaled: bool, half: bool, size: float) -> tuple[dict[str, Tensor], BlockScales | None, bool]:
    """Of the weights, for a gradient of about ``size`` at the top."""
    blocks = a_stack()
    scales = BlockScales(blocks) if scaled else None
    x = torch.randn(2, 8, 32)
    top = torch.randn(2, 8, 32) * size
    with torch.autocast("cpu", dtype=torch.float16, enabled=half):
        for block in blocks:
            x = block(x)
    x.backward(top)
    clean = scales.unscale() if scales else True
    return {name: p.grad for name, p in blocks.named_parameters() if p.grad is not None}, scales, clean


def test_gradients_too_small_for_float16_come_through() -> None:
    size = 1e-9  # below the least number of float16, 6e-8
    exact, _, _ = gradients(False, False, size)
    lost, _, _ = gradients(False, True, size)
    found, _, clean = gradients(True, True, size)
    assert clean
    matrices = [name for name in exact if exact[name].ndim == 2]
    assert all(not lost[name].any() for name in matrices)
    for name in matrices:
        assert (found[name] - exact[name]).norm() < 0.03 * exact[name].norm(), name


def test_gradients_too_large_are_left_out_and_noted() -> None:
    _, scales, clean = gradients(True, True, 100.0)  # times 2**13: beyond 65,504
    assert not clean
    assert scales is not None
    before = [b.scale for b in scales.branches]
    scales.update()
    assert {b.scale / a for a, b in zip(before, scales.branches)} <= {CUT, GROWTH}
    assert any(b.scale < a for a, b in zip(before, scales.branches))
    for _ in range(3):  # no second cut at once
        for b in scales.branches:
            b.bad = True
        scales.update()
    assert min(b.scale for b in scales.branches) == pytest.approx(START * CUT)
    for b in scales.branches:
        b.bad, b.since = True, PAUSE
    scales.update()
    assert min(b.scale for b in scales.branches) == pytest.approx(START * CUT * CUT)


def test_the_stream_below_a_spoiled_branch_stays_finite() -> None:
    blocks = a_stack()
    BlockScales(blocks)
    x = torch.randn(2, 8, 32, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.float16):
        y = x
        for block in blocks:
            y = block(y)
    y.backward(torch.full_like(y, 100.0))
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_a_run_in_float16_learns_and_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    some = {"steps": "8", "batch": "8", "threads": "1", "workers": "0", "data.tokenizer_captions": "100"}
    some |= {"precision": '"float16"', "checkpoint_every": "4", "journal_every": "2", "schedule": '"constant"'}
    train(load_recipe("clip_debug", some), tmp_path / "whole", device="cpu", quiet=True)
    train(load_recipe("clip_debug", {**some, "steps": "4"}), tmp_path / "parts", device="cpu", quiet=True)
    train(load_recipe("clip_debug", some), tmp_path / "parts", resume=True, device="cpu", quiet=True)
    lines = [r for r in read_journal(tmp_path / "whole/journal.jsonl") if "loss" in r]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["skipped_steps"] == 0
    a, b = (sha256(tmp_path / run / "model/model.safetensors") for run in ("whole", "parts"))
    assert a == b


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(RecipeError, match="transformer blocks"):
        BlockScales(nn.Linear(2, 2))
