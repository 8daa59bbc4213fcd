"""transformers' ``CLIPModel`` folders, old and new: ``config.json``, weights, preprocessor, tokenizer.

Two habits of the owner's are kept. ``text_config_dict`` (``vision_config_dict``), where present, wins over
``text_config``, and with it the class defaults of every key that it does not name. An ``eos_token_id`` of 2 means that
text is pooled at the highest id, any other that it is pooled at the first such id.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limner.errors import ModelError, RecipeError
from limner.formats.check import expected_tensors, fit
from limner.formats.facts import source_facts
from limner.formats.hf_tokenizer import folder_tokenizer, no_tokenizer
from limner.formats.imported import Imported, Options
from limner.formats.keytable import SCALAR, THIRDS, TRANSPOSED, KeyTable, Row
from limner.formats.read_json import Fields, read_json, read_table
from limner.formats.weights import read_weights
from limner.models.clip.config import Activation, CLIPConfig, TextConfig, ViTConfig
from limner.pictures.preprocess import LARGEST, OPENAI_MEAN, OPENAI_STD, Preprocessing
from limner.text.clip_bytepairs import ClipBytePairs

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
PUBLISHED_VOCABULARY = 49408
LAYERS, WIDTH, CONTEXT = 512, 1 << 16, 1 << 16
RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""By Pillow's numbers."""

HIDDEN_ACT: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

TEXT_DEFAULTS: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
VISION_DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}


def _tower(ours: str, theirs: str) -> tuple[Row, ...]:
    block, layer = f"{ours}transformer.resblocks.{{n}}.", f"{theirs}encoder.layers.{{n}}."
    return (
        Row(f"{block}ln_1.{{p}}", f"{layer}layer_norm1.{{p}}"),
        Row(f"{block}ln_2.{{p}}", f"{layer}layer_norm2.{{p}}"),
        Row(f"{block}attn.in_proj_{{p}}", tuple(f"{layer}self_attn.{x}_proj.{{p}}" for x in "qkv"), THIRDS),
        Row(f"{block}attn.out_proj.{{p}}", f"{layer}self_attn.out_proj.{{p}}"),
        Row(f"{block}mlp.c_fc.{{p}}", f"{layer}mlp.fc1.{{p}}"),
        Row(f"{block}mlp.c_proj.{{p}}", f"{layer}mlp.fc2.{{p}}"),
    )


TABLE = KeyTable(
    "CLIPModel of transformers",
    (
        Row("logit_scale", "logit_scale", SCALAR),
        Row("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        Row("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
        Row("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        Row("visual.ln_pre.{p}", "vision_model.pre_layrnorm.{p}"),  # their spelling
        *_tower("visual.", "vision_model."),
        Row("visual.ln_post.{p}", "vision_model.post_layernorm.{p}"),
        Row("visual.proj", "visual_projection.weight", TRANSPOSED),
        Row("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
        Row("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        *_tower("", "text_model."),
        Row("ln_final.{p}", "text_model.final_layer_norm.{p}"),
        Row("text_projection", "text_projection.weight", TRANSPOSED),
    ),
    ignored=("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"),
)


def read_folder(folder: Path, options: Options) -> Imported:
    """A CLIP from a folder of transformers. Raises ModelError."""
    config_file = options.config or folder / "config.json"
    table = read_table(config_file)
    version = _version(table)
    config = clip_config(table, preprocessing_of(folder, version), options)
    name = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if name is None:
        raise ModelError(f"{folder}: expected weights beside config.json ({WEIGHTS[0]} or {WEIGHTS[2]}), found none")
    weights = read_weights(folder / name)
    state = TABLE.to_ours(weights.tensors, folder / name)
    state = fit(state, expected_tensors("clip", config), folder / name, TABLE.their_name)
    tokenizer, notes = _tokenizer(folder, config, options, version)
    text, vision = config.text.activation, config.vision.activation  # type: ignore[union-attr]
    activation = text if text == vision else {"vision": vision, "text": text}
    known_by = "told" if options.activation else "hidden_act in the configuration"
    facts = source_facts("transformers CLIPModel folder", (*weights.files, config_file), activation, known_by)
    return Imported("clip", config, state, tokenizer, facts, notes)


def is_clip_folder(folder: Path) -> bool:
    """Whether ``config.json`` says that this is a model of transformers."""
    if not (folder / "config.json").is_file():
        return False
    table = read_json(folder / "config.json")
    return isinstance(table, dict) and ("model_type" in table or "text_config" in table or "vision_config" in table)


# --- the configuration ----------------------------------------------------------------------------------------------


def clip_config(table: Fields, way: _Way, options: Options) -> CLIPConfig:
    """The sizes that ``config.json`` tells. Raises ModelError."""
    kind = table.text("model_type", "clip")
    names = table.table.get("architectures") or ["CLIPModel"]
    if kind != "clip" or names != ["CLIPModel"]:
        shown = names[0] if isinstance(names, list) and names else kind
        raise ModelError(f"{table.where}: expected a CLIPModel (both towers), got {shown!r:.60} of type {kind!r:.40}")
    old = _version(table) < (4, 31)
    text = _part(table, "text", TEXT_DEFAULTS | {"eos_token_id": 2 if old else 49407})
    vision = _part(table, "vision", VISION_DEFAULTS)
    if vision.integer("num_channels") != 3:
        raise vision.wrong("num_channels", "3", vision.table["num_channels"])
    side = vision.integer("image_size", high=LARGEST)
    eos = text.integer("eos_token_id", low=0)
    try:
        return CLIPConfig(
            embedding=table.integer("projection_dim", 512, high=WIDTH),  # the towers' own do not count
            resolution=side,
            vision=ViTConfig(
                layers=vision.integer("num_hidden_layers", high=LAYERS),
                width=vision.integer("hidden_size", high=WIDTH),
                patch=vision.integer("patch_size", high=LARGEST),
                heads=vision.integer("num_attention_heads", high=WIDTH),
                mlp_width=vision.integer("intermediate_size", high=8 * WIDTH),
                activation=_activation(vision, options),
                norm_eps=_eps(vision),
            ),
            text=TextConfig(
                vocabulary=text.integer("vocab_size"),
                context=text.integer("max_position_embeddings", high=CONTEXT),
                width=text.integer("hidden_size", high=WIDTH),
                layers=text.integer("num_hidden_layers", high=LAYERS),
                heads=text.integer("num_attention_heads", high=WIDTH),
                mlp_width=text.integer("intermediate_size", high=8 * WIDTH),
                activation=_activation(text, options),
                norm_eps=_eps(text),
                pool="argmax" if eos == 2 else "eos",
                eos_id=None if eos == 2 else eos,
            ),
            logit_scale=table.number("logit_scale_init_value", math.log(1 / 0.07)),
            preprocessing=way.at(side),
        )
    except RecipeError as error:
        raise ModelError(f"{table.where}: {error}") from error


def _part(table: Fields, tower: str, defaults: Mapping[str, Any]) -> Fields:
    where = f"{table.where}: {tower}_config"
    older = f"{tower}_config_dict"
    if table.has(older):
        given = table.inner(older).table
        return Fields({**defaults, **{k: v for k, v in given.items() if v is not None}}, f"{where}_dict")
    given = table.inner(f"{tower}_config", {}).table
    return Fields({**defaults, **{k: v for k, v in given.items() if v is not None}}, where)


def _activation(tower: Fields, options: Options) -> Activation:
    told = options.told_activation()
    return told if told is not None else HIDDEN_ACT[tower.choice("hidden_act", tuple(HIDDEN_ACT))]


def _eps(tower: Fields) -> float:
    eps = tower.number("layer_norm_eps")
    if not 0 < eps < 1:
        raise tower.wrong("layer_norm_eps", "a number between 0 and 1", eps)
    return eps


def _version(table: Fields) -> tuple[int, int]:
    # The first folders were written before versions were noted down with certainty: absent counts as old.
    for part in (table, *(table.inner(k) for k in ("text_config_dict", "text_config") if table.has(k))):
        match = re.match(r"(\d{1,4})\.(\d{1,4})", str(part.table.get("transformers_version") or ""))
        if match:
            return int(match.group(1)), int(match.group(2))
    return (4, 30) if "torch_dtype" in table.table or table.has("text_config_dict") else (5, 0)


# --- pictures -------------------------------------------------------------------------------------------------------


class _Way:
    """What a preprocessor's settings say, but for the model's own size."""

    def __init__(self, cfg: Fields | None, version: tuple[int, int]) -> None:
        self._cfg = cfg
        old = version < (5, 0) or (cfg is not None and cfg.has("feature_extractor_type"))
        self._convention = "transformers_4" if old else "transformers_5"

    def at(self, side: int) -> Preprocessing:
        """The preprocessing of a model for pictures of ``side`` pixels. Raises ModelError where they disagree."""
        cfg = self._cfg
        if cfg is None:
            return Preprocessing(size=(side, side), convention=self._convention)  # type: ignore[arg-type]
        size = (side, side)
        resize, to = self._resize(cfg, side)
        crop = cfg.flag("do_center_crop", True)
        if crop and _pair(cfg, "crop_size", 224) != size:
            raise cfg.wrong("crop_size", f"the model's {side} pixels", cfg.table.get("crop_size", 224))
        if not crop and (resize != "squash" or (to or size) != size):
            raise cfg.wrong(
                "size", f"the model's {side} × {side} pixels, since nothing is cropped", cfg.table.get("size")
            )
        mean, std = self._colours(cfg)
        return Preprocessing(
            size=size,
            mean=mean,
            std=std,
            resize=resize,  # type: ignore[arg-type]
            resize_to=to,
            interpolation=self._method(cfg),  # type: ignore[arg-type]
            convention=self._convention,  # type: ignore[arg-type]
        )

    def _resize(self, cfg: Fields, side: int) -> tuple[str, int | tuple[int, int] | None]:
        if not cfg.flag("do_resize", True):
            return "none", None
        size = cfg.table.get("size")
        if isinstance(size, Mapping) and "height" in size:
            pair = _pair(cfg, "size", side)
            return "squash", None if pair == (side, side) else pair
        inner = Fields(size, f"{cfg.where}: size") if isinstance(size, Mapping) else cfg
        edge = inner.integer("shortest_edge" if isinstance(size, Mapping) else "size", 224, high=LARGEST)
        return "shortest", None if edge == side else edge

    def _method(self, cfg: Fields) -> str:
        return RESAMPLING[cfg.integer("resample", 3, low=0, high=len(RESAMPLING) - 1)]

    def _colours(self, cfg: Fields) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if cfg.flag("do_normalize", True):
            mean, std = cfg.colours("image_mean", OPENAI_MEAN), cfg.colours("image_std", OPENAI_STD)
        factor = cfg.number("rescale_factor", 1 / 255) if cfg.flag("do_rescale", True) else 1.0
        if factor <= 0:
            raise cfg.wrong("rescale_factor", "a number above 0", factor)
        if abs(factor * 255 - 1) < 1e-9:
            return mean, std
        # (x · factor − mean) / std, in terms of x / 255
        red, green, blue = (m / (255 * factor) for m in mean)
        return (red, green, blue), tuple(s / (255 * factor) for s in std)  # type: ignore[return-value]


def preprocessing_of(folder: Path, version: tuple[int, int]) -> _Way:
    """The folder's preprocessor, or transformers' defaults where it has none."""
    if (folder / "preprocessor_config.json").is_file():
        return _Way(read_table(folder / "preprocessor_config.json"), version)
    if (folder / "processor_config.json").is_file():
        processor = read_table(folder / "processor_config.json")
        if processor.has("image_processor"):
            return _Way(processor.inner("image_processor"), version)
    return _Way(None, version)


def _pair(cfg: Fields, key: str, default: int) -> tuple[int, int]:
    value = cfg.table.get(key, default)
    if isinstance(value, Mapping):
        inner = Fields(value, f"{cfg.where}: {key}")
        return inner.integer("height", high=LARGEST), inner.integer("width", high=LARGEST)
    side = cfg.integer(key, default, high=LARGEST)
    return side, side


# --- words ----------------------------------------------------------------------------------------------------------


def _tokenizer(
    folder: Path, config: CLIPConfig, options: Options, version: tuple[int, int]
) -> tuple[ClipBytePairs | None, tuple[str, ...]]:
    size = config.text.vocabulary
    own = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    if own:
        return folder_tokenizer(folder, size, options.tokenizer, slow=version < (5, 0))
    published = config.text.eos_id in (None, PUBLISHED_VOCABULARY - 1) and size >= PUBLISHED_VOCABULARY
    if published:
        return ClipBytePairs.published(options.tokenizer or "openai"), ()
    return None, (no_tokenizer(size),)
