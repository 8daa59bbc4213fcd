"""The block: what is handed in is what runs; OpenAI's names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from limner.models.block import GELU, MLP, QUICK_GELU, RMS_NORM, SWIGLU, Block, init_blocks
from limner.models.patterns import Bidirectional, Row
from limner.shapes import Layout


def test_names_are_openais() -> None:
    names = set(Block(8, 2).state_dict())
    assert names == {
        "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
        "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    }  # fmt: skip


def test_is_torchs_pre_norm_layer() -> None:
    torch.manual_seed(0)
    torchs = nn.TransformerEncoderLayer(16, 2, 64, 0.0, F.gelu, batch_first=True, norm_first=True)
    mine = Block(16, 2, pattern=Bidirectional())
    mine.load_state_dict({
        {"self_attn": "attn", "norm1": "ln_1", "norm2": "ln_2", "linear1": "mlp.c_fc", "linear2": "mlp.c_proj"}[head]
        + "." + rest: value
        for (head, rest), value in ((name.split(".", 1), value) for name, value in torchs.state_dict().items())
    })  # fmt: skip
    x = torch.randn(3, 5, 16)
    torch.testing.assert_close(mine(x), torchs(x), atol=1e-5, rtol=1e-5)


def test_activations() -> None:
    x = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(GELU.function(x), x * (1 + torch.erf(x / 2**0.5)) / 2)
    torch.testing.assert_close(QUICK_GELU.function(x), x / (1 + torch.exp(-1.702 * x)))
    gated = MLP(8, 12, activation=SWIGLU, bias=False)
    assert gated.c_fc.weight.shape == (24, 8)
    y = torch.randn(5, 8)
    gate, value = (y @ gated.c_fc.weight.T).split(12, dim=1)
    torch.testing.assert_close(gated(y), (gate * gate.sigmoid() * value) @ gated.c_proj.weight.T)


def test_parts_without_biases() -> None:
    block = Block(8, 2, norm=RMS_NORM, bias=False, hidden=20)
    assert not [name for name in block.state_dict() if name.endswith("bias")]
    assert block.mlp.c_fc.weight.shape == (20, 8)
    assert block(torch.randn(2, 6, 8)).shape == (2, 6, 8)


def test_initial_blocks_add_little() -> None:
    torch.manual_seed(0)
    blocks = nn.ModuleList(Block(64, 4, pattern=Row()) for _ in range(8))
    init_blocks(blocks)
    assert blocks[0].mlp.c_proj.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)  # type: ignore[union-attr]
    assert not blocks[0].attn.in_proj_bias.any()  # type: ignore[union-attr]
    x = torch.randn(1, 20, 64)
    y = x
    for block in blocks:
        y = block(y, Layout(4, 4, 4))
    assert (y - x).norm() < 0.3 * x.norm()
