"""The names that models go by, looked up on this machine only: shipped names, folders, hub ids in the local cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

import limner
from limner.errors import ModelError

SHIPPED = Path(limner.__file__).parent / "weights"
PAINTER_PARTS = ("dvae", "dalle", "clip")
CONFIG = "config.json"


def shipped() -> list[str]:
    """Names of the models that come with limner: painters ("storybook") and lone models."""
    if not SHIPPED.is_dir():
        return []
    return sorted(folder.name for folder in SHIPPED.iterdir() if _holds_model(folder))


def find_parts(name: Path | str) -> dict[str, Path]:
    """The parts of the painter called ``name``: ``{"dvae": folder, "dalle": folder, "clip": folder}``.

    Raises ModelError where one is missing.
    """
    folder = find_model(name)
    missing = [part for part in PAINTER_PARTS if not (folder / part / CONFIG).is_file()]
    if missing:
        raise ModelError(f"{folder}: expected a painter's folder (dvae/, dalle/, clip/), {missing[0]}/ is missing")
    return {part: folder / part for part in PAINTER_PARTS}


def find_model(name: Path | str) -> Path:
    """The folder of the model called ``name``: a shipped name ("storybook", "storybook/clip"), a folder, or a hub id
    whose files are in the local Hugging Face cache (``limner models pull`` brings them). No network.

    Raises ModelError, which lists the known names.
    """
    text = os.fspath(name)
    if not text.strip():
        raise ModelError(f"model: expected a name or a folder, got an empty one; known: {', '.join(known())}")
    if isinstance(name, str) and text.split("/")[0] in shipped() and (SHIPPED / text).is_dir():
        return SHIPPED / text
    folder = Path(text).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(f"model {text!r}: expected a model folder, got a file; limner import makes a folder of it")
    if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w.-]+)?", text):
        cached = _in_hub_cache(text)
        if cached is not None:
            return cached
        raise ModelError(
            f"model {text!r}: no such folder, and not in the local hub cache; limner models pull {text} fetches it "
            f"from the hub; known: {', '.join(known())}"
        )
    raise ModelError(f"model {text!r}: unknown; known: {', '.join(known())}; or give a model folder or a hub id")


def part_folder(name: str, kind: str) -> Path:
    """The folder of the model ``name``; the part ``kind`` of a painter; ``model/`` of a run."""
    folder = find_model(name)
    for place in (folder / "model", folder / kind):
        if (place / CONFIG).is_file():
            return place
    return folder


def known() -> list[str]:
    """Names that ``find_model`` knows without a path: shipped models, then models in the local hub cache."""
    return [*shipped(), *hub_cached()] or ["none"]


def hub_cached() -> list[str]:
    """Hub ids of the models whose files are in the local Hugging Face cache."""
    found = [entry.name.removeprefix("models--").replace("--", "/") for entry in hub_folder().glob("models--*")]
    return sorted(name for name in found if _in_hub_cache(name) is not None)


def hub_folder() -> Path:
    """Where the Hugging Face library keeps what it fetched: its own rule, read at call time."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def _in_hub_cache(name: str) -> Path | None:
    # The cache's documented layout: refs/main holds the commit whose files are linked under snapshots/. Read by hand,
    # for importing the library takes as long as drawing a picture.
    owner, repository, *rest = name.split("/") if "/" in name else ("", name)
    entry = hub_folder() / "--".join(["models", *filter(None, (owner, repository))])
    try:
        commit = (entry / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = entry.joinpath("snapshots", commit, *rest)
    return folder if folder.is_dir() else None


def _holds_model(folder: Path) -> bool:
    return (folder / CONFIG).is_file() or any((folder / part / CONFIG).is_file() for part in PAINTER_PARTS)
