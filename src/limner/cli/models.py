"""``limner models``: what is on this machine, what it is, fetch, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.common import Json, emit, human, say, table

Name = Annotated[str, typer.Argument(help="A shipped name, a model folder or a hub id (owner/name).")]

WANTED = ("*.json", "*.txt", "*.md", "*.model", "LICENSE*", "*.safetensors")
"""Files that are fetched from the hub: everything but pickles, which are asked for where there is nothing else."""


def list_models(json: Json = False) -> None:
    """List the models on this machine: those that came with limner and those in the hub cache."""
    from limner.models.names import SHIPPED, hub_cached, shipped

    found = [_entry(name, SHIPPED / name, "limner") for name in shipped()]
    for name in hub_cached():
        from limner.models.names import find_model

        found.append(_entry(name, find_model(name), "hub cache"))
    rows = [(m["name"], m["kind"], _count(m), human(m["bytes"]), m["source"]) for m in found]
    lines = table([("NAME", "KIND", "PARAMETERS", "SIZE", "FROM"), *rows]) if rows else ["no models on this machine"]
    emit({"models": found}, json, lines)


def show(name: Name, json: Json = False) -> None:
    """Show a model's kind, sizes, origin and card."""
    from limner.models.modelfolder import describe
    from limner.models.names import find_model

    folder = find_model(name)
    if not any(folder.glob("*.json")) and not _model_folders(folder):
        describe(folder)  # says what a model folder is
    entry = _entry(name, folder, str(folder))
    card = folder / "README.md"
    entry["card"] = card.read_text(encoding="utf-8") if card.is_file() else None
    entry["parts"] = {part: _described(path) for part, path in _model_folders(folder).items()}
    lines = table([("name", name), ("folder", folder), ("kind", entry["kind"]), ("parameters", _count(entry))])
    lines += table([("size on disk", human(entry["bytes"]))])
    for part, about in entry["parts"].items():
        lines += ["", f"{part}:", *("  " + line for line in table(_flat(about)))]
    if entry["card"]:
        lines += ["", entry["card"].rstrip()]
    emit(entry, json, lines)


def pull(name: Name, json: Json = False) -> None:
    """Fetch a model from the Hugging Face hub into its cache; what is there already is not fetched again.

    HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.
    """
    import fnmatch

    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    from limner.errors import ModelError
    from limner.models.names import hub_folder

    say(f"fetching {name} …")
    try:
        files = HfApi().list_repo_files(name)
        patterns = list(WANTED) if fnmatch.filter(files, "*.safetensors") else [*WANTED, "*.bin", "*.pt"]
        folder = Path(snapshot_download(name, cache_dir=hub_folder(), allow_patterns=patterns, etag_timeout=30))
    except OfflineModeIsEnabled:
        raise ModelError(f"{name}: HF_HUB_OFFLINE is set, nothing is fetched; unset it to allow the network") from None
    except HFValidationError:
        raise ModelError(f"{name}: expected a hub id like openai/clip-vit-base-patch32") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "none"
        raise ModelError(f"{name}: the hub has no such model, or it is not open to you (HTTP {status})") from error
    except Exception as error:  # the library's HTTP client has its own classes for a lost or refused connection
        raise ModelError(f"{name}: the hub cannot be reached ({type(error).__name__}); try again later") from error
    entry = _entry(name, folder, "hub cache")
    emit(entry, json, [f"{name}: {human(entry['bytes'])} in {folder}"])


def rm(name: Name, json: Json = False) -> None:
    """Remove a model that was fetched from the hub; models that came with limner or lie in your folders stay."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    from limner.errors import ModelError
    from limner.models.names import hub_cached, hub_folder, shipped

    if name in shipped():
        raise ModelError(f"{name}: it came with limner and is removed with it only")
    try:
        cache = scan_cache_dir(hub_folder())
        revisions = [r.commit_hash for repo in cache.repos if repo.repo_id == name for r in repo.revisions]
    except CacheNotFound:
        revisions = []
    if not revisions:
        have = ", ".join(hub_cached()) or "nothing"
        raise ModelError(
            f"{name}: expected a model in the hub cache, which holds {have}; a folder of yours is yours to delete"
        )
    doomed = cache.delete_revisions(*revisions)
    doomed.execute()
    emit(
        {"name": name, "freed": doomed.expected_freed_size},
        json,
        [f"{name}: {human(doomed.expected_freed_size)} freed"],
    )


def _entry(name: str, folder: Path, source: str) -> dict[str, Any]:
    abouts = {part: _described(path) for part, path in _model_folders(folder).items()}
    counts = [about["parameters"] for about in abouts.values()]
    return {
        "name": name,
        "kind": "painter" if len(abouts) > 1 else next((a["kind"] for a in abouts.values()), "foreign"),
        "parameters": sum(counts) if counts else None,
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "source": source,
        "path": str(folder),
    }


def _model_folders(folder: Path) -> dict[str, Path]:
    """The folders with one of limner's models at or below ``folder``, by part."""
    import json

    from limner.models.names import CONFIG, PAINTER_PARTS

    places = {part: folder / part for part in PAINTER_PARTS if (folder / part / CONFIG).is_file()}
    if not places and (folder / CONFIG).is_file():
        try:
            kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("kind")
        except (ValueError, AttributeError):
            kind = None
        if kind in PAINTER_PARTS:
            return {kind: folder}
    return places


def _described(folder: Path) -> dict[str, Any]:
    from limner.models.modelfolder import describe

    about = describe(folder)
    return {"kind": about.kind, "parameters": about.parameters, "limner": about.limner, "sizes": about.sizes} | {
        "facts": about.facts
    }


def _count(entry: dict[str, Any]) -> str:
    return "?" if entry["parameters"] is None else f"{entry['parameters']:,}"


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
