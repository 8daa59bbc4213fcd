"""Calibration: a judge that is never wrong gets perfect marks, one that says yes to everything does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limner.evaluate.calibrate import another, blanks, calibrate, deal_scenes
from limner.evaluate.faults import SPLIT, faults
from limner.storybook.judge import Judge
from limner.storybook.judge.judge import WEIGHTS
from limner.storybook.judge.nearmiss import compatible
from limner.storybook.scene import FAMILIES, Scene, Thing, held_out


def test_a_judge_that_is_never_wrong(knowing_judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.storybook.draw import draw

    def remembered(scene: Scene, *, seed: int) -> np.ndarray:
        picture = draw(scene, seed=seed)
        knowing_judge.learn(scene, picture)
        return picture

    monkeypatch.setattr("limner.evaluate.calibrate.draw", remembered)
    answer = calibrate(knowing_judge, scenes=6, reconstruct=lambda p: p, untrained=np.zeros((3, 128, 128, 3), np.uint8))
    assert answer["right_accepted"]["share"] == 1.0 and answer["wrong_accepted"]["share"] == 0.0
    assert set(answer["families"]) == set(FAMILIES) and not answer["refused"]
    # It knows pictures by heart: what is changed by a single pixel it does not know.
    assert answer["changed"]["reconstructed"]["accepted"]["share"] == 1.0
    assert answer["changed"]["slight blur"]["accepted"]["share"] == 0.0
    assert 20 < answer["changed"]["slight blur"]["psnr"] < 40
    assert not any(table["share"] for table in answer["controls"].values())
    assert set(answer["faults"]) == {*SPLIT.values(), "a half missing", "a spot of 14 pixels"}
    assert not any(table["share"] for table in answer["faults"].values())
    assert "best of 3 untrained" in answer["controls"] and "another scene" in answer["controls"]


def test_scenes_come_from_both_splits() -> None:
    scenes = [d.scene for d in deal_scenes("garments", 6, 0)]
    assert [held_out(scene) for scene in scenes] == [False, True] * 3
    assert not any(held_out(d.scene) for d in deal_scenes("single", 6, 0))


def test_a_fault_is_in_the_picture_and_leaves_the_rest() -> None:
    from limner.storybook.draw import draw

    dealt = [d for family in FAMILIES for d in deal_scenes(family, 6, 1)]
    drawn = {d.scene: draw(d.scene, seed=d.draw_seed) for d in dealt}
    names = set()
    for name, picture, scenes in faults(dealt):
        share = float((picture != drawn[scenes[0]]).any(2).mean())
        assert 0 < share < 0.6, name
        names.add(name)
    assert len(names) == 5


def test_blank_pictures_have_the_pictures_shape_and_show_nothing() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)
    empty = blanks(pictures, 0)
    assert all(p.shape == pictures.shape and p.dtype == np.uint8 for p in empty.values())
    assert len(np.unique(empty["blank"])) == 1 and all(len(np.unique(p[..., 0])) == 1 for p in empty["mean colour"])
    # The same patches, at their places, of other pictures.
    assert np.array_equal(np.sort(pictures.ravel()), np.sort(empty["shuffled patches"].ravel()))


def test_another_scene_is_one_that_the_picture_cannot_show() -> None:
    scenes = [
        Scene("single", (Thing("cube", "red"),)),
        Scene("single", (Thing("cube"),)),
        Scene("single", (Thing("cat"),)),
    ]
    assert another(scenes, 0) == 2 and another(scenes[:2], 0) is None
    assert not compatible(scenes[1], scenes[2])


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the judge's weights are not in this checkout")
def test_the_shipped_judges_figures_hold_on_a_few_scenes() -> None:
    answer = calibrate(Judge.load(), scenes=24, seed=5)
    assert answer["right_accepted"]["share"] >= 0.97 and answer["wrong_accepted"]["share"] <= 0.02
    assert answer["changed"]["slight blur"]["accepted"]["share"] >= 0.93
    assert not any(table["share"] > 0.01 for table in answer["controls"].values())
