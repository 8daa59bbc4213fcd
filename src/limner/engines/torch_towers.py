"""CLIP's towers in torch: the reference, and the engine on a GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from limner.errors import InputError
from limner.models.clip.config import CLIPConfig
from limner.models.clip.model import CLIP, normalise
from limner.models.clip.prefix import common_prefix, encode_after_prefix

SHARED_ROWS = 8
"""Fewer captions than this are not worth computing their common beginning apart."""


class TorchTowers:
    """``model`` on ``device`` in ``precision``: ``float32`` answers exactly, ``bf16`` about twice as fast on new chips.

    The model is used as it is in float32 on the CPU; else a copy in the asked precision works.
    """

    def __init__(self, model: CLIP, device: torch.device | None = None, precision: str = "float32") -> None:
        if precision not in ("float32", "bf16"):
            raise InputError(f"precision: expected float32 or bf16 for torch, got {precision!r}")
        self.device = device or torch.device("cpu")
        self.precision = precision
        self._model = _in_precision(model, self.device, precision)
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._images: Callable[[Tensor], Tensor] = self._model.encode_image
        self.config: CLIPConfig = model.config
        self.batch = 32 if self.device.type == "cpu" else 256
        # OpenMP's threads spin until the last one is done: two of them beside two decoders took twice their time.
        self.alone = self.device.type == "cpu" and torch.get_num_threads() > 1
        self.scale = float(model.logit_scale.detach().float().exp())
        self.bias = None if model.logit_bias is None else float(model.logit_bias.detach())

    @torch.inference_mode()
    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Resized and cropped pictures, uint8 (B, H, W, 3) → features float32 (B, E), not normalised."""
        pixels = torch.from_numpy(pictures).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        pixels = normalise(pixels.float() / 255, self.config)
        return np.asarray(self._images(pixels.to(self._dtype).contiguous()).float().cpu().numpy())

    @torch.inference_mode()
    def texts(self, ids: np.ndarray) -> np.ndarray:
        """Rows of token ids, int64 (B, L) → features float32 (B, E), not normalised.

        What all rows begin with is computed once where the mask is causal: nothing behind reaches it.
        """
        shared = common_prefix(self.config.text, ids) if len(ids) >= SHARED_ROWS else 0
        rows = torch.from_numpy(np.ascontiguousarray(ids)).to(self.device)
        if shared > 1:
            features = encode_after_prefix(self._model, rows, shared)
        else:
            features = self._model.encode_text(rows)
        return np.asarray(features.float().cpu().numpy())


def _in_precision(model: CLIP, device: torch.device, precision: str) -> CLIP:
    if precision == "float32":
        return model.to(device).eval()
    import copy

    half = copy.deepcopy(model).eval().to(device)
    for name, parameter in half.named_parameters():
        # Scale and bias stay exact; norms are run in float32 inside by torch whatever their weights are.
        if name not in ("logit_scale", "logit_bias"):
            parameter.data = parameter.data.to(torch.bfloat16)
    for module in half.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.to(torch.bfloat16)
    return half
