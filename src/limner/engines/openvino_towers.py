"""CLIP's towers by OpenVINO on a CPU: bfloat16 where the chip has it, or calibrated 8 bits.

A tower is converted once and kept, compiled, in the user's cache; the next process loads it from there. OpenVINO's own
choice of precision is never left to chance: it is said for every model.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limner.device import sums_int8_exactly
from limner.engines.calibration import Samples
from limner.engines.kept import compile_kept, model_folder
from limner.engines.torch_towers import SHARED_ROWS, TorchTowers
from limner.errors import FileError, InputError, MissingExtra
from limner.files import make_folder, write_atomically
from limner.libraries import openvino
from limner.models.clip.config import CLIPConfig
from limner.models.clip.model import CLIP, normalise
from limner.models.clip.prefix import common_prefix
from limner.models.clip.text import pooled_position

SMOOTHING = 0.5
"""Share of the activations' range that int8 moves onto the weights before rounding both (SmoothQuant's alpha)."""


class OpenVINOTowers:
    """``model`` through OpenVINO in ``precision`` float32, bf16 or int8; ``fingerprint`` names it in the cache.

    ``samples`` gives what int8 is calibrated on, and is called only where no calibrated tower is in the cache; a fifth
    of it is held out to measure what 8 bits cost (``loss``). ``cache``: another folder. Raises MissingExtra and
    InputError.
    """

    def __init__(
        self,
        model: CLIP,
        precision: str,
        fingerprint: str,
        *,
        samples: Callable[[], Samples] | None = None,
        cache: Path | None = None,
    ) -> None:
        if precision not in ("float32", "bf16", "int8"):
            raise InputError(f"precision: expected float32, bf16 or int8, got {precision!r}")
        self._ov = openvino("use --precision float32")
        self._model, self._samples = model.cpu().eval(), samples
        self.precision = precision
        self.config: CLIPConfig = model.config
        self.batch = 32
        self.alone = False
        self.scale = float(model.logit_scale.detach().float().exp())
        self.bias = None if model.logit_bias is None else float(model.logit_bias.detach())
        self._folder = model_folder(self._ov, fingerprint, cache)
        self._compiled: dict[str, Any] = {}
        self._beginnings: TorchTowers | None = None
        self._measured: dict[str, float] = {}

    def images(self, pictures: np.ndarray) -> np.ndarray:
        """Resized and cropped pictures, uint8 (B, H, W, 3) → features float32 (B, E), not normalised."""
        return np.asarray(self._tower("images")(np.ascontiguousarray(pictures))[0], np.float32)

    def texts(self, ids: np.ndarray) -> np.ndarray:
        """Rows of token ids, int64 (B, L) → features float32 (B, E), not normalised.

        Rows with a long beginning in common go through torch, which computes it once.
        """
        text = self.config.text
        if text.cuttable:
            ids = ids[:, : int(pooled_position(text, torch.from_numpy(ids)).max()) + 1]
        if len(ids) >= SHARED_ROWS and 2 * common_prefix(text, ids) > ids.shape[1]:
            if self._beginnings is None:
                fast = "float32" if self.precision == "float32" else "bf16"
                self._beginnings = TorchTowers(self._model, precision=fast)
            return self._beginnings.texts(ids)
        return np.asarray(self._tower("texts")(np.ascontiguousarray(ids))[0], np.float32)

    @property
    def loss(self) -> dict[str, float]:
        """For int8: the lowest and the mean cosine to float32 on pictures and texts held out from calibration."""
        if self.precision != "int8":
            return {}
        for name in ("images", "texts"):
            self._tower(name)
        return self._losses()

    def _tower(self, name: str) -> Any:
        if name not in self._compiled:
            self._compiled[name] = self._load(name)
        return self._compiled[name]

    def _load(self, name: str) -> Any:
        kind = f"int8-{SMOOTHING}{'' if sums_int8_exactly() else '-half'}" if self.precision == "int8" else "float32"
        file = self._folder / f"{name}-{kind}.xml"
        return compile_kept(self._ov, lambda: self._graph(name, file), self._properties(), self._folder, file.stem)

    def _graph(self, name: str, file: Path) -> Any:
        """The tower before it is compiled, from ``file`` or made and kept there."""
        if file.is_file() and _weights(file).is_file():
            # A damaged one is made again.
            with contextlib.suppress(RuntimeError):
                return self._core().read_model(str(file))
        converted = self._convert(name)
        if self.precision == "int8":
            converted = self._quantise(name, converted)
        with contextlib.suppress(OSError, RuntimeError):  # where nothing can be written nothing is kept
            self._save(converted, file)
        return converted

    def _convert(self, name: str) -> Any:
        if name == "images":
            return _traced(_Images(self._model), torch.zeros((2, *self.config.size, 3), dtype=torch.uint8))
        context = self.config.text.context
        length = min(9, context) if self.config.text.causal else context
        return _traced(_Texts(self._model), torch.zeros((2, length), dtype=torch.int64))

    def _quantise(self, name: str, converted: Any) -> Any:
        nncf = _nncf()
        if self._samples is None:
            raise InputError("precision int8: expected pictures and texts to calibrate on, got none; use bf16")
        drawn = self._samples()
        inputs: np.ndarray = drawn.pictures if name == "images" else drawn.ids
        held = max(1, len(inputs) // 5)
        batches = [inputs[i : i + 8] for i in range(0, len(inputs) - held, 8)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            quantised = nncf.quantize(
                converted,
                nncf.Dataset(batches),
                model_type=nncf.ModelType.TRANSFORMER,
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(batches),
                # nncf's own 0.95 shifts nearly all of the range onto the weights: texts fell to a cosine of 0.990.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING),
                    # Weights of half the range, so that sums of two products fit where they are kept in 16 bits.
                    overflow_fix=nncf.OverflowFix.FIRST_LAYER if sums_int8_exactly() else nncf.OverflowFix.ENABLE,
                ),
            )
        compiled = self._core().compile_model(quantised, "CPU", self._properties())
        reference = TorchTowers(self._model)
        run = reference.images if name == "images" else reference.texts
        parts = [inputs[len(inputs) - held :][i : i + 8] for i in range(0, held, 8)]
        cosines = np.concatenate([_cosines(run(part), compiled(part)[0]) for part in parts])
        self._measured = self._losses() | {f"{name}_least": float(cosines.min()), f"{name}_mean": float(cosines.mean())}
        with contextlib.suppress(FileError):
            make_folder(self._folder)
            write_atomically(self._folder / "int8.json", json.dumps(self._measured) + "\n")
        return quantised

    def _losses(self) -> dict[str, float]:
        try:
            kept = json.loads((self._folder / "int8.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        return {str(k): float(v) for k, v in (kept | self._measured).items()}

    def _save(self, model: Any, file: Path) -> None:
        """Weights first, then the description that makes the tower count as kept; both whole."""
        beside = file.with_name(f"{file.stem}.{os.getpid()}.part")
        make_folder(beside)
        try:
            self._ov.save_model(model, str(beside / file.name), compress_to_fp16=False)
            os.replace(beside / _weights(file).name, _weights(file))
            os.replace(beside / file.name, file)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _core(self) -> Any:
        return self._ov.Core()

    def _properties(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": "f32" if self.precision == "float32" else "bf16",
            "EXECUTION_MODE_HINT": "PERFORMANCE",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }


class _Images(nn.Module):
    def __init__(self, model: CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        pixels = pictures.permute(0, 3, 1, 2).float() / 255
        return self.model.encode_image(normalise(pixels, self.model.config))


class _Texts(nn.Module):
    def __init__(self, model: CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model.encode_text(ids, cut=False)


def _traced(module: nn.Module, example: Tensor) -> Any:
    """``module`` as OpenVINO's model, of any batch and, for texts, any length.

    By OpenVINO's reader of traces itself: its ``convert_model`` does the same, and reports the use to its makers.
    """
    import warnings

    from openvino import PartialShape
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(module.eval(), example_input=example, trace_kwargs={"check_trace": False})
    reader = FrontEndManager().load_by_framework("pytorch")
    model = reader.convert(reader.load(decoder))
    fixed = list(example.shape[1:]) if example.ndim > 2 else [-1]
    model.reshape({model.inputs[0]: PartialShape([-1, *fixed])})
    return model


def _weights(description: Path) -> Path:
    return description.with_name(description.name.removesuffix(".xml") + ".bin")


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))


def _nncf() -> Any:
    # nncf reports its use to its makers unless it is told that nobody is there to be reported.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError:
        raise MissingExtra("int8 needs nncf; pip install 'limner[openvino]', or use --precision bf16") from None
    nncf.set_log_level(logging.ERROR)
    return nncf
