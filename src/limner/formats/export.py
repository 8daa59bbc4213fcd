"""A CLIP of limner's in other people's layouts: a CLIPModel folder of transformers, a folder of open_clip.

The tables of names are those of the importers, read the other way. What a layout cannot say is refused by name, so
that nobody loads a model that answers otherwise; a difference in preprocessing alone becomes a note.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.errors import FileError, ModelError
from limner.files import whole_folder, write_atomically
from limner.formats import huggingface, open_clip
from limner.models.clip.config import CLIPConfig, ResNetConfig, ViTConfig
from limner.pictures.preprocess import Preprocessing
from limner.text.clip_bytepairs import ClipBytePairs

if TYPE_CHECKING:
    from torch import Tensor

    from limner.models.modelfolder import Loaded

HF_ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "silu": "silu",
}
NOT_ON_HUB = "tokenizer-of-this-folder"
"""open_clip reads a folder's tokenizer only where the configuration names one, and then the folder's own."""


@dataclass(frozen=True)
class Layout:
    """A folder to write: JSON files, one file of weights, a tokenizer, and notes for the user."""

    tables: dict[str, Any]
    weights: str
    state: dict[str, Tensor]
    tokenizer: Any
    notes: tuple[str, ...]


def export_folder(model: Path | str, out: Path | str, format: str, *, half: bool = False) -> dict[str, Any]:
    """Write the CLIP called ``model`` to the new folder ``out`` as ``hf`` or ``open_clip``; returns what was done.

    Raises ModelError: no CLIP, or one that the layout has no words for; FileError.
    """
    import torch
    from safetensors.torch import save

    from limner.models.modelfolder import read_folder

    layouts = {"hf": to_transformers, "open_clip": to_open_clip}
    if format not in layouts:
        raise ModelError(f"format: expected one of {', '.join(layouts)} or onnx, got {format!r}")
    loaded = read_folder(model)
    if loaded.kind != "clip":
        raise ModelError(f"{loaded.path}: expected a CLIP to export as {format}, got a {loaded.kind}")
    layout = layouts[format](loaded)
    out = new_folder(out)
    dtype = torch.float16 if half else torch.float32
    state = {k: (t.to(dtype) if t.is_floating_point() else t).contiguous() for k, t in layout.state.items()}
    with whole_folder(out) as folder:
        for name, table in layout.tables.items():
            write_atomically(folder / name, json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        write_atomically(folder / layout.weights, save(state, metadata={"format": "pt"}))
        if layout.tokenizer is not None:
            layout.tokenizer.save(folder / "tokenizer.json")
    files = sorted(file.name for file in out.iterdir())
    return {"out": str(out), "format": format, "files": files, "notes": list(layout.notes)}


def new_folder(out: Path | str) -> Path:
    """``out`` as a path where nothing stands yet, or an empty folder. Raises FileError."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileError(f"{out}: expected a new folder to write to, got one with files; choose another place")
    return out


# --- transformers ---------------------------------------------------------------------------------------------------


def to_transformers(loaded: Loaded) -> Layout:
    """The CLIP as a CLIPModel folder. Raises ModelError for what CLIPModel does not have."""
    config: CLIPConfig = loaded.config
    vision, text = config.vision, config.text
    if not isinstance(vision, ViTConfig):
        raise _cannot("transformers", "a vision transformer", "a ResNet; export it as open_clip")
    _require("transformers", "a square picture", config.size[0] == config.size[1], config.size)
    _require("transformers", "a norm before the first block", vision.pre_norm, "none")
    _require("transformers", "the class token's features", vision.pool == "class", f"the {vision.pool} of the patches")
    _require("transformers", "no layer scale", vision.layer_scale is None and text.layer_scale is None, "one")
    _require("transformers", "a causal text tower", text.causal, "one that sees everything")
    _require("transformers", "a projection without bias", not text.projection_bias, "one with a bias")
    _require("transformers", "no logit bias", config.logit_bias is None, "one (a model of SigLIP's kind)")
    _require("transformers", "text pooled at its end token", text.pool in ("argmax", "eos"), f"pooled {text.pool}")
    _require("transformers", "an end token other than 2, which means another rule there", text.eos_id != 2, "2")
    way, notes = hf_preprocessor(config.pixels)
    tokenizer = loaded.tokenizer
    ends = _special_ids(tokenizer)
    table = {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config.embedding,
        "logit_scale_init_value": config.logit_scale,
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": text.vocabulary,
            "hidden_size": text.width,
            "intermediate_size": text.mlp,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.head_count,
            "max_position_embeddings": text.context,
            "hidden_act": HF_ACTIVATIONS[text.activation],
            "layer_norm_eps": text.norm_eps,
            "projection_dim": config.embedding,
            "bos_token_id": ends[0],
            # 2 stands for "at the highest id", whatever the end token is
            "eos_token_id": 2 if text.pool == "argmax" else text.eos_id,
            "pad_token_id": ends[1],
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.head_count,
            "num_channels": 3,
            "image_size": config.resolution,
            "patch_size": vision.patch,
            "hidden_act": HF_ACTIVATIONS[vision.activation],
            "layer_norm_eps": vision.norm_eps,
            "projection_dim": config.embedding,
        },
    }
    tables = {"config.json": table, "preprocessor_config.json": way}
    state = huggingface.TABLE.to_theirs(loaded.model.state_dict())
    return Layout(tables, "model.safetensors", state, _with_ends(tokenizer), notes)


def hf_preprocessor(way: Preprocessing) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``preprocessor_config.json`` for ``way``, and notes on what it cannot say. Raises ModelError."""
    height, width = way.size
    _require(
        "transformers", "a picture resized on its shorter side or squashed", way.resize != "longest", "fitted whole"
    )
    target = way.resize_to if way.resize_to is not None else way.size
    size: dict[str, int]
    if way.resize == "squash":
        pair = target if isinstance(target, tuple) else (target, target)
        size = {"height": pair[0], "width": pair[1]}
    else:
        size = {"shortest_edge": target if isinstance(target, int) else target[0]}
    table = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": way.resize != "none",
        "size": size,
        "resample": huggingface.RESAMPLING.index(way.interpolation),
        "do_center_crop": size != {"height": height, "width": width},
        "crop_size": {"height": height, "width": width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(way.mean),
        "image_std": list(way.std),
    }
    if way.convention == "transformers_5":
        return table, ()
    return table, (
        "preprocessing: transformers converts to RGB before it resizes, and crops one pixel off where an odd margin is "
        "left; pixels of palette, grey and transparent pictures differ a little",
    )


# --- open_clip ------------------------------------------------------------------------------------------------------


def to_open_clip(loaded: Loaded) -> Layout:
    """The CLIP as a folder of open_clip. Raises ModelError for what open_clip's own towers do not have."""
    config: CLIPConfig = loaded.config
    text, vision = config.text, config.vision
    activations = {text.activation} | ({vision.activation} if isinstance(vision, ViTConfig) else set())
    _require(
        "open_clip",
        "QuickGELU in both towers, or GELU in both",
        activations == {"quick_gelu"} or activations <= {"gelu", "gelu_tanh"},
        " and ".join(sorted(activations)),
    )
    text_cfg = {
        "context_length": text.context,
        "vocab_size": text.vocabulary,
        "width": text.width,
        "heads": text.head_count,
        "layers": text.layers,
        **_block(text.width, text.mlp, text.layer_scale, text.norm_eps, text.activation),
        "pool_type": text.pool,
        **({"eos_id": text.eos_id} if text.pool == "eos" else {}),
        **({"no_causal_mask": True} if not text.causal else {}),
        **({"proj_bias": True} if text.projection_bias else {}),
    }
    preprocess, notes = _open_clip_preprocess(config.pixels)
    tokenizer = _own_tokenizer(loaded.tokenizer)
    if tokenizer is not None:
        text_cfg["hf_tokenizer_name"] = NOT_ON_HUB
    model = {
        "embed_dim": config.embedding,
        "quick_gelu": activations == {"quick_gelu"},
        "vision_cfg": _open_clip_vision(config),
        "text_cfg": text_cfg,
        "init_logit_scale": config.logit_scale,
        **({"init_logit_bias": config.logit_bias} if config.logit_bias is not None else {}),
    }
    names = open_clip.key_table(prefix="", linear=text.projection_bias)
    state = names.to_theirs(loaded.model.state_dict())
    tables = {open_clip.CONFIG: {"model_cfg": model, "preprocess_cfg": preprocess}}
    return Layout(tables, open_clip.PREFERRED[0], state, _with_ends(tokenizer), notes)


def _open_clip_vision(config: CLIPConfig) -> dict[str, Any]:
    vision = config.vision
    size: Any = config.resolution if config.size[0] == config.size[1] else list(config.size)
    if isinstance(vision, ResNetConfig):
        head = vision.width * 32 // vision.head_count
        return {"image_size": size, "layers": list(vision.layers), "width": vision.width, "head_width": head}
    return {
        "image_size": size,
        "layers": vision.layers,
        "width": vision.width,
        "head_width": vision.width // vision.head_count,
        "patch_size": vision.patch,
        **_block(vision.width, vision.mlp, vision.layer_scale, vision.norm_eps, vision.activation),
        **({"no_ln_pre": True} if not vision.pre_norm else {}),
        **({"pool_type": "avg", "final_ln_after_pool": not vision.norm_before_pool} if vision.pool != "class" else {}),
    }


def _block(width: int, mlp: int, scale: float | None, eps: float, activation: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if mlp != 4 * width:
        settings["mlp_ratio"] = _ratio(width, mlp)
    if scale is not None:
        settings["ls_init_value"] = scale
    if eps != 1e-5:
        settings["norm_kwargs"] = {"eps": eps}
    if activation == "gelu_tanh":
        settings["act_kwargs"] = {"approximate": "tanh"}
    return settings


def _ratio(width: int, mlp: int) -> float:
    # open_clip cuts width · ratio to a whole number: a ratio that comes out a hair too small would lose one.
    ratio = mlp / width
    return ratio if int(width * ratio) == mlp else math.nextafter(ratio, math.inf)


def _open_clip_preprocess(way: Preprocessing) -> tuple[dict[str, Any], tuple[str, ...]]:
    known = way.interpolation in ("bicubic", "bilinear")
    _require("open_clip", "bicubic or bilinear resizing", known, way.interpolation)
    _require("open_clip", "a picture that is resized", way.resize != "none", "one that is cropped only")
    _require("open_clip", "pictures resized to the model's size", way.resize_to is None, f"to {way.resize_to} first")
    table = {
        "mean": list(way.mean),
        "std": list(way.std),
        "interpolation": way.interpolation,
        "resize_mode": way.resize,
        **({"fill_color": way.fill} if way.resize == "longest" else {}),
    }
    if way.convention == "openai":
        return table, ()
    return table, (
        "preprocessing: open_clip converts to RGB after it resizes and rounds the crop's offset otherwise; pixels of "
        "palette, grey and transparent pictures differ a little",
    )


# --- words ----------------------------------------------------------------------------------------------------------


def _own_tokenizer(tokenizer: Any) -> Any:
    # OpenAI's vocabulary is open_clip's default and needs no files.
    if isinstance(tokenizer, ClipBytePairs) and tokenizer.has_vocabulary_of(ClipBytePairs.published()):
        return None
    return tokenizer


def _special_ids(tokenizer: Any) -> tuple[int | None, int | None]:
    if isinstance(tokenizer, ClipBytePairs):
        return tokenizer.start, tokenizer.end
    if tokenizer is not None:
        return tokenizer.vocabulary, tokenizer.vocabulary + 1
    return None, None


def _with_ends(tokenizer: Any) -> Any:
    """A tokenizer whose files give start and end by themselves; limner's own adds them outside of its file."""
    if tokenizer is None or isinstance(tokenizer, ClipBytePairs):
        return tokenizer
    return _WithEnds(tokenizer)


class _WithEnds:
    """limner's byte pairs, saved with the two special ids that CLIP's rows have and the file alone would not."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json`` as transformers reads them."""
        from tokenizers import Tokenizer, processors

        self._tokenizer.save(path)
        tokenizer = Tokenizer.from_file(str(path))
        start, end = "<|startoftext|>", "<|endoftext|>"
        tokenizer.add_special_tokens([start, end])
        first, last = _special_ids(self._tokenizer)
        if (tokenizer.token_to_id(start), tokenizer.token_to_id(end)) != (first, last):
            raise ModelError(f"{path}: expected the ids {first} and {last} for start and end, got others")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}", special_tokens=[(start, first), (end, last)]
        )
        write_atomically(path, tokenizer.to_str())
        settings: Mapping[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": start,
            "eos_token": end,
            "pad_token": end,
        }
        write_atomically(path.with_name("tokenizer_config.json"), json.dumps(settings, indent=2) + "\n")


def _require(layout: str, what: str, holds: bool, got: object) -> None:
    if not holds:
        raise _cannot(layout, what, got)


def _cannot(layout: str, what: str, got: object) -> ModelError:
    return ModelError(f"export to {layout}: expected {what}, since the layout has no other, got {got}")
