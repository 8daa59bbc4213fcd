"""Scenes refuse what the world does not hold, in one line; combinations tell scenes apart, not wordings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from limner.errors import InputError
from limner.storybook.scene import ANIMALS, COLOURS, GARMENTS, THINGS, Garment, Scene, Thing, combination, held_out

RED_CUBE, BLUE_BALL = Thing("cube", "red"), Thing("ball", "blue")


def test_first_chapter_is_complete() -> None:
    assert len(THINGS) >= 8
    assert len(ANIMALS) >= 6
    assert len(COLOURS) == 10
    assert GARMENTS == ("hat", "gloves", "shirt", "trousers")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Thing("teapot"),
        lambda: Thing("cube", "mauve"),
        lambda: Thing("cube", "red", "huge"),
        lambda: Thing("cube", "red", garments=(Garment("hat", "red"),)),
        lambda: Thing("cat", garments=(Garment("hat", "red"), Garment("hat", "blue"))),
        lambda: Garment("cape", "red"),
        lambda: Garment("hat", "mauve"),
        lambda: Scene("many", (RED_CUBE,)),
        lambda: Scene("single", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("two", (RED_CUBE,)),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("two", (RED_CUBE, BLUE_BALL), relation="above"),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL), relation="inside"),
        lambda: Scene("counting", (RED_CUBE,), count=5),
        lambda: Scene("counting", (RED_CUBE,), count=0),
        lambda: Scene("single", (RED_CUBE,), count=2),
        lambda: Scene("garments", (Thing("cat"),)),
        lambda: Scene("single", (Thing("cat", garments=(Garment("hat", "red"),)),)),
        lambda: Scene("two", (RED_CUBE, Thing("cat", garments=(Garment("hat", "red"),)))),
        lambda: Scene("single", (RED_CUBE,), background="plaid"),
    ],
)
def test_bad_scenes_are_refused_in_one_line(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as error:
        build()
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


def test_combination_ignores_order_and_wording_only() -> None:
    left = Scene("relation", (RED_CUBE, BLUE_BALL), relation="left of")
    right = Scene("relation", (BLUE_BALL, RED_CUBE), relation="right of")
    other = Scene("relation", (BLUE_BALL, RED_CUBE), relation="left of")
    assert combination(left) == combination(right) != combination(other)
    assert combination(Scene("two", (RED_CUBE, BLUE_BALL))) == combination(Scene("two", (BLUE_BALL, RED_CUBE)))
    worn = (Garment("hat", "red"), Garment("gloves", "blue"))
    a = Scene("garments", (Thing("cat", garments=worn),))
    b = Scene("garments", (Thing("cat", garments=worn[::-1]),), background="grey")
    assert combination(a) == combination(b)
    swapped = Thing("cat", garments=(Garment("hat", "blue"), Garment("gloves", "red")))
    assert combination(Scene("garments", (swapped,))) != combination(a)


def test_the_alphabet_is_never_held_out() -> None:
    assert not any(held_out(Scene("single", (Thing(kind, colour),)), 1.0) for kind in THINGS for colour in COLOURS)
    assert held_out(Scene("two", (RED_CUBE, BLUE_BALL)), 1.0)


def test_scenes_load_without_a_drawing_library() -> None:
    code = "import sys, limner.storybook.deal; sys.exit(any(m in sys.modules for m in ('skia', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
