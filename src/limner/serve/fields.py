"""The fields of a request, whether JSON or a form, read with limits and named in every refusal."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from limner.serve.answers import Refusal

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def missing(name: str, what: str) -> Refusal:
    """A field that must be there is not."""
    return Refusal(400, f"{name}: is missing; expected {what}", param=name, code="missing_required_parameter")


class Fields:
    """Named values of a request; null and absent are the same.

    ``asked`` collects what was read, so that ``finish`` can refuse what nobody knows.
    """

    def __init__(self, table: Mapping[str, Any], *, form: bool = False) -> None:
        self._table, self._form = table, form
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._raw(name) is not None

    def text(self, name: str, default: str | None = None, *, most: int = 4000, blank: bool = False) -> str:
        """Text without control characters. Raises Refusal."""
        value = self._raw(name)
        if value is None:
            if default is None:
                raise missing(name, "text")
            return default
        if not isinstance(value, str):
            _refuse(name, f"expected text, got {_kind(value)}", "invalid_type")
        if len(value) > most:
            _refuse(name, f"expected at most {most} characters, got {len(value)}", "string_above_max_length")
        if CONTROLS.search(value):
            _refuse(name, "expected text without control characters")
        if not blank and not value.strip():
            _refuse(name, "expected some text, got none", "empty_string")
        return value

    def whole(self, name: str, default: int | None, low: int, high: int) -> int | None:
        """A whole number from ``low`` to ``high``."""
        value = self._number(name)
        if value is None:
            return default
        if isinstance(value, float):
            if not value.is_integer():
                _refuse(name, f"expected a whole number from {low} to {high}, got {value}", "invalid_type")
            value = int(value)
        if not low <= value <= high:
            code = "integer_below_min_value" if value < low else "integer_above_max_value"
            _refuse(name, f"expected a whole number from {low} to {high}, got {str(value)[:40]}", code)
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from ``low`` to ``high``, or None."""
        value = self._number(name)
        if value is None:
            return None
        if not (isinstance(value, int) or math.isfinite(value)) or not low <= value <= high:
            _refuse(name, f"expected a number from {low:g} to {high:g}, got {str(value)[:40]}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; in a form the words."""
        value = self._raw(name)
        if value is None:
            return False
        if self._form and isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
            return value.lower() in ("true", "1")
        if not isinstance(value, bool):
            _refuse(name, f"expected true or false, got {_kind(value)}", "invalid_type")
        return bool(value)

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        """One of ``choices``."""
        value = self._raw(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            shown = repr(value[:40]) if isinstance(value, str) else _kind(value)
            _refuse(name, f"expected one of {', '.join(choices)}, got {shown}")
        return str(value)

    def texts(self, name: str, *, most: int, longest: int = 1000) -> list[str]:
        """A list of texts; one text is a list of one. In a form the field may repeat."""
        value = self._raw(name)
        if value is None:
            raise missing(name, "text, or a list of texts")
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            _refuse(name, "expected text, or a list of texts", "invalid_type")
        if len(value) > most:
            _refuse(name, f"expected at most {most}, got {len(value)}", "array_above_max_length")
        for one in value:
            if len(one) > longest or not one.strip() or CONTROLS.search(one):
                _refuse(name, f"expected texts of 1 to {longest} characters without control characters")
        return list(value)

    def pictures(self, *names: str, most: int = 1) -> list[bytes]:
        """The bytes of pictures: files of a form, or base64 and data URLs. Nothing is fetched."""
        found: list[bytes] = []
        for name in names:
            value = self._raw(name)
            for one in value if isinstance(value, list) else [] if value is None else [value]:
                found.append(one if isinstance(one, bytes) else _from_base64(name, one))
        if len(found) > most:
            _refuse(names[0], f"expected at most {most} pictures, got {len(found)}", "array_above_max_length")
        return found

    def ignore(self, names: Sequence[str]) -> list[str]:
        """Those of ``names`` that are there: fields that clients send and limner has no use for."""
        return [name for name in names if self.has(name)]

    def finish(self) -> None:
        """Refuse the fields that nobody asked for: a slip of the pen should not be taken for a wish."""
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            shown = CONTROLS.sub("?", unknown[0])[:60]
            raise Refusal(400, f"unknown field {shown!r}; known: {known}", param=shown, code="unknown_parameter")

    def _raw(self, name: str) -> Any:
        self._asked.add(name)
        return self._table.get(name)

    def _number(self, name: str) -> int | float | None:
        value = self._raw(name)
        if self._form and isinstance(value, str):
            try:
                value = int(value) if re.fullmatch(r"[+-]?\d{1,30}", value.strip()) else float(value)
            except ValueError:
                _refuse(name, f"expected a number, got {value[:40]!r}", "invalid_type")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            _refuse(name, f"expected a number, got {_kind(value)}", "invalid_type")
        if isinstance(value, float) and not math.isfinite(value):
            _refuse(name, "expected a finite number")
        return value


async def read_json(request: Request, most: int) -> Fields:
    """The JSON object in a request's body of at most ``most`` bytes. Raises Refusal."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise Refusal(413, f"body: expected at most {most} bytes", code="body_too_large")
    try:
        table = json.loads(bytes(body), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "body: expected JSON, got something else", code="invalid_json") from None
    if not isinstance(table, dict):
        raise Refusal(400, f"body: expected a JSON object, got {_kind(table)}", code="invalid_json")
    return Fields(table)


async def read_form(request: Request, *, files: int, most: int) -> Fields:
    """The fields of a multipart form; ``name[]`` counts as ``name``, what repeats becomes a list. Raises Refusal."""
    table: dict[str, Any] = {}
    try:
        async with request.form(max_files=files, max_fields=300, max_part_size=most) as form:
            for key, value in form.multi_items():
                name = key.removesuffix("[]")
                taken = await value.read(most + 1) if isinstance(value, UploadFile) else value
                if len(taken) > most:
                    raise Refusal(413, f"{name}: expected at most {most} bytes", param=name, code="body_too_large")
                before = table.get(name)
                if before is None:
                    table[name] = [taken] if key.endswith("[]") else taken
                else:
                    table[name] = [*(before if isinstance(before, list) else [before]), taken]
    except MultiPartException as error:
        raise Refusal(400, f"form: {error.message}", code="invalid_form") from None
    except Refusal:
        raise
    except Exception as error:
        if getattr(error, "status_code", None) == 400:  # what Starlette makes of the same
            raise Refusal(400, f"form: {getattr(error, 'detail', 'cannot be read')}", code="invalid_form") from None
        raise
    return Fields(table, form=True)


async def read_fields(request: Request, *, files: int, most: int) -> Fields:
    """A form or a JSON object, as the content type says. Raises Refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await read_form(request, files=files, most=most)
    if kind == "application/json" or not kind:
        return await read_json(request, most * 2)
    raise Refusal(415, f"content-type: expected application/json or multipart/form-data, got {kind[:60]!r}")


def _from_base64(name: str, value: Any) -> bytes:
    if isinstance(value, dict):  # OpenAI's {"image_url": …} and {"image_url": {"url": …}}
        value = value.get("image_url", value.get("url"))
        value = value.get("url") if isinstance(value, dict) else value
    if not isinstance(value, str):
        _refuse(name, f"expected a picture as base64, data URL or file, got {_kind(value)}", "invalid_type")
    if value.startswith("data:"):
        head, comma, value = value.partition(",")
        if not comma or not head.endswith(";base64"):
            _refuse(name, "expected a data URL with base64 inside", "invalid_image")
    elif re.match(r"[a-z]+://", value):
        _refuse(name, "expected a picture (base64, data URL or file); addresses are not fetched", "invalid_image")
    try:
        return base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except (binascii.Error, ValueError):
        _refuse(name, "expected base64, got something else", "invalid_image")


def _refuse(name: str, message: str, code: str = "invalid_value") -> NoReturn:
    raise Refusal(400, f"{name}: {message}", param=name, code=code)


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "text", bytes: "a file"}
    return kinds.get(type(value), "null" if value is None else "a number")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
