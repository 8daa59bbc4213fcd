"""open_clip's folders and checkpoints, as far as their towers are ours.

A folder holds ``open_clip_config.json`` (``model_cfg`` and ``preprocess_cfg``, or the bare ``model_cfg`` as in
open_clip's ``model_configs``) and weights in the order of preference below; a training checkpoint keeps them under
``state_dict`` with ``module.`` before every name. Its loader's habits are kept: positions of another size are resized,
a missing ``logit_bias`` is 0, scalars may be vectors of one. Its default activation is the exact GELU.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from limner.errors import ModelError
from limner.formats.check import expected_tensors, fit
from limner.formats.facts import source_facts
from limner.formats.imported import Imported, Options
from limner.formats.keytable import SAME, SCALAR, TRANSPOSED, KeyTable, Row
from limner.formats.open_clip_config import Described
from limner.formats.read_json import Fields, read_json
from limner.formats.weights import Weights, read_weights
from limner.models.clip.config import CLIPConfig, ViTConfig

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "open_clip_config.json"
PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
EPOCH = re.compile(r"epoch_(\d{1,9}|latest)\.pt")

_TEXT = ("transformer.{rest}", "token_embedding.weight", "positional_embedding", "ln_final.{p}")
_SCALARS = tuple(Row(name, name, SCALAR) for name in ("logit_scale", "logit_bias"))


def key_table(*, prefix: str, linear: bool) -> KeyTable:
    """open_clip's names: ``prefix`` before the text tower's (``text.`` where the tower is a module of its own);
    ``linear``: the text projection is a Linear with a bias.
    """
    projection: tuple[Row, ...]
    if linear:
        projection = (
            Row("text_projection", f"{prefix}text_projection.weight", TRANSPOSED),
            Row("text_projection_bias", f"{prefix}text_projection.bias", SAME),
        )
    else:
        projection = (Row("text_projection", f"{prefix}text_projection"),)
    text = (Row(name, prefix + name) for name in _TEXT)
    return KeyTable("CLIP of open_clip", (*_SCALARS, Row("visual.{rest}", "visual.{rest}"), *projection, *text))


def read_folder(folder: Path, options: Options) -> Imported:
    """A CLIP from a folder of open_clip. Raises ModelError."""
    return read_weights_of(read_weights(find_weights(folder)), options.config or folder / CONFIG, options)


def find_weights(folder: Path) -> Path:
    """The weights that open_clip would take from the folder; else its newest training checkpoint. Raises ModelError."""
    for name in PREFERRED:
        if (folder / name).is_file():
            return folder / name
        if (folder / f"{name}.index.json").is_file():
            return folder / f"{name}.index.json"
    others = sorted(file for file in folder.iterdir() if file.suffix in {".safetensors", ".bin", ".pth", ".pt"})
    if not others:
        raise ModelError(f"{folder}: expected weights beside {CONFIG} ({PREFERRED[0]}, {PREFERRED[2]} …), found none")
    if epochs := [file for file in others if EPOCH.fullmatch(file.name)]:
        return max(epochs, key=_epoch)
    return min(others, key=lambda file: (".safetensors", ".bin", ".pth", ".pt").index(file.suffix))


def read_weights_of(weights: Weights, config_file: Path, options: Options) -> Imported:
    """A CLIP from weights and the configuration that describes them. Raises ModelError."""
    table = Fields(read_json(config_file), str(config_file))
    model = table.inner("model_cfg") if table.has("model_cfg") else table
    described = Described(model, table.inner("preprocess_cfg", {}), options)
    config = described.config
    where = weights.files[0]
    tensors = _without_prefixes(weights.tensors)
    tensors = _into_custom_text(tensors) if described.custom_text else tensors
    tensors.pop("text.transformer.embeddings.position_ids", None)
    names = key_table(prefix="text." if described.custom_text else "", linear=config.text.projection_bias)
    state = names.to_ours(tensors, where)
    state = _as_loaded(state, config, where)
    state = fit(state, expected_tensors("clip", config), where, names.their_name)
    format_ = "open_clip training checkpoint" if "epoch" in weights.beside else "open_clip folder"
    facts = source_facts(format_, (*weights.files, config_file), described.activation, described.known_by)
    tokenizer, notes = described.tokenizer(config_file.parent)
    return Imported("clip", config, state, tokenizer, facts, notes)


# --- the weights ----------------------------------------------------------------------------------------------------


def without_prefixes(weights: Weights) -> Weights:
    """The weights without what open_clip's training and torch's compiler put before every name."""
    return replace(weights, tensors=_without_prefixes(weights.tensors))


def _without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # open_clip looks at the first name alone and cuts seven letters off every one; compiled models have a prefix more.
    plain = dict(tensors)
    if next(iter(plain), "").startswith("module"):
        plain = {name[7:]: tensor for name, tensor in plain.items()}
    if plain and all(name.startswith("_orig_mod.") for name in plain):
        plain = {name.removeprefix("_orig_mod."): tensor for name, tensor in plain.items()}
    return plain


def _into_custom_text(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if "positional_embedding" not in tensors or "text_projection" not in tensors:
        return tensors
    text = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
    return {f"text.{name}" if name.startswith(text) else name: tensor for name, tensor in tensors.items()}


def _as_loaded(state: dict[str, Tensor], config: CLIPConfig, where: object) -> dict[str, Tensor]:
    import torch

    from limner.models.clip.resize import resized_positions

    if config.logit_bias is not None and "logit_bias" not in state and "logit_scale" in state:
        state["logit_bias"] = torch.zeros_like(state["logit_scale"])
    if isinstance(config.vision, ViTConfig):
        rows = math.prod(config.grid) + 1
        name = "visual.positional_embedding"
        table = state.get(name)
        if table is not None and table.ndim == 2 and len(table) not in (rows, 0, 1):
            state[name] = resized_positions(table, _square(len(table) - 1, where), config.grid)
    table = state.get("positional_embedding")
    if table is not None and table.ndim == 2 and len(table) not in (config.text.context, 0):
        state["positional_embedding"] = resize_line(table, config.text.context)
    return state


def _square(cells: int, where: object) -> tuple[int, int]:
    side = math.isqrt(cells)
    if side * side != cells:
        raise ModelError(f"{where}: expected positions of a square of patches to resize, got {cells} and one")
    return side, side


def resize_line(table: Tensor, length: int) -> Tensor:
    """Positions of a text, (L, D), for another length: linear, without antialiasing (open_clip)."""
    from torch.nn import functional as F

    line = F.interpolate(table.float().T[None], size=length, mode="linear", align_corners=False)
    return line[0].T.contiguous().to(table.dtype)


def _epoch(file: Path) -> float:
    number = file.stem.removeprefix("epoch_")
    return math.inf if number == "latest" else int(number)
