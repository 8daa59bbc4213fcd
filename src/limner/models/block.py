"""The one transformer block: pre-norm attention and MLP, for DALL·E, CLIP's two towers and Image GPT.

Parameter names are OpenAI's (``ln_1``, ``attn.in_proj_weight``, ``ln_2``, ``mlp.c_fc`` …), so that CLIP's published
state dicts load as they are. What differs between models is handed in: pattern, activation, norm, biases.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.models.attention import Attention
from limner.models.patterns import Causal, Pattern
from limner.models.positions import Rotation
from limner.shapes import Layout

LAYER_NORM: Callable[[int], nn.Module] = partial(nn.LayerNorm, eps=1e-5)
# Image GPT's and most later models': no centring, no bias.
RMS_NORM: Callable[[int], nn.Module] = partial(nn.RMSNorm, eps=1e-5)


class Activation(NamedTuple):
    """The MLP's nonlinearity; ``gates`` 2 takes twice the hidden width and multiplies one half by the other."""

    function: Callable[[Tensor], Tensor]
    gates: int = 1


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def _swiglu(x: Tensor) -> Tensor:
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


GELU = Activation(F.gelu)
QUICK_GELU = Activation(_quick_gelu)
SWIGLU = Activation(_swiglu, gates=2)


class MLP(nn.Module):
    """width → hidden → width."""

    def __init__(self, width: int, hidden: int, *, activation: Activation = GELU, bias: bool = True) -> None:
        super().__init__()
        self.activation = activation.function
        self.c_fc = nn.Linear(width, hidden * activation.gates, bias=bias)
        self.c_proj = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class LayerScale(nn.Module):
    """A learned gain per channel on what a branch adds (arXiv 2103.17239); named as open_clip's files name it."""

    def __init__(self, width: int, gain: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), gain))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """``x + attn(ln_1(x))``, then ``x + mlp(ln_2(x))``; (B, T, D) → (B, T, D).

    ``hidden`` is the MLP's inner width, 4 × ``width`` by default; ``norm`` makes a norm for a width; ``layer_scale`` is
    the initial gain of each branch's LayerScale (None: there is none).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        pattern: Pattern | None = None,
        hidden: int | None = None,
        activation: Activation = GELU,
        norm: Callable[[int], nn.Module] = LAYER_NORM,
        bias: bool = True,
        qk_norm: bool = False,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.ln_1 = norm(width)
        self.attn = Attention(width, heads, pattern=pattern or Causal(), bias=bias, qk_norm=qk_norm)
        self.ln_2 = norm(width)
        self.mlp = MLP(width, hidden or 4 * width, activation=activation, bias=bias)
        self.ls_1 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.ls_2 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)

    def forward(self, x: Tensor, layout: Layout | None = None, rotation: Rotation | None = None) -> Tensor:
        x = x + self.ls_1(self.attn(self.ln_1(x), layout, rotation))
        return x + self.ls_2(self.mlp(self.ln_2(x)))


def init_blocks(blocks: nn.ModuleList, std: float = 0.02) -> None:
    """Weights N(0, ``std``), biases 0, and the two matrices that write to the residual × (2 · layers)^-½.

    The DALL·E paper doesn't state its initialisation; this is GPT-2's, on which it builds.
    """
    residual = std * (2 * len(blocks)) ** -0.5
    for block in blocks:
        assert isinstance(block, Block)
        nn.init.normal_(block.attn.in_proj_weight, std=std)
        nn.init.normal_(block.mlp.c_fc.weight, std=std)
        nn.init.normal_(block.attn.out_proj.weight, std=residual)
        nn.init.normal_(block.mlp.c_proj.weight, std=residual)
        for bias in (block.attn.in_proj_bias, block.attn.out_proj.bias, block.mlp.c_fc.bias, block.mlp.c_proj.bias):
            if bias is not None:
                nn.init.zeros_(bias)
