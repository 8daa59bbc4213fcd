"""Dense attention: bfloat16 on a CPU takes another way to the same result and the same gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from limner.models import dense
from limner.models.dense import attend_dense

SHAPES = [(2, 3, 7, 7), (1, 2, 5, 9), (2, 2, 1, 4), (1, 2, 300, 300)]


def _results(attend: object, q: Tensor, k: Tensor, v: Tensor, grad: Tensor) -> list[Tensor]:
    out = attend(q, k, v)  # type: ignore[operator]
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), grad.to(out.dtype))]


def _case(shape: tuple[int, int, int, int], kind: str) -> tuple[list[Tensor], Tensor | None, bool]:
    batch, heads, queries, keys = shape
    causal = kind != "mask"
    if causal and queries != keys:
        pytest.skip("causal attention has as many keys as queries")
    torch.manual_seed(0)
    qkv = [torch.randn(batch, heads, n, 8) for n in (queries, keys, keys)]
    mask = None
    if kind != "causal":
        mask = torch.rand(queries, keys) < 0.6
        mask[:, 0] = True
        mask = mask.tril() if causal else mask
    return qkv, mask, causal


@pytest.mark.parametrize("kind", ["causal", "mask", "causal mask"])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition(shape: tuple[int, int, int, int], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The products are taken in bfloat16 only; here they run in float64, where the comparison is sharp.
    qkv, mask, causal = _case(shape, kind)
    q, k, v = (x.double().requires_grad_() for x in qkv)
    grad = torch.randn(q.shape).double()
    seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
    seen = (seen.tril() if causal else seen) & (seen if mask is None else mask)

    def definition(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return ((q @ k.mT) * 8**-0.5).masked_fill(~seen, float("-inf")).softmax(-1) @ v

    def products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        bias = None if mask is None else torch.zeros(mask.shape).double().masked_fill(~mask, float("-inf"))
        return dense._Products.apply(q, k, v, bias, causal)

    want = _results(definition, q, k, v, grad)
    for attend in (products, lambda q, k, v: attend_dense(q, k, v, mask, causal=causal)):
        for mine, theirs in zip(_results(attend, q, k, v, grad), want, strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("kind", ["causal", "mask", "causal mask"])
@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_is_as_good_as_torchs(shape: tuple[int, int, int, int], kind: str) -> None:
    qkv, mask, causal = _case(shape, kind)
    exact = [x.bfloat16().float().requires_grad_() for x in qkv]
    half = [x.bfloat16().requires_grad_() for x in qkv]
    grad = torch.randn(exact[0].shape).bfloat16()

    def torchs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal and mask is None)

    want = _results(torchs, *exact, grad)  # type: ignore[arg-type]
    fused = _results(torchs, *half, grad)  # type: ignore[arg-type]
    mine = _results(lambda q, k, v: attend_dense(q, k, v, mask, causal=causal), *half, grad)  # type: ignore[arg-type]
    for a, b, c in zip(mine, fused, want, strict=True):
        # Both round their inputs and outputs; the products round the scores too.
        assert (a - c).norm() < 2.5 * (b - c).norm() + 1e-3 * c.norm()


def test_autocast_leaves_the_types_alone() -> None:
    q = torch.randn(1, 2, 5, 8, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = attend_dense(q, q, q, causal=True)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert q.grad is not None and q.grad.dtype == torch.bfloat16
