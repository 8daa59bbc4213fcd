"""JSON of other people's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limner.errors import FileError, ModelError
from limner.formats.read_json import Fields, parse_json, read_json


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "damaged"),
        (b"{'a': 1}", "damaged"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1, "b": {"c": 2, "c": 3}}', "'c' twice"),
        (b"[" * 100_000, "too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "damaged"),
        (b"\xff\xfe", "damaged"),
    ],
)
def test_what_is_no_sound_json(text: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=what):
        parse_json(text, "x.json")
    (tmp_path / "x.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_json(tmp_path / "x.json")


def test_fields_have_their_kind_and_range() -> None:
    fields = Fields({"n": 3, "x": 2.5, "t": "a", "f": True, "c": [1, 2, 3], "g": 0.5, "none": None, "in": {}}, "x")
    assert fields.integer("n") == 3
    assert fields.integer("absent", 7) == 7
    assert fields.integer("none", 7) == 7
    assert fields.number("n") == 3.0
    assert fields.text("t") == "a"
    assert fields.flag("f") is True
    assert fields.colours("c", (0, 0, 0)) == (1, 2, 3)
    assert fields.colours("g", (0, 0, 0)) == (0.5, 0.5, 0.5)
    assert fields.choice("t", ("a", "b")) == "a"
    assert fields.inner("in").table == {}


WRONG: list[Any] = [
    ("integer", "x", True),
    ("integer", "x", 2.0),
    ("integer", "x", "2"),
    ("integer", "x", 0),
    ("integer", "x", 1 << 30),
    ("integer", "x", 10**4000),
    ("integer", "x", None),
    ("number", "x", "1"),
    ("number", "x", True),
    ("number", "x", 10**400),
    ("flag", "x", 1),
    ("text", "x", 1),
    ("inner", "x", []),
    ("inner", "x", None),
]


@pytest.mark.parametrize(("method", "key", "value"), WRONG)
def test_another_kind_is_refused_by_name(method: str, key: str, value: Any) -> None:
    with pytest.raises(ModelError, match=r"here.*x.*expected") as told:
        getattr(Fields({key: value}, "here"), method)(key)
    assert len(str(told.value)) < 200


def test_unknown_settings_are_named() -> None:
    Fields({"a": 1}, "here").only(("a", "b"), "this")
    with pytest.raises(ModelError, match="unknown 'swirl'"):
        Fields({"a": 1, "swirl": 2}, "here").only(("a", "b"), "this")
    with pytest.raises(ModelError, match="three numbers"):
        Fields({"c": [1, 2]}, "here").colours("c", (0, 0, 0))
    with pytest.raises(ModelError, match="table"):
        Fields([], "here")
