"""Drawings: the same on every run, any size, and what is said is there in geometry and in pixels."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from limner.errors import InputError
from limner.storybook.deal import deal
from limner.storybook.draw import draw, layout
from limner.storybook.place import MARGIN, SIDES
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    COLOURS,
    GARMENTS,
    RELATIONS,
    SIZES,
    THINGS,
    Garment,
    Scene,
    Thing,
)
from limner.storybook.world import colours

HASHES = """
import hashlib
from limner.storybook.deal import deal
from limner.storybook.draw import draw
for i in range(12):
    dealt = deal(i, seed=3)
    print(hashlib.sha256(draw(dealt.scene, size=96, seed=dealt.draw_seed).tobytes()).hexdigest(), dealt.caption)
"""


def share(picture: np.ndarray, rgb: tuple[int, int, int], reach: int = 12) -> float:
    """The share of the picture's pixels within ``reach`` of a colour."""
    return float((np.abs(picture.astype(int) - rgb).max(-1) <= reach).mean())


def test_two_processes_draw_and_say_the_same() -> None:
    here = []
    for i in range(12):
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


@pytest.mark.parametrize(("kind", "colour"), list(product(THINGS, COLOURS)))
def test_a_thing_shows_its_colour(kind: str, colour: str) -> None:
    for seed in range(2):
        scene = Scene("single", (Thing(kind, colour, "large"),), background="grey")
        picture = draw(scene, seed=seed)
        shares = {name: share(picture, value.rgb) for name, value in colours.COLOURS.items()}
        assert shares[colour] > 0.04
        # Doors, sails and trunks are the things' own; nothing else comes near.
        assert all(shares[other] < shares[colour] / 4 for other in COLOURS if other != colour)


@pytest.mark.parametrize(("animal", "garment"), list(product(ANIMALS, GARMENTS)))
def test_a_garment_covers_pixels_in_its_colour(animal: str, garment: str) -> None:
    bare = draw(Scene("single", (Thing(animal, None, "large"),), background="grey"), seed=1)
    for colour in COLOURS:
        scene = Scene("garments", (Thing(animal, garments=(Garment(garment, colour),)),), background="grey")
        rgb = colours.COLOURS[colour].rgb
        assert share(draw(scene, seed=1), rgb) > share(bare, rgb) + 0.008, colour


def test_four_garments_are_all_seen() -> None:
    for i, animal in enumerate(ANIMALS):
        worn = tuple(Garment(kind, COLOURS[(2 * i + 3 * k) % 10]) for k, kind in enumerate(GARMENTS))
        picture = draw(Scene("garments", (Thing(animal, garments=worn),), background="grey"), seed=i)
        assert all(share(picture, colours.COLOURS[g.colour].rgb) > 0.008 for g in worn)


def test_the_ten_colours_are_far_apart() -> None:
    values = [np.array(value.rgb) for value in colours.COLOURS.values()]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(values) for b in values[:i])
    assert apart > 70


def test_white_stands_out_on_white() -> None:
    for kind in THINGS:
        picture = draw(Scene("single", (Thing(kind, "white", "large"),), background="white"), seed=0)
        assert (picture.min(-1) < 120).mean() > 0.01  # the outline


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_hold_in_geometry(relation: str) -> None:
    for seed, (a, b) in enumerate(product((None, *SIZES), repeat=2)):
        for draw_seed in range(seed, seed + 150):
            scene = Scene("relation", (Thing("cube", "red", a), Thing("ball", "blue", b)), relation=relation)
            first, second = layout(scene, draw_seed).boxes
            dx, dy = second.x - first.x, second.y - first.y
            along = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
            across = dy if relation in ("left of", "right of") else dx
            assert along >= 0.3
            assert abs(across) < along / 2
            assert not first.overlaps(second)


def test_a_relation_holds_in_pixels() -> None:
    for relation in RELATIONS:
        scene = Scene("relation", (Thing("cube", "red"), Thing("ball", "blue")), relation=relation)
        picture = draw(scene, seed=4)
        centres = []
        for colour in ("red", "blue"):
            near = np.abs(picture.astype(int) - colours.COLOURS[colour].rgb).max(-1) <= 12
            centres.append(np.argwhere(near).mean(0))
        dy, dx = centres[1] - centres[0]
        along = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
        assert along > 0.25 * 128


def test_everything_stays_on_the_canvas_and_apart() -> None:
    for index in range(4000):
        dealt = deal(index, seed=11)
        boxes = layout(dealt.scene, dealt.draw_seed).boxes
        assert len(boxes) == (dealt.scene.count if dealt.scene.count > 1 else len(dealt.scene.things))
        for i, box in enumerate(boxes):
            assert box.side / 2 + MARGIN <= box.x + 1e-9 <= 1 - box.side / 2 - MARGIN + 2e-9
            assert box.side / 2 + MARGIN <= box.y + 1e-9 <= 1 - box.side / 2 - MARGIN + 2e-9
            assert not any(box.overlaps(other) for other in boxes[:i])


def test_said_sizes_never_meet() -> None:
    seen: dict[str, list[float]] = {size: [] for size in SIZES}
    for index in range(6000):
        dealt = deal(index, seed=5, families=("single", "two", "relation", "counting"))
        boxes = layout(dealt.scene, dealt.draw_seed).boxes
        for thing, box in zip(dealt.scene.things, boxes):
            if thing.size:
                seen[thing.size].append(box.side)
    assert max(seen["small"]) < min(seen["medium"]) < max(seen["medium"]) < min(seen["large"])
    assert all(low <= side <= high for size, (low, high) in SIDES.items() for side in seen[size])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_counts_are_drawn(count: int) -> None:
    for seed in range(6):
        picture = draw(Scene("counting", (Thing("ball", "red"),), count=count, background="white"), size=64, seed=seed)
        near = (np.abs(picture.astype(int) - colours.COLOURS["red"].rgb).max(-1) <= 12).astype(int)
        assert _islands(near) == count


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
        picture = draw(Scene("single", (Thing("cube", "red"),), background=name), seed=1)
        assert tuple(picture[0, 0]) == colours.BACKGROUNDS[name].rgb
    unsaid = [layout(Scene("single", (Thing("cube", "red"),)), seed).background for seed in range(1000)]
    assert 0.65 < unsaid.count("white") / 1000 < 0.75


def test_unsaid_colours_of_things_come_from_the_seed() -> None:
    scene = Scene("two", (Thing("cube"), Thing("cube")))
    plans = [layout(scene, seed).colours for seed in range(200)]
    assert {name for plan in plans for name in plan} == set(COLOURS)
    assert all(first != second for first, second in plans)


def test_animals_differ_in_silhouette_at_32_pixels() -> None:
    shapes = {}
    for animal in ANIMALS:
        scene = Scene("garments", (Thing(animal, garments=(Garment("shirt", "red"),)),), background="white")
        shapes[animal] = (draw(scene, size=32, seed=1).min(-1) < 250).astype(int)
    for i, a in enumerate(ANIMALS):
        for b in ANIMALS[:i]:
            differ = np.abs(shapes[a] - shapes[b]).sum() / max(shapes[a].sum(), shapes[b].sum())
            assert differ > 0.06, (a, b)
