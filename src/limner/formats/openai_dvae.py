"""OpenAI's dVAE (github.com/openai/DALL-E): ``encoder.pkl`` and ``decoder.pkl``, whole modules pickled by torch.

Their classes are read as bags of attributes, in the zip container and the older one; every size is found in the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from limner.errors import ModelError, RecipeError
from limner.formats.check import expected_tensors, fit
from limner.formats.facts import source_facts
from limner.formats.imported import Imported, Options
from limner.formats.keytable import KeyTable, Row
from limner.formats.safe_unpickle import Bag
from limner.formats.torch_files import attribute_tensors, read_torch
from limner.models.dvae.config import DVAEConfig

FILES = ("encoder.pkl", "decoder.pkl")
CLASSES = ("dall_e.", "torch.nn.modules.")
GROUPS, MOST_BLOCKS, CONVOLUTIONS = 4, 64, 4
RESOLUTION = 256
"""Of the pictures that OpenAI trained on; any multiple of 8 is encoded."""


def key_table(blocks: int, decoder_blocks: int) -> KeyTable:
    """OpenAI's names, each under ``encoder.`` or ``decoder.``; groups, blocks and convolutions count from 1 there."""
    rows = []
    for part, count in (("encoder", blocks), ("decoder", decoder_blocks)):
        rows += _parameters(f"{part}.input", f"{part}.blocks.input")
        for g in range(GROUPS):
            for b in range(count):
                ours, theirs = f"{part}.groups.{g}.{b}", f"{part}.blocks.group_{g + 1}.block_{b + 1}"
                rows += _parameters(f"{ours}.identity", f"{theirs}.id_path")
                for c in range(CONVOLUTIONS):
                    rows += _parameters(f"{ours}.residual.{c}", f"{theirs}.res_path.conv_{c + 1}")
        rows += _parameters(f"{part}.output", f"{part}.blocks.output.conv")
    return KeyTable("dVAE of OpenAI", tuple(rows))


def _parameters(ours: str, theirs: str) -> list[Row]:
    return [Row(f"{ours}.weight", f"{theirs}.w"), Row(f"{ours}.bias", f"{theirs}.b")]


def is_dvae(path: Path) -> bool:
    """Whether the folder, or the folder of the file, holds an encoder and a decoder under OpenAI's names."""
    folder = path if path.is_dir() else path.parent
    return (path.is_dir() or path.name in FILES) and all((folder / name).is_file() for name in FILES)


def read_dvae(path: Path, options: Options) -> Imported:
    """A dVAE from the folder (or either file) of OpenAI's two pickles. Raises ModelError."""
    folder = path if path.is_dir() else path.parent
    tensors: dict[str, Tensor] = {}
    for name in FILES:
        tensors |= _read_half(folder / name, f"{name.removesuffix('.pkl')}.")
    config = infer_config({name: tuple(t.shape) for name, t in tensors.items()}, folder)
    names = key_table(config.blocks, config.decoder_blocks or config.blocks)
    state = names.to_ours(tensors, folder)
    state = fit(state, expected_tensors("dvae", config), folder, names.their_name)
    # Many are permuted views of another order in memory.
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    files = tuple(folder / name for name in FILES)
    return Imported(
        "dvae", config, state, None, source_facts("OpenAI dVAE pickles", files, "relu", "the published code")
    )


def _read_half(path: Path, prefix: str) -> dict[str, Tensor]:
    file = read_torch(path, classes=CLASSES)
    if not isinstance(file.root, Bag):
        raise ModelError(f"{path}: expected a whole module of dall_e, got a {type(file.root).__name__}")
    refs = attribute_tensors(file.root, path)
    return {prefix + name: file.tensor(ref) for name, ref in refs.items()}


def infer_config(shapes: Mapping[str, tuple[int, ...]], where: object) -> DVAEConfig:
    """The sizes that the shapes tell. Raises ModelError."""
    hidden, channels, kernel, _ = _shape(shapes, "encoder.blocks.input.w", where)
    vocabulary = _shape(shapes, "encoder.blocks.output.conv.w", where)[0]
    initial = _shape(shapes, "decoder.blocks.input.w", where)[0]
    if channels != 3:
        raise ModelError(f"{where}: expected pictures of 3 colours, got {channels}")
    blocks, decoder_blocks = (_blocks(shapes, part, where) for part in ("encoder", "decoder"))
    try:
        return DVAEConfig(
            resolution=RESOLUTION,
            vocabulary=vocabulary,
            hidden=hidden,
            multipliers=tuple(2**g for g in range(GROUPS)),
            blocks=blocks,
            decoder_blocks=None if decoder_blocks == blocks else decoder_blocks,
            decoder_input=initial,
            kernel=kernel,
        )
    except RecipeError as error:
        raise ModelError(f"{where}: expected the weights of a dVAE, got sizes that are none: {error}") from error


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str, where: object) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or len(shape) != 4 or 0 in shape:
        raise ModelError(f"{where}: expected the weight {name} of a convolution, got {shape or 'none'}")
    return shape


def _blocks(shapes: Mapping[str, tuple[int, ...]], part: str, where: object) -> int:
    pattern = re.compile(rf"{part}\.blocks\.group_1\.block_(\d{{1,3}})\..*")
    numbers = {int(match.group(1)) for name in shapes if (match := pattern.fullmatch(name))}
    if not numbers or max(numbers) > MOST_BLOCKS:
        raise ModelError(f"{where}: expected 1 to {MOST_BLOCKS} blocks in each group of the {part}, got {len(numbers)}")
    return max(numbers)
