"""From somebody's checkpoint to a model folder of limner's, and a check that the folder answers the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.errors import FileError, InputError, ModelError, RecipeError
from limner.formats.detect import find_source, read_source
from limner.formats.imported import Imported, Options
from limner.pictures.preprocess import LARGEST

if TYPE_CHECKING:
    import torch

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
    resolution: int | None = None,
) -> dict[str, Any]:
    """Read ``source``, write a model folder at ``out``, read that again and compare; returns what was done.

    ``resolution``: make a CLIP take pictures of that many pixels a side, its positions interpolated.
    ``half`` stores half precision; a source in half precision throughout is stored so anyway, which loses nothing.
    Raises ModelError, FileError; nothing is left at ``out`` then.
    """
    from limner.files import whole_folder
    from limner.models.modelfolder import write_folder

    out = Path(out)
    _check_place(out, find_source(source))
    imported = read_source(source, options, format=format)
    if resolution is not None:
        imported = at_resolution(imported, resolution)
    lossless = all_half(imported)
    facts = dict(imported.facts)
    if imported.tokenizer is not None:
        facts["tokenizer"] = {
            "clean": getattr(imported.tokenizer, "clean", "limner"),
            "context": imported.config.text.context,
        }
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


def build(imported: Imported) -> Any:
    """The model itself, in float32 and eval mode, from a source that was read."""
    from limner.models.modelfolder import classes
    from limner.models.outline import outline

    with outline():
        model = classes(imported.kind)[1](imported.config)
    state = {k: (t.float() if t.is_floating_point() else t).contiguous() for k, t in imported.state.items()}
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def at_resolution(imported: Imported, side: int) -> Imported:
    """A CLIP for pictures of ``side`` × ``side`` pixels: its positions interpolated, its preprocessing in proportion.

    Raises InputError for a side that has no whole cell or is too large, ModelError where the model is no CLIP.
    """
    from limner.models.clip.resize import at_resolution as resized

    if imported.kind != "clip":
        raise ModelError(f"resolution: expected a CLIP, got a {imported.kind}, which takes pictures of any size")
    if not 1 <= side <= LARGEST:
        raise InputError(f"resolution: expected 1 to {LARGEST} pixels, got {side}")
    try:
        model = resized(build(imported), side)
    except RecipeError as error:
        raise InputError(f"resolution: {error}") from error
    facts = imported.facts | {"trained_at": list(imported.config.size)}
    return replace(imported, config=model.config, state=model.state_dict(), facts=facts)


def self_check(imported: Imported, folder: Path, *, exact: bool = True) -> float:
    """The largest difference between answers of the source and of the folder, on a fixed input: CLIP's normalised
    features; a dVAE's probabilities and pixels.

    Raises ModelError where it is above what storing can explain.
    """
    from limner.models.modelfolder import read_folder

    loaded = read_folder(folder)
    if imported.tokenizer is not None and imported.tokenizer.clip_row(CAPTIONS, 64, cut=True).tolist() != (
        loaded.tokenizer.clip_row(CAPTIONS, 64, cut=True).tolist() if loaded.tokenizer is not None else None
    ):
        raise ModelError(f"{folder}: expected the same token ids after reading the folder again, got others")
    answers = ANSWERS[imported.kind]
    pairs = zip(answers(build(imported), imported), answers(loaded.model, imported), strict=True)
    difference = max(float((before - after).abs().max()) for before, after in pairs)
    if not difference <= (TOLERANCE if exact else HALF_TOLERANCE):
        raise ModelError(
            f"{folder}: expected the answers of the source, got a difference of {difference:.2g}; nothing was written"
        )
    return difference


def clip_answers(model: Any, imported: Imported) -> list[torch.Tensor]:
    """Normalised features of two pictures of noise and four captions (or rows of ids)."""
    import torch
    from torch.nn.functional import normalize

    config = imported.config
    random = torch.Generator().manual_seed(0)
    pixels = torch.randn((2, 3, *config.size), generator=random)
    if imported.tokenizer is not None and config.text.context >= 4:
        ids = torch.from_numpy(imported.tokenizer.clip_row(CAPTIONS, config.text.context, cut=True))
    else:
        ids = torch.randint(config.text.vocabulary, (4, config.text.context), generator=random)
    with torch.inference_mode():
        return [normalize(model.encode_image(pixels), dim=-1), normalize(model.encode_text(ids), dim=-1)]


def dvae_answers(model: Any, imported: Imported) -> list[torch.Tensor]:
    """Probabilities of codes for a picture of noise, and the picture of fixed codes."""
    import torch

    factor, vocabulary = imported.config.factor, imported.config.vocabulary
    random = torch.Generator().manual_seed(0)
    pixels = torch.rand((1, 3, 4 * factor, 6 * factor), generator=random)
    codes = torch.randint(vocabulary, (1, 4, 6), generator=random)
    with torch.inference_mode():
        return [model.encoder(pixels).softmax(dim=1), model.decode(codes)]


ANSWERS: dict[str, Callable[[Any, Imported], list[torch.Tensor]]] = {"clip": clip_answers, "dvae": dvae_answers}
"""What a model of each kind says about a fixed input, always the same for the same sizes."""


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
