"""Where things stand and how large they are: what is said holds in geometry."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from limner.storybook.deal import deal
from limner.storybook.dice import Dice
from limner.storybook.draw import layout
from limner.storybook.place import FEET, MARGIN, SIDES, Box, drawn_count, place
from limner.storybook.scene import (
    CONTAINERS,
    DIRECTIONS,
    FAMILIES,
    SEVERAL,
    SIZES,
    SUPPORTS,
    Scene,
    Thing,
)
from limner.storybook.world.things import THING_KINDS

RED, BLUE = Thing("cube", "red"), Thing("ball", "blue")


def boxes(scene: Scene, seed: int) -> list[Box]:
    return [figure.box for figure in layout(scene, seed).figures]


def inside(box: Box) -> bool:
    low, high = box.side / 2 + MARGIN - 1e-9, 1 - box.side / 2 - MARGIN + 1e-9
    return low <= box.x <= high and low <= box.y <= high


@pytest.mark.parametrize("family", FAMILIES)
def test_every_box_lies_on_the_canvas(family: str) -> None:
    for index in range(400):
        dealt = deal(index, seed=11, families=(family,))
        scene = dealt.scene
        found = boxes(scene, dealt.draw_seed)
        number = 2 + 2 * (scene.panel == "sketches") if scene.panel else len(scene.things)
        if scene.count != SEVERAL:
            assert len(found) == (scene.count if scene.count > 1 else number), dealt.caption
        if scene.view != "close-up":
            assert all(map(inside, found)), dealt.caption


@pytest.mark.parametrize("family", ["counting", "two", "several"])
def test_things_apart_do_not_overlap(family: str) -> None:
    for index in range(600):
        dealt = deal(index, seed=12, families=(family,))
        found = boxes(dealt.scene, dealt.draw_seed)
        for i, box in enumerate(found):
            assert not any(box.overlaps(other) for other in found[:i]), dealt.caption


@pytest.mark.parametrize("relation", DIRECTIONS)
def test_directions_hold(relation: str) -> None:
    for seed, (a, b) in enumerate(product((None, "small", "medium", "large"), repeat=2)):
        for draw_seed in range(seed, seed + 150):
            scene = Scene("relation", (Thing("cube", "red", a), Thing("ball", "blue", b)), relation=relation)
            first, second = boxes(scene, draw_seed)
            dx, dy = second.x - first.x, second.y - first.y
            along = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
            across = dy if relation in ("left of", "right of") else dx
            assert along >= 0.3
            assert abs(across) < along / 2
            assert not first.overlaps(second)


@pytest.mark.parametrize("support", SUPPORTS)
def test_what_is_on_something_has_its_feet_on_the_surface(support: str) -> None:
    top = THING_KINDS[support].top
    assert top is not None
    for seed in range(60):
        thing, base = boxes(Scene("relation", (RED, Thing(support, "blue")), relation="on"), seed)
        assert thing.y + FEET * thing.side == pytest.approx(base.y + top * base.side)
        assert abs(thing.x - base.x) < base.side / 6
        *members, base = boxes(Scene("collection", (RED, Thing(support, "blue")), "on", SEVERAL), seed)
        assert all(m.y + FEET * m.side == pytest.approx(base.y + top * base.side) for m in members)
        assert all(base.x - base.side / 2 < m.x < base.x + base.side / 2 for m in members)
        assert all(b.x - a.x > (a.side + b.side) / 2 - 0.03 for a, b in pairwise(members))


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_is_inside_looks_out_over_the_rim(container: str) -> None:
    rim = THING_KINDS[container].holds
    assert rim is not None
    for seed in range(60):
        thing, base = boxes(Scene("relation", (RED, Thing(container, "blue")), relation="inside"), seed)
        edge = base.y + rim * base.side
        assert thing.y - thing.side / 2 < edge < thing.y + thing.side / 2
        assert thing.side < base.side and abs(thing.x - base.x) < 0.01


def test_what_is_behind_something_is_covered_in_part() -> None:
    for seed in range(200):
        thing, cover = boxes(Scene("relation", (RED, BLUE), relation="behind"), seed)
        assert thing.overlaps(cover) and thing.y < cover.y
        shared = (min(thing.x + thing.side / 2, cover.x + cover.side / 2)) - max(
            thing.x - thing.side / 2, cover.x - cover.side / 2
        )
        assert 0.05 < shared < 0.75 * thing.side


def test_stacks_are_flush_and_in_order() -> None:
    for index in range(300):
        dealt = deal(index, seed=4, families=("stack",))
        found = boxes(dealt.scene, dealt.draw_seed)
        for upper, lower in pairwise(found):
            assert upper.y + upper.side / 2 == pytest.approx(lower.y - lower.side / 2)
            assert abs(upper.x - lower.x) < 0.07
        sizes = [thing.size for thing in dealt.scene.things]
        order = {"small": 0, "medium": 1, "large": 2}
        if None not in sizes and sizes[0] != sizes[1]:
            first, second = (order[size or ""] for size in sizes)
            assert (found[0].side < found[1].side) == (first < second)


def test_panels_lie_in_their_halves() -> None:
    for panel, seed in product(("sketch", "sketches", "pixel art", "upside down"), range(60)):
        upper, *lower = boxes(Scene("panels", (Thing("cat"),), panel=panel), seed)
        assert upper.y + upper.side / 2 <= 0.5
        assert all(box.y - box.side / 2 >= 0.5 - 1e-9 for box in lower)
        assert len(lower) == (3 if panel == "sketches" else 1)
        if len(lower) == 1:
            assert (lower[0].x, lower[0].side) == (upper.x, upper.side)


def test_said_sizes_never_meet() -> None:
    seen: dict[str, list[float]] = {size: [] for size in SIZES}
    for index in range(6000):
        dealt = deal(index, seed=5, families=("single", "two", "relation", "counting", "several", "texture", "shape"))
        if dealt.scene.relation in ("on", "inside"):
            continue
        found = boxes(dealt.scene, dealt.draw_seed)
        for thing, box in zip(dealt.scene.things, found):
            if thing.size:
                seen[thing.size].append(box.side)
    assert max(seen["small"]) < min(seen["medium"]) < max(seen["medium"]) < min(seen["large"])
    assert max(seen["large"]) < min(seen["huge"])
    assert all(low <= side <= high for size, (low, high) in SIDES.items() for side in seen[size])


def test_collections_are_three_or_four() -> None:
    for support in SUPPORTS:
        scene = Scene("collection", (RED, Thing(support, "blue")), "on", SEVERAL)
        counts = {drawn_count(scene, place(scene, Dice(seed))) for seed in range(40)}
        assert counts <= {3, 4} and 3 in counts
    assert drawn_count(Scene("counting", (RED,), count=5), ()) == 5
