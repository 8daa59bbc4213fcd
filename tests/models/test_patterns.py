"""Attention patterns: the paper's windows, and equal results whichever way they are computed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from limner.errors import InputError
from limner.models import blockwise, patterns
from limner.models.patterns import Bidirectional, Causal, Column, Conv, Full, Pattern, Row
from limner.shapes import Layout

PATTERNS = [Full(), Row(), Column(), Conv(11), Conv(3), Conv(1)]
LAYOUTS = [Layout(6, 4, 4), Layout(0, 3, 6), Layout(1, 6, 3), Layout(7, 13, 12), Layout(3, 1, 5), Layout(2, 5, 1)]


def _brute(pattern: Pattern, layout: Layout) -> Tensor:
    """The visible keys as the paper says them, pair by pair."""
    W, text = layout.columns, layout.text
    mask = torch.zeros(layout.total, layout.total, dtype=torch.bool)
    for i in range(layout.total):
        for j in range(layout.total):
            q, k = i - text, j - text
            if j < text:
                mask[i, j] = i >= text or j <= i
            elif i < text or k > q:
                mask[i, j] = False
            elif isinstance(pattern, Row):
                mask[i, j] = q - k <= W
            elif isinstance(pattern, Column):
                mask[i, j] = q % W == k % W
            elif isinstance(pattern, Conv):
                h = pattern.kernel // 2
                mask[i, j] = any(q - k == W * dr + dc for dr in range(h + 1) for dc in range(-h, h + 1))
            else:
                mask[i, j] = True
    return mask


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_masks_are_the_papers(pattern: Pattern, layout: Layout) -> None:
    mask = pattern.mask(layout)
    assert torch.equal(mask, _brute(pattern, layout))
    for position in range(layout.image):
        row = mask[layout.text + position, layout.text :]
        assert pattern.visible(layout, position) == row.nonzero()[:, 0].tolist()
    assert not mask[: layout.text, layout.text :].any(), "captions never see the image"
    assert mask[layout.text :, : layout.text].all(), "the image sees the whole caption"


def test_the_papers_example_of_four_by_four() -> None:
    layout = Layout(6, 4, 4)
    # "5" in a 4 × 4 grid: itself and the four before it, the last straight above.
    assert Row().visible(layout, 9) == [5, 6, 7, 8, 9]
    assert Column().visible(layout, 9) == [1, 5, 9]
    # A 3 × 3 convolution in raster order: the row above from upper left to upper right, the left neighbour, itself.
    assert Conv(3).visible(layout, 9) == [4, 5, 6, 8, 9]
    assert Conv(3).visible(layout, 8) == [3, 4, 5, 7, 8], "windows wrap at row edges as rows do"
    assert len(Conv(11).visible(Layout(256, 32, 32), 1023 - 6)) == 61


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_window_is_what_later_tokens_still_need(pattern: Pattern, layout: Layout) -> None:
    mask = pattern.mask(layout)[layout.text :, layout.text :]
    needed = 0
    for step in range(layout.image):
        # Before this step's query, its own key is put in; the oldest key that it or a later one sees must be there.
        oldest = min(int(mask[later, : step + 1].nonzero()[0]) for later in range(step, layout.image)
                     if mask[later, : step + 1].any())  # fmt: skip
        needed = max(needed, step + 1 - oldest)
    assert pattern.window(layout) >= needed
    if not isinstance(pattern, Column):
        assert pattern.window(layout) == needed


def _compare(pattern: Pattern, layout: Layout, length: int, tolerance: float, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    q, k, v = (torch.randn(2, 3, length, 8, dtype=dtype, requires_grad=True) for _ in range(3))
    grad = torch.randn(2, 3, length, 8, dtype=dtype)
    mask = pattern.mask(layout)[:length, :length]
    mine = pattern.attend(q, k, v, layout)
    torchs = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(mine, torchs, atol=tolerance, rtol=0)
    for a, b in zip(torch.autograd.grad(mine, (q, k, v), grad), torch.autograd.grad(torchs, (q, k, v), grad)):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=0)


def _lengths(layout: Layout) -> set[int]:
    first_row = min(layout.text + layout.columns + 1, layout.total)
    return {layout.total, layout.total - 1, layout.text + 1, max(1, layout.text), first_row}


@pytest.mark.parametrize("worth", [0.0, 1e9], ids=["blocks", "dense"])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_attend_equals_a_dense_mask(
    pattern: Pattern, layout: Layout, worth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "_WORTH_BLOCKS", worth)
    for length in _lengths(layout):
        _compare(pattern, layout, length, 1e-5, torch.float32)
        _compare(pattern, layout, length, 1e-12, torch.float64)


@pytest.mark.parametrize("pattern", [Row(), Column(), Conv(11)], ids=str)
def test_large_streams_go_in_blocks(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("band", "columns"):
        kept = getattr(blockwise, name)
        monkeypatch.setattr(blockwise, name, lambda *a, kept=kept, **b: calls.append(1) or kept(*a, **b))
    _compare(pattern, Layout(64, 32, 32), 64 + 1023, 1e-5, torch.float32)
    assert calls
    calls.clear()
    _compare(pattern, Layout(32, 8, 8), 32 + 63, 1e-5, torch.float32)
    assert not calls


@pytest.mark.parametrize("pattern", [Row(), Column(), Conv(5)], ids=str)
def test_large_batches_go_in_parts(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_WORTH_BLOCKS", 0.0)
    monkeypatch.setattr(blockwise, "_SCORES_BYTES", 1)
    _compare(pattern, Layout(7, 6, 5), 36, 1e-5, torch.float32)


@pytest.mark.parametrize("pattern", [Row(), Column(), Conv(5)], ids=str)
def test_compilers_take_plain_operations(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_WORTH_BLOCKS", 0.0)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    _compare(pattern, Layout(7, 6, 5), 36, 1e-5, torch.float32)


@pytest.mark.parametrize("pattern", [Row(), Column(), Conv(5), Full()], ids=str)
def test_bfloat16_blocks(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_WORTH_BLOCKS", 0.0)
    layout = Layout(9, 6, 5)
    q, k, v = (torch.randn(2, 2, 38, 16).bfloat16() for _ in range(3))
    mask = pattern.mask(layout)[:38, :38]
    want = scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)
    got = pattern.attend(q, k, v, layout)
    assert got.dtype == torch.bfloat16
    assert (got.float() - want).norm() < 0.02 * want.norm()


@pytest.mark.parametrize("pattern", [Row(), Column(), Conv(5), Full()], ids=str)
def test_a_row_of_a_batch_is_alone(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks read beyond a head's first keys; whatever lies there has no weight.
    monkeypatch.setattr(patterns, "_WORTH_BLOCKS", 0.0)
    q, k, v = (torch.randn(3, 2, 30, 8) for _ in range(3))
    layout = Layout(6, 6, 4)
    together = pattern.attend(q, k, v, layout)
    alone = torch.cat([pattern.attend(q[i : i + 1], k[i : i + 1], v[i : i + 1], layout) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    k[0] *= 1e4
    torch.testing.assert_close(pattern.attend(q, k, v, layout)[1:], together[1:], atol=0, rtol=0)


def test_masks_made_in_inference_serve_training_too() -> None:
    layout = Layout(3, 4, 5)
    q = torch.randn(1, 1, 22, 4)
    with torch.inference_mode():
        Row().attend(q, q, q, layout)
    q.requires_grad_()
    Row().attend(q, q, q, layout).sum().backward()


def test_patterns_without_a_picture() -> None:
    q, k, v = torch.randn(3, 2, 2, 7, 8).unbind()
    torch.testing.assert_close(Bidirectional().attend(q, k, v), scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(Causal().attend(q, k, v), scaled_dot_product_attention(q, k, v, is_causal=True))
    assert Bidirectional().mask(Layout(3, 1, 1)).all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="layout"):
        Row().attend(*torch.randn(3, 1, 1, 4, 4).unbind())
    for kernel in (0, 4, -3):
        with pytest.raises(InputError, match="odd"):
            Conv(kernel)
