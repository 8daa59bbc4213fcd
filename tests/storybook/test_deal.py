"""The deal: a pure function of seed and index, splits that never meet, weights as promised."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from limner.errors import InputError
from limner.storybook import chinese, english
from limner.storybook.deal import FAMILY_WEIGHTS, GARMENT_COUNTS, deal, stream
from limner.storybook.scene import ANIMALS, combination, held_out


def test_deals_are_pure_and_streams_jump() -> None:
    whole = list(islice(stream(seed=4), 60))
    assert whole == [deal(i, seed=4) for i in range(60)]
    assert list(islice(stream(seed=4, start=40), 20)) == whole[40:]
    assert list(islice(stream(seed=4, start=1, step=2), 30)) == whole[1::2]
    assert deal(0, seed=4) != deal(0, seed=5)
    assert deal(0, seed=4) != deal(1, seed=4)


def test_the_deal_is_the_same_on_every_machine() -> None:
    """What the first chapter dealt when its weights were trained; a change here means training anew."""
    dealt = deal(0)
    assert (dealt.scene.family, dealt.language, dealt.index) == ("single", "zh", 0)
    assert dealt.caption == "画里有一艘棕色船"


def test_splits_never_meet() -> None:
    train = [deal(i) for i in range(20_000)]
    heldout = [deal(i, split="heldout") for i in range(3000)]
    test = [deal(i, split="test") for i in range(3000)]
    combinations = {combination(d.scene) for d in train}
    assert not combinations & {combination(d.scene) for d in heldout}
    assert all(held_out(d.scene) for d in heldout)
    assert not any(held_out(d.scene) for d in train + test)
    assert not {(d.scene, d.draw_seed) for d in train} & {(d.scene, d.draw_seed) for d in test}
    # Every kind of thing and every colour that is held out in some combination is seen in others.
    words = {word for d in train for word in combination(d.scene).replace("[", " ").replace("]", " ").split()}
    assert {word for d in heldout for word in combination(d.scene).replace("[", " ").replace("]", " ").split()} <= words


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
        first, second = deal(i, families=("two", "relation")).scene.things
        assert first.colour != second.colour or (first.colour is None and first.kind != second.kind)
        if first.kind == second.kind:
            assert first.colour
            assert second.colour
        assert all(thing.colour or thing.kind in ANIMALS for thing in (first, second))


def test_families_and_languages_are_kept_to() -> None:
    dealt = [deal(i, families=("counting",), languages=("zh",)) for i in range(200)]
    assert {(d.scene.family, d.language) for d in dealt} == {("counting", "zh")}
    assert {d.scene.count for d in dealt} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "settings",
    [
        {"split": "dev"},
        {"families": ("single", "many")},
        {"families": ()},
        {"languages": ("fr",)},
        {"languages": ()},
        {"wording": "loud"},
        {"split": "heldout", "families": ("single",)},
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict) -> None:
    with pytest.raises(InputError) as error:
        deal(0, **settings)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        deal(-1)
