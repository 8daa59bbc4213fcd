"""Things, what they can do, and the shapes they take: seen, told apart, inside their boxes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest

from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import COLOURS, Tone, tone
from limner.storybook.world.shapes import SHAPES, draw_in_shape
from limner.storybook.world.textures import TEXTURES
from limner.storybook.world.things import THING_KINDS

SIZE, SIDE = 128, 0.8
PAPER = (206, 206, 212)
HOSTS = tuple(kind for kind, entry in THING_KINDS.items() if entry.host)


@cache
def _studio() -> tuple[np.ndarray, object, Brush, object]:
    import skia

    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    info = skia.ImageInfo.Make(SIZE, SIZE, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    surface = skia.Surface.MakeRasterDirect(info, pixels)
    canvas = surface.getCanvas()
    return pixels, canvas, Brush(canvas, SIZE), surface


def drawn(draw: Callable[[Brush], None]) -> np.ndarray:
    """What is drawn in a box in the middle of grey paper."""
    pixels, canvas, brush, _ = _studio()
    canvas.clear(brush.colour(PAPER))  # type: ignore[attr-defined]
    brush.enter(0.5, 0.5, SIDE)
    draw(brush)
    brush.leave()
    return pixels[..., :3].astype(int)


def thing(kind: str, colour: str) -> np.ndarray:
    return drawn(lambda brush: THING_KINDS[kind].draw(brush, tone(COLOURS[colour].rgb)))


def hosted(kind: str, shape: str, colour: Tone | None = None) -> np.ndarray:
    host = THING_KINDS[kind].host
    assert host is not None
    return drawn(lambda brush: draw_in_shape(brush, host, SHAPES[shape], colour))


def share(picture: np.ndarray, rgb: tuple[int, int, int], reach: int = 12) -> float:
    return float((np.abs(picture - rgb).max(-1) <= reach).mean())


def touched(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture - PAPER).max(-1) > 8


@pytest.mark.parametrize("kind", THING_KINDS)
def test_a_thing_shows_its_colour_more_than_any_other(kind: str) -> None:
    for colour in COLOURS:
        picture = thing(kind, colour)
        shares = {name: share(picture, value.rgb) for name, value in COLOURS.items()}
        assert shares[colour] > 0.03, (colour, shares)
        assert max(value for name, value in shares.items() if name != colour) < shares[colour] / 2, (colour, shares)


@pytest.mark.parametrize("kind", THING_KINDS)
def test_a_thing_stays_in_its_box_and_fills_it(kind: str) -> None:
    rows, columns = np.nonzero(touched(thing(kind, "red")))
    low, high = SIZE * (0.5 - SIDE / 2) - 1.5, SIZE * (0.5 + SIDE / 2) + 1.5
    assert low <= min(rows.min(), columns.min()) and max(rows.max(), columns.max()) <= high
    assert max(np.ptp(rows), np.ptp(columns)) > 0.8 * SIDE * SIZE
    assert rows.max() > SIZE * (0.5 + 0.43 * SIDE)  # it stands on the ground


def test_things_differ_at_32_pixels() -> None:
    small = {kind: thing(kind, "red").reshape(32, 4, 32, 4, 3).mean((1, 3)) for kind in THING_KINDS}
    for a, b in combinations(small, 2):
        assert np.abs(small[a] - small[b]).mean() > 6, (a, b)


def test_a_block_fills_its_box_so_that_blocks_stack_flush() -> None:
    rows, columns = np.nonzero(touched(thing("block", "blue")))
    for ends in (rows, columns):
        assert abs(np.ptp(ends) + 1 - SIDE * SIZE) <= 2.5


@pytest.mark.parametrize("kind", [kind for kind, entry in THING_KINDS.items() if entry.top is not None])
def test_what_stands_on_a_thing_stands_on_its_pixels(kind: str) -> None:
    top = THING_KINDS[kind].top
    assert top is not None
    row = round(SIZE * (0.5 + top * SIDE))
    assert touched(thing(kind, "red"))[row + 2, SIZE // 2 - 6 : SIZE // 2 + 6].all()


@pytest.mark.parametrize("kind", [kind for kind, entry in THING_KINDS.items() if entry.holds is not None])
def test_a_front_wall_is_drawn_again_without_a_trace(kind: str) -> None:
    entry = THING_KINDS[kind]
    assert entry.front is not None
    red, blue = tone(COLOURS["red"].rgb), tone(COLOURS["blue"].rgb)
    plain = drawn(lambda brush: entry.draw(brush, red))

    def again(brush: Brush) -> None:
        entry.draw(brush, red)
        entry.front(brush, red)  # type: ignore[misc]

    assert np.abs(drawn(again) - plain).max() < 80  # only outlines' soft edges
    assert (np.abs(drawn(again) - plain).max(-1) > 8).mean() < 0.03

    def filled(brush: Brush) -> None:
        entry.draw(brush, red)
        brush.inner((0, (entry.holds or 0) - 0.1, 0.5))
        THING_KINDS["block"].draw(brush, blue)
        brush.leave()
        entry.front(brush, red)  # type: ignore[misc]

    inside = np.nonzero(np.abs(drawn(filled) - COLOURS["blue"].rgb).max(-1) <= 12)[0]
    assert len(inside) > 40  # it looks out, and ends at the rim
    assert inside.max() <= SIZE * (0.5 + ((entry.holds or 0) + 0.09) * SIDE)


@pytest.mark.parametrize(("kind", "shape"), list(product(HOSTS, SHAPES)))
def test_a_shape_is_seen_in_its_host_and_can_be_dyed(kind: str, shape: str) -> None:
    picture = hosted(kind, shape)
    assert np.abs(picture - thing(kind, "red")).mean() > 4
    for colour in ("blue", "purple", "white"):
        dyed = hosted(kind, shape, tone(COLOURS[colour].rgb))
        assert share(dyed, COLOURS[colour].rgb) > 0.003
    rows, columns = np.nonzero(touched(picture))
    assert min(rows.min(), columns.min()) >= SIZE * (0.5 - SIDE / 2) - 2.5
    assert max(rows.max(), columns.max()) <= SIZE * (0.5 + SIDE / 2) + 1


@pytest.mark.parametrize("kind", HOSTS)
def test_shapes_of_a_host_differ_at_32_pixels(kind: str) -> None:
    blue = tone(COLOURS["blue"].rgb)
    small = {shape: hosted(kind, shape, blue).reshape(32, 4, 32, 4, 3).mean((1, 3)) for shape in SHAPES}
    for a, b in combinations(small, 2):
        assert np.abs(small[a] - small[b]).mean() > 2.5, (a, b)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_dial_leaves_most_of_a_shape_to_be_seen(shape: str) -> None:
    entry = SHAPES[shape]
    bare = touched(drawn(lambda brush: entry.draw(brush, None)))
    x, y, radius = entry.broad
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    dial = np.hypot(columns / SIZE - 0.5 - x * SIDE, rows / SIZE - 0.5 - y * SIDE) <= radius * SIDE
    assert bare[dial].all()  # it lies on the shape
    assert (bare & ~dial).sum() > 0.6 * bare.sum()


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_clock_shows_its_texture_around_the_dial(texture: str) -> None:
    entry = TEXTURES[texture]

    def clock(brush: Brush) -> None:
        with brush.covered(entry.cover, tone(entry.natural)):
            THING_KINDS["clock"].draw(brush, tone(entry.natural))

    plain = drawn(lambda brush: THING_KINDS["clock"].draw(brush, tone(entry.natural)))
    assert (np.abs(drawn(clock) - plain).max(-1) > 24).sum() > 0.06 * touched(plain).sum()


def test_words_are_there_and_no_two_things_share_them() -> None:
    names = [entry.noun for entry in THING_KINDS.values()]
    for language in ("singular", "chinese"):
        words = [getattr(noun, language) for noun in names]
        assert len(set(words)) == len(words) and all(words)
    assert all(noun.measure for noun in [*names, *(shape.noun for shape in SHAPES.values())])
