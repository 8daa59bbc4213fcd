"""Both towers of a CLIP as ONNX graphs for any batch, checked in onnxruntime before they are put in place."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from limner.config import to_table
from limner.errors import MissingExtra, ModelError
from limner.files import whole_folder, write_atomically
from limner.formats.export import new_folder
from limner.libraries import onnxruntime
from limner.models.clip.model import CLIP

if TYPE_CHECKING:
    from limner.models.modelfolder import Loaded

VISION, TEXT = "vision.onnx", "text.onnx"
OPSET = 17
LARGEST = 2_000_000_000
"""Bytes of one graph: a file of protocol buffers ends at 2 GiB."""
TOLERANCE = 1e-4
"""Largest difference of a normalised feature, onnxruntime against torch."""


def export_onnx(model: Path | str, out: Path | str) -> dict[str, Any]:
    """Write ``vision.onnx`` (``pixels`` (batch, 3, H, W) float32, normalised → ``features`` (batch, E)) and
    ``text.onnx`` (``ids`` (batch, context) int64 → ``features``) with what else is needed to use them.

    Features are not normalised. Raises ModelError (no CLIP, or onnxruntime answers otherwise), MissingExtra, FileError.
    """
    from limner.models.modelfolder import read_folder

    loaded = read_folder(model)
    clip = _clip(loaded)
    out = new_folder(out)
    graphs = tower_graphs(loaded)
    difference = max(_check(name, graph, loaded) for name, graph in graphs.items())
    about = {
        "kind": "clip",
        "preprocessing": to_table(loaded.config.pixels),
        "context": loaded.config.text.context,
        "logit_scale": float(clip.logit_scale.exp()),
        "logit_bias": float(clip.logit_bias) if clip.logit_bias is not None else None,
        "facts": loaded.facts,
    }
    with whole_folder(out) as folder:
        for name, graph in graphs.items():
            write_atomically(folder / name, graph)
        write_atomically(folder / "clip.json", json.dumps(about, indent=2, ensure_ascii=False) + "\n")
        if loaded.tokenizer is not None:
            loaded.tokenizer.save(folder / "tokenizer.json")
    files = sorted(file.name for file in out.iterdir())
    return {"out": str(out), "format": "onnx", "files": files, "difference": difference, "notes": []}


def tower_graphs(loaded: Loaded) -> dict[str, bytes]:
    """The two graphs by the names of their files. Raises MissingExtra."""
    clip, (height, width) = _clip(loaded), loaded.config.size
    pixels = torch.zeros(2, 3, height, width)
    ids = torch.zeros(2, loaded.config.text.context, dtype=torch.long)
    return {
        VISION: _graph(_Tower(clip, clip.encode_image), pixels, "pixels"),
        TEXT: _graph(_Tower(clip, partial(clip.encode_text, cut=False)), ids, "ids"),
    }


def _clip(loaded: Loaded) -> CLIP:
    if not isinstance(loaded.model, CLIP):
        raise ModelError(f"{loaded.path}: expected a CLIP to export as onnx, got a {loaded.kind}")
    return loaded.model


class _Tower(nn.Module):
    """One tower alone, as a graph's forward."""

    def __init__(self, clip: nn.Module, encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.clip = clip
        self._encode = encode

    def forward(self, x: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) or ids (B, L) → features (B, E)."""
        return self._encode(x)


def _graph(tower: _Tower, example: Tensor, name: str) -> bytes:
    _check_size(tower)
    buffer = io.BytesIO()
    axes = {name: {0: "batch"}, "features": {0: "batch"}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tower.eval(),
                (example,),
                buffer,  # type: ignore[arg-type]
                dynamo=False,
                input_names=[name],
                output_names=["features"],
                dynamic_axes=axes,
                opset_version=OPSET,
            )
    except ImportError as error:
        raise MissingExtra(f"export to onnx: expected the package {error.name}; pip install 'limner[onnx]'") from error
    return buffer.getvalue()


def _check_size(tower: _Tower) -> None:
    # The module holds both towers, of which the graph takes one; the larger decides.
    parts: dict[bool, int] = {True: 0, False: 0}
    for key, tensor in tower.clip.state_dict().items():
        parts[key.startswith("visual.")] += tensor.nbytes
    if max(parts.values()) > LARGEST:
        raise ModelError(f"export to onnx: expected towers of at most {LARGEST} bytes, got {max(parts.values())}")


def _check(name: str, graph: bytes, loaded: Loaded) -> float:
    library = onnxruntime("export in another format; it checks the graphs")
    session = library.InferenceSession(graph, providers=["CPUExecutionProvider"])
    random, clip = torch.Generator().manual_seed(0), _clip(loaded)
    largest = 0.0
    for batch in (1, 3):  # another batch than the one that was traced
        if name == VISION:
            x = torch.randn((batch, 3, *loaded.config.size), generator=random)
            expected = clip.encode_image(x)
        else:
            x = torch.randint(loaded.config.text.vocabulary, (batch, loaded.config.text.context), generator=random)
            expected = clip.encode_text(x)
        (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        got = torch.from_numpy(got)
        largest = max(largest, float((normalize(got, dim=-1) - normalize(expected, dim=-1)).abs().max()))
    if not largest <= TOLERANCE:
        raise ModelError(f"{name}: expected torch's features from onnxruntime, got a difference of {largest:.2g}")
    return largest
