"""Grids of pictures to look at while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from limner.files import write_atomically


def save_grid(path: Path, rows: Sequence[torch.Tensor], columns: int = 8) -> None:
    """Write a PNG. ``rows``: float (B, 3, H, W) in [0, 1] each; picture i of every row stands under that of the first.

    With more pictures than ``columns``, the block of rows is repeated below.
    """
    count, _, height, width = rows[0].shape
    columns = min(columns, count)
    blocks = -(-count // columns)
    sheet = torch.ones(3, blocks * len(rows) * height, columns * width)
    for i in range(count):
        block, column = divmod(i, columns)
        for r, row in enumerate(rows):
            top = (block * len(rows) + r) * height
            sheet[:, top : top + height, column * width : (column + 1) * width] = row[i].detach().float().cpu()
    array = (sheet.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    write_atomically(path, lambda file: Image.fromarray(array).save(file, format="PNG"))
