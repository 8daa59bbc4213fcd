"""The stack of blocks of both towers, with OpenAI's names (``resblocks``) and OpenAI's or open_clip's variants."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from limner.models.block import GELU, QUICK_GELU, Activation, Block
from limner.models.clip.config import TextConfig, ViTConfig
from limner.models.patterns import Pattern

ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": QUICK_GELU,
    "gelu": GELU,
    "gelu_tanh": Activation(partial(F.gelu, approximate="tanh")),
    "relu": Activation(F.relu),
    "silu": Activation(F.silu),
}


class Transformer(nn.Module):
    """(B, T, D) → (B, T, D) through the tower's blocks."""

    def __init__(self, config: ViTConfig | TextConfig, pattern: Pattern) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(
            Block(
                config.width,
                config.head_count,
                pattern=pattern,
                hidden=config.mlp,
                activation=ACTIVATIONS[config.activation],
                norm=partial(nn.LayerNorm, eps=config.norm_eps),
                layer_scale=config.layer_scale,
            )
            for _ in range(config.layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        for block in self.resblocks:
            x = block(x)
        return x


def initialise_text(transformer: Transformer, width: int) -> None:
    """OpenAI's start of the text blocks: narrower the deeper the stack for what writes to the residual."""
    residual = width**-0.5 * (2 * len(transformer.resblocks)) ** -0.5
    for block in transformer.resblocks:
        assert isinstance(block, Block)
        nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(block.attn.out_proj.weight, std=residual)
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=residual)
