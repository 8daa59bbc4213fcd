"""The judge: its logic against drawn truth, its eyes against drawn pictures, its file against damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.errors import InputError, ModelError
from limner.storybook.deal import Dealt, deal
from limner.storybook.draw import draw, layout
from limner.storybook.judge import Answers, Found, Judge
from limner.storybook.judge.batches import make_batch
from limner.storybook.judge.judge import WEIGHTS
from limner.storybook.judge.nearmiss import compatible, near_misses
from limner.storybook.judge.puzzles import lesson
from limner.storybook.judge.spoil import nothing, spoil
from limner.storybook.judge.thresholds import Thresholds
from limner.storybook.judge.train import Settings, train
from limner.storybook.judge.verdict import decide, relations
from limner.storybook.scene import FAMILIES, GARMENTS, Garment, Scene, Thing

shipped = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the judge's weights are not in this checkout")


def scenes_of(family: str, count: int, seed: int = 11) -> list[Dealt]:
    split = "test" if family == "single" else "heldout"
    return [deal(i, seed=seed, split=split, families=(family,)) for i in range(count)]


def truth(dealt: Dealt) -> Answers:
    """What an eye that is never wrong would answer about the drawn picture."""
    scene, plan = dealt.scene, layout(dealt.scene, dealt.draw_seed)
    things = scene.things * scene.count if scene.count > 1 else scene.things
    found = []
    for thing, box, colour in zip(things, plan.boxes, plan.colours, strict=True):
        worn = dict.fromkeys(GARMENTS, "absent") | {g.kind: g.colour for g in thing.garments}
        size = Thresholds().size_of(box.side)
        found.append(Found(thing.kind, colour or "natural", size, worn, (box.x, box.y, box.side), 1.0))
    # A picture has no order: the verdict must not lean on the caption's.
    return Answers(tuple(found[::-1]), plan.background)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_truth_is_right_and_every_near_miss_of_it_wrong(family: str) -> None:
    changes: set[str] = set()
    for dealt in scenes_of(family, 150):
        answers = truth(dealt)
        verdict = decide(dealt.scene, answers)
        assert verdict.right and not verdict.reasons, (dealt.caption, verdict.reasons)
        for name, wrong in near_misses(dealt.scene, dealt.draw_seed):
            missed = decide(wrong, answers)
            assert not missed.right and missed.reasons, (dealt.caption, name, wrong)
            changes.add(name)
    expected = {
        "single": {"kind", "colour", "size", "count", "background"},
        "counting": {"kind", "colour", "size", "count", "background"},
        "two": {"kind", "colour", "colours swapped", "size", "background"},
        "relation": {"kind", "colour", "colours swapped", "size", "relation", "relation turned", "background"},
        "garments": {"kind", "garment colour", "garment colours swapped", "garment more", "garment less", "background"},
    }
    assert changes == expected[family]


def test_an_abstention_counts_as_wrong_only_where_the_caption_asks() -> None:
    scene = Scene("single", (Thing("cube", "red"),))
    worn: dict[str, str | None] = dict.fromkeys(GARMENTS, "absent")
    cube = Found("cube", "red", "large", worn, (0.5, 0.5, 0.5), 1.0)
    assert decide(scene, Answers((cube,), None)).right
    assert not decide(replace(scene, background="grey"), Answers((cube,), None)).right
    for unsure in (replace(cube, kind=None), replace(cube, colour=None), replace(cube, garments=worn | {"hat": None})):
        verdict = decide(scene, Answers((unsure,), "white"))
        assert not verdict.right and "cannot tell" in verdict.reasons[0]


def test_no_thing_more_and_no_garment_unsaid() -> None:
    scene = Scene("garments", (Thing("cat", garments=(Garment("hat", "red"),)),))
    worn: dict[str, str | None] = dict.fromkeys(GARMENTS, "absent") | {"hat": "red"}
    cat = Found("cat", "natural", "large", worn, (0.5, 0.5, 0.9), 1.0)
    assert decide(scene, Answers((cat,), "white")).right
    assert decide(scene, Answers((cat, cat), "white")).reasons == ("expected 1 thing, found 2",)
    dressed = replace(cat, garments=worn | {"shirt": "blue"})
    assert decide(scene, Answers((dressed,), "white")).reasons == ("expected the shirt absent, found blue",)
    assert decide(scene, Answers((), "white")).reasons == ("expected 1 thing, found 0",)


def test_relations_follow_genevals_margin() -> None:
    middle = (0.5, 0.5, 0.2)
    assert relations((0.2, 0.5, 0.2), middle) == {"left of"}
    assert relations((0.5, 0.8, 0.2), middle) == {"below"}
    assert relations((0.2, 0.2, 0.1), middle) == {"left of", "above"}
    # Offset 0.03, margin 0.1 · (0.2 + 0.2): too near to tell.
    assert relations((0.47, 0.5, 0.2), middle) == set()
    assert relations(middle, middle) == set()


def test_scenes_are_compatible_where_one_picture_can_show_both() -> None:
    red, cube = Scene("single", (Thing("cube", "red"),)), Scene("single", (Thing("cube"),))
    assert compatible(red, cube) and not compatible(red, Scene("single", (Thing("cube", "blue"),)))
    a, b = Thing("cube", "red"), Thing("ball", "blue")
    left, right = Scene("relation", (a, b), "left of"), Scene("relation", (b, a), "right of")
    assert compatible(left, right) and compatible(left, Scene("two", (b, a)))
    assert not compatible(left, Scene("relation", (b, a), "left of"))


# The lessons


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    one, two = (make_batch(3, 5, batch=8, empty=2, mosaics=1) for _ in range(2))
    assert torch.equal(one.pixels, two.pixels) and torch.equal(one.boxes, two.boxes)
    assert not torch.equal(one.pixels, make_batch(3, 6, batch=8, empty=2, mosaics=1).pixels)
    assert one.pixels.shape == (8, 3, 128, 128) and one.pixels.abs().max() <= 1
    assert int(one.which.max()) < 6, "the pictures of nothing hold no thing"
    # Boxes stay in the picture, whatever moved and shrank.
    assert one.boxes[:, :2].min() > 0 and one.boxes[:, :2].max() < 128


def test_damage_is_mild_enough_to_leave_captions_true() -> None:
    clean = torch.from_numpy(np.stack([lesson(i)[0] for i in range(32)])).permute(0, 3, 1, 2).float() / 127.5 - 1
    spoiled = spoil(clean, torch.Generator().manual_seed(0))
    assert spoiled.shape == clean.shape and spoiled.abs().max() <= 1
    error = ((spoiled - clean) / 2).square().mean()
    assert 18 < float(-10 * error.log10()) < 35
    assert nothing(5, clean, torch.Generator().manual_seed(0)).shape == (5, 3, 128, 128)


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = Settings(steps=2, batch=6, empty=1, mosaics=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = train(tmp_path / "whole", settings, minutes=5).state_dict()
    train(tmp_path / "parts", settings, minutes=0)
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 1
    parts = train(tmp_path / "parts", settings, minutes=5).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


# The shipped judge


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


@shipped
def test_drawn_scenes_are_accepted_and_near_misses_refused(judge: Judge) -> None:
    right, missed = [], []
    for family in FAMILIES:
        dealt = scenes_of(family, 60)
        answers = judge.answers(np.stack([draw(d.scene, seed=d.draw_seed) for d in dealt]))
        right += [decide(d.scene, one).right for d, one in zip(dealt, answers, strict=True)]
        for d, one in zip(dealt, answers, strict=True):
            missed += [decide(wrong, one).right for _, wrong in near_misses(d.scene, d.draw_seed)]
    assert np.mean(right) >= 0.98
    assert np.mean(missed) <= 0.02


@shipped
def test_pictures_of_nothing_are_refused(judge: Judge) -> None:
    scenes = [d.scene for family in FAMILIES for d in scenes_of(family, 8)]
    chance = np.random.default_rng(0)
    shape = (len(scenes), 128, 128, 3)
    for empty in (np.full(shape, 255, np.uint8), chance.integers(0, 256, shape, dtype=np.uint8)):
        assert not any(v.right for v in judge.verdicts(empty, scenes))


@shipped
def test_a_wrong_thing_pasted_in_is_noticed(judge: Judge) -> None:
    scene = Scene("single", (Thing("cube", "red", "large"),), background="white")
    whole = draw(scene, seed=1)
    half = whole.copy()
    half[:, 64:] = draw(Scene("single", (Thing("heart", "blue", "large"),), background="white"), seed=1)[:, 64:]
    fourth = whole.copy()
    fourth[:40, :40] = draw(Scene("single", (Thing("star", "green"),), background="white"), size=40, seed=2)
    assert [v.right for v in judge.verdicts(np.stack([whole, half, fourth]), [scene] * 3)] == [True, False, False]


@shipped
def test_batched_is_alone_and_larger_pictures_are_read_too(judge: Judge) -> None:
    dealt = [d for family in FAMILIES for d in scenes_of(family, 4, seed=5)]
    small = np.stack([draw(d.scene, seed=d.draw_seed) for d in dealt])
    large = np.stack([draw(d.scene, size=256, seed=d.draw_seed) for d in dealt])
    together = [(a.background, [(t.kind, t.colour, t.garments) for t in a.things]) for a in judge.answers(small)]
    for i, one in enumerate(together):
        (alone,) = judge.answers(small[i : i + 1])
        assert one == (alone.background, [(t.kind, t.colour, t.garments) for t in alone.things])
    assert np.mean([v.right for v in judge.verdicts(large, [d.scene for d in dealt])]) >= 0.9


@shipped
def test_bad_input_is_refused_in_one_line(judge: Judge) -> None:
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    scene = Scene("single", (Thing("cube"),))
    for wrong in (picture[0], picture.astype(np.float32), picture[..., :2], picture[:, :0]):
        with pytest.raises(InputError, match="expected uint8"):
            judge.answers(wrong)
    with pytest.raises(InputError, match="one for each of 1 pictures, got 2"):
        judge.verdicts(picture, [scene, scene])
    assert judge.verdicts(picture[:0], []) == []


@shipped
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    whole = WEIGHTS.read_bytes()
    assert len(whole) <= 3_000_000
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    broken, state = tmp_path / "broken.safetensors", load_file(WEIGHTS)
    first = next(iter(state))
    save_file(state | {first: torch.full_like(state[first], float("nan"))}, broken)
    unsaid = tmp_path / "unsaid.safetensors"
    save_file(state, unsaid)
    for file, why in ((cut, "damaged"), (foreign, "another model"), (broken, "finite"), (unsaid, "thresholds")):
        with pytest.raises(ModelError, match=why):
            Judge.load(file)
    with pytest.raises(ModelError, match="no such file"):
        Judge.load(tmp_path / "nowhere.safetensors")
