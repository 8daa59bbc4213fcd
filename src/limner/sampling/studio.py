"""The models of a painter side by side, and the ways between captions, pictures, codes and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image

from limner.config import from_table
from limner.errors import InputError, ModelError, expected
from limner.models.clip.model import CLIP
from limner.models.dalle import DALLE
from limner.models.dvae.model import DVAE
from limner.models.modelfolder import Loaded
from limner.pictures.load import load_picture
from limner.pictures.transform import centre_crop, to_float, to_uint8
from limner.sampling.context import Context, Step
from limner.sampling.rank import ClipScorer, Ranking
from limner.sampling.settings import SamplingOptions, SamplingSettings
from limner.text.bytepairs import BytePairs

Source = str | Path | bytes | Image.Image
"""A picture: a path, a file's bytes or a PIL picture."""


class Studio:
    """A dVAE, a transformer and, where there is one, a CLIP, on ``device``.

    ``make_step`` makes the token step of the transformer in ``precision``; ``engine`` is its name for
    people. ``sampling`` among the transformer's facts are its own default settings. Raises ModelError where the parts
    don't fit together, InputError.
    """

    def __init__(
        self,
        dvae: Loaded,
        dalle: Loaded,
        clip: Loaded | None,
        *,
        name: str,
        device: torch.device,
        engine: str,
        precision: str,
        make_step: Callable[[DALLE, str], Step],
    ) -> None:
        self.name, self.device, self.engine, self.precision = name, device, engine, precision
        self.dvae = cast(DVAE, dvae.model.to(device))
        self.model = cast(DALLE, dalle.model.to(device))
        self.clip = None if clip is None else cast(CLIP, clip.model.to(device))
        self.config, self.layout = self.model.config, self.model.config.layout
        self.resolution, self.cell = self.dvae.config.resolution, self.dvae.config.factor
        grid, codes = (self.dvae.config.rows, self.dvae.config.columns), self.dvae.config.vocabulary
        if grid != self.layout[1:] or codes != self.config.image_vocabulary:
            raise ModelError(
                f"painter {name}: expected a dVAE of {self.layout.rows} × {self.layout.columns} codes of "
                f"{self.config.image_vocabulary}, got {grid[0]} × {grid[1]} of {codes}; take the dVAE that the "
                "transformer was trained with"
            )
        if dalle.tokenizer is None or (clip is not None and clip.tokenizer is None):
            raise ModelError(f"painter {name}: expected a tokenizer.json beside the weights, got none")
        self.tokenizer = cast(BytePairs, dalle.tokenizer)
        self.clip_tokenizer = None if clip is None else clip.tokenizer
        self.defaults = from_table(SamplingSettings, dalle.facts.get("sampling", {}), "sampling")
        self.step = make_step(self.model, precision)

    # Settings and captions

    def settings(self, options: SamplingOptions) -> SamplingSettings:
        """What is given, and the model's own for the rest. Raises InputError."""
        given = {key: value for key, value in options.items() if value is not None}
        own = self.defaults
        table = {
            "temperature": own.temperature, "top_k": own.top_k, "top_p": own.top_p, "guidance": own.guidance
        }  # fmt: skip
        return SamplingSettings(**(table | given))  # type: ignore[arg-type]

    def ids(self, captions: Sequence[str], cut: bool) -> torch.Tensor:
        """Rows int64 (B, L) of captions. Raises InputError: one that is no text, or too long, unless ``cut``."""
        for caption in captions:
            if not isinstance(caption, str):
                raise InputError(expected("caption", "text", type(caption).__name__))
        return torch.from_numpy(self.tokenizer.row(list(captions), self.config.text_length, cut=cut))

    def contexts(self, caption: str, settings: SamplingSettings, *, cut: bool) -> tuple[Context, Context | None]:
        """The caption read, and the empty caption where guidance needs it."""
        ids = self.ids([caption, ""], cut)
        return self.step.read(ids[0]), None if settings.guidance == 1.0 else self.step.read(ids[1])

    # Ranking

    def ranking(
        self, rank: str | Mapping[str, float] | Ranking | None, caption: str, count: int, candidates: int | None
    ) -> Ranking | None:
        """How candidates are ranked; None where they are not: no caption, or no CLIP and nothing to choose.

        ``rank`` None: by CLIP. Raises InputError, and ModelError where a CLIP is asked for or needed and there is none.
        """
        if not isinstance(caption, str):
            raise InputError(expected("caption", "text", type(caption).__name__))
        ranking = Ranking.of("clip" if rank is None else rank)
        if ranking.clip and not caption.strip():
            return Ranking(0.0, ranking.likelihood) if ranking.likelihood else None
        if not ranking.clip or self.clip is not None:
            return ranking
        if rank is not None or (candidates is not None and candidates > count):
            what = f"{candidates} candidates" if candidates is not None else "candidates"
            raise ModelError(
                f"model {self.name}: expected a CLIP (clip/) to rank {what}, found none; give one (clip=), rank by "
                "likelihood, or draw as many candidates as pictures"
            )
        return None

    def scorer(self, caption: str, ranking: Ranking | None) -> ClipScorer | None:
        """CLIP with the caption read, where ``ranking`` needs it."""
        if ranking is None or not ranking.clip or self.clip is None or self.clip_tokenizer is None:
            return None
        return ClipScorer(self.clip, self.clip_tokenizer, caption)

    # Codes and pixels

    def pixels(self, image: Source, *, exact: bool = False) -> np.ndarray:
        """uint8 (H, W, 3) at the dVAE's resolution; ``exact`` refuses other sizes, else they are cropped and resized.

        Raises PictureError, InputError.
        """
        picture, side = load_picture(image), self.resolution
        if picture.size != (side, side):
            if exact:
                raise InputError(
                    f"picture: expected {side} × {side} pixels, got {picture.width} × {picture.height}; "
                    "crop and resize it first (painter.fit, --fit)"
                )
            picture = centre_crop(picture, side)
        return np.asarray(picture)

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray) -> torch.Tensor:
        """Codes int64 (N,) of a picture uint8 (H, W, 3)."""
        return self.dvae.encode(torch.from_numpy(to_float(pixels[None])).to(self.device))[0].flatten().cpu()

    def decode(self, codes: torch.Tensor | np.ndarray) -> np.ndarray:
        """Pictures uint8 (B, H, W, 3) of codes (B, N), or of their first whole rows.

        Each alone: a convolution over several may round a pixel in another way.
        """
        grids = torch.as_tensor(codes).to(self.device).view(len(codes), -1, self.layout.columns)
        with torch.inference_mode():
            return np.concatenate([to_uint8(self.dvae.decode(grid[None]).cpu().numpy()) for grid in grids])

    def unfinished(self, codes: torch.Tensor, rows: int) -> np.ndarray:
        """A picture uint8 (H, W, 3) of codes (N,) whose first ``rows`` of cells are drawn, the rest grey."""
        page = np.full((self.resolution, self.resolution, 3), 128, np.uint8)
        top = self.decode(codes[None, : rows * self.layout.columns])[0]
        page[: len(top)] = top
        return page

    def codes_of(self, image: Source | np.ndarray) -> torch.Tensor:
        """Codes int64 (N,) of a picture, or the codes that were given. Raises InputError, PictureError."""
        if not isinstance(image, np.ndarray):
            return self.encode(self.pixels(image))
        rows, columns, most = self.layout.rows, self.layout.columns, self.config.image_vocabulary
        whole = np.issubdtype(image.dtype, np.integer) and image.size == self.layout.image
        if not whole or image.min() < 0 or image.max() >= most:
            raise InputError(
                expected("codes", f"{rows} × {columns} whole numbers below {most}", f"{image.dtype} {image.shape}")
            )
        return torch.from_numpy(image.astype(np.int64)).flatten()
