"""Scenes refuse what the world does not hold, in one line; combinations tell scenes apart, not wordings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from limner.errors import InputError
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    CONTAINERS,
    DOINGS,
    GARMENTS,
    KINDS,
    MOODS,
    PANELS,
    PLANTS,
    RELATIONS,
    SEVERAL,
    SHAPES,
    SIZES,
    STYLES,
    SUPPORTS,
    TEXTURES,
    THINGS,
    VIEWS,
    Garment,
    Scene,
    Thing,
)
from limner.storybook.splits import combination, held_out, pairing

RED_CUBE, BLUE_BALL, TABLE = Thing("cube", "red"), Thing("ball", "blue"), Thing("table")


def test_the_world_holds_what_it_promises() -> None:
    things = "cube ball cone cylinder star heart house boat car tree flower cup lamp chair armchair table clock teapot"
    assert {*things.split(), "book", "umbrella", "glasses", "spectacles", "tumbler", "guitar"} <= set(THINGS)
    animals = "cat dog rabbit bear penguin hedgehog porcupine giraffe turtle snail fish owl pig fox"
    assert set(animals.split()) == set(ANIMALS)
    assert {"daikon", "avocado", "carrot", "mushroom", "banana"} <= set(PLANTS)
    assert {"hat", "gloves", "shirt", "trousers", "scarf", "boots", "glasses", "tutu"} <= set(GARMENTS)
    assert {"wooden", "brick", "checkered", "striped", "dotted", "porcupine", "furry", "glass"} <= set(TEXTURES)
    assert {"sketch", "emoji", "pixel art", "watercolour", "night", "crayon"} <= set(STYLES)
    assert {"left of", "right of", "above", "below", "on", "inside", "behind"} == set(RELATIONS)
    assert len(COLOURS) == 10 and len(SIZES) == 4 and len(MOODS) >= 3 and len(DOINGS) >= 4
    assert {"meadow", "room"} <= set(BACKGROUNDS) and {"sketch", "sketches"} <= set(PANELS) and "close-up" in VIEWS
    assert {"avocado", "heart", "star"} <= set(SHAPES)
    assert len(set(KINDS)) == len(KINDS) == len(THINGS) + len(CHARACTERS)
    assert set(SUPPORTS) | set(CONTAINERS) <= set(THINGS)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Thing("zebra"),
        lambda: Thing("cube", "mauve"),
        lambda: Thing("cube", "red", "gigantic"),
        lambda: Thing("cube", "red", garments=(Garment("hat", "red"),)),
        lambda: Thing("cube", baby=True),
        lambda: Thing("cube", mood="sad"),
        lambda: Thing("cube", half="cat"),
        lambda: Thing("cube", texture="velvet"),
        lambda: Thing("cube", shape="heart"),
        lambda: Thing("armchair", shape="cloud"),
        lambda: Thing("armchair", shape="heart", texture="wooden"),
        lambda: Thing("cat", texture="wooden"),
        lambda: Thing("cat", mood="bored"),
        lambda: Thing("cat", doing="flying"),
        lambda: Thing("cat", half="cat"),
        lambda: Thing("cat", "red", half="dog"),
        lambda: Thing("daikon", half="cat"),
        lambda: Thing("cat", half="daikon"),
        lambda: Thing("cat", garments=(Garment("hat", "red"), Garment("hat", "blue"))),
        lambda: Thing("cat", garments=(Garment("tutu"), Garment("trousers", "blue"))),
        lambda: Thing("cat", garments=(Garment("hat", "red"),), without=("hat",)),
        lambda: Garment("cape", "red"),
        lambda: Garment("hat", "mauve"),
        lambda: Scene("many", (RED_CUBE,)),
        lambda: Scene("single", ()),
        lambda: Scene("single", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("two", (RED_CUBE,)),
        lambda: Scene("several", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("two", (RED_CUBE, BLUE_BALL), relation="above"),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL), relation="inside"),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL), relation="on"),
        lambda: Scene("relation", (RED_CUBE, BLUE_BALL), relation="near"),
        lambda: Scene("counting", (RED_CUBE,), count=7),
        lambda: Scene("counting", (RED_CUBE,), count=0),
        lambda: Scene("single", (RED_CUBE,), count=2),
        lambda: Scene("collection", (RED_CUBE, TABLE), relation="on", count=3),
        lambda: Scene("collection", (RED_CUBE, BLUE_BALL), relation="on", count=SEVERAL),
        lambda: Scene("garments", (Thing("cat"),)),
        lambda: Scene("character", (Thing("cat"),)),
        lambda: Scene("texture", (RED_CUBE,)),
        lambda: Scene("shape", (Thing("armchair"),)),
        lambda: Scene("chimera", (Thing("cat"),)),
        lambda: Scene("stack", (RED_CUBE, BLUE_BALL)),
        lambda: Scene("style", (RED_CUBE,)),
        lambda: Scene("style", (RED_CUBE,), style="cubist"),
        lambda: Scene("single", (RED_CUBE,), style="emoji"),
        lambda: Scene("view", (RED_CUBE,), view="from behind"),
        lambda: Scene("single", (RED_CUBE,), view="close-up"),
        lambda: Scene("panels", (RED_CUBE,)),
        lambda: Scene("single", (RED_CUBE,), panel="sketch"),
        lambda: Scene("single", (RED_CUBE,), background="plaid"),
    ],
)
def test_bad_scenes_are_refused_in_one_line(build: Callable[[], object]) -> None:
    with pytest.raises(InputError) as error:
        build()
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


def test_combination_ignores_order_background_and_wording_only() -> None:
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
    stack = Scene("stack", (Thing("block", "red"), Thing("block", "blue")))
    assert combination(stack) != combination(Scene("stack", stack.things[::-1]))


def test_every_word_of_a_scene_is_in_its_combination() -> None:
    cat = Thing("cat")
    whole = Scene("style", (cat,), style="emoji")
    changed = [
        replace(whole, style="sketch"),
        *(
            replace(whole, things=(replace(cat, **change),))
            for change in (
                {"kind": "dog"},
                {"colour": "red"},
                {"size": "small"},
                {"garments": (Garment("hat", "red"),)},
                {"garments": (Garment("hat"),)},
                {"without": ("hat",)},
                {"half": "dog"},
                {"baby": True},
                {"mood": "sad"},
                {"doing": "walking a dog"},
            )
        ),
        Scene("view", (cat,), view="close-up"),
        Scene("panels", (cat,), panel="sketch"),
        Scene("panels", (cat,), panel="sketches"),
        Scene("counting", (cat,), count=2),
        Scene("texture", (Thing("armchair", texture="avocado"),)),
        Scene("shape", (Thing("armchair", shape="avocado"),)),
    ]
    assert len({combination(scene) for scene in (whole, *changed)}) == len(changed) + 1


def test_the_alphabet_is_never_held_out() -> None:
    for kind in KINDS:
        assert not held_out(Scene("single", (Thing(kind),)), 1.0)
        for colour in COLOURS:
            assert not held_out(Scene("single", (Thing(kind, colour),)), 1.0)
    for kind in CHARACTERS:
        for garment in GARMENTS:
            if (kind, garment) != ("daikon", "tutu"):  # the article's
                assert not held_out(Scene("garments", (Thing(kind, garments=(Garment(garment, "red"),)),)), 1.0)
    assert held_out(Scene("two", (RED_CUBE, BLUE_BALL)), 1.0)


def test_a_blend_is_held_out_by_its_pair() -> None:
    assert pairing(Scene("two", (RED_CUBE, BLUE_BALL))) is None
    assert pairing(Scene("texture", (Thing("cube", "red", texture="wooden"),))) == "cube wooden"
    cat_dog, dog_cat = (Scene("chimera", (Thing(a, half=b),)) for a, b in (("cat", "dog"), ("dog", "cat")))
    assert pairing(cat_dog) == pairing(dog_cat)
    assert held_out(cat_dog) == held_out(replace(cat_dog, background="white"))


def test_about_a_tenth_of_all_combinations_is_held_out() -> None:
    pairs = [
        Scene("two", (Thing(a, x), Thing(b, y)))
        for a in THINGS
        for b in THINGS
        for x, y in (("red", "blue"), ("green", "pink"))
    ]
    assert 0.07 < sum(map(held_out, pairs)) / len(pairs) < 0.13


def test_scenes_load_without_a_drawing_library() -> None:
    code = "import sys, limner.storybook.deal; sys.exit(any(m in sys.modules for m in ('skia', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
