"""Whose checkpoint is it? Each format is a name, a test on a path and a reader; the first that fits reads.

``read_source`` is the door: a file, a folder, or the name of a model in the local hub cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.errors import FileError, ModelError
from limner.formats import huggingface, open_clip, openai_dvae
from limner.formats.imported import Imported, Options
from limner.formats.openai_clip import is_openai, read_openai
from limner.formats.weights import Weights, read_weights


@dataclass(frozen=True)
class Format:
    """``name`` for ``--format``, what it is, whether a path is of it, and its reader."""

    name: str
    about: str
    fits: Callable[[Path, Options], bool]
    read: Callable[[Path, Options], Imported]


def _is_open_clip_folder(path: Path, options: Options) -> bool:
    return path.is_dir() and (path / open_clip.CONFIG).is_file()


def _is_hf_folder(path: Path, options: Options) -> bool:
    return path.is_dir() and huggingface.is_clip_folder(path)


def _is_file(path: Path, options: Options) -> bool:
    return path.is_file()


def _read_open_clip_file(path: Path, options: Options) -> Imported:
    config = options.config or path.with_name(open_clip.CONFIG)
    if not config.is_file():
        raise ModelError(f"{path}: expected {open_clip.CONFIG} beside it, or --config FILE, got neither")
    return open_clip.read_weights_of(read_weights(path), config, options)


def _read_file(path: Path, options: Options) -> Imported:
    weights = read_weights(path)
    config = options.config or path.with_name(open_clip.CONFIG)
    # An archive tells everything by itself; what lies beside it belongs to something else.
    if config.is_file() and (options.config is not None or weights.kind != "torchscript"):
        return open_clip.read_weights_of(weights, config, options)
    return _read_openai_file(path, options, weights)


def _read_openai_file(path: Path, options: Options, weights: Weights | None = None) -> Imported:
    weights = weights or read_weights(path)
    for candidate in (weights, open_clip.without_prefixes(weights)):
        if is_openai(candidate):
            return read_openai(candidate, options)
    first = next(iter(weights.tensors))
    raise ModelError(
        f"{path}: expected the weights of a CLIP in OpenAI's names, got others ({first[:60]!r}, …); give the folder "
        "that they came in, or --config FILE"
    )


def _is_dvae(path: Path, options: Options) -> bool:
    return openai_dvae.is_dvae(path)


FORMATS: tuple[Format, ...] = (
    Format("dvae", "OpenAI's encoder.pkl and decoder.pkl", _is_dvae, openai_dvae.read_dvae),
    Format("open_clip", "a folder of open_clip", _is_open_clip_folder, open_clip.read_folder),
    Format("hf", "a CLIPModel folder of transformers", _is_hf_folder, huggingface.read_folder),
    Format("", "a file of weights", _is_file, _read_file),
    Format("open_clip", "a file of open_clip's", _is_file, _read_open_clip_file),
    Format("openai", "a file in OpenAI's names", _is_file, _read_openai_file),
)
"""The first that fits reads; with ``--format`` only those of that name are asked."""

WEIGHTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")


def find_source(source: Path | str) -> Path:
    """The file or folder that ``source`` names: a path, else a hub id in the local cache.

    Raises ModelError, FileError.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    text = str(source)
    if text.count("/") == 1 and not text.startswith((".", "/", "~")) and path.suffix not in WEIGHTS:
        from limner.models.names import find_model

        return find_model(text)
    raise FileError(f"{path}: no such file or folder; check the path")


def read_source(source: Path | str, options: Options | None = None, *, format: str | None = None) -> Imported:
    """Read and check somebody's checkpoint. ``format``: one of the names in FORMATS; recognised where not given.

    Raises ModelError: not recognised, damaged, unsafe, or a model that limner does not have; FileError.
    """
    options, path = options or Options(), find_source(source)
    candidates = [f for f in FORMATS if format in (None, f.name)]
    if not candidates:
        known = ", ".join(dict.fromkeys(f.name for f in FORMATS if f.name))
        raise ModelError(f"format: expected one of {known}, got {format!r}")
    for candidate in candidates:
        if candidate.fits(path, options):
            return candidate.read(path, options)
    if path.is_dir() and format in (None, "openai"):
        inside = _lone_weights(path)
        if inside is not None:
            return _read_file(inside, options)
    raise ModelError(f"{path}: expected {_listing(candidates)}, got {_describe(path)}")


def _lone_weights(folder: Path) -> Path | None:
    files = [file for file in sorted(folder.iterdir()) if file.suffix in WEIGHTS and file.is_file()]
    return files[0] if len(files) == 1 else None


def _listing(formats: Sequence[Format]) -> str:
    return " or ".join(dict.fromkeys(f.about for f in formats))


def _describe(path: Path) -> str:
    if path.is_file():
        return "a file"
    names = sorted(entry.name for entry in path.iterdir())[:4]
    return f"a folder with {', '.join(names)}" if names else "an empty folder"
