"""What a CLIP consists of: one frozen dataclass for the pair and one for each tower.

The defaults are OpenAI's (Radford et al. 2021, arXiv 2103.00020, table 20 and the released code); the other values are
what public checkpoints with the same towers need (open_clip, transformers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limner.errors import RecipeError
from limner.pictures.preprocess import Preprocessing

Activation = Literal["quick_gelu", "gelu", "gelu_tanh", "relu", "silu"]


def _positive(where: str, **values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise RecipeError(f"{where}.{name}: expected 1 or more, got {value}")


def _check_heads(where: str, width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise RecipeError(f"{where}.heads: expected a number that divides the width {width}, got {heads}")


@dataclass(frozen=True)
class ViTConfig:
    """A vision transformer: ``width`` D, ``layers``, square patches of ``patch`` pixels, ``heads`` (None: D / 64).

    ``mlp_width`` None is 4 D. ``pre_norm``: LayerNorm before the first block. ``pool``: the ``class`` token or the
    ``average`` of the patches (class token left out); ``norm_before_pool``: ``ln_post`` on every token, then the pool.
    ``layer_scale``: initial gain of learned per-channel scales after attention and MLP (None: there are none).
    """

    layers: int
    width: int
    patch: int
    heads: int | None = None
    mlp_width: int | None = None
    activation: Activation = "quick_gelu"
    norm_eps: float = 1e-5
    layer_scale: float | None = None
    pre_norm: bool = True
    pool: Literal["class", "average"] = "class"
    norm_before_pool: bool = False

    def __post_init__(self) -> None:
        _positive("vision", layers=self.layers, width=self.width, patch=self.patch)
        _check_heads("vision", self.width, self.head_count)

    @property
    def head_count(self) -> int:
        """Number of attention heads."""
        return self.heads if self.heads is not None else max(1, self.width // 64)

    @property
    def mlp(self) -> int:
        """Width of the hidden layer of each block's MLP."""
        return self.mlp_width if self.mlp_width is not None else 4 * self.width


@dataclass(frozen=True)
class ResNetConfig:
    """CLIP's modified ResNet: blocks per stage, width of the stem; the attention pool's heads are width · 32 / 64."""

    layers: tuple[int, int, int, int]
    width: int
    heads: int | None = None

    def __post_init__(self) -> None:
        _positive("vision", width=self.width, **{f"layers[{i}]": n for i, n in enumerate(self.layers)})
        if self.width % 2:
            raise RecipeError(f"vision.width: expected an even number (the stem halves it), got {self.width}")
        _check_heads("vision", self.pooled_width, self.head_count)

    @property
    def pooled_width(self) -> int:
        """Channels of the last stage."""
        return self.width * 32

    @property
    def head_count(self) -> int:
        """Heads of the attention pool."""
        return self.heads if self.heads is not None else max(1, self.width * 32 // 64)


@dataclass(frozen=True)
class TextConfig:
    """The text transformer: ``vocabulary`` ids, ``context`` positions, ``width`` D, ``heads`` (None: D / 64).

    ``pool`` says whose row is the caption's: ``argmax`` the first highest id (OpenAI: the end token has it), ``eos``
    the first ``eos_id`` (transformers; position 0 where there is none), ``last`` or ``first`` position.
    ``causal``: tokens see what stands before them alone. ``projection_bias``: the projection is a Linear with bias.
    """

    vocabulary: int = 49408
    context: int = 77
    width: int = 512
    layers: int = 12
    heads: int | None = None
    mlp_width: int | None = None
    activation: Activation = "quick_gelu"
    norm_eps: float = 1e-5
    layer_scale: float | None = None
    causal: bool = True
    pool: Literal["argmax", "eos", "last", "first"] = "argmax"
    eos_id: int | None = None
    projection_bias: bool = False

    def __post_init__(self) -> None:
        _positive("text", vocabulary=self.vocabulary, context=self.context, width=self.width, layers=self.layers)
        _check_heads("text", self.width, self.head_count)
        if self.pool == "eos" and self.eos_id is None:
            raise RecipeError("text.eos_id: expected the id that ends a caption, since text.pool is 'eos'")

    @property
    def head_count(self) -> int:
        """Number of attention heads."""
        return self.heads if self.heads is not None else max(1, self.width // 64)

    @property
    def mlp(self) -> int:
        """Width of the hidden layer of each block's MLP."""
        return self.mlp_width if self.mlp_width is not None else 4 * self.width

    @property
    def cuttable(self) -> bool:
        """Whether nothing after the pooled token counts, so that a batch may be cut to its longest caption."""
        return self.causal and self.pool != "last"


@dataclass(frozen=True)
class CLIPConfig:
    """Two towers that meet in ``embedding`` dimensions; pictures of ``resolution`` pixels (height; width if square).

    ``logit_scale``: initial value of the learned log temperature, ln(1 / 0.07) in the paper; ``logit_bias``: initial
    value of SigLIP's learned bias (None: softmax CLIP without one). ``preprocessing`` None:
    OpenAI's at this resolution.
    """

    embedding: int
    resolution: int
    vision: ResNetConfig | ViTConfig
    text: TextConfig
    resolution_width: int | None = None
    logit_scale: float = 2.6592600369327783
    logit_bias: float | None = None
    preprocessing: Preprocessing | None = None

    def __post_init__(self) -> None:
        _positive("model", embedding=self.embedding, resolution=self.resolution)
        height, width = self.size
        cell = self.vision.patch if isinstance(self.vision, ViTConfig) else 32
        if min(height, width) < cell:
            raise RecipeError(f"model.resolution: expected at least one cell of {cell} pixels, got {height} × {width}")
        if self.preprocessing is not None and tuple(self.preprocessing.size) != self.size:
            raise RecipeError(
                f"model.preprocessing.size: expected the model's {self.size}, got {self.preprocessing.size}"
            )

    @property
    def pixels(self) -> Preprocessing:
        """How a picture becomes this model's pixels."""
        return Preprocessing(size=self.size) if self.preprocessing is None else self.preprocessing

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures in pixels."""
        return self.resolution, self.resolution if self.resolution_width is None else self.resolution_width

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the vision tower's last grid; what a patch does not fill stays unseen."""
        cell = self.vision.patch if isinstance(self.vision, ViTConfig) else 32
        height, width = self.size
        return height // cell, width // cell
