"""From somebody's checkpoint to a model folder of limner's, and a check that the folder answers the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.errors import FileError, ModelError
from limner.formats.detect import find_source, read_source
from limner.formats.imported import Imported, Options

if TYPE_CHECKING:
    import torch

    from limner.models.clip.model import CLIP

CAPTIONS = ("a photo of a cat", "It's 2 DOGS &amp; a café", "一只猫 🐶", "")
TOLERANCE = 1e-5
HALF_TOLERANCE = 0.02
"""Largest difference of normalised features: the same float32 weights, or weights rounded to half precision."""


def import_model(
    source: Path | str,
    out: Path | str,
    options: Options | None = None,
    *,
    format: str | None = None,
    half: bool = False,
) -> dict[str, Any]:
    """Read ``source``, write a model folder at ``out``, read that again and compare; returns what was done.

    ``half`` stores half precision; a source in half precision throughout is stored so anyway, which loses nothing.
    Raises ModelError, FileError; nothing is left at ``out`` then.
    """
    from limner.files import whole_folder
    from limner.models.modelfolder import write_folder

    out = Path(out)
    _check_place(out, find_source(source))
    imported = read_source(source, options, format=format)
    lossless = all_half(imported)
    facts = dict(imported.facts)
    if imported.tokenizer is not None:
        facts["tokenizer"] = {"clean": getattr(imported.tokenizer, "clean", "limner"), "context": _context(imported)}
    # Written beside, checked, and only then put in place.
    with whole_folder(out) as beside:
        folder = beside / "model"
        write_folder(
            folder,
            kind=imported.kind,
            config=imported.config,
            state=imported.state,
            tokenizer=imported.tokenizer,
            facts=facts,
            card=_card(imported),
            half=half or lossless,
        )
        difference = self_check(imported, folder, exact=not half or lossless)
        for file in folder.iterdir():
            file.rename(beside / file.name)
        folder.rmdir()
    parameters = sum(t.numel() for t in imported.state.values() if t.is_floating_point())
    return {
        "out": str(out),
        "kind": imported.kind,
        "format": facts["source"]["format"],
        "parameters": parameters,
        "activation": facts.get("activation"),
        "tokenizer": facts.get("tokenizer", {}).get("clean"),
        "difference": difference,
        "sha256": facts["source"]["sha256"],
        "notes": list(imported.notes),
    }


def all_half(imported: Imported) -> bool:
    """Whether every weight came in half precision (but for a lone scalar such as ``logit_scale``, none may differ)."""
    import torch

    return all(t.dtype == torch.float16 for t in imported.state.values() if t.is_floating_point())


def build(imported: Imported) -> CLIP:
    """The model itself, in float32 and eval mode, from a source that was read."""
    from limner.models.modelfolder import classes
    from limner.models.outline import outline

    with outline():
        model = classes(imported.kind)[1](imported.config)
    state = {k: (t.float() if t.is_floating_point() else t).contiguous() for k, t in imported.state.items()}
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)  # type: ignore[return-value]


def self_check(imported: Imported, folder: Path, *, exact: bool = True) -> float:
    """The largest difference between normalised features of the source and of the folder, on a fixed input.

    Raises ModelError where it is above what storing can explain.
    """
    from limner.models.modelfolder import read_folder

    loaded = read_folder(folder)
    before, after = build(imported), loaded.model
    pixels, ids = fixed_input(imported)
    if imported.tokenizer is not None and imported.tokenizer.clip_row(CAPTIONS, 64, cut=True).tolist() != (
        loaded.tokenizer.clip_row(CAPTIONS, 64, cut=True).tolist() if loaded.tokenizer is not None else None
    ):
        raise ModelError(f"{folder}: expected the same token ids after reading the folder again, got others")
    difference = max(_difference(before, after, pixels, ids))
    if not difference <= (TOLERANCE if exact else HALF_TOLERANCE):
        raise ModelError(
            f"{folder}: expected the features of the source, got a difference of {difference:.2g}; nothing was written"
        )
    return difference


def fixed_input(imported: Imported) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of noise and four rows of ids, always the same for the same sizes."""
    import torch

    config = imported.config
    random = torch.Generator().manual_seed(0)
    pixels = torch.randn((2, 3, *config.size), generator=random)
    if imported.tokenizer is not None and config.text.context >= 4:
        ids = torch.from_numpy(imported.tokenizer.clip_row(CAPTIONS, config.text.context, cut=True))
    else:
        ids = torch.randint(config.text.vocabulary, (4, config.text.context), generator=random)
    return pixels, ids


def _difference(before: CLIP, after: Any, pixels: torch.Tensor, ids: torch.Tensor) -> list[float]:
    import torch
    from torch.nn.functional import normalize

    with torch.inference_mode():
        pairs = [
            (before.encode_image(pixels), after.encode_image(pixels)),
            (before.encode_text(ids), after.encode_text(ids)),
        ]
        return [float((normalize(a, dim=-1) - normalize(b, dim=-1)).abs().max()) for a, b in pairs]


def _check_place(out: Path, source: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise FileError(f"{out}: expected a new folder to write to, got a file; choose another place")
    if source.resolve().is_relative_to(out.resolve()):
        raise FileError(f"{out}: expected another folder than the source's, which would be lost; choose another place")
    if any(out.iterdir()) and not _is_model_folder(out):
        raise FileError(f"{out}: expected a new folder or an older model, got other files; choose another place")


def _is_model_folder(folder: Path) -> bool:
    try:
        table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(table, dict) and "limner" in table


def _context(imported: Imported) -> int:
    return int(imported.config.text.context)


def _card(imported: Imported) -> str:
    source = imported.facts["source"]
    lines = [
        f"# {imported.kind}, imported",
        "",
        f"Made by `limner import` from {source['format']}: {', '.join(source['files'])}.",
        f"SHA-256 of the source: {source['sha256']}.",
        "",
        "The licence and the limits of the source hold for this copy too.",
    ]
    return "\n".join(lines) + "\n"
