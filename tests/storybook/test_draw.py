"""Drawings: the same on every run, any size, all on the canvas; and what is said is there in pixels.

Where things stand and how large they are is tested in ``test_place.py``.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

import limner.storybook.draw as drawing
from limner.errors import InputError
from limner.storybook.deal import deal
from limner.storybook.draw import draw, layout
from limner.storybook.scene import (
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    DOINGS,
    FAMILIES,
    GARMENTS,
    HOSTS,
    KINDS,
    MOODS,
    SENSES,
    SEVERAL,
    STYLES,
    THINGS,
    Garment,
    Scene,
    Thing,
)
from limner.storybook.splits import combination
from limner.storybook.world import colours
from limner.storybook.world.character import CHARACTER_KINDS
from limner.storybook.world.settings import SETTINGS
from limner.storybook.world.shapes import SHAPES
from limner.storybook.world.textures import TEXTURES

HASHES = """
import hashlib
from limner.storybook.deal import deal
from limner.storybook.draw import draw
for i in range(40):
    dealt = deal(i, seed=3)
    print(hashlib.sha256(draw(dealt.scene, size=96, seed=dealt.draw_seed).tobytes()).hexdigest(), dealt.caption)
"""


def share(picture: np.ndarray, rgb: tuple[int, int, int], reach: int = 12) -> float:
    """The share of the picture's pixels within ``reach`` of a colour."""
    return float((np.abs(picture.astype(int) - rgb).max(-1) <= reach).mean())


def test_two_processes_draw_and_say_the_same() -> None:
    here = []
    for i in range(40):
        dealt = deal(i, seed=3)
        digest = hashlib.sha256(draw(dealt.scene, size=96, seed=dealt.draw_seed).tobytes()).hexdigest()
        here.append(f"{digest} {dealt.caption}")
    there = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", HASHES], capture_output=True, timeout=60, check=True
    ).stdout.decode()
    assert there.splitlines() == here


def test_a_drawing_does_not_depend_on_what_was_drawn_before() -> None:
    scene = Scene("garments", (Thing("cat", garments=(Garment("hat", "red"),)),))
    first = draw(scene, seed=1)
    draw(Scene("single", (Thing("cube", "black", "large"),), background="grey"), seed=2)
    for size in (16, 20, 24, 28, 32):
        draw(scene, size=size)
    assert np.array_equal(draw(scene, seed=1), first)
    assert not np.array_equal(draw(scene, seed=2), first)


@pytest.mark.parametrize("size", [8, 32, 128, 300])
def test_any_size_shows_the_same_picture(size: int) -> None:
    scene = Scene("garments", (Thing("bear", garments=(Garment("shirt", "blue"),)),), background="white")
    picture = draw(scene, size=size, seed=5)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    # Both brought down to 8 × 8 by averaging, they are one picture.
    big = draw(scene, size=size * 8 if size < 100 else size, seed=5).astype(float)
    cell = big.shape[0] // 8
    coarse = big[: cell * 8, : cell * 8].reshape(8, cell, 8, cell, 3).mean((1, 3))
    small = picture[: size // 8 * 8, : size // 8 * 8].astype(float)
    small = small.reshape(8, size // 8, 8, size // 8, 3).mean((1, 3))
    assert np.abs(coarse - small).mean() < (12 if size == 8 else 4)


@pytest.mark.parametrize("size", [0, 7, 5000, 64.0, "128"])
def test_sizes_out_of_range_are_refused(size: object) -> None:
    with pytest.raises(InputError, match="size of a drawing"):
        draw(Scene("single", (Thing("cube", "red"),)), size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_scene_is_drawn_again_alike_and_stays_on_the_canvas(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies along the picture's edges is the background's: nothing is cut off but close-ups."""
    dealt = [d for i in range(60) if (d := deal(i, seed=13, split="test", families=(family,))).scene.view != "close-up"]
    first = [draw(d.scene, size=144, seed=d.draw_seed) for d in dealt]
    again = [draw(d.scene, size=144, seed=d.draw_seed) for d in dealt[::-1]][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    monkeypatch.setattr(drawing, "_draw_figure", lambda *_: None)
    monkeypatch.setattr(drawing, "_draw_wall", lambda *_: None)
    for d, picture in zip(dealt, first, strict=True):
        bare = draw(d.scene, size=144, seed=d.draw_seed)
        there = np.abs(picture.astype(int) - bare).max(-1) > 24
        assert there.any(), d.caption
        assert not (there[0].any() or there[-1].any() or there[:, 0].any() or there[:, -1].any()), d.caption


def test_close_ups_fill_the_picture() -> None:
    for i in range(300):
        d = deal(i, seed=3, families=("view",))
        if d.scene.view == "close-up":
            (figure,) = layout(d.scene, d.draw_seed).figures
            assert figure.box.side > 1.15


def test_scenes_of_different_combinations_are_drawn_differently() -> None:
    drawn: dict[bytes, str] = {}
    for i in range(1500):
        d = deal(i, seed=29, split="test")
        # An unsaid colour, size or sense may be the very one that another scene says; what is not worn is not seen;
        # a pink pig is a pig.
        things = d.scene.things
        if d.scene.count > 1 and not things[0].size:
            continue
        unsaid = [t for t in things if t.kind in THINGS and not (t.colour or t.texture or t.shape)]
        own = [t for t in things if t.kind in CHARACTER_KINDS and t.colour == CHARACTER_KINDS[t.kind].looks]
        if not unsaid and not own and not any(thing.kind in SENSES or thing.without for thing in things):
            picture = draw(d.scene, size=48, seed=7).tobytes()
            assert drawn.setdefault(picture, combination(d.scene)) == combination(d.scene), d.caption


@pytest.mark.parametrize("kind", THINGS)
def test_a_thing_shows_its_colour(kind: str) -> None:
    for colour, seed in product(COLOURS, range(2)):
        picture = draw(Scene("single", (Thing(kind, colour, "large"),), background="grey"), seed=seed)
        shares = {name: share(picture, value.rgb) for name, value in colours.COLOURS.items()}
        assert shares[colour] > 0.0185, colour
        # Doors, sails and trunks are the things' own; nothing else comes near.
        assert all(shares[other] < shares[colour] / 2 for other in COLOURS if other != colour), colour


@pytest.mark.parametrize(("who", "garment"), list(product(CHARACTERS, GARMENTS)))
def test_a_garment_covers_pixels_in_its_colour(who: str, garment: str) -> None:
    bare = draw(Scene("single", (Thing(who),), background="grey"), size=144, seed=1)
    for colour in COLOURS:
        scene = Scene("garments", (Thing(who, garments=(Garment(garment, colour),)),), background="grey")
        picture, rgb = draw(scene, size=144, seed=1), colours.COLOURS[colour].rgb
        new = (np.abs(picture.astype(int) - rgb).max(-1) <= 12) & (np.abs(bare.astype(int) - rgb).max(-1) > 12)
        assert new.mean() > 0.004, colour


def test_four_garments_are_all_seen() -> None:
    for i in range(400):
        d = deal(i, seed=2, families=("garments",))
        worn = d.scene.things[0].garments
        if len(worn) == 4:
            picture = draw(d.scene, size=144, seed=d.draw_seed)
            for garment in worn:
                assert share(picture, colours.COLOURS[garment.colour or ""].rgb) > 0.003, (d.caption, garment)


def test_a_garment_that_is_said_to_be_missing_is_not_drawn() -> None:
    for i in range(300):
        thing = deal(i, seed=2, families=("garments",)).scene.things[0]
        assert not {garment.kind for garment in thing.garments} & set(thing.without)


@pytest.mark.parametrize("host", HOSTS)
def test_shapes_textures_and_colours_of_a_thing_are_told_apart_in_a_scene(host: str) -> None:
    scenes = [Scene("single", (Thing(host, "red"),))]
    scenes += [Scene("shape", (Thing(host, shape=shape),)) for shape in SHAPES if shape != host]
    scenes += [Scene("texture", (Thing(host, texture=texture),)) for texture in TEXTURES]
    pictures = [draw(replace(scene, background="white"), size=144, seed=2).astype(int) for scene in scenes]
    for a, b in combinations(pictures, 2):
        assert (np.abs(a - b).max(-1) > 40).mean() > 0.015


@pytest.mark.parametrize("who", CHARACTERS)
def test_moods_doings_and_babies_are_told_apart_in_a_scene(who: str) -> None:
    things = [Thing(who, baby=True), *(Thing(who, mood=mood) for mood in MOODS)]
    things += [Thing(who, doing=doing) for doing in DOINGS]
    pictures = [draw(Scene("character", (thing,)), size=144, seed=2).astype(int) for thing in things]
    for a, b in combinations(pictures, 2):
        assert (np.abs(a - b).max(-1) > 40).mean() > 0.004


def test_both_senses_of_a_word_are_drawn() -> None:
    for word, senses in SENSES.items():
        for scene in (
            Scene("single", (Thing(word),)),
            Scene("collection", (Thing(word), Thing("table")), "on", SEVERAL),
        ):
            drawn = [layout(scene, seed).figures[0].thing.kind for seed in range(60)]
            assert set(drawn) == set(senses)
    collection = layout(Scene("collection", (Thing("glasses"), Thing("table")), "on", SEVERAL), 3).figures[:-1]
    assert len({figure.thing for figure in collection}) == 1  # never spectacles among tumblers


def test_a_pink_pig_is_a_pig_as_pigs_are() -> None:
    pig, pink, blue = (draw(Scene("single", (Thing("pig", colour),)), seed=4) for colour in (None, "pink", "blue"))
    assert (pig == pink).all() and not (pig == blue).all()


@pytest.mark.parametrize("host", HOSTS)
def test_a_colour_that_a_shape_or_pattern_has_anyway_changes_nothing(host: str) -> None:
    """A yellow cup in the shape of a banana is one in the shape of a banana: nobody could tell the two apart."""
    looks = [({"shape": shape}, entry.looks) for shape, entry in SHAPES.items() if shape != host]
    looks += [({"texture": texture}, entry.looks) for texture, entry in TEXTURES.items() if entry.dyed]
    for look, own in looks:
        family = next(iter(look))
        unsaid = draw(Scene(family, (Thing(host, **look),), background="white"), size=144, seed=2).astype(int)
        for colour in COLOURS:
            said = draw(Scene(family, (Thing(host, colour, **look),), background="white"), size=144, seed=2)
            far = (np.abs(said - unsaid).max(-1) > 25).mean()
            assert far == 0 if colour == own else far > 0.01, (look, colour)


def test_the_ten_colours_are_far_apart() -> None:
    values = [np.array(value.rgb) for value in colours.COLOURS.values()]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(values) for b in values[:i])
    assert apart > 70


def test_white_stands_out_on_white() -> None:
    for kind in THINGS:
        picture = draw(Scene("single", (Thing(kind, "white", "large"),), background="white"), seed=0)
        assert (picture.min(-1) < 120).mean() > 0.01  # the outline


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_counts_are_drawn(count: int) -> None:
    for seed in range(12):
        picture = draw(Scene("counting", (Thing("ball", "red"),), count=count, background="white"), size=96, seed=seed)
        near = (np.abs(picture.astype(int) - colours.COLOURS["red"].rgb).max(-1) <= 12).astype(int)
        assert _islands(near) == count


def test_members_of_a_collection_are_drawn_apart() -> None:
    for support, seed in product(("table", "book", "block"), range(12)):
        scene = Scene("collection", (Thing("heart", "red"), Thing(support, "blue")), "on", SEVERAL, "white")
        near = np.abs(draw(scene, size=144, seed=seed).astype(int) - colours.COLOURS["red"].rgb).max(-1) <= 12
        assert _islands(near.astype(int)) == len(layout(scene, seed).figures) - 1 in (3, 4)


def _islands(mask: np.ndarray, least: int = 12) -> int:
    """How many four-connected patches of at least ``least`` ones there are."""
    left = {tuple(place) for place in np.argwhere(mask)}
    count = 0
    while left:
        edge, size = [left.pop()], 0
        while edge:
            y, x = edge.pop()
            size += 1
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    edge.append(near)
        count += size >= least
    return count


def test_background_said_is_drawn_and_unsaid_is_mostly_white() -> None:
    for name in BACKGROUNDS:
        picture = draw(Scene("single", (Thing("cube", "red", "small"),), background=name), seed=1)
        if name in SETTINGS:
            bare = draw(Scene("single", (Thing("cube", "red", "small"),), background="white"), seed=1)
            assert (picture != bare).any(-1).mean() > 0.7
        else:
            assert tuple(picture[0, 0]) == colours.BACKGROUNDS[name].rgb
    unsaid = [layout(Scene("single", (Thing("cube", "red"),)), seed).background for seed in range(1000)]
    assert 0.65 < unsaid.count("white") / 1000 < 0.75


def test_unsaid_colours_of_things_come_from_the_seed() -> None:
    scene = Scene("two", (Thing("cube"), Thing("cube")))
    plans = [[figure.colour for figure in layout(scene, seed).figures] for seed in range(200)]
    assert {name for plan in plans for name in plan} == set(COLOURS)
    assert all(first != second for first, second in plans)


@pytest.mark.parametrize("panel", ["sketch", "pixel art", "upside down"])
def test_the_lower_panel_shows_the_exact_same_thing(panel: str) -> None:
    for seed in range(8):
        scene = Scene("panels", (Thing("snail", "red", garments=(Garment("hat", "blue"),)),), panel=panel)
        upper, lower = layout(scene, seed).figures
        assert (upper.thing, upper.colour, upper.dyes, upper.flip, upper.pose) == (
            lower.thing,
            lower.colour,
            lower.dyes,
            lower.flip,
            lower.pose,
        )
        picture = draw(scene, size=144, seed=seed)
        there = (np.abs(picture.astype(int) - 255) > 60).any(-1)
        above, below = there[:72], there[72:]
        if panel == "upside down":
            below = below[::-1]
        overlap = (above & below).sum() / min(above.sum(), below.sum())
        assert overlap > (0.3 if panel == "sketch" else 0.8), seed


def test_kinds_differ_in_silhouette_at_32_pixels() -> None:
    shapes = {}
    for kind in (kind for kind in KINDS if kind not in SENSES):
        scene = Scene("single", (Thing(kind, "red", "huge"),), background="white")
        shapes[kind] = (draw(scene, size=32, seed=1).min(-1) < 250).astype(int)
    for a, b in combinations(shapes, 2):
        assert np.abs(shapes[a] - shapes[b]).sum() / max(shapes[a].sum(), shapes[b].sum()) > 0.05, (a, b)


@pytest.mark.parametrize("style", STYLES)
def test_styles_leave_pictures_recognisable_at_any_size(style: str) -> None:
    scene = Scene("style", (Thing("cat", garments=(Garment("shirt", "blue"),)),), style=style)
    for size in (8, 33, 128, 300):
        assert draw(scene, size=size, seed=1).shape == (size, size, 3)
    other = replace(scene, things=(Thing("house", "blue"),))
    assert (np.abs(draw(scene, seed=1).astype(int) - draw(other, seed=1)).max(-1) > 40).mean() > 0.1
