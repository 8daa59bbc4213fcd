"""OpenAI's CLIP files: TorchScript archives and plain state dicts (``clip/model.py``, ``build_model``).

Everything is worked out from names and shapes. The activation is QuickGELU throughout, which the archive shows by its
kind and a state dict by the mixture of precisions that OpenAI's ``convert_weights`` leaves; any other bare state dict
has to be told its activation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from limner.errors import ModelError, RecipeError
from limner.formats.check import expected_tensors, fit
from limner.formats.facts import source_facts
from limner.formats.hf_tokenizer import no_tokenizer
from limner.formats.imported import Imported, Options
from limner.formats.keytable import SCALAR, KeyTable, Row
from limner.formats.weights import Weights
from limner.models.clip.config import Activation, CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.text.clip_bytepairs import ClipBytePairs

if TYPE_CHECKING:
    from torch import Tensor

SCALARS = ("input_resolution", "context_length", "vocab_size")
HEAD = 64
PUBLISHED_VOCABULARY = 49408

TABLE = KeyTable(
    "CLIP of OpenAI",
    (
        Row("logit_scale", "logit_scale", SCALAR),
        *(
            Row(name, name)
            for name in (
                "visual.{rest}",
                "transformer.{rest}",
                "token_embedding.weight",
                "positional_embedding",
                "ln_final.{p}",
                "text_projection",
            )
        ),
    ),
    ignored=SCALARS,
)


def read_openai(weights: Weights, options: Options) -> Imported:
    """A CLIP from OpenAI's names. Raises ModelError: not CLIP, a weight that does not fit, an unknown activation."""
    where = weights.files[0]
    activation, known_by = _activation(weights, options, where)
    state = TABLE.to_ours(weights.tensors, where)
    config = infer_config(state, activation, where)
    state = fit(state, expected_tensors("clip", config), where)
    published = config.text.vocabulary == PUBLISHED_VOCABULARY
    tokenizer = ClipBytePairs.published(options.tokenizer or "openai") if published else None
    notes = () if published else (no_tokenizer(config.text.vocabulary),)
    format_ = "OpenAI TorchScript archive" if weights.kind == "torchscript" else "OpenAI state dict"
    facts = source_facts(format_, weights.files, activation, known_by)
    return Imported("clip", config, state, tokenizer, facts, notes)


def is_openai(weights: Weights) -> bool:
    """Whether the names are OpenAI's for CLIP."""
    return {"visual.conv1.weight", "text_projection", "token_embedding.weight"} <= set(weights.tensors)


def infer_config(state: Mapping[str, Tensor], activation: Activation, where: object) -> CLIPConfig:
    """The sizes that names and shapes tell. Raises ModelError."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    width, embedding = _shape(shapes, "text_projection", 2, where)
    vocabulary, _ = _shape(shapes, "token_embedding.weight", 2, where)
    context, _ = _shape(shapes, "positional_embedding", 2, where)
    try:
        resolution, vision = (_vit if "visual.proj" in shapes else _resnet)(shapes, activation, where)
        return CLIPConfig(
            embedding=embedding,
            resolution=resolution,
            vision=vision,
            text=TextConfig(
                vocabulary=vocabulary,
                context=context,
                width=width,
                layers=_count(shapes, r"transformer\.resblocks\.(\d+)\..*"),
                heads=_heads(width, where),
                mlp_width=_shape(shapes, "transformer.resblocks.0.mlp.c_fc.weight", 2, where)[0],
                activation=activation,
            ),
        )
    except RecipeError as error:
        raise ModelError(f"{where}: expected the weights of a CLIP, got sizes that are none: {error}") from error


def _vit(
    shapes: Mapping[str, tuple[int, ...]], activation: Activation, where: object
) -> tuple[int, ResNetConfig | ViTConfig]:
    width, _, patch, _ = _shape(shapes, "visual.conv1.weight", 4, where)
    grid = _grid(shapes, "visual.positional_embedding", where)
    return patch * grid, ViTConfig(
        layers=_count(shapes, r"visual\.transformer\.resblocks\.(\d+)\..*"),
        width=width,
        patch=patch,
        heads=_heads(width, where),
        mlp_width=_shape(shapes, "visual.transformer.resblocks.0.mlp.c_fc.weight", 2, where)[0],
        activation=activation,
    )


def _resnet(
    shapes: Mapping[str, tuple[int, ...]], activation: Activation, where: object
) -> tuple[int, ResNetConfig | ViTConfig]:
    width = _shape(shapes, "visual.layer1.0.conv1.weight", 4, where)[0]
    blocks = [_count(shapes, rf"visual\.layer{stage}\.(\d+)\..*") for stage in (1, 2, 3, 4)]
    if width * 32 % HEAD:
        raise ModelError(f"{where}: expected a stem whose width is even, got {width}")
    config = ResNetConfig(layers=(blocks[0], blocks[1], blocks[2], blocks[3]), width=width, heads=width * 32 // HEAD)
    return 32 * _grid(shapes, "visual.attnpool.positional_embedding", where), config


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str, dimensions: int, where: object) -> tuple[int, ...]:
    if name not in shapes:
        raise ModelError(f"{where}: expected the weight {name}, as CLIP has it, got none")
    if len(shapes[name]) != dimensions or 0 in shapes[name]:
        raise ModelError(f"{where}: {name}: expected {dimensions} sizes above 0, got {shapes[name]}")
    return shapes[name]


def _count(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> int:
    # Layers are numbered from 0; a number left out shows as a missing weight when the model is fitted.
    numbers = {match.group(1) for name in shapes if (match := re.fullmatch(pattern, name))}
    return len(numbers)


def _grid(shapes: Mapping[str, tuple[int, ...]], name: str, where: object) -> int:
    positions = _shape(shapes, name, 2, where)[0] - 1
    grid = round(positions**0.5)
    if grid < 1 or grid * grid != positions:
        raise ModelError(f"{where}: {name}: expected one row and a square of them, got {positions + 1} rows")
    return grid


def _heads(width: int, where: object) -> int:
    if width % HEAD:
        raise ModelError(
            f"{where}: expected widths that are multiples of {HEAD} (the width of OpenAI's heads), got {width}; "
            "give the model's configuration with --config"
        )
    return width // HEAD


# The activation


def _activation(weights: Weights, options: Options, where: object) -> tuple[Activation, str]:
    told = options.told_activation()
    if told is not None:
        return told, "told"
    if "QuickGELU" in weights.classes:
        return "quick_gelu", "the archive's modules"
    if not weights.beside and is_openais_mixture(weights.tensors):
        return "quick_gelu", "the mixture of half and single precision is that of OpenAI's convert_weights"
    raise ModelError(
        f"{where}: expected to know the activation, but a state dict alone does not tell; say --activation quick_gelu "
        "(OpenAI's and models trained with it) or gelu (open_clip's default), or give --config"
    )


def is_openais_mixture(tensors: Mapping[str, Tensor]) -> bool:
    """Whether exactly the weights of convolutions, linear layers, attention and projections are in half precision."""
    import torch

    floats = {name: tensor.dtype for name, tensor in tensors.items() if tensor.is_floating_point()}
    return (
        bool(floats)
        and all((dtype == torch.float16) == _in_half(name) for name, dtype in floats.items())
        and (set(floats.values()) == {torch.float16, torch.float32})
    )


def _in_half(name: str) -> bool:
    if name in ("text_projection", "visual.proj"):
        return True
    return re.search(r"\.(in_proj_\w+|out_proj\.\w+|c_fc\.\w+|c_proj\.\w+|[qkv]_proj\.\w+)$", name) is not None or (
        re.search(r"(conv\d|downsample\.0)\.weight$", name) is not None
    )
