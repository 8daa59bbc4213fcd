"""CLIP's vision transformer (paper §2.4; the released ``clip/model.py``): a class token, a norm before the blocks."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from limner.models.clip.config import ViTConfig
from limner.models.clip.transformer import Transformer
from limner.models.patterns import Bidirectional


class VisionTransformer(nn.Module):
    """Pixels (B, 3, H, W), normalised → features (B, ``outputs``); ``grid`` is (H / patch, W / patch), rounded down."""

    def __init__(self, config: ViTConfig, grid: tuple[int, int], outputs: int) -> None:
        super().__init__()
        width, scale = config.width, config.width**-0.5
        norm = partial(nn.LayerNorm, eps=config.norm_eps)
        self.config = config
        self.conv1 = nn.Conv2d(3, width, config.patch, stride=config.patch, bias=False)
        # Filled in place: arithmetic on the meta device, where folders are checked, would load torch's compiler.
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(grid[0] * grid[1] + 1, width))
        self.ln_pre = norm(width) if config.pre_norm else nn.Identity()
        self.transformer = Transformer(config, Bidirectional())
        self.ln_post = norm(width)
        self.proj = nn.Parameter(torch.empty(width, outputs))
        for parameter in (self.class_embedding, self.positional_embedding, self.proj):
            nn.init.normal_(parameter, std=scale)

    def tokens(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) → the last block's tokens (B, 1 + R · Q, D), class token first, before ``ln_post``."""
        x = self.conv1(pixels).flatten(2).transpose(1, 2)  # B, R·Q, D
        first = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([first, x], dim=1) + self.positional_embedding.to(x.dtype)
        return self.transformer(self.ln_pre(x))

    def pooled(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) → (B, D), what the projection sees: the features of the paper's linear probes."""
        x = self.tokens(pixels)
        if self.config.pool == "class":
            return self.ln_post(x[:, 0])
        if self.config.norm_before_pool:
            return self.ln_post(x)[:, 1:].mean(dim=1)
        return self.ln_post(x[:, 1:].mean(dim=1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) → features (B, outputs)."""
        pooled = self.pooled(pixels)
        return pooled @ self.proj.to(pooled.dtype)
