"""What open_clip's ``open_clip_config.json`` says, checked key by key: an unknown one could change the answer."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from limner.errors import ModelError, RecipeError
from limner.formats.hf_tokenizer import folder_tokenizer, no_tokenizer
from limner.formats.imported import Options
from limner.formats.read_json import Fields
from limner.models.clip.config import Activation, CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.pictures.preprocess import LARGEST, OPENAI_MEAN, OPENAI_STD, Preprocessing
from limner.text.clip_bytepairs import ClipBytePairs

PUBLISHED_VOCABULARY = 49408
LAYERS, WIDTH, CONTEXT = 512, 1 << 16, 1 << 16

_MODEL = (
    "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale", "init_logit_bias",
    "nonscalar_logit_scale", "cast_dtype", "output_dict",
)  # fmt: skip
_TOWER = (
    "width", "layers", "mlp_ratio", "ls_init_value", "pool_type", "final_ln_after_pool", "act_kwargs", "norm_kwargs",
    "output_tokens", "block_type", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn",
    "scale_fc",
)  # fmt: skip
_VISION = (
    *_TOWER, "head_width", "patch_size", "image_size", "patch_dropout", "input_patchnorm", "global_average_pool",
    "attentional_pool", "attn_pooler_queries", "attn_pooler_heads", "n_queries", "no_ln_pre", "pos_embed_type",
    "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop",
    "timm_drop_path",
)  # fmt: skip
_TEXT_KEYS = (
    *_TOWER, "context_length", "vocab_size", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs", "heads",
    "embed_cls", "pad_id", "eos_id", "no_causal_mask", "proj_bias", "proj_type", "proj", "pooler_type",
    "hf_model_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "hf_mask", "use_pad_mask",
    "correct_cls_mask",
)  # fmt: skip
_OTHER_BLOCKS = ("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")


class Described:
    """What a configuration says: ``config``, ``custom_text`` (names under ``text.``), the activation and tokenizer."""

    def __init__(self, model: Fields, preprocess: Fields, options: Options) -> None:
        for key in ("multimodal_cfg", "audio_cfg"):
            if model.has(key):
                raise ModelError(f"{model.where}: expected a CLIP of two towers, got one with {key}")
        model.only(_MODEL, "a CLIP of open_clip")
        self._vision, self._text, self._options = model.inner("vision_cfg"), model.inner("text_cfg"), options
        self.custom_text = model.flag("custom_text", False)
        quick = model.flag("quick_gelu", False)
        self.known_by = "quick_gelu in the configuration" if model.has("quick_gelu") else "open_clip's default"
        try:
            size, vision = self._vision_config(quick)
            text = self._text_config(quick)
            bias = model.number("init_logit_bias") if model.has("init_logit_bias") else None
            self.config: CLIPConfig = CLIPConfig(
                embedding=model.integer("embed_dim", high=WIDTH),
                resolution=size[0],
                resolution_width=None if size[0] == size[1] else size[1],
                vision=vision,
                text=text,
                logit_scale=model.number("init_logit_scale", math.log(1 / 0.07)),
                logit_bias=bias,
                preprocessing=preprocessing(preprocess, size),
            )
        except RecipeError as error:
            raise ModelError(f"{model.where}: {error}") from error
        activations = {text.activation, getattr(vision, "activation", text.activation)}
        self.activation: Any = text.activation
        if len(activations) > 1:
            self.activation = {"vision": getattr(vision, "activation", None), "text": text.activation}

    def _vision_config(self, quick: bool) -> tuple[tuple[int, int], ViTConfig | ResNetConfig]:
        cfg = self._vision
        if cfg.has("timm_model_name"):
            name = cfg.text("timm_model_name")
            raise ModelError(f"{cfg.where}: expected a vision tower of CLIP's own, got timm's {name[:60]!r}")
        cfg.only(_VISION, "open_clip's vision towers")
        _refuse(cfg, "attentional_pool", "input_patchnorm", "global_average_pool", *_OTHER_BLOCKS)
        size, width = _size(cfg), cfg.integer("width", 768, high=WIDTH)
        head = cfg.integer("head_width", 64, high=WIDTH)
        if isinstance(cfg.table.get("layers"), list):
            layers = cfg.table["layers"]
            if len(layers) != 4 or not all(type(n) is int and 1 <= n <= LAYERS for n in layers):
                raise cfg.wrong("layers", f"four whole numbers from 1 to {LAYERS}", layers)
            return size, ResNetConfig(layers=(*layers,), width=width, heads=_heads(cfg, width * 32, head))
        pool = cfg.choice("pool_type", ("tok", "avg"), "tok")
        cfg.choice("pos_embed_type", ("learnable", "sin_cos_2d"), "learnable")  # both are stored
        patch = cfg.table.get("patch_size", 16)
        if isinstance(patch, list) and len(patch) == 2 and patch[0] == patch[1]:
            patch = patch[0]
        return size, ViTConfig(
            layers=cfg.integer("layers", 12, high=LAYERS),
            width=width,
            patch=Fields({"patch_size": patch}, cfg.where).integer("patch_size", high=LARGEST),
            heads=_heads(cfg, width, head),
            mlp_width=_mlp(cfg, width),
            activation=self._activation(cfg, quick),
            norm_eps=_eps(cfg),
            layer_scale=cfg.number("ls_init_value") if cfg.has("ls_init_value") else None,
            pre_norm=not cfg.flag("no_ln_pre", False),
            pool="average" if pool == "avg" else "class",
            norm_before_pool=pool == "avg" and not cfg.flag("final_ln_after_pool", False),
        )

    def _text_config(self, quick: bool) -> TextConfig:
        cfg = self._text
        if cfg.has("hf_model_name"):
            name = cfg.text("hf_model_name")
            raise ModelError(f"{cfg.where}: expected a text tower of CLIP's own, got transformers' {name[:60]!r}")
        cfg.only(_TEXT_KEYS, "open_clip's text towers")
        _refuse(cfg, "embed_cls", "use_pad_mask", *_OTHER_BLOCKS)
        if cfg.text("proj_type", "linear") != "linear":
            raise cfg.wrong("proj_type", "linear", cfg.table["proj_type"])
        width = cfg.integer("width", 512, high=WIDTH)
        vocabulary = cfg.integer("vocab_size", PUBLISHED_VOCABULARY)
        pool = cfg.choice("pool_type", ("argmax", "eos", "last", "first"), "argmax")
        return TextConfig(
            vocabulary=vocabulary,
            context=cfg.integer("context_length", 77, high=CONTEXT),
            width=width,
            layers=cfg.integer("layers", 12, high=LAYERS),
            heads=cfg.integer("heads", 8, high=WIDTH),
            mlp_width=_mlp(cfg, width),
            activation=self._activation(cfg, quick),
            norm_eps=_eps(cfg),
            layer_scale=cfg.number("ls_init_value") if cfg.has("ls_init_value") else None,
            causal=not cfg.flag("no_causal_mask", False),
            pool=pool,  # type: ignore[arg-type]
            eos_id=cfg.integer("eos_id", 2, low=0) if pool == "eos" else None,
            projection_bias=cfg.flag("proj_bias", False),
        )

    def _activation(self, cfg: Fields, quick: bool) -> Activation:
        told = self._options.told_activation()
        if told is not None:
            self.known_by = "told"
            return told
        if not cfg.has("act_kwargs") or not cfg.inner("act_kwargs").table:
            return "quick_gelu" if quick else "gelu"
        kind = cfg.inner("act_kwargs")
        kind.only(("approximate",), "open_clip's GELU")
        if quick:
            raise ModelError(f"{kind.where}: expected nothing beside quick_gelu, got {sorted(kind.table)[0]!r}")
        return "gelu_tanh" if kind.choice("approximate", ("none", "tanh")) == "tanh" else "gelu"

    def tokenizer(self, folder: Path) -> tuple[ClipBytePairs | None, tuple[str, ...]]:
        """The tokenizer that open_clip would take, and a note where limner has none. Raises ModelError."""
        cfg = self._text
        size, told = self.config.text.vocabulary, self._options.tokenizer
        if cfg.has("hf_tokenizer_name"):
            name = cfg.text("hf_tokenizer_name")
            if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
                raise cfg.wrong("hf_tokenizer_name", "a hub id", name)
            return folder_tokenizer(folder, size, told, named=name)
        kwargs = cfg.inner("tokenizer_kwargs", {})
        kwargs.only(("clean",), "open_clip's tokenizer that limner has")
        clean = {"lower": "open_clip", "whitespace": "open_clip_whitespace", "canonicalize": "open_clip_canonicalize"}
        chosen = clean[kwargs.choice("clean", tuple(clean), "lower")]
        if size < PUBLISHED_VOCABULARY:
            return None, (no_tokenizer(size),)
        return ClipBytePairs.published(told or chosen), ()


def preprocessing(cfg: Fields, size: tuple[int, int]) -> Preprocessing:
    """The way of pictures to pixels that ``preprocess_cfg`` tells; its ``size`` and keys that open_clip does not know
    are ignored, as there.
    """
    cfg.choice("mode", ("RGB",), "RGB")
    method = cfg.choice("interpolation", ("bicubic", "bilinear", "random"), "bicubic")
    return Preprocessing(
        size=size,
        mean=cfg.colours("mean", OPENAI_MEAN),
        std=cfg.colours("std", OPENAI_STD),
        resize=cfg.choice("resize_mode", ("shortest", "longest", "squash"), "shortest"),  # type: ignore[arg-type]
        interpolation="bilinear" if method == "bilinear" else "bicubic",
        fill=cfg.integer("fill_color", 0, low=0, high=255),
    )


def _size(cfg: Fields) -> tuple[int, int]:
    size = cfg.table.get("image_size", 224)
    if isinstance(size, list) and len(size) == 2:
        pair = Fields({"height": size[0], "width": size[1]}, f"{cfg.where}: image_size")
        return pair.integer("height", high=LARGEST), pair.integer("width", high=LARGEST)
    side = cfg.integer("image_size", 224, high=LARGEST)
    return side, side


def _heads(cfg: Fields, width: int, head: int) -> int:
    if head > width or width % (width // head):
        raise ModelError(f"{cfg.where}: head_width: expected heads that share {width} equally, got {head}")
    return width // head


def _mlp(cfg: Fields, width: int) -> int:
    ratio = cfg.number("mlp_ratio", 4.0)
    if not 1 <= int(width * ratio) <= WIDTH * 8:
        raise cfg.wrong("mlp_ratio", "a number above 0", ratio)
    return int(width * ratio)


def _eps(cfg: Fields) -> float:
    kwargs = cfg.inner("norm_kwargs", {})
    kwargs.only(("eps",), "open_clip's LayerNorm")
    eps = kwargs.number("eps", 1e-5)
    if not 0 < eps < 1:
        raise kwargs.wrong("eps", "a number between 0 and 1", eps)
    return eps


def _refuse(cfg: Fields, *keys: str) -> None:
    for key in keys:
        if cfg.table.get(key):
            raise ModelError(f"{cfg.where}: {key}: expected a tower of CLIP's own kind, got {cfg.table[key]!r:.40}")
    if cfg.has("block_type") and cfg.text("block_type") != "default":
        raise ModelError(f"{cfg.where}: block_type: expected default, got {cfg.text('block_type')[:40]!r}")
