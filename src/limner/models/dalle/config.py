"""Sizes and parts of a DALL·E transformer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from limner.errors import RecipeError, expected
from limner.models.patterns import Column, Conv, Full, Pattern, Row
from limner.shapes import Layout

PatternName = Literal["full", "row", "column", "conv"]


@dataclass(frozen=True)
class DALLEConfig:
    """One stream of ``text_length`` caption tokens and ``rows`` × ``columns`` image tokens (arXiv 2102.12092).

    Text ids below ``text_vocabulary`` are ordinary; ``text_vocabulary + p`` is the learned pad of position p. Layers
    take the patterns of ``attention`` in turn, the last one ``last``; by default the paper's (appendix B.1): layers 1,
    2, 3, … are row, column, row, row and again, the last a convolution of ``conv_kernel`` × ``conv_kernel``. The
    fields after it are departures of later years whose defaults are the paper's.
    """

    text_vocabulary: int
    text_length: int
    image_vocabulary: int
    rows: int
    columns: int
    width: int
    layers: int
    heads: int
    attention: tuple[PatternName, ...] = ("row", "column", "row", "row")
    last: PatternName = "conv"
    conv_kernel: int = 11
    mlp_ratio: float = 4.0
    """The MLP's inner width over ``width``; 8/3 keeps the parameter count with ``swiglu``."""
    activation: Literal["gelu", "quick_gelu", "swiglu"] = "gelu"
    norm: Literal["layer", "rms"] = "layer"
    bias: bool = True
    """Whether the blocks' matrices have biases."""
    qk_norm: bool = False
    rotary: bool = False
    """Two-dimensional rotary positions, beside the learned ones."""
    tied: bool = False
    """Whether the output matrix is the embeddings' (ordinary tokens only)."""
    code_levels: tuple[int, ...] = ()
    """Levels of a dVAE with finite scalar quantisation: codes whose digits agree share a part of their vectors."""
    text_before: int = 0
    """Caption tokens before each that are mixed into its embedding; what that gains by itself is not measured."""

    def __post_init__(self) -> None:
        for name in (
            "text_vocabulary", "text_length", "image_vocabulary", "rows", "columns", "width", "layers", "heads"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise RecipeError(expected(f"dalle.{name}", "1 or more", getattr(self, name)))
        if self.width % self.heads:
            raise RecipeError(expected("dalle.width", f"a multiple of heads ({self.heads})", self.width))
        if self.rotary and self.width // self.heads % 4:
            raise RecipeError(expected("dalle.rotary", "a head width that 4 divides", self.width // self.heads))
        if self.text_before < 0:
            raise RecipeError(expected("dalle.text_before", "0 or more", self.text_before))
        if not self.attention:
            raise RecipeError("dalle.attention: expected at least one of full, row, column, conv, got none")
        if self.conv_kernel < 1 or self.conv_kernel % 2 == 0:
            raise RecipeError(expected("dalle.conv_kernel", "an odd number", self.conv_kernel))
        if self.code_levels and math.prod(self.code_levels) != self.image_vocabulary:
            product = math.prod(self.code_levels)
            raise RecipeError(
                expected("dalle.image_vocabulary", f"the product of code_levels ({product})", self.image_vocabulary)
            )
        if not self.mlp_ratio > 0:
            raise RecipeError(expected("dalle.mlp_ratio", "more than 0", self.mlp_ratio))

    @property
    def layout(self) -> Layout:
        """Caption and grid of the stream."""
        return Layout(self.text_length, self.rows, self.columns)

    @property
    def hidden(self) -> int:
        """The MLP's inner width."""
        return round(self.width * self.mlp_ratio)

    @property
    def pattern_names(self) -> tuple[PatternName, ...]:
        """The name of every layer's pattern, first layer first."""
        cycle = self.attention
        return tuple(cycle[i % len(cycle)] for i in range(self.layers - 1)) + (self.last,)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Every layer's pattern."""
        values: dict[str, Pattern] = {
            "full": Full(), "row": Row(), "column": Column(), "conv": Conv(self.conv_kernel)
        }  # fmt: skip
        return tuple(values[name] for name in self.pattern_names)
