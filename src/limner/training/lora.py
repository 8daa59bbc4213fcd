"""Low-rank adaptation (LoRA, arXiv 2106.09685): a model's matrices stay, and each learns a narrow product beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from limner.errors import RecipeError
from limner.training.optimizer import hidden_matrices

_PARTS = ".parametrizations."


class LowRank(nn.Module):
    """W → W + up · down · scale, with ``down`` (rank, in), ``up`` (out, rank), which begins at 0."""

    scale: Tensor

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        out, into = weight.shape
        self.down = nn.Parameter(torch.empty(rank, into, device=weight.device))
        self.up = nn.Parameter(torch.zeros(out, rank, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        # After rsLoRA (arXiv 2312.03732): a larger rank neither learns more slowly nor explodes.
        self.register_buffer("scale", torch.tensor(2.0 / math.sqrt(rank), device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down) * self.scale.to(self.up.dtype)


def add_low_rank(model: nn.Module, rank: int) -> None:
    """Freeze ``model`` and give each of its hidden matrices a product of ``rank``, by the current random state.

    Raises RecipeError where the model has no hidden matrix.
    """
    names = sorted(name for name in hidden_matrices(model) if model.get_parameter(name).ndim == 2)
    if not names:
        raise RecipeError("training.lora: expected a model with hidden matrices, got one without; leave it out")
    model.requires_grad_(False)
    for name in names:
        place, _, last = name.rpartition(".")
        module = model.get_submodule(place)
        parametrize.register_parametrization(module, last, LowRank(getattr(module, last), rank), unsafe=True)


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the products added into their matrices, under the names of the model without them."""
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if _PARTS not in name:
            plain[name] = tensor
        elif name.endswith(".original"):
            place, last = name.removesuffix(".original").split(_PARTS)
            up, down, scale = (state[name.removesuffix("original") + f"0.{part}"] for part in ("up", "down", "scale"))
            plain[f"{place}.{last}"] = tensor + (up @ down) * scale
    return plain
