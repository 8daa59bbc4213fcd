"""The sizes of a dVAE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from limner.errors import RecipeError


@dataclass(frozen=True)
class DVAEConfig:
    """A dVAE; the defaults are OpenAI's (paper, appendix A; ``dall_e/encoder.py``, ``dall_e/decoder.py``).

    Departures, each off by default:

    - ``patch``: the encoder starts from, and the decoder ends in, patches of ``patch`` × ``patch`` pixels folded into
      channels, instead of working at full resolution;
    - ``block`` "residual": two 3 × 3 convolutions with group normalisation, instead of OpenAI's four-convolution
      bottleneck without normalisation;
    - ``bottleneck`` "fsq": finite scalar quantisation (arXiv 2309.15505) with ``levels``, whose product is the
      vocabulary, instead of a Gumbel-softmax over ``vocabulary`` codes;
    - ``encoder`` "cells": each code is read from its own cell's pixels and no others, by ``encoder_blocks`` blocks of a
      perceptron of ``encoder_width``, instead of convolutions and norms that see the whole picture; a picture changed
      in one cell changes that cell's code and no other;
    - ``standardise``: batch normalisation of what a finite scalar quantiser rounds, so that short runs use all levels
      (statistics are those of the part of a batch that one process holds, as batch normalisation's always are).
    """

    resolution: int = 256
    vocabulary: int = 8192
    hidden: int = 256
    """Width of the first group; group g has ``hidden * multipliers[g]`` channels."""
    multipliers: tuple[int, ...] = (1, 2, 4, 8)
    blocks: int = 2
    """Residual blocks in each group."""
    decoder_blocks: int | None = None
    """The same in the decoder, where it differs."""
    decoder_input: int = 128
    """Channels of the decoder's first convolution (OpenAI's n_init)."""
    patch: int = 1
    kernel: int = 7
    """Of the encoder's first convolution."""
    encoder: Literal["convolutions", "cells"] = "convolutions"
    encoder_width: int = 256
    encoder_blocks: int = 4
    block: Literal["openai", "residual"] = "openai"
    bottleneck: Literal["gumbel", "fsq"] = "gumbel"
    levels: tuple[int, ...] = ()
    standardise: bool = False

    def __post_init__(self) -> None:
        sizes = ("resolution", "vocabulary", "hidden", "blocks", "decoder_input", "patch", "kernel")
        for name in (*sizes, "encoder_width", "encoder_blocks"):
            if getattr(self, name) < 1:
                raise RecipeError(f"dVAE {name}: expected 1 or more, got {getattr(self, name)}")
        if self.resolution % self.factor:
            raise RecipeError(f"dVAE resolution: expected a multiple of {self.factor}, got {self.resolution}")
        if self.bottleneck == "fsq":
            if not self.levels or min(self.levels) < 2:
                raise RecipeError(f"dVAE levels: expected numbers of 2 or more, got {list(self.levels)}")
            if math.prod(self.levels) != self.vocabulary:
                raise RecipeError(
                    f"dVAE vocabulary: expected the product of levels, {math.prod(self.levels)}, got {self.vocabulary}"
                )

    @property
    def factor(self) -> int:
        """Pixels on each side of one code."""
        return int(self.patch * 2 ** (len(self.multipliers) - 1))

    @property
    def rows(self) -> int:
        """Rows of the grid of codes."""
        return self.resolution // self.factor

    @property
    def columns(self) -> int:
        """Columns of the grid of codes."""
        return self.resolution // self.factor
