"""Prints docs/help.md from the commands themselves (``make help``)."""

from __future__ import annotations

import contextlib
import io
import os

from limner.cli.main import COMMANDS, main


def names() -> list[str]:
    """Every command, the groups' own among them; "" is limner itself."""
    found = [""]
    for name, entry in COMMANDS.items():
        found += [name, *(f"{name} {sub}" for sub in entry)] if isinstance(entry, dict) else [name]
    return found


def help_of(name: str) -> str:
    """What ``limner NAME --help`` prints on a terminal of 80 columns."""
    os.environ["COLUMNS"] = "80"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([*name.split(), "--help"])
    if code:
        raise SystemExit(f"limner {name} --help ended with {code}")
    return printed.getvalue().rstrip()


def document() -> str:
    """The whole of docs/help.md."""
    parts = ["# Commands\n\nMade by `make help` from the commands themselves; a test keeps it true.\n"]
    parts += [f"## {f'limner {name}'.strip()}\n\n```text\n{help_of(name)}\n```\n" for name in names()]
    return "\n".join(parts)


if __name__ == "__main__":
    print(document(), end="")
