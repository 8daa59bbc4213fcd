"""The storybook as a source: pairs by position, and blocks of neighbours that differ in one thing."""

from __future__ import annotations

import numpy as np

from limner.data.worlds import Storybook
from limner.storybook.judge.nearmiss import compatible
from limner.storybook.splits import held_out


def test_a_position_is_one_pair_for_ever() -> None:
    one, two = Storybook(32).at(7, []), Storybook(32).at(7, [])
    assert one.caption == two.caption == Storybook(32).caption(7)
    assert np.array_equal(one.picture, two.picture)
    assert one.picture.shape == (32, 32, 3)


def test_neighbours_differ_from_the_first_of_their_block() -> None:
    source = Storybook(32, near=4)
    different = 0
    for block in range(40):
        scenes = [source.at(4 * block + member, []).scene for member in range(4)]
        assert all(scene is not None and not held_out(scene) for scene in scenes)
        assert all(not compatible(scenes[0], scene) for scene in scenes[1:])
        different += len(set(scenes)) == 4
    assert different > 20


def test_wrong_captions_are_wrong_and_mostly_the_same_words() -> None:
    source = Storybook(32, wrong=True, families=("garments", "two", "stack"))
    reordered = 0
    for position in range(60):
        pair = source.at(position, [])
        assert pair.wrong is not None and pair.wrong != pair.caption
        assert pair.wrong == source.at(position, []).wrong
        reordered += sorted(pair.wrong) == sorted(pair.caption)
    # Of garments only those with two or more in different colours can change places.
    assert 15 <= reordered <= 50
    assert Storybook(32).at(0, []).wrong is None
