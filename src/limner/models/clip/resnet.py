"""CLIP's modified ResNet (paper §2.4; the released ``clip/model.py``): pools for strides, attention at the end.

Differences from He et al.'s: a stem of three 3 × 3 convolutions and an average pool; an average pool before the last
convolution of a block wherever the block shrinks the picture, in the shortcut too; and a last pool by one attention
layer whose query is the mean of the picture. Parameters have OpenAI's names.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.clip.config import ResNetConfig

EXPANSION = 4


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolutions around a shortcut; (B, inputs, H, W) → (B, 4 · planes, H / s, W / s)."""

    def __init__(self, inputs: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        outputs = planes * EXPANSION
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.downsample: nn.ModuleDict | None = None
        if stride > 1 or inputs != outputs:
            # OpenAI's names: the pool is "-1" and has no weights.
            self.downsample = nn.ModuleDict(
                {"0": nn.Conv2d(inputs, outputs, 1, bias=False), "1": nn.BatchNorm2d(outputs)}
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, 4 · planes, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        if self.stride > 1:
            y = F.avg_pool2d(y, self.stride)
            x = F.avg_pool2d(x, self.stride)
        y = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample["1"](self.downsample["0"](x))
        return F.relu(x + y)


class AttentionPool(nn.Module):
    """(B, C, R, Q) → (B, outputs): one attention layer whose only query is the mean of all R · Q places."""

    def __init__(self, grid: tuple[int, int], width: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(grid[0] * grid[1] + 1, width))
        nn.init.normal_(self.positional_embedding, std=width**-0.5)
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, outputs)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, R, Q) → (B, outputs)."""
        x = x.flatten(2).transpose(1, 2)  # B, R·Q, C
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding.to(x.dtype)
        q, k, v = (self._split(y) for y in (self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x)))
        pooled = F.scaled_dot_product_attention(q, k, v)  # B, heads, 1, K
        return self.c_proj(pooled.flatten(1))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B, heads, T, K


class ModifiedResNet(nn.Module):
    """Pixels (B, 3, H, W), normalised → features (B, ``outputs``); ``grid`` is (H / 32, W / 32)."""

    def __init__(self, config: ResNetConfig, grid: tuple[int, int], outputs: int) -> None:
        super().__init__()
        width = config.width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, config.layers[0], stride=1)
        self.layer2 = _stage(width * 4, width * 2, config.layers[1], stride=2)
        self.layer3 = _stage(width * 8, width * 4, config.layers[2], stride=2)
        self.layer4 = _stage(width * 16, width * 8, config.layers[3], stride=2)
        self.attnpool = AttentionPool(grid, config.pooled_width, config.head_count, outputs)
        self._initialise()

    def _initialise(self) -> None:
        pool = self.attnpool
        for projection in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj):
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                # Every block starts as its shortcut.
                nn.init.zeros_(module.bn3.weight)

    def grid_features(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) → the last stage's map (B, 32 · width, H / 32, W / 32), before the attention pool."""
        x = F.relu(self.bn1(self.conv1(pixels)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        x = F.avg_pool2d(x, 2)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) → features (B, outputs)."""
        return self.attnpool(self.grid_features(pixels))


def _stage(inputs: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, planes, stride)
    return nn.Sequential(first, *(Bottleneck(planes * EXPANSION, planes) for _ in range(blocks - 1)))
