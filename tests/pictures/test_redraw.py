"""Pictures as another hand might have drawn them: what may change, and what a caption forbids."""

from __future__ import annotations

import numpy as np
import pytest

from limner.data.crops import Crop
from limner.data.pair import Pair
from limner.errors import RecipeError
from limner.pictures.redraw import redraw
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.training.objective_clip import CLIPCollate, CLIPSettings


class Captions:
    """A tokenizer that every caption is alike to."""

    def clip_row(self, captions: list[str], context: int, *, cut: bool) -> np.ndarray:
        return np.zeros((len(captions), context), np.int64)


def two_blocks(size: int = 64) -> np.ndarray:
    """Red on the left and blue on the right of white."""
    picture = np.full((size, size, 3), 255, np.uint8)
    picture[16:48, 8:28] = (220, 20, 20)
    picture[16:48, 36:56] = (20, 20, 220)
    return picture


def test_a_seed_is_a_picture_and_others_differ() -> None:
    picture = two_blocks()
    before = picture.copy()
    several = [redraw(picture, np.random.default_rng(seed)) for seed in range(12)]
    assert all(p.shape == picture.shape and p.dtype == np.uint8 for p in several)
    assert np.array_equal(several[3], redraw(picture, np.random.default_rng(3)))
    assert len({p.tobytes() for p in several}) == 12 and np.array_equal(picture, before)


def test_sides_and_colours_stay_what_a_caption_says() -> None:
    told = 0
    for seed in range(60):
        pixels = redraw(two_blocks(), np.random.default_rng(seed)).astype(int)
        red = (pixels[..., 0] - pixels[..., 2] > 90).nonzero()[1]
        blue = (pixels[..., 2] - pixels[..., 0] > 90).nonzero()[1]
        if len(red) and len(blue):  # else there are outlines and nothing more
            told += 1
            assert red.mean() < blue.mean(), seed
    assert told >= 45


def test_some_are_outlined_and_outlines_do_not_come_in_from_the_other_side() -> None:
    dark = [(redraw(two_blocks(), np.random.default_rng(seed)).max(2) < 60).sum() for seed in range(60)]
    assert 20 <= sum(count > 40 for count in dark) <= 45
    half = np.full((32, 32, 3), 255, np.uint8)
    half[:, 16:] = (200, 30, 30)
    for seed in range(40):
        drawn = redraw(half, np.random.default_rng(seed))
        assert (drawn[:, 0].max(1) >= 60).all(), seed


def test_real_pictures_are_redrawn_and_scenes_are_not() -> None:
    dealt = deal(3)
    scene = Pair(draw(dealt.scene, size=64, seed=1), dealt.caption, "scene", dealt.scene)
    real = Pair(two_blocks(), "two blocks", "real")
    plain, other = (CLIPCollate(Crop("clip", 64), Captions(), 8, 5, share) for share in (0.0, 1.0))
    before, after = (collate([scene, real], [10, 11])["pixels"].numpy() for collate in (plain, other))
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[1], after[1])
    # A function of the position: a resumed run sees the same.
    assert np.array_equal(after, other([scene, real], [10, 11])["pixels"].numpy())
    assert not np.array_equal(after[1], other([scene, real], [10, 12])["pixels"].numpy()[1])


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_between_none_and_all(share: float) -> None:
    with pytest.raises(RecipeError, match=r"objective.redraw: expected 0 to 1"):
        CLIPSettings(redraw=share)
