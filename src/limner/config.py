"""Frozen dataclasses from plain tables (JSON, TOML) and back, with errors that name the field.

Every model and every run is described by one frozen dataclass; nothing inherits and nothing is registered.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from limner.errors import RecipeError

T = TypeVar("T")


def to_table(value: Any) -> Any:
    """A dataclass as nested plain values (dict, list, str, int, float, bool, None)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_table(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_table(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_table(item) for key, item in value.items()}
    return value


def from_table(cls: type[T], table: Mapping[str, Any], where: str = "config") -> T:
    """Build the frozen dataclass ``cls`` from ``table``; unknown fields and wrong kinds are refused by name.

    Raises RecipeError. Integers are taken for floats; lists become tuples where the field says tuple.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where}: expected a table of settings, got {type(table).__name__}")
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise RecipeError(f"{where}: unknown setting {unknown[0]!r}; known: {', '.join(fields)}")
    values = {name: _convert(hints[name], value, f"{where}.{name}") for name, value in table.items()}
    missing = [
        name
        for name, f in fields.items()
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where}: setting {missing[0]!r} is missing")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"{where}: {error}") from error


def with_overrides(table: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """A copy of ``table`` with ``{"training.steps": "200"}``-like settings put in; values are read as TOML.

    A value that is not TOML (a bare word) is taken as a string. Raises RecipeError where a path runs into a value.
    """
    import copy
    import tomllib

    result = copy.deepcopy(dict(table))
    for path, text in overrides.items():
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *parents, last = path.split(".")
        spot: Any = result
        for parent in parents:
            spot = spot.setdefault(parent, {})
            if not isinstance(spot, dict):
                raise RecipeError(f"--set {path}: {parent!r} is a value, not a table")
        spot[last] = value
    return result


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        errors: list[RecipeError] = []
        for option in arguments:
            if option is not type(None):
                try:
                    return _convert(option, value, where)
                except RecipeError as error:
                    errors.append(error)
        raise errors[-1]
    if origin is typing.Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: expected one of {', '.join(map(repr, arguments))}, got {value!r}")
        return value
    if dataclasses.is_dataclass(hint):
        return from_table(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where}: expected a list, got {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(value) != len(arguments):
            raise RecipeError(f"{where}: expected {len(arguments)} values, got {len(value)}")
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: expected a table, got {value!r}")
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool):
        # bool is an int in Python, not in a recipe.
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            raise RecipeError(f"{where}: expected {hint.__name__}, got {value!r}")
        return value
    return value
