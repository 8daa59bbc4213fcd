"""JSON of other people's folders: read strictly, and its fields taken with their kind and range checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from limner.errors import FileError, ModelError
from limner.files import explain

LARGEST = 64 << 20


def read_json(path: Path | str) -> Any:
    """The value of a JSON file. Raises ModelError: not JSON, a key twice, NaN, too long, nested too deep."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ModelError(f"{path}: expected JSON of at most {LARGEST} bytes, got {size}")
        text = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(explain(error, path)) from error
    return parse_json(text, path)


def parse_json(text: bytes, where: object) -> Any:
    """The value of JSON text. Raises ModelError as ``read_json``."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ModelError(f"{where}: expected JSON, got one that is nested too deep") from None
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError and numbers of thousands of digits are such
        raise ModelError(f"{where}: expected JSON, got something damaged ({str(error)[:100]})") from None


def read_table(path: Path | str) -> Fields:
    """The table of a JSON file as ``Fields``. Raises ModelError."""
    return Fields(read_json(path), str(path))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} twice")
    return table


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the constant {name}")


class Fields:
    """A table of someone's settings; ``where`` names it in errors. Every method raises ModelError.

    A value of null counts as absent, as it does for the owners of these formats.
    """

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, Mapping):
            raise ModelError(f"{where}: expected a table of settings, got {_kind(table)}")
        self.table: Mapping[str, Any] = table
        self.where = where

    def has(self, key: str) -> bool:
        """Whether there is a value other than null."""
        return self.table.get(key) is not None

    def inner(self, key: str, default: Mapping[str, Any] | None = None) -> Fields:
        """The table under ``key``."""
        if not self.has(key) and default is not None:
            return Fields(default, f"{self.where}: {key}")
        return Fields(self.table.get(key), f"{self.where}: {key}")

    def integer(self, key: str, default: int | None = None, low: int = 1, high: int = 1 << 24) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self._value(key, default, f"a whole number from {low} to {high}")
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}", value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default, "a number")
        if not _is_number(value):
            raise self.wrong(key, "a number", value)
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """true or false."""
        value = self._value(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self._value(key, default, "a text")
        if not isinstance(value, str):
            raise self.wrong(key, "a text", value)
        return value

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        """One of ``options``."""
        value = self._value(key, default, f"one of {', '.join(options)}")
        if not isinstance(value, str) or value not in options:
            raise self.wrong(key, f"one of {', '.join(options)}", value)
        return value

    def colours(self, key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        """Three numbers, or one for all three colours."""
        value = self._value(key, default, "three numbers")
        if _is_number(value):
            value = [value] * 3
        if not isinstance(value, list | tuple) or len(value) != 3 or not all(map(_is_number, value)):
            raise self.wrong(key, "three numbers", value)
        red, green, blue = map(float, value)
        return red, green, blue

    def only(self, known: Sequence[str], what: str) -> None:
        """Refuse a key that is not ``known``: it could change the answer."""
        unknown = sorted(set(self.table) - set(known))
        if unknown:
            raise ModelError(f"{self.where}: expected settings of {what}, got the unknown {unknown[0][:60]!r}")

    def wrong(self, key: str, expectation: str, value: Any) -> ModelError:
        """The error that says what was expected under ``key`` and what came."""
        return ModelError(f"{self.where}: {key}: expected {expectation}, got {_kind(value)}")

    def _value(self, key: str, default: Any, expectation: str) -> Any:
        value = self.table.get(key)
        if value is None:
            value = default
        if value is None:
            raise ModelError(f"{self.where}: {key}: expected {expectation}, got nothing")
        return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e30 and math.isfinite(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool | int | float | str):
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
            return "a number of more than 20 digits"
        return repr(value)[:60]
    return {"NoneType": "null", "dict": "a table"}.get(type(value).__name__, f"a {type(value).__name__}")
