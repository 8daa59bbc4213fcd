"""Where a token is: learned embeddings of text positions, rows and columns, and 2-D rotary positions as an option."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limner.errors import InputError
from limner.shapes import Layout


class Rotation(NamedTuple):
    """Cosines and sines by which each pair of a head's channels is turned: (…, T, K / 2) each."""

    cos: Tensor
    sin: Tensor


def coordinates(layout: Layout, device: torch.device | None = None) -> Tensor:
    """(T, 2) row and column of every token of the stream.

    Caption token p lies at (p, p) and image token (r, c) at (L + r, L + c): along the caption both axes count words,
    and the grid begins where the caption ends.
    """
    text = torch.arange(layout.text, device=device)[:, None].expand(-1, 2)
    cell = torch.arange(layout.image, device=device)
    image = torch.stack([cell // layout.columns, cell % layout.columns], dim=1) + layout.text
    return torch.cat([text, image])


def rotation(positions: Tensor, head_width: int, base: float = 10_000.0) -> Rotation:
    """Rotary positions (arXiv 2104.09864) in 2-D: half of a head's pairs turn with the row, half with the column.

    ``positions`` (…, T, 2) rows and columns; ``head_width`` a multiple of 4. Raises InputError.
    """
    if head_width % 4:
        raise InputError(f"rotary positions: expected a head width that 4 divides, got {head_width}")
    pairs = head_width // 4
    speeds = base ** (-torch.arange(pairs, device=positions.device, dtype=torch.float32) / pairs)
    # (…, T, 2, 1) × (pairs) → (…, T, K / 2)
    angles = (positions.float()[..., None] * speeds).flatten(-2)
    return Rotation(angles.cos(), angles.sin())


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """Turn the channel pairs (i, i + K/2) of ``x`` (B, H, T, K); the type of ``x`` is kept."""
    left, right = x.float().chunk(2, dim=-1)
    return torch.cat([left * turn.cos - right * turn.sin, left * turn.sin + right * turn.cos], dim=-1).to(x.dtype)
