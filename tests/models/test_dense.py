"""Dense attention: short sequences take another way to the same result and the same gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from limner.models.dense import SHORT, attend_dense


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 7, 7), (1, 2, 5, 9), (2, 2, 1, 4), (1, 1, SHORT + 1, SHORT + 1)])
def test_equals_torchs_kernel(shape: tuple[int, int, int, int], causal: bool) -> None:
    torch.manual_seed(0)
    batch, heads, queries, keys = shape
    if causal and queries != keys:
        pytest.skip("causal attention has as many keys as queries")
    q, k, v = (torch.randn(batch, heads, n, 8, requires_grad=True) for n in (queries, keys, keys))
    mask = None if causal else torch.rand(queries, keys) < 0.6
    if mask is not None:
        mask[:, 0] = True
    mine = attend_dense(q, k, v, mask, causal=causal)
    torchs = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    torch.testing.assert_close(mine, torchs, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(mine)
    for a, b in zip(
        torch.autograd.grad((mine * weights).sum(), (q, k, v)),
        torch.autograd.grad((torchs * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
