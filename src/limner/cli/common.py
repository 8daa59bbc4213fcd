"""What all commands share: the usual options, the way answers are printed, and where settings come from.

A setting is taken from its flag, else from the environment (``LIMNER_GENERATE_COUNT`` for one command, ``LIMNER_COUNT``
for all that know it), else from ``./limner.toml``, else from the user's ``limner.toml``, else it is the
option's default.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from limner.errors import RecipeError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A shipped name, a model folder or a hub id.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same result.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that the results are written to.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; all cores if not given.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]

DEFAULT_MODEL = "storybook"


def emit(answer: Any, as_json: bool, lines: Iterable[str] = ()) -> None:
    """Print an answer on stdout: ``answer`` as one line of JSON, or ``lines`` for people."""
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, default=str))
    else:
        for line in lines:
            print(line)
    sys.stdout.flush()


def say(text: str) -> None:
    """Chatter: on stderr, and only where somebody sees it."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def table(rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Rows as lines with columns aligned to the left."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def human(count: float, unit: str = "B") -> str:
    """``1234567`` as ``1.2 MB``."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if abs(count) < 1000 or prefix == "E":
            return f"{count:.0f} {unit}" if not prefix else f"{count:.1f} {prefix}{unit}"
        count /= 1000
    raise AssertionError("unreachable")


# Settings


def settings_files() -> list[Path]:
    """The ``limner.toml`` files that count here, the nearest first."""
    import platformdirs

    places = [Path("limner.toml"), Path(platformdirs.user_config_dir("limner")) / "limner.toml"]
    return [place for place in places if place.is_file()]


def settings(command: str, known: Mapping[str, object]) -> dict[str, Any]:
    """Values for the options ``known`` of ``command`` from the environment and the ``limner.toml`` files.

    In a file, lines above the first table count for every command that knows them, ``[generate]`` for one. Raises
    RecipeError: a file that is not TOML, an option that its command does not know.
    """
    values: dict[str, Any] = {}
    for file in reversed(settings_files()):
        values |= _from_file(file, command, known)
    for name in known:
        for variable in (f"LIMNER_{name.upper()}", f"LIMNER_{command.upper().replace(' ', '_')}_{name.upper()}"):
            if os.environ.get(variable):
                values[name] = os.environ[variable]
    return values


def _from_file(file: Path, command: str, known: Mapping[str, object]) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{file}: expected settings as TOML, got something unreadable ({error}); mend it") from error
    shared = {_name(key): value for key, value in content.items() if not isinstance(value, dict)}
    own: Any = content
    for part in command.split():
        own = own.get(part, {}) if isinstance(own, dict) else {}
    own = {_name(key): value for key, value in own.items()} if isinstance(own, dict) else {}
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise RecipeError(f"{file}: [{command}] has no setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return {key: value for key, value in shared.items() if key in known} | own


def _name(key: str) -> str:
    return key.replace("-", "_")
