"""Checkpoints ``checkpoints/STEP/``: there whole or not at all, safetensors and JSON, nothing pickled.

One process writes each part (weights, their average, the optimiser's state) as one file; several write a folder of
shards each, by ``torch.distributed.checkpoint``. Any number of processes reads both.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limner import ranks
from limner.errors import FileError, TrainingError
from limner.files import explain, make_folder, sha256, whole_folder, write_atomically
from limner.training.parallel import fill

PARTS = ("weights", "average", "optimizer")
"""What every checkpoint has; some runs write another part or two."""
STATE = "state.json"
TODO = "delete this folder to go on from the one before"

Parts = Mapping[str, Mapping[str, torch.Tensor]]
"""Named tensors of each part; of a sharded model they are DTensors. All processes write the same parts."""


def save_checkpoint(run: Path, step: int, parts: Parts, facts: dict[str, Any], keep: int = 2) -> Path:
    """Write the checkpoint of ``step``, then take away all but the ``keep`` newest; all processes call it.

    facts: plain values (sums, counts). Raises FileError; older checkpoints then stay.
    """
    path = run / "checkpoints" / str(step)
    if ranks.world() == 1:
        with whole_folder(path) as folder:
            hashes = {}
            for part in parts:
                file = folder / f"{part}.safetensors"
                _save(parts[part], file)
                hashes[file.name] = sha256(file)
            _write_state(folder, step, facts, hashes)
    else:
        _save_together(path, step, parts, facts)
    if ranks.is_first():
        for old in steps(run)[:-keep]:
            shutil.rmtree(run / "checkpoints" / str(old), ignore_errors=True)
    return path


def _save(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    import errno

    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}, file)
    except SafetensorError as error:  # the library hides the errno of a full disk in its words
        full = "os error 28" in str(error) or "No space" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def _save_together(path: Path, step: int, parts: Parts, facts: dict[str, Any]) -> None:
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp

    names = [path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")]
    dist.broadcast_object_list(names, src=0)
    folder = names[0]
    try:
        for part in parts:
            make_folder(folder / part)
            tensors = {name: t.detach() for name, t in parts[part].items()}
            writer = dcp.HuggingFaceStorageWriter(str(folder / part), save_distributed=True)
            dcp.save(tensors, storage_writer=writer)
        ranks.wait(f"{path}: the other processes write their shards")
        if ranks.is_first():
            hashes = {
                file.relative_to(folder).as_posix(): sha256(file) for file in sorted(folder.rglob("*.safetensors"))
            }
            _write_state(folder, step, facts, hashes)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(folder, path)
        ranks.wait(f"{path}: the first process puts the checkpoint in its place")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, FileError):
            raise
        raise FileError(explain(error, path)) from error


def _write_state(folder: Path, step: int, facts: dict[str, Any], hashes: dict[str, str]) -> None:
    write_atomically(folder / STATE, json.dumps({"step": step, "facts": facts, "sha256": hashes}, indent=1))


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, checked; its tensors are read by ``load`` and ``fill_from``."""

    path: Path
    step: int
    facts: dict[str, Any]

    def has(self, part: str) -> bool:
        """Whether ``part`` was written."""
        return (self.path / part).is_dir() or (self.path / f"{part}.safetensors").is_file()

    def load(self, part: str, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, torch.Tensor]:
        """The whole tensors of ``part`` whose names are ``wanted``, on the CPU. Raises TrainingError."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            if (self.path / part).is_dir():
                return _load_shards(self.path / part, wanted)
            found = load_file(self.path / f"{part}.safetensors")
            return {name: tensor for name, tensor in found.items() if wanted(name)}
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise TrainingError(f"{self.path}: expected {part}, got something unreadable ({error}); {TODO}") from error

    def fill_from(self, part: str, targets: Mapping[str, torch.Tensor]) -> None:
        """Copy ``part`` into tensors with its names, whole or sharded. Raises TrainingError (other names, shapes)."""
        found = self.load(part)
        if found.keys() != targets.keys():
            odd = sorted(found.keys() ^ targets.keys())[0]
            raise TrainingError(f"{self.path}: {part}: {odd!r} is on one side only; the model's sizes have changed")
        for name, target in targets.items():
            if found[name].shape != target.shape:
                raise TrainingError(
                    f"{self.path}: {part}: {name!r}: expected {tuple(target.shape)}, got {tuple(found[name].shape)}"
                )
            fill(target, found[name])


def load_checkpoint(run: Path, step: int) -> Checkpoint:
    """Open a checkpoint and check that its files are as they were written. Raises TrainingError."""
    path = run / "checkpoints" / str(step)
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        for name, digest in state["sha256"].items() if ranks.is_first() else ():
            if sha256(path / name) != digest:
                raise TrainingError(f"{path / name}: expected it as it was written, got a changed file; {TODO}")
        return Checkpoint(path, int(state["step"]), dict(state["facts"]))
    except TrainingError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path}: expected a whole checkpoint, got a damaged one ({error}); {TODO}") from error


def _load_shards(folder: Path, wanted: Callable[[str], bool]) -> dict[str, torch.Tensor]:
    import torch.distributed.checkpoint as dcp

    reader = dcp.HuggingFaceStorageReader(str(folder))
    described: dict[str, Any] = dict(reader.read_metadata().state_dict_metadata)
    tensors = {
        name: torch.empty(about.size, dtype=about.properties.dtype) for name, about in described.items() if wanted(name)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one process reads it alone is meant so
        dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(str(folder)), no_dist=True)
    return tensors


def steps(run: Path) -> list[int]:
    """The steps of the whole checkpoints of a run, oldest first."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    return sorted(int(f.name) for f in folder.iterdir() if f.name.isdigit() and (f / STATE).is_file())


def tidy(run: Path) -> None:
    """Take away what a kill left half-written (names that start with a dot)."""
    for folder in (run, run / "checkpoints"):
        if folder.is_dir():
            for rest in [*folder.glob(".*.part"), *folder.glob(".*.old")]:
                shutil.rmtree(rest, ignore_errors=True) if rest.is_dir() else rest.unlink(missing_ok=True)
