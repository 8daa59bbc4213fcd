"""Characters: kinds, chimeras, babies, moods, garments, doings; each must be seen, told apart and stay in its box."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from limner.storybook.world.animals import ANIMAL_KINDS
from limner.storybook.world.body import Pose
from limner.storybook.world.brush import Brush, parse_path
from limner.storybook.world.character import CHARACTER_KINDS, draw_character
from limner.storybook.world.colours import COLOURS
from limner.storybook.world.doing import DOINGS
from limner.storybook.world.garments import GARMENT_KINDS
from limner.storybook.world.moods import MOODS

SIZE, SIDE = 128, 0.8
PAPER = (206, 206, 212)
CALM = Pose(0.02, 0.02)
TOGETHER = tuple(kind for kind in GARMENT_KINDS if kind != "tutu")


@dataclass(frozen=True)
class Worn:
    kind: str


@dataclass(frozen=True)
class Somebody:
    kind: str
    half: str | None = None
    baby: bool = False
    mood: str | None = None
    doing: str | None = None
    garments: tuple[Worn, ...] = ()


@cache
def _studio() -> tuple[np.ndarray, object, Brush, object]:
    import skia

    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    info = skia.ImageInfo.Make(SIZE, SIZE, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    surface = skia.Surface.MakeRasterDirect(info, pixels)
    canvas = surface.getCanvas()
    return pixels, canvas, Brush(canvas, SIZE), surface


def drawn(
    kind: str,
    worn: dict[str, str] | None = None,
    colour: str | None = None,
    behind: bool = False,
    pose: Pose = CALM,
    **what: object,
) -> np.ndarray:
    pixels, canvas, brush, _ = _studio()
    canvas.clear(brush.colour(PAPER))  # type: ignore[attr-defined]
    worn = worn or {}
    somebody = Somebody(kind, garments=tuple(map(Worn, worn)), **what)  # type: ignore[arg-type]
    brush.enter(0.5, 0.5, SIDE)
    draw_character(brush, somebody, colour, pose, tuple(worn.values()), behind)
    brush.leave()
    return pixels[..., :3].astype(int)


def blurred(picture: np.ndarray) -> np.ndarray:
    """Every 8 by 8 pixels as one: what is left after a coarse autoencoder."""
    return np.asarray(Image.fromarray(picture.astype(np.uint8)).resize((16, 16), Image.Resampling.BOX)).astype(int)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """How many of the coarse cells differ plainly."""
    return float((np.abs(blurred(a) - blurred(b)).max(-1) > 24).sum())


def share(picture: np.ndarray, colour: str) -> float:
    return float((np.abs(picture - COLOURS[colour].rgb).max(-1) <= 12).mean())


@pytest.mark.parametrize("kind", CHARACTER_KINDS)
def test_whatever_it_does_it_stays_in_its_box(kind: str) -> None:
    # Outlines reach over by less than a fortieth of the box.
    edge = int(SIZE * (0.5 - SIDE * 0.524))
    dress = dict.fromkeys(TOGETHER, "red")
    pictures = [drawn(kind, dress, doing=doing, pose=Pose(0.06, 0.06)) for doing in DOINGS]
    pictures += [drawn(kind, baby=True), drawn(kind, behind=True), drawn(kind, {"tutu": "red"}), drawn(kind)]
    if kind in ANIMAL_KINDS:
        pictures += [drawn(kind, half=other, baby=baby) for other in ANIMAL_KINDS for baby in (False, True)]
    for picture in pictures:
        picture[edge:-edge, edge:-edge] = PAPER
        assert (picture == PAPER).all()


@pytest.mark.parametrize("behind", [False, True])
def test_kinds_are_told_apart_when_blurred(behind: bool) -> None:
    pictures = {kind: drawn(kind, behind=behind) for kind in CHARACTER_KINDS}
    for a, b in combinations(pictures, 2):
        assert apart(pictures[a], pictures[b]) >= 9, (a, b)


def test_one_colour_leaves_kinds_their_shape() -> None:
    pictures = {kind: drawn(kind, colour="blue") for kind in CHARACTER_KINDS}
    for a, b in combinations(pictures, 2):
        assert apart(pictures[a], pictures[b]) >= 6, (a, b)


def test_a_chimera_has_one_head_and_another_body() -> None:
    bodies = {kind: drawn("cat", half=kind) for kind in ANIMAL_KINDS if kind != "cat"}
    for a, b in combinations(bodies, 2):
        assert apart(bodies[a], bodies[b]) >= 5, (a, b)
    for head, body in (("giraffe", "turtle"), ("fish", "owl"), ("rabbit", "snail")):
        chimera = drawn(head, half=body)
        for other in (drawn(head), drawn(body), drawn(body, half=head)):
            assert apart(chimera, other) >= 9, (head, body)


@pytest.mark.parametrize("kind", CHARACTER_KINDS)
def test_babies_moods_and_doings_are_seen(kind: str) -> None:
    plain = drawn(kind)
    assert apart(plain, drawn(kind, baby=True)) >= 10
    faces = [plain, *(drawn(kind, mood=mood) for mood in MOODS)]
    for a, b in combinations(faces, 2):
        assert (np.abs(a - b).max(-1) > 60).sum() >= 25
    scenes = [plain, *(drawn(kind, doing=doing) for doing in DOINGS)]
    for a, b in combinations(scenes, 2):
        assert apart(a, b) >= 8


@pytest.mark.parametrize("kind", CHARACTER_KINDS)
def test_every_garment_is_seen_whatever_else_is_worn(kind: str) -> None:
    bare = drawn(kind)

    def seen(dressed: np.ndarray, colour: str) -> float:
        """The share of pixels that have this colour only since the garment is worn."""
        near = (np.abs(dressed - COLOURS[colour].rgb).max(-1) <= 12) & (np.abs(dressed - bare).max(-1) > 12)
        return float(near.mean())

    for shift in range(3):
        names = [list(COLOURS)[(shift * 3 + i) % 10] for i in range(len(TOGETHER))]
        dressed = drawn(kind, dict(zip(TOGETHER, names)))
        for garment, colour in zip(TOGETHER, names):
            if share(bare, colour) < 0.02:  # a red hat on a red cap is told by its outline only
                assert seen(dressed, colour) > 0.0025, (garment, colour)
    assert seen(drawn(kind, {"tutu": "purple", "shirt": "red", "boots": "blue"}), "purple") > 0.012


def test_what_excludes_excludes_both_ways() -> None:
    for kind, entry in GARMENT_KINDS.items():
        assert all(kind in GARMENT_KINDS[other].excludes for other in entry.excludes)
    assert "trousers" in GARMENT_KINDS["tutu"].excludes


@pytest.mark.parametrize("kind", CHARACTER_KINDS)
def test_from_behind_there_is_no_face(kind: str) -> None:
    front, back = drawn(kind), drawn(kind, behind=True)
    assert (np.abs(front - back).max(-1) > 60).sum() > 60
    for unseen in (drawn(kind, behind=True, mood="angry"), drawn(kind, {"glasses": "red"}, behind=True)):
        assert np.array_equal(unseen, back)
    assert share(drawn(kind, {"shirt": "purple", "hat": "red"}, behind=True), "purple") > 0.02


def test_drawing_on_and_on_keeps_no_more_paths() -> None:
    chance = random.Random(5)

    def go_on() -> int:
        for doing in (None, *DOINGS):
            for garments in (TOGETHER, ("tutu",)):
                pose = Pose(chance.uniform(-0.04, 0.06), chance.uniform(-0.04, 0.06))
                drawn("cat", dict.fromkeys(garments, "red"), pose=pose, doing=doing)
        return int(parse_path.cache_info().currsize)

    sizes = [go_on() for _ in range(60)]
    assert sizes[-1] - sizes[30] <= 3


def test_names_are_unique_in_both_languages() -> None:
    nouns = [entry.noun for entry in (*CHARACTER_KINDS.values(), *GARMENT_KINDS.values())]
    for words in ([noun.singular for noun in nouns], [noun.chinese for noun in nouns]):
        assert len(set(words)) == len(words)
    for phrases in (*(mood.phrases for mood in MOODS.values()), *(doing.phrases for doing in DOINGS.values())):
        assert len(phrases.english) >= 2 and len(phrases.chinese) >= 2
