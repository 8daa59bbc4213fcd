"""Model folders: ``config.json``, ``model.safetensors``, ``tokenizer.json``, ``README.md``, written and read.

A folder holds one model (``kind`` dvae, dalle or clip); a painter's folder holds three of them as ``dvae/``, ``dalle/``
and ``clip/``. Reading checks names, shapes, dtypes, hashes and finiteness before a weight is used; weights come from
safetensors only, so nothing is ever executed. Names are looked up by ``names.find_model``, without a network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import limner
from limner.config import from_table, to_table
from limner.errors import ModelError, RecipeError
from limner.files import sha256, whole_folder, write_atomically
from limner.models.names import CONFIG, PAINTER_PARTS, find_model, find_parts, shipped

if TYPE_CHECKING:
    import torch

    from limner.text.bytepairs import BytePairs
    from limner.text.clip_bytepairs import ClipBytePairs

FORMAT = 1
SHARD_BYTES = 5_000_000_000
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER, CARD = "tokenizer.json", "README.md"

__all__ = ["Description", "Loaded", "describe", "find_model", "find_parts", "read_folder", "shipped", "write_folder"]


@dataclass(frozen=True)
class Loaded:
    """A model read from a folder: ``model`` is in eval mode, on the CPU, in float32."""

    kind: str
    config: Any
    model: torch.nn.Module
    tokenizer: BytePairs | ClipBytePairs | None
    facts: dict[str, Any]
    path: Path


@dataclass(frozen=True)
class Description:
    """What ``config.json`` says, without a weight being read (and without torch)."""

    kind: str
    sizes: dict[str, Any]
    facts: dict[str, Any]
    path: Path
    parameters: int
    limner: str
    hashes: dict[str, str] = field(default_factory=dict)


def classes(kind: str) -> tuple[type, type[torch.nn.Module]]:
    """The config dataclass and the module of ``kind``. Raises ModelError."""
    if kind == "dvae":
        from limner.models.dvae.config import DVAEConfig
        from limner.models.dvae.model import DVAE

        return DVAEConfig, DVAE
    if kind == "dalle":
        from limner.models.dalle.config import DALLEConfig
        from limner.models.dalle.model import DALLE

        return DALLEConfig, DALLE
    if kind == "clip":
        from limner.models.clip.config import CLIPConfig
        from limner.models.clip.model import CLIP

        return CLIPConfig, CLIP
    raise ModelError(f"kind of model: expected one of {', '.join(PAINTER_PARTS)}, got {kind!r}")


# --- writing ---------------------------------------------------------------------------------------------------------


def write_folder(
    path: Path | str,
    *,
    kind: str,
    config: Any,
    state: Mapping[str, torch.Tensor],
    tokenizer: BytePairs | ClipBytePairs | None = None,
    facts: Mapping[str, Any] | None = None,
    card: str | None = None,
    half: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write a model folder, whole or not at all; a folder that stands at ``path`` is replaced.

    ``state`` is the model's state dict and must fit ``config`` exactly; floats are stored as float32, with ``half`` as
    float16. ``facts`` are plain values (training, source and its hash, measures). Weights above ``shard_bytes`` are
    split into shards with an index, as on the hub. Raises ModelError (state and config disagree, a weight that is not
    finite), FileError (no room, no permission).
    """
    import torch

    where = f"{path}: weights to write"
    model = _bare(kind, config)
    _check_fit(where, state, model.state_dict())
    stored = {}
    for name, tensor in state.items():
        tensor = tensor.detach().to("cpu")
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half else torch.float32)
            _check_finite(where, name, tensor)
        stored[name] = tensor.clone(memory_format=torch.contiguous_format)  # tied weights are stored twice
    parameters = sum(p.numel() for p in model.parameters())
    with whole_folder(path) as folder:
        files = _write_weights(folder, stored, shard_bytes)
        if tokenizer is not None:
            tokenizer.save(folder / TOKENIZER)
            files.append(TOKENIZER)
        about = {
            "limner": limner.__version__,
            "format": FORMAT,
            "kind": kind,
            "parameters": parameters,
            "sizes": to_table(config),
            "facts": to_table(facts or {}),
            "sha256": {name: sha256(folder / name) for name in files},
        }
        text = json.dumps(about, indent=2, ensure_ascii=False, default=str) + "\n"
        write_atomically(folder / CONFIG, text)
        write_atomically(folder / CARD, card if card is not None else _plain_card(kind, parameters, half))
    return Path(path)


def _write_weights(folder: Path, stored: dict[str, torch.Tensor], shard_bytes: int) -> list[str]:
    from safetensors.torch import save

    shards: list[dict[str, torch.Tensor]] = [{}]
    room = shard_bytes
    for name, tensor in stored.items():
        if shards[-1] and tensor.nbytes > room:
            shards.append({})
            room = shard_bytes
        shards[-1][name] = tensor
        room -= tensor.nbytes
    if len(shards) == 1:
        write_atomically(folder / WEIGHTS, save(shards[0], metadata={"format": "pt"}))
        return [WEIGHTS]
    names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        write_atomically(folder / name, save(shard, metadata={"format": "pt"}))
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in stored.values())},
        "weight_map": {key: name for name, shard in zip(names, shards, strict=True) for key in shard},
    }
    write_atomically(folder / INDEX, json.dumps(index, indent=2) + "\n")
    return [INDEX, *names]


def _plain_card(kind: str, parameters: int, half: bool) -> str:
    precision = "float16" if half else "float32"
    return (
        f"# {kind} model\n\nWritten by limner {limner.__version__}: {parameters:,} parameters, stored as {precision}.\n"
        "`config.json` holds the sizes and how it was made.\n"
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def read_folder(name: Path | str) -> Loaded:
    """Read the model called ``name`` (see ``find_model``); every check is done before a weight is used.

    Raises ModelError: unknown name, missing, truncated, changed or foreign file, a weight of another name, shape or
    dtype than ``config.json`` says, or one that is not finite.
    """
    about = describe(find_model(name))
    config = _config(about)
    model = _bare(about.kind, config)
    state: dict[str, torch.Tensor] = {}
    for file in _weight_files(about.path):
        _check_hash(file, about)
        _read_weights(file, state)
    _check_fit(_weights_name(about.path), state, model.state_dict())
    model.load_state_dict(state, assign=True)
    return Loaded(about.kind, config, model.eval().requires_grad_(False), _tokenizer(about), about.facts, about.path)


def describe(path: Path | str) -> Description:
    """What the model folder at ``path`` holds, from its ``config.json`` alone. Raises ModelError."""
    folder = Path(path)
    file = folder / CONFIG
    if not file.is_file():
        found = [part for part in PAINTER_PARTS if (folder / part / CONFIG).is_file()]
        if found:
            raise ModelError(
                f"{folder}: a painter's folder where one model is needed; name a part: {folder / found[-1]}"
            )
        raise ModelError(f"{folder}: expected a model folder with {CONFIG}, found none; limner import makes one")
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file}: expected JSON, got something unreadable ({error}); fetch or write it again"
        ) from None
    if not isinstance(table, dict) or "kind" not in table or "format" not in table or "sizes" not in table:
        raise ModelError(
            f"{file}: expected limner's keys kind, format, sizes; a foreign model needs limner import first"
        )
    if table["format"] != FORMAT:
        raise ModelError(f"{file}: expected format {FORMAT}, got {table['format']!r}; another limner wrote it, upgrade")
    kinds = {"kind": str, "sizes": dict, "facts": dict, "parameters": int, "limner": str, "sha256": dict}
    filled: dict[str, Any] = {"facts": {}, "parameters": 0, "limner": "?", "sha256": {}} | table
    for key, kind in kinds.items():
        if not isinstance(filled[key], kind):
            raise ModelError(f"{file}: key {key!r}: expected {kind.__name__}, got {filled[key]!r}")
    return Description(
        kind=filled["kind"],
        sizes=filled["sizes"],
        facts=filled["facts"],
        path=folder,
        parameters=filled["parameters"],
        limner=filled["limner"],
        hashes=filled["sha256"],
    )


def fingerprint(folder: Path) -> str | None:
    """A name for the weights in ``folder`` by their checked hashes; None where a file has none. Raises ModelError."""
    hashes = describe(folder).hashes
    files = [file.name for file in sorted(folder.glob("*.safetensors"))]
    if not files or not set(files) <= set(hashes):
        return None
    return hashlib.sha256(repr([hashes[name] for name in files]).encode()).hexdigest()[:16]


def _config(about: Description) -> Any:
    try:
        return from_table(classes(about.kind)[0], about.sizes, where="sizes")
    except RecipeError as error:
        raise ModelError(f"{about.path / CONFIG}: {error}") from error


def _tokenizer(about: Description) -> BytePairs | ClipBytePairs | None:
    file = about.path / TOKENIZER
    if not file.is_file():
        if TOKENIZER in about.hashes:
            raise ModelError(f"{file}: the file is missing, {CONFIG} names it; fetch or write the folder again")
        return None
    from limner.text.tokenizer import load_tokenizer

    _check_hash(file, about)
    return load_tokenizer(file)


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        pickles = [f.name for f in folder.iterdir() if f.suffix in {".pt", ".pth", ".bin", ".ckpt", ".pkl"}]
        hint = f"{pickles[0]} is read by limner import only" if pickles else "fetch or write the folder again"
        raise ModelError(f"{folder}: expected {WEIGHTS} (or {INDEX}), found neither; {hint}")
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        plain = all(isinstance(name, str) and name == Path(name).name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        names, plain = [], False
    if not names or not plain:
        raise ModelError(f"{index}: expected a weight_map from names to files of this folder; fetch or write it again")
    for name in names:
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder / name}: the shard is missing, {INDEX} names it; fetch or write the folder again"
            )
    return [folder / name for name in names]


def _weights_name(folder: Path) -> str:
    return str(folder / (WEIGHTS if (folder / WEIGHTS).is_file() else INDEX))


def _read_weights(file: Path, state: dict[str, torch.Tensor]) -> None:
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a dict
                if name in state:
                    raise ModelError(f"{file}: weight {name!r} stands in two shards; fetch or write the folder again")
                tensor = weights.get_tensor(name)
                if tensor.is_floating_point():
                    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32):
                        raise ModelError(f"{file}: weight {name!r}: expected 16- or 32-bit floats, got {tensor.dtype}")
                    _check_finite(str(file), name, tensor)
                    tensor = tensor.to(torch.float32)
                state[name] = tensor
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{file}: expected whole safetensors, got a truncated or foreign file ({error}); fetch or write it again"
        ) from error


# --- checks ----------------------------------------------------------------------------------------------------------


def _bare(kind: str, config: Any) -> torch.nn.Module:
    """A ``kind`` model of these sizes whose random weights are left undrawn: they are read next, or only compared.

    That takes no time, no memory (pages that nobody touched) and no random number from the caller.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class Undrawn(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func.__name__.endswith(("normal_", "uniform_")):  # of tensors, and of torch.nn.init
                return args[0] if args else kwargs["tensor"]
            return func(*args, **kwargs)

    config_class, module = classes(kind)
    if not isinstance(config, config_class):
        raise ModelError(f"sizes of a {kind}: expected a {config_class.__name__}, got {type(config).__name__}")
    with torch.random.fork_rng(devices=[]), Undrawn():
        return module(config)


def _check_fit(where: str, got: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    missing, foreign = sorted(expected.keys() - got.keys()), sorted(got.keys() - expected.keys())
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ModelError(f"{where}: weight {missing[0]!r} is missing{more}; the file does not fit its {CONFIG}")
    if foreign:
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise ModelError(f"{where}: weight {foreign[0]!r} is unknown to this model{more}; it does not fit its {CONFIG}")
    for name, weight in expected.items():
        found = got[name]
        if found.shape != weight.shape:
            shapes = f"expected shape {tuple(weight.shape)}, got {tuple(found.shape)}"
            raise ModelError(f"{where}: weight {name!r}: {shapes}; it does not fit its {CONFIG}")
        if found.is_floating_point() != weight.is_floating_point():
            kinds = "a float" if weight.is_floating_point() else f"{weight.dtype}"
            raise ModelError(f"{where}: weight {name!r}: expected {kinds}, got {found.dtype}; use another file")


def _check_finite(where: str, name: str, tensor: torch.Tensor) -> None:
    if not bool(tensor.isfinite().all()):
        raise ModelError(
            f"{where}: weight {name!r} holds a value that is not finite (in {tensor.dtype}); use another file"
        )


def _check_hash(file: Path, about: Description) -> None:
    wanted = about.hashes.get(file.name)
    if wanted is None:  # weights changed on purpose: their owner took the line out
        return
    got = sha256(file)
    if got != wanted:
        raise ModelError(
            f"{file}: expected sha256 {wanted[:12]}…, got {got[:12]}…: truncated or changed since it was written; "
            f"fetch it again, or take its line out of {CONFIG} if you changed it on purpose"
        )
