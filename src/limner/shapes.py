"""The letters of shapes, used in comments and docstrings everywhere.

==  =====================================================================
B   batch (pictures, captions or candidates)
T   sequence (text and image tokens in one stream)
L   text tokens (``text_length``)
N   image tokens (rows × columns)
D   width of the transformer
H   heads; also the height of a picture where W stands beside it
K   width of one head
V   vocabulary (Vt text, Vi image)
C   channels
R   rows of the grid of codes; Q its columns
==  =====================================================================
"""

from __future__ import annotations

from typing import NamedTuple


class Grid(NamedTuple):
    """A grid of image codes in raster order: ``rows`` × ``columns``."""

    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Number of image tokens."""
        return self.rows * self.columns


class Layout(NamedTuple):
    """One stream: ``text`` caption tokens, then a grid of ``rows`` × ``columns`` image tokens in raster order."""

    text: int
    rows: int
    columns: int

    @property
    def image(self) -> int:
        """Number of image tokens."""
        return self.rows * self.columns

    @property
    def total(self) -> int:
        """Number of tokens of the whole stream."""
        return self.text + self.image
