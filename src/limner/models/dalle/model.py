"""DALL·E's transformer (arXiv 2102.12092, §2.2): one stream of caption tokens, then image tokens in raster order.

Position i predicts token i + 1, so the first image token is predicted from the last caption position, and the last
image token is never an input. There is no start token, and nothing predicts the first caption token.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from limner.errors import InputError
from limner.models.block import GELU, LAYER_NORM, QUICK_GELU, RMS_NORM, SWIGLU, Block, init_blocks
from limner.models.dalle.config import DALLEConfig
from limner.models.positions import Rotation, coordinates, rotation

_ACTIVATIONS = {"gelu": GELU, "quick_gelu": QUICK_GELU, "swiglu": SWIGLU}
_NORMS = {"layer": LAYER_NORM, "rms": RMS_NORM}
BEFORE = 0.4
"""How much of the token before a caption token's embedding begins with, of the one before that its square, …"""


class DALLE(nn.Module):
    """The transformer that draws: caption ids (B, L) and image codes (B, n) → logits of every next token.

    With ``recompute`` set, blocks keep only their input for the backward pass and compute the rest again (§2.4).
    A sampler goes through ``embed_text``, ``embed_image``, the ``blocks``' ``attn.project`` and ``attn.finish``,
    ``ln_final`` and ``image_logits`` by itself.

    ``config.text_before`` mixes the tokens before into a caption token's embedding, as token shift does in RWKV (arXiv
    2305.13048): "hat" is then "red hat" from the first layer on, and need not be told so by attention.
    """

    def __init__(self, config: DALLEConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        width, norm = config.width, _NORMS[config.norm]
        self.text_embedding = nn.Embedding(config.text_vocabulary + config.text_length, width)
        self.text_before = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(config.text_before))
        self.text_positions = nn.Embedding(config.text_length, width)
        self.image_embedding = nn.Embedding(config.image_vocabulary, width)
        self.row_positions = nn.Embedding(config.rows, width)
        self.column_positions = nn.Embedding(config.columns, width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.heads,
                pattern=pattern,
                hidden=config.hidden,
                activation=_ACTIVATIONS[config.activation],
                norm=norm,
                bias=config.bias,
                qk_norm=config.qk_norm,
            )
            for pattern in config.patterns
        )
        self.ln_final = norm(width)
        # One matrix for both vocabularies, text first; no bias (the paper's parameter count leaves none).
        vocabulary = config.text_vocabulary + config.image_vocabulary
        self.head = None if config.tied else nn.Linear(width, vocabulary, bias=False)
        self.code_embedding = CodeDigits(config.code_levels, width) if config.code_levels else None
        self.code_head = CodeDigits(config.code_levels, width) if config.code_levels and not config.tied else None
        self.init_weights()

    def init_weights(self) -> None:
        """Matrices and embeddings N(0, 0.02), see ``init_blocks``; the paper doesn't state its own."""
        init_blocks(self.blocks)
        tables = (
            self.text_embedding, self.text_positions, self.image_embedding, self.row_positions, self.column_positions
        )  # fmt: skip
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        if self.head is not None:
            nn.init.normal_(self.head.weight, std=0.02)
        for back, before in enumerate(self.text_before, 1):
            assert isinstance(before, nn.Linear)
            before.weight.data.copy_(BEFORE**back * torch.eye(self.config.width))

    def embed_text(self, ids: Tensor) -> Tensor:
        """Caption ids (B, l), the first l ≤ L of the row → (B, l, D)."""
        if ids.shape[1] > self.config.text_length:
            raise InputError(f"caption: expected at most {self.config.text_length} tokens, got {ids.shape[1]}")
        words = self.text_embedding(ids)
        x = words + self.text_positions.weight[: ids.shape[1]]
        for back, before in enumerate(self.text_before, 1):
            x = x + F.pad(before(words[:, :-back]), (0, 0, back, 0)) if back < ids.shape[1] else x
        return x

    def embed_image(self, codes: Tensor, positions: Tensor | None = None) -> Tensor:
        """Image codes (B, n) at raster ``positions`` (n,) or (B, n), by default the first n → (B, n, D).

        A code of -1 is not told: only where it stands is.
        """
        if positions is None:
            positions = torch.arange(codes.shape[1], device=codes.device)
        row = torch.div(positions, self.config.columns, rounding_mode="floor")
        column = positions - row * self.config.columns
        told = F.embedding(codes.clamp(min=0), self.image_table()) * (codes >= 0).unsqueeze(-1)
        return told + (self.row_positions(row) + self.column_positions(column))

    def rotation(self, positions: Tensor) -> Rotation | None:
        """How rotary positions turn queries and keys at stream ``positions`` (…, T); None where the model has none."""
        if not self.config.rotary:
            return None
        where = coordinates(self.config.layout, positions.device)[positions]
        return rotation(where, self.config.width // self.config.heads)

    def hidden(self, text: Tensor, image: Tensor | None = None) -> Tensor:
        """The last block's output, normed: (B, T, D) at every input position, T = L + min(n, N - 1).

        ``text`` (B, L) caption ids; ``image`` (B, n) codes, 0 ≤ n ≤ N, None for none. Raises InputError.
        """
        layout = self.config.layout
        if text.shape[1] != layout.text:
            raise InputError(f"caption: expected rows of {layout.text} tokens, got {text.shape[1]}")
        x = self.embed_text(text)
        if image is not None:
            if image.shape[1] > layout.image:
                raise InputError(f"picture: expected at most {layout.image} codes, got {image.shape[1]}")
            x = torch.cat([x, self.embed_image(image[:, : layout.image - 1])], dim=1)
        turn = self.rotation(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, layout, turn, use_reentrant=False)
            else:
                x = block(x, layout, turn)
        return self.ln_final(x)

    def text_head(self) -> Tensor:
        """The output matrix of ordinary text tokens (Vt, D)."""
        table = self.text_embedding.weight if self.head is None else self.head.weight
        return table[: self.config.text_vocabulary]

    def image_table(self) -> Tensor:
        """The embeddings of image tokens (Vi, D)."""
        table = self.image_embedding.weight
        return table if self.code_embedding is None else table + self.code_embedding()

    def image_head(self) -> Tensor:
        """The output matrix of image tokens (Vi, D)."""
        if self.head is None:
            return self.image_table()
        rows = self.head.weight[self.config.text_vocabulary :]
        return rows if self.code_head is None else rows + self.code_head()

    def text_logits(self, hidden: Tensor) -> Tensor:
        """Logits of ordinary text tokens, (…, D) normed → (…, Vt)."""
        return F.linear(hidden, self.text_head())

    def image_logits(self, hidden: Tensor) -> Tensor:
        """Logits of image tokens, (…, D) normed → (…, Vi)."""
        return F.linear(hidden, self.image_head())

    def forward(
        self,
        text: Tensor,
        image: Tensor | None = None,
        read: Callable[[DALLE, Tensor, Tensor, Tensor | None], Any] | None = None,
    ) -> Any:
        """Logits of tokens 1 … L-1 of the caption (B, L-1, Vt), and of image tokens (B, min(n + 1, N), Vi).

        With n = N these are all of the picture's; with fewer, the last is that of the next code. ``read(model, hidden,
        text, image)`` replaces the logits by what it makes of the hidden states, inside this call, where wrappers for
        several processes and compilers look (``loss`` uses it).
        """
        return (read or logits)(self, self.hidden(text, image), text, image)


class CodeDigits(nn.Module):
    """Vectors of codes as sums over their digits: (V, D) from one vector for each level of each digit.

    A code of a finite scalar quantiser is a number in mixed radix (``levels``, least digit first). Pictures that differ
    by a shade differ in one digit; without this a transformer learns each of the thousands of codes by itself.
    """

    digits: Tensor

    def __init__(self, levels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(sum(levels), width))
        codes, columns = torch.arange(math.prod(levels)), []
        for level in levels:
            columns.append(F.one_hot(codes % level, level))
            codes = codes // level
        self.register_buffer("digits", torch.cat(columns, dim=1).float(), persistent=False)

    def forward(self) -> Tensor:
        """All codes' vectors."""
        return self.digits @ self.weight


def logits(model: DALLE, hidden: Tensor, text: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
    """Every head only where its tokens come next."""
    last = model.config.text_length - 1
    return model.text_logits(hidden[:, :last]), model.image_logits(hidden[:, last:])
