"""The dice: the same on every Python, all options, no favourites."""

from __future__ import annotations

from collections import Counter

from limner.storybook.dice import Dice


def test_sequences_are_fixed() -> None:
    dice = Dice("draw", 7)
    assert [dice.below(1000) for _ in range(4)] == [74, 250, 164, 958]
    assert Dice(3, "x").unit() == 0.3570985414399067


def test_choices_are_even_and_samples_differ() -> None:
    dice = Dice(1)
    counts = Counter(dice.pick("abcd") for _ in range(4000))
    assert all(900 < counts[letter] < 1100 for letter in "abcd")
    for _ in range(100):
        drawn = dice.sample(range(6), 4)
        assert len(set(drawn)) == 4
    assert all(0.2 <= dice.between(0.2, 0.3) < 0.3 for _ in range(100))


def test_seeds_of_several_parts_do_not_run_together() -> None:
    assert Dice("deal", 1, 23).unit() != Dice("deal", 12, 3).unit()
