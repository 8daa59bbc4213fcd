"""CLIP: a picture and a caption become points in one space (Radford et al. 2021, arXiv 2103.00020).

The module's names are those of OpenAI's released weights: the vision tower under ``visual``, the text tower's parts on
the model itself, so that a published state dict loads as it is.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limner.models.clip.config import CLIPConfig, ViTConfig
from limner.models.clip.resnet import ModifiedResNet
from limner.models.clip.text import cut_to_longest, pooled_position
from limner.models.clip.transformer import Transformer, initialise_text
from limner.models.clip.vit import VisionTransformer
from limner.models.patterns import Bidirectional, Causal


class CLIP(nn.Module):
    """Two towers, a learned log temperature ``logit_scale`` and, for SigLIP's loss, ``logit_bias``."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        text, width = config.text, config.text.width
        self.visual: VisionTransformer | ModifiedResNet
        if isinstance(config.vision, ViTConfig):
            self.visual = VisionTransformer(config.vision, config.grid, config.embedding)
        else:
            self.visual = ModifiedResNet(config.vision, config.grid, config.embedding)
        self.token_embedding = nn.Embedding(text.vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(text.context, width))
        self.transformer = Transformer(text, Causal() if text.causal else Bidirectional())
        self.ln_final = partial(nn.LayerNorm, eps=text.norm_eps)(width)
        self.text_projection = nn.Parameter(torch.empty(width, config.embedding))
        self.text_projection_bias = nn.Parameter(torch.zeros(config.embedding)) if text.projection_bias else None
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale)))
        self.logit_bias = (
            nn.Parameter(torch.tensor(float(config.logit_bias))) if config.logit_bias is not None else None
        )
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=width**-0.5)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        initialise_text(self.transformer, width)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W), normalised as ``config.pixels`` says → features (B, E), not normalised."""
        return self.visual(pixels)

    def encode_text(self, ids: Tensor, *, cut: bool = True) -> Tensor:
        """Token ids (B, L ≤ context) → features (B, E), not normalised.

        ``cut``: read the rows only as far as the longest caption goes, which changes nothing but the time.
        """
        if cut and not torch.compiler.is_compiling() and not torch.jit.is_tracing():
            ids = cut_to_longest(self.config.text, ids)
        x = self.token_embedding(ids)
        x = self.transformer(x + self.positional_embedding[: ids.shape[1]].to(x.dtype))
        # The norm works row by row: only the caption's own row needs it.
        return self.project_text(x[torch.arange(x.shape[0], device=x.device), pooled_position(self.config.text, ids)])

    def project_text(self, rows: Tensor) -> Tensor:
        """The captions' rows of the transformer's output (B, D) → features (B, E)."""
        rows = self.ln_final(rows)
        features = rows @ self.text_projection.to(rows.dtype)
        return features if self.text_projection_bias is None else features + self.text_projection_bias

    def forward(self, pixels: Tensor, ids: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) and ids (C, L) → logits (B, C): scaled cosines, plus SigLIP's bias where there is one."""
        images = F.normalize(self.encode_image(pixels), dim=-1)
        texts = F.normalize(self.encode_text(ids), dim=-1)
        logits = self.logit_scale.exp() * images @ texts.T
        return logits if self.logit_bias is None else logits + self.logit_bias


def normalise(pixels: Tensor, config: CLIPConfig) -> Tensor:
    """Pixels (…, 3, H, W) in [0, 1] → the towers' input, by the model's mean and deviation of each colour."""
    mean = pixels.new_tensor(config.pixels.mean)[:, None, None]
    std = pixels.new_tensor(config.pixels.std)[:, None, None]
    return (pixels - mean) / std
