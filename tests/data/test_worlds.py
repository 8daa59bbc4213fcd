"""The storybook as a source: pairs by position, and blocks of neighbours that differ in one thing."""

from __future__ import annotations

import numpy as np

from limner.data.worlds import Storybook
from limner.storybook.judge.nearmiss import compatible
from limner.storybook.scene import held_out


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
