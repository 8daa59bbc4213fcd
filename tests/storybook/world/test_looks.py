"""Textures, styles and settings: each changes a picture in its own way, and the brush forgets it afterwards."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from limner.storybook.dice import Dice
from limner.storybook.world.brush import Brush
from limner.storybook.world.colours import BACKGROUNDS, COLOURS, tone
from limner.storybook.world.rims import rimmed
from limner.storybook.world.settings import SETTINGS
from limner.storybook.world.styles import STYLES
from limner.storybook.world.textures import TEXTURES
from limner.storybook.world.things import THING_KINDS

WHITE = BACKGROUNDS["white"].rgb
KINDS = ("cube", "ball", "teapot", "chair", "house", "guitar")


@cache
def _studio(size: int) -> tuple[np.ndarray, object, Brush, object]:
    import skia

    pixels = np.zeros((size, size, 4), np.uint8)
    info = skia.ImageInfo.Make(size, size, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    surface = skia.Surface.MakeRasterDirect(info, pixels)
    canvas = surface.getCanvas()
    return pixels, canvas, Brush(canvas, size), surface


def drawn(
    kind: str,
    colour: str | None = "red",
    *,
    texture: str | None = None,
    style: str | None = None,
    setting: str | None = None,
    size: int = 128,
    side: float = 0.7,
) -> np.ndarray:
    """A thing as the drawer draws it: int (size, size, 3)."""
    pixels, canvas, brush, _ = _studio(size)
    manner = STYLES[style] if style else None
    ground = SETTINGS[setting].rgb if setting else WHITE
    if manner:
        ground = manner.ground(ground)
        manner.dress(brush)
    canvas.clear(brush.colour(ground))  # type: ignore[attr-defined]
    if setting:
        SETTINGS[setting].draw(brush)
    if manner:
        manner.scenery(brush)
    brush.enter(0.5, 0.5, side)
    if texture:
        shades = tone(COLOURS[colour].rgb if colour else TEXTURES[texture].natural)
        with brush.covered(TEXTURES[texture].cover, shades):
            THING_KINDS[kind].draw(brush, shades)
    else:
        THING_KINDS[kind].draw(brush, tone(COLOURS[colour or "red"].rgb))
    brush.leave()
    if manner:
        manner.undress(brush)
    picture = pixels[..., :3].copy()
    if manner:
        picture = manner.after(picture, Dice("style", 1))
    assert picture.dtype == np.uint8
    return picture.astype(int)


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def blurred(picture: np.ndarray) -> np.ndarray:
    """Means of 4 × 4 pixels, as coarse as what an autoencoder of few codes keeps."""
    size = picture.shape[0] // 4
    return np.asarray(picture.reshape(size, 4, size, 4, 3).mean((1, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_textures_differ_from_each_other_and_from_plain_things(kind: str) -> None:
    plain = drawn(kind)
    pictures = {texture: drawn(kind, None, texture=texture) for texture in TEXTURES}
    for a, b in combinations(pictures, 2):
        assert far(pictures[a], pictures[b]) > 2, (a, b)
    assert all(far(picture, plain) > 1.2 for picture in pictures.values())


@pytest.mark.parametrize("texture", [texture for texture, entry in TEXTURES.items() if entry.dyed])
def test_colours_can_be_told_in_a_texture(texture: str) -> None:
    middles = {
        colour: drawn("cube", colour, texture=texture)[40:100, 40:88].reshape(-1, 3).mean(0) for colour in COLOURS
    }
    for a, b in combinations(middles, 2):
        assert np.abs(middles[a] - middles[b]).max() > 20, (a, b)


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_is_seen_when_blurred(texture: str) -> None:
    covered = blurred(drawn("block", None, texture=texture))
    others = [blurred(drawn("block", None, texture=other)) for other in TEXTURES if other != texture]
    assert min(far(covered[6:26, 6:26], other[6:26, 6:26]) for other in others) > 8


@pytest.mark.parametrize("texture", ["porcupine", "furry"])
def test_quills_and_hairs_stand_off_the_outline(texture: str) -> None:
    for kind in KINDS:
        plain = (drawn(kind, "brown").min(-1) < 250).sum()
        assert (drawn(kind, "brown", texture=texture).min(-1) < 250).sum() > plain * 1.03, kind


def test_glass_lets_through_what_is_behind() -> None:
    solid, glass = drawn("ball", "red"), drawn("ball", "red", texture="glass", setting="beach")
    behind = drawn("ball", "red", texture="glass", setting="snow")
    middle = slice(50, 80)
    assert far(glass[middle, middle], behind[middle, middle]) > 4
    assert far(glass[middle, middle], solid[middle, middle]) > 30


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_told_from_all_others_whatever_is_drawn(style: str) -> None:
    for kind in KINDS:
        picture = drawn(kind, "blue", style=style)
        assert far(picture, drawn(kind, "blue")) > 1.5
        for other in STYLES:
            if other != style:
                assert far(picture, drawn(kind, "blue", style=other)) > 1.5, (kind, other)


@pytest.mark.parametrize("style", [style for style in STYLES if style != "sketch"])
def test_colours_can_be_told_in_a_style(style: str) -> None:
    middles = {colour: drawn("cube", colour, style=style)[40:100, 40:88].reshape(-1, 3).mean(0) for colour in COLOURS}
    for a, b in combinations(middles, 2):
        assert np.abs(middles[a] - middles[b]).max() > (14 if style == "night" else 20), (a, b)


def test_a_sketch_has_no_colour() -> None:
    for kind in KINDS:
        picture = drawn(kind, "red", style="sketch")
        assert np.ptp(picture, axis=-1).max() < 12
        assert (picture.min(-1) < 140).mean() > 0.02


@pytest.mark.parametrize(("size", "side"), [(128, 4), (144, 4), (96, 3), (320, 10), (40, 1)])
def test_pixel_art_is_made_of_squares(size: int, side: int) -> None:
    picture = drawn("car", style="pixel art", size=size)
    squares = picture.reshape(size // side, side, size // side, side, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    assert (squares[:, 0, 1:, 0] != squares[:, 0, :-1, 0]).any()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [8, 33, 300])
def test_styles_finish_pictures_of_any_size_and_halves_of_them(style: str, size: int) -> None:
    assert drawn("cup", style=style, size=size).shape == (size, size, 3)
    half = np.full((max(1, size // 2), size, 3), 200, np.uint8)
    assert STYLES[style].after(half, Dice("style", 1)).shape == half.shape


def test_the_brush_forgets_styles_and_textures() -> None:
    before = drawn("house")
    for style in STYLES:
        for texture in TEXTURES:
            drawn("cube", style=style, texture=texture)
    assert (drawn("house") == before).all()


@pytest.mark.parametrize("style", STYLES)
def test_styles_and_textures_are_the_same_again(style: str) -> None:
    first = drawn("teapot", style=style, texture="porcupine")
    drawn("cube", style="night")
    drawn("ball", side=0.3, texture="dotted")
    assert (drawn("teapot", style=style, texture="porcupine") == first).all()


def test_settings_are_pale_and_told_apart() -> None:
    pictures = {}
    for setting in SETTINGS:
        pictures[setting] = drawn("ball", "black", setting=setting, side=0.2)
        around = np.delete(pictures[setting].reshape(-1, 3), 0, axis=0)
        assert np.median(around.max(-1)) > 180
    for a, b in combinations(pictures, 2):
        assert far(blurred(pictures[a]), blurred(pictures[b])) > 12, (a, b)


def test_things_of_all_colours_stand_out_on_every_setting() -> None:
    for setting in SETTINGS:
        for colour in COLOURS:
            picture = drawn("heart", colour, setting=setting)
            assert (np.abs(picture - COLOURS[colour].rgb).max(-1) <= 12).mean() > 0.1
            assert (picture.max(-1) < 120).mean() > 0.01  # the outline


def test_a_rim_is_white_with_a_grey_edge_and_ends() -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[18:22, 18:22] = 255
    under = rimmed(alpha, 5, 170)
    assert tuple(under[20, 14]) == (255, 255, 255, 255)
    assert tuple(under[20, 12]) == (170, 170, 170, 255)
    assert not under[20, :11].any() and not under[0].any()


def test_words_fill_in_a_noun_in_both_languages() -> None:
    for texture in TEXTURES.values():
        assert all(line.count("{}") == 1 for line in (*texture.words.english, *texture.words.chinese))
    for style in STYLES.values():
        assert all(line.count("{}") == 1 for line in (*style.words.english, *style.words.chinese))
    for setting in SETTINGS.values():
        assert all(line and "{" not in line for line in (*setting.words.english, *setting.words.chinese))
