"""What a tokenizer alone can and cannot show: reconstructions of drawn scenes, and pictures of random codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from limner.errors import ModelError

if TYPE_CHECKING:
    from limner.models.dvae.model import DVAE

BATCH = 32


def load_dvae(model: str) -> DVAE:
    """The dVAE of the painter (or the lone dVAE) called ``model``. Raises ModelError."""
    from limner.models.modelfolder import find_model, read_folder

    folder = find_model(model)
    loaded = read_folder(folder / "dvae" if (folder / "dvae").is_dir() else folder)
    if loaded.kind != "dvae":
        raise ModelError(f"{model}: expected a painter or a dVAE, got a {loaded.kind}")
    return loaded.model  # type: ignore[return-value]


def reconstruct(dvae: DVAE, pictures: np.ndarray) -> np.ndarray:
    """Pictures (uint8 (N, H, W, 3)) through the tokenizer and back, of the same shape and dtype.

    A tokenizer of another resolution sees them resized to its own, and its pictures are resized back.
    """
    import torch
    from torch.nn.functional import interpolate

    sides, own = pictures.shape[1:3], (dvae.config.resolution, dvae.config.resolution)
    parts = []
    for start in range(0, len(pictures), BATCH):
        pixels = torch.from_numpy(pictures[start : start + BATCH]).permute(0, 3, 1, 2).float() / 255
        if sides != own:
            pixels = interpolate(pixels, own, mode="bilinear", antialias=True)
        decoded = dvae.decode(dvae.encode(pixels))
        if sides != own:
            decoded = interpolate(decoded, sides, mode="bilinear", antialias=True)
        parts.append(_to_uint8(decoded))
    return np.concatenate(parts)


def of_random_codes(dvae: DVAE, count: int, seed: int) -> np.ndarray:
    """``count`` pictures (uint8 (N, H, W, 3)) of codes drawn uniformly: what a painter draws before it has learned."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    config = dvae.config
    parts = []
    for start in range(0, count, BATCH):
        shape = (min(BATCH, count - start), config.rows, config.columns)
        parts.append(_to_uint8(dvae.decode(torch.randint(config.vocabulary, shape, generator=chance))))
    return np.concatenate(parts)


def _to_uint8(pixels: object) -> np.ndarray:
    import torch

    assert isinstance(pixels, torch.Tensor)
    return (pixels.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of the mean squared error over all pictures (uint8)."""
    error = float(np.mean((one.astype(np.float32) - two.astype(np.float32)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
