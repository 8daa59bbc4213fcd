"""Captions that begin alike: the common beginning goes through the text tower once, for all of them.

Exact under the causal mask, since nothing behind a token reaches it: the beginning's keys and values are the same in
every row. A thousand classes in "a photo of the large {}." cost what comes after "large".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from limner.models.block import Block
from limner.models.clip.config import TextConfig
from limner.models.clip.model import CLIP
from limner.models.clip.text import cut_to_longest, pooled_position


def common_prefix(config: TextConfig, ids: np.ndarray) -> int:
    """How many first ids all rows (B, L) have in common, less where a row's pooled position would be among them."""
    if not config.cuttable or config.pool == "first" or not len(ids):
        return 0
    differs = (ids != ids[0]).any(axis=0)
    same = int(differs.argmax()) if differs.any() else ids.shape[1]
    ends = ids.argmax(axis=1) if config.pool == "argmax" else (ids == config.eos_id).argmax(axis=1)
    return min(same, int(ends.min()))


def encode_after_prefix(model: CLIP, ids: Tensor, shared: int) -> Tensor:
    """As ``model.encode_text(ids)`` for rows (B, L) that agree in their first ``shared`` ids; (B, E).

    ``shared`` must not reach a row's pooled position (``common_prefix``).
    """
    text = model.config.text
    ids = cut_to_longest(text, ids)
    positions = model.positional_embedding[: ids.shape[1]]
    first = model.token_embedding(ids[:1, :shared]) + positions[:shared].to(model.token_embedding.weight.dtype)
    rest = model.token_embedding(ids[:, shared:]) + positions[shared:].to(model.token_embedding.weight.dtype)
    # The beginning sees itself causally; a later token sees all of the beginning, and what is before it of its own.
    own = torch.ones(rest.shape[1], rest.shape[1], dtype=torch.bool, device=ids.device).tril()
    mask = torch.cat([own.new_ones(rest.shape[1], shared), own], dim=1)
    for block in model.transformer.resblocks:
        assert isinstance(block, Block)
        attention = block.attn
        q, k, v = attention.project(block.ln_1(first))
        first_out = attention.finish(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        qs, ks, vs = attention.project(block.ln_1(rest))
        ks = torch.cat([k.expand(len(rest), -1, -1, -1), ks], dim=2)
        vs = torch.cat([v.expand(len(rest), -1, -1, -1), vs], dim=2)
        rest_out = attention.finish(F.scaled_dot_product_attention(qs, ks, vs, attn_mask=mask))
        first, rest = first + block.ls_1(first_out), rest + block.ls_1(rest_out)
        first, rest = first + block.ls_2(block.mlp(block.ln_2(first))), rest + block.ls_2(block.mlp(block.ln_2(rest)))
    spot = pooled_position(text, ids) - shared
    return model.project_text(rest[torch.arange(len(rest), device=ids.device), spot])
