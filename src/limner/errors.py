"""The errors that limner raises on purpose: one line each, which says what was expected, what came, what to do.

The CLI prints the line and exits with ``exit_code``; a traceback appears only with ``--debug``.
"""

from __future__ import annotations


class LimnerError(Exception):
    """Anything that limner refuses or cannot do; ``str(error)`` is one line for the user."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class InputError(LimnerError, ValueError):
    """A caption, number, region, label … that cannot be used."""


class PictureError(LimnerError, ValueError):
    """A picture that is missing, unreadable, of zero size or too large."""


class DataError(LimnerError):
    """A data source without usable pairs, or with too many broken ones."""


class ModelError(LimnerError):
    """A model that is missing, or whose files are truncated, foreign, damaged or unsafe."""


class RecipeError(LimnerError, ValueError):
    """A recipe or setting with an unknown name or a value of the wrong kind."""


class TrainingError(LimnerError):
    """A training run that cannot start, go on or resume."""


class FileError(LimnerError, OSError):
    """A file or folder that cannot be read or written (missing, no permission, disk full)."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtra(LimnerError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


def expected(what: str, expectation: object, got: object, todo: str = "") -> str:
    """The usual form of a message: ``what: expected X, got Y; do Z``."""
    line = f"{what}: expected {expectation}, got {got}"
    return f"{line}; {todo}" if todo else line
