"""Multi-head attention: torch's own module is the reference."""

from __future__ import annotations

import pytest
import torch

from limner.errors import InputError
from limner.models.attention import Attention
from limner.models.patterns import Bidirectional, Causal, Row
from limner.models.positions import coordinates, rotation
from limner.shapes import Layout


def _randomised(attention: Attention) -> Attention:
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return attention


@pytest.mark.parametrize("bias", [True, False])
def test_is_torchs_multihead_attention(bias: bool) -> None:
    torch.manual_seed(0)
    torchs = torch.nn.MultiheadAttention(24, 3, bias=bias, batch_first=True)
    torch.nn.init.normal_(torchs.in_proj_weight)
    mine = Attention(24, 3, pattern=Bidirectional(), bias=bias)
    mine.load_state_dict(torchs.state_dict())
    x = torch.randn(2, 5, 24)
    torch.testing.assert_close(mine(x), torchs(x, x, x, need_weights=False)[0], atol=1e-5, rtol=1e-5)


def test_project_and_finish_are_the_two_ends() -> None:
    attention = _randomised(Attention(16, 2, pattern=Row()))
    layout = Layout(3, 3, 3)
    x = torch.randn(2, 11, 16)
    q, k, v = attention.project(x)
    assert q.shape == k.shape == v.shape == (2, 2, 11, 8)
    torch.testing.assert_close(attention.finish(Row().attend(q, k, v, layout)), attention(x, layout))


def test_qk_norm_bounds_scores() -> None:
    attention = _randomised(Attention(16, 2, pattern=Causal(), qk_norm=True))
    torch.nn.init.ones_(attention.q_norm.weight)  # type: ignore[union-attr]
    q, _, _ = attention.project(1000 * torch.randn(1, 4, 16))
    torch.testing.assert_close(q.square().mean(-1), torch.ones(1, 2, 4), atol=1e-3, rtol=0)


def test_rotation_turns_queries_and_keys_alone() -> None:
    attention = _randomised(Attention(16, 2, pattern=Causal()))
    x = torch.randn(1, 7, 16)
    plain, turned = attention.project(x), attention.project(x, rotation(coordinates(Layout(1, 2, 3)), 8))
    torch.testing.assert_close(plain[2], turned[2])
    torch.testing.assert_close(plain[0].norm(dim=-1), turned[0].norm(dim=-1))
    assert not torch.allclose(plain[1], turned[1])


def test_bad_width() -> None:
    with pytest.raises(InputError, match="3 heads"):
        Attention(16, 3, pattern=Causal())
