"""``limner info``: what a picture, a model folder or a training run says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.common import Json, emit, table


def info(
    what: Annotated[str, typer.Argument(help="A picture, a model (name or folder) or a run folder.")],
    json: Json = False,
) -> None:
    """Show a picture's caption, seed and settings, a model's sizes, or how far a run is."""
    path = Path(what)
    if path.is_file():
        _picture(path, json)
    elif (path / "recipe.toml").is_file():
        _run(path, json)
    else:
        from limner.cli.models import show

        show(what, json)


def _picture(path: Path, as_json: bool) -> None:
    from limner.pictures.load import load_picture
    from limner.pictures.png import read_facts

    width, height = load_picture(path).size
    facts = read_facts(path)
    answer = {"path": str(path), "width": width, "height": height, "facts": facts}
    rows = [("picture", path), ("size", f"{width} × {height}"), *facts.items()]
    lines = table(rows) if facts else [*table(rows), "no note of limner or of another drawing tool inside"]
    emit(answer, as_json, lines)


def _run(folder: Path, as_json: bool) -> None:
    import tomllib

    from limner.errors import RecipeError
    from limner.training.journal import read_journal

    try:
        recipe = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{folder / 'recipe.toml'}: expected TOML, got something unreadable ({error})") from error
    journal = folder / "journal.jsonl"
    last: dict[str, Any] = {}
    for record in read_journal(journal) if journal.is_file() else []:
        last |= record
    places = folder.glob("checkpoints/*")
    answer = {
        "path": str(folder),
        "kind": recipe.get("kind"),
        "recipe": recipe.get("name"),
        "steps": recipe.get("training", {}).get("steps"),
        "checkpoints": sorted(int(place.name) for place in places if place.name.isdecimal()),
        "last": last,
        "model": str(folder / "model") if (folder / "model" / "config.json").is_file() else None,
    }
    rows = [(key, value) for key, value in answer.items() if key != "last"]
    emit(answer, as_json, table([*rows, *((f"last {key}", value) for key, value in last.items())]))
