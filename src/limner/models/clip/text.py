"""Which position of a caption's row is the caption's, and how far a batch of rows has to be read."""

from __future__ import annotations

import torch
from torch import Tensor

from limner.models.clip.config import TextConfig


def pooled_position(config: TextConfig, ids: Tensor) -> Tensor:
    """(B, L) ids → (B,) positions whose row of the transformer's output is the caption's."""
    if config.pool == "argmax":
        return ids.argmax(dim=-1)  # the first of several
    if config.pool == "eos":
        assert config.eos_id is not None
        return ids.eq(config.eos_id).int().argmax(dim=-1)  # position 0 where there is none, as transformers has it
    if config.pool == "last":
        return torch.full((ids.shape[0],), ids.shape[1] - 1, device=ids.device)
    return torch.zeros(ids.shape[0], dtype=torch.long, device=ids.device)


def cut_to_longest(config: TextConfig, ids: Tensor) -> Tensor:
    """``ids`` (B, L) without the columns that come after every caption's pooled position.

    Exact where the mask is causal, since nothing behind the pooled token reaches it; else ``ids`` as they are.
    """
    if not config.cuttable or not len(ids):
        return ids
    return ids[:, : int(pooled_position(config, ids).max()) + 1]
