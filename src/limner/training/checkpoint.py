"""Checkpoints ``checkpoints/STEP/``: there whole or not at all, safetensors and JSON, nothing pickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from limner.errors import TrainingError
from limner.files import sha256, whole_folder, write_atomically

PARTS = ("weights", "average", "optimizer")
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A training run at a step: three sets of named tensors on the CPU, and plain facts (sums, counts)."""

    step: int
    weights: Mapping[str, torch.Tensor]
    average: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(run: Path, checkpoint: Checkpoint, keep: int = 2) -> Path:
    """Write the checkpoint, then take away all but the ``keep`` newest. Raises FileError; older ones then stay."""
    from safetensors.torch import save_file

    path = run / "checkpoints" / str(checkpoint.step)
    with whole_folder(path) as folder:
        hashes = {}
        for part in PARTS:
            file = folder / f"{part}.safetensors"
            tensors = {k: t.detach().to("cpu").contiguous() for k, t in getattr(checkpoint, part).items()}
            _save(save_file, tensors, file)
            hashes[file.name] = sha256(file)
        state = {"step": checkpoint.step, "facts": checkpoint.facts, "sha256": hashes}
        write_atomically(folder / STATE, json.dumps(state, indent=1))
    for old in steps(run)[:-keep]:
        shutil.rmtree(run / "checkpoints" / str(old), ignore_errors=True)
    return path


def load_checkpoint(run: Path, step: int) -> Checkpoint:
    """Read a checkpoint whole. Raises TrainingError (damaged or incomplete)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = run / "checkpoints" / str(step)
    todo = "delete this folder to go on from the one before"
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        parts = {}
        for part in PARTS:
            file = path / f"{part}.safetensors"
            if sha256(file) != state["sha256"][file.name]:
                raise TrainingError(f"{file}: expected the checkpoint as it was written, got a changed file; {todo}")
            parts[part] = load_file(file)
        return Checkpoint(int(state["step"]), **parts, facts=state["facts"])
    except TrainingError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(f"{path}: expected a whole checkpoint, got a damaged one ({error}); {todo}") from error


def steps(run: Path) -> list[int]:
    """The steps of the whole checkpoints of a run, oldest first."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    return sorted(int(f.name) for f in folder.iterdir() if f.name.isdigit() and (f / STATE).is_file())


def tidy(run: Path) -> None:
    """Take away what a kill left half-written (names that start with a dot)."""
    for folder in (run, run / "checkpoints"):
        for rest in folder.glob(".*.part") if folder.is_dir() else ():
            shutil.rmtree(rest, ignore_errors=True) if rest.is_dir() else rest.unlink(missing_ok=True)
        for rest in folder.glob(".*.old") if folder.is_dir() else ():
            shutil.rmtree(rest, ignore_errors=True)


def _save(save_file: Any, tensors: dict[str, torch.Tensor], file: Path) -> None:
    from safetensors import SafetensorError

    try:
        save_file(tensors, file)
    except SafetensorError as error:  # the library hides the errno of a full disk in its words
        import errno

        full = "os error 28" in str(error) or "No space" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
