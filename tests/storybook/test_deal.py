"""The deal: a pure function of seed and index, splits that never meet, weights as promised."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations, islice

import pytest

from limner.data.worlds import Storybook
from limner.errors import InputError
from limner.storybook import chinese, english
from limner.storybook.deal import FAMILY_WEIGHTS, GARMENT_COUNTS, Dealt, deal, stream
from limner.storybook.scene import (
    ANIMALS,
    BACKGROUNDS,
    CHARACTERS,
    COLOURS,
    DOINGS,
    FAMILIES,
    GARMENTS,
    KINDS,
    MOODS,
    PANELS,
    RELATIONS,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
    VIEWS,
)
from limner.storybook.splits import combination, held_out, pairing


def test_deals_are_pure_and_streams_jump() -> None:
    whole = list(islice(stream(seed=4), 60))
    assert whole == [deal(i, seed=4) for i in range(60)]
    assert list(islice(stream(seed=4, start=40), 20)) == whole[40:]
    assert list(islice(stream(seed=4, start=1, step=2), 30)) == whole[1::2]
    assert deal(0, seed=4) != deal(0, seed=5)
    assert deal(0, seed=4) != deal(1, seed=4)


def test_the_deal_is_the_same_on_every_machine() -> None:
    """What is dealt when weights are trained; a change here means training anew."""
    dealt = [deal(i) for i in range(3)]
    assert [(d.scene.family, d.language) for d in dealt] == [("counting", "en"), ("two", "en"), ("garments", "en")]
    assert [d.caption for d in dealt] == [
        "two white houses, at the beach",
        "a yellow cube and a green avocado",
        "a drawing of an avocado in a brown shirt and brown gloves",
    ]


@pytest.mark.parametrize("count", [6000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_splits_never_meet(count: int) -> None:
    train = [deal(i) for i in range(count)]
    heldout = [deal(i, split="heldout") for i in range(count // 7)]
    test = [deal(i, split="test") for i in range(count // 7)]
    combinations = {combination(d.scene) for d in train}
    assert not combinations & {combination(d.scene) for d in heldout}
    assert all(held_out(d.scene) for d in heldout)
    assert not any(held_out(d.scene) for d in train + test)
    assert not {(d.scene, d.draw_seed) for d in train} & {(d.scene, d.draw_seed) for d in test}

    # Every kind of thing and every colour that is held out in some combination is seen in others.
    def words(dealt: list[Dealt]) -> set[str]:
        return {word for d in dealt for word in re.split(r"[][ ,]+", combination(d.scene))}

    assert words(heldout) <= words(train)


@pytest.mark.parametrize("count", [800, pytest.param(2000, marks=pytest.mark.slow)])
def test_near_misses_in_training_are_not_held_out_either(count: int) -> None:
    stream = Storybook(32, near=4)
    for position in range(count):
        pair = stream._dealt(position)
        assert not held_out(pair.scene), pair.caption
        assert pair.caption in {"en": english, "zh": chinese}[pair.language].wordings(pair.scene).seen


@pytest.mark.parametrize("count", [6000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_pair_of_a_blend_is_held_out_whatever_else_is_said_of_it(count: int) -> None:
    blends = ("texture", "shape", "chimera", "style", "counting")
    train = {pairing(deal(i, families=blends).scene) for i in range(count)}
    heldout = [deal(i, split="heldout", families=("texture", "shape", "chimera")).scene for i in range(600)]
    by_pair = [s for s in heldout if pairing(s) not in train]
    assert len(by_pair) > 60
    assert "cube porcupine" not in train and "armchair avocado" not in train and "giraffe turtle" not in train
    assert all(held_out(replace(s, background="white")) and held_out(replace(s, background="room")) for s in by_pair)


def test_training_sees_no_kept_wording() -> None:
    languages = {"en": english, "zh": chinese}
    for i in range(1500):
        dealt = deal(i)
        assert dealt.caption in languages[dealt.language].wordings(dealt.scene).seen
    kept = deal(3, wording="kept")
    assert kept.caption in languages[kept.language].wordings(kept.scene).kept


def test_weights_are_as_promised() -> None:
    dealt = [deal(i, seed=8) for i in range(6000)]
    families = Counter(d.scene.family for d in dealt)
    for family, weight in FAMILY_WEIGHTS.items():  # what is held out shifts them a little
        assert abs(families[family] / 6000 - weight) < 0.03
    assert abs(sum(d.language == "en" for d in dealt) / 6000 - 0.7) < 0.03
    dressed = Counter(len(d.scene.things[0].garments) for d in dealt if d.scene.family == "garments")
    for count, weight in GARMENT_COUNTS.items():
        assert abs(dressed[count] / dressed.total() - weight) < 0.05
    said = [d.scene.background is not None for d in dealt]
    assert abs(sum(said) / 6000 - 0.2) < 0.03


def test_two_things_can_be_told_apart() -> None:
    for i in range(3000):
        things = deal(i, families=("two", "relation", "several")).scene.things
        assert all(thing.colour or thing.texture or thing.kind in CHARACTERS for thing in things)
        for first, second in combinations(things, 2):
            assert first.colour != second.colour or first.colour is None
            if first.kind == second.kind:
                assert first.colour or second.colour or first.texture != second.texture


def test_families_and_languages_are_kept_to() -> None:
    dealt = [deal(i, families=("counting",), languages=("zh",)) for i in range(200)]
    assert {(d.scene.family, d.language) for d in dealt} == {("counting", "zh")}
    assert {d.scene.count for d in dealt} == {1, 2, 3, 4, 5, 6}


def test_every_word_of_the_world_is_dealt_in_training() -> None:
    scenes = [deal(i).scene for i in range(6000)]
    things = [thing for scene in scenes for thing in scene.things]
    for known, used in (
        (FAMILIES, {s.family for s in scenes}),
        (RELATIONS, {s.relation for s in scenes}),
        (BACKGROUNDS, {s.background for s in scenes}),
        (STYLES, {s.style for s in scenes}),
        (VIEWS, {s.view for s in scenes}),
        (PANELS, {s.panel for s in scenes}),
        (KINDS, {t.kind for t in things}),
        (SIZES, {t.size for t in things}),
        (TEXTURES, {t.texture for t in things}),
        (SHAPES, {t.shape for t in things}),
        (MOODS, {t.mood for t in things}),
        (DOINGS, {t.doing for t in things}),
        (ANIMALS, {t.half for t in things}),
        (GARMENTS, {g.kind for t in things for g in t.garments}),
        (GARMENTS, {kind for t in things for kind in t.without}),
        (COLOURS, {g.colour for t in things for g in t.garments}),
    ):
        assert set(known) <= used


def test_what_cannot_be_seen_is_not_said() -> None:
    for i in range(1500):
        scene = deal(i, families=("view", "style", "panels")).scene
        worn = {garment.kind for garment in scene.things[0].garments}
        if scene.view == "from behind":
            assert "glasses" not in worn and not scene.things[0].mood
        if scene.view == "close-up":
            assert not worn
        if scene.style == "sketch":
            assert not scene.things[0].colour and not any(g.colour for g in scene.things[0].garments)


@pytest.mark.parametrize(
    "settings",
    [
        {"split": "dev"},
        {"families": ("single", "many")},
        {"families": ()},
        {"languages": ("fr",)},
        {"languages": ()},
        {"wording": "loud"},
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict) -> None:
    with pytest.raises(InputError) as error:
        deal(0, **settings)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        deal(-1)


def test_families_that_hold_nothing_out_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.storybook.deal.held_out", lambda scene: False)
    with pytest.raises(InputError, match="split heldout"):
        deal(0, split="heldout", families=("single",))
