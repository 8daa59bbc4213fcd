"""``limner data tokenize``: a data set's image tokens by a dVAE, computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner import device as devices
from limner.data.codes import write_codes
from limner.data.crops import Crop, pixels_of
from limner.data.sources import DataOptions, open_data
from limner.errors import ModelError
from limner.models.modelfolder import read_folder
from limner.models.names import part_folder
from limner.training.build import weights_hash


def tokenize(
    data: str,
    dvae: str,
    out: Path,
    *,
    count: int | None = None,
    crops: int = 1,
    seed: int = 0,
    device: str = "auto",
    caption_keys: tuple[str, ...] = (),
    told: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Write the tokens of ``data`` (as ``--data`` names it) by the dVAE called ``dvae`` into the folder ``out``.

    Pictures are cropped as DALL·E's are (Listing 2 of the paper), ``crops`` times each. Returns facts: pairs, broken
    samples by cause, the dVAE's hash. Raises ModelError, DataError, InputError, FileError.
    """
    loaded = read_folder(part_folder(dvae, "dvae"))
    if loaded.kind != "dvae":
        raise ModelError(f"--dvae {dvae}: expected a dvae model, got a {loaded.kind}")
    chip = devices.pick_device(device)
    model: Any = loaded.model.to(chip)
    size = model.config.resolution
    options = DataOptions(size=size, seed=seed, caption_keys=caption_keys, test_share=0.0)

    def encode(pictures: np.ndarray) -> np.ndarray:
        pixels = pixels_of(torch.from_numpy(pictures).permute(0, 3, 1, 2).to(chip))
        with devices.autocast(chip, "bf16" if chip.type == "cuda" else "float32"):
            codes: np.ndarray = model.encode(pixels).cpu().numpy()
        return codes

    return write_codes(
        open_data(data, options).train,
        out,
        encode,
        Crop("dalle", size),
        dvae=weights_hash(loaded.path),
        count=count,
        crops=crops,
        seed=seed,
        told=told,
    )
