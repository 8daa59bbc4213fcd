"""The judge: its logic against drawn truth, its eyes against drawn pictures, its file against damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.errors import InputError, ModelError
from limner.storybook.deal import Dealt, deal
from limner.storybook.draw import draw
from limner.storybook.judge import Answers, Found, Judge
from limner.storybook.judge.batches import make_batch
from limner.storybook.judge.judge import WEIGHTS, answered, found_of, peaks
from limner.storybook.judge.lessons import numbered
from limner.storybook.judge.nearmiss import compatible, near_misses
from limner.storybook.judge.network import GRID, PICTURE_QUESTIONS, SIDE, THING_QUESTIONS, Eyes, splits
from limner.storybook.judge.puzzles import lesson
from limner.storybook.judge.spoil import nothing, spoil
from limner.storybook.judge.thresholds import Thresholds
from limner.storybook.judge.train import Settings, finder_loss, train
from limner.storybook.judge.truth import truth
from limner.storybook.judge.verdict import decide, relations
from limner.storybook.scene import ANIMALS, FAMILIES, GARMENTS, Garment, Scene, Thing

shipped = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the judge's weights are not in this checkout")


def scenes_of(family: str, count: int, seed: int = 11) -> list[Dealt]:
    split = "test" if family == "single" else "heldout"
    return [deal(i, seed=seed, split=split, families=(family,)) for i in range(count)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_truth_is_right_and_every_near_miss_of_it_wrong(family: str) -> None:
    changes: set[str] = set()
    for dealt in scenes_of(family, 60):
        answers = truth(dealt.scene, dealt.draw_seed)
        # A picture has no order: the verdict must not lean on the caption's.
        answers = replace(answers, things=answers.things[::-1])
        verdict = decide(dealt.scene, answers)
        assert verdict.right and not verdict.reasons, (dealt.caption, verdict.reasons)
        for name, wrong in near_misses(dealt.scene, dealt.draw_seed):
            missed = decide(wrong, answers)
            assert not missed.right and missed.reasons, (dealt.caption, name, wrong)
            changes.add(name)
    assert changes


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_changed_once_can_be_changed_again(family: str) -> None:
    # Lessons mix a scene that was changed already with a change of it.
    for dealt in scenes_of(family, 40, seed=5):
        for _, wrong in near_misses(dealt.scene, dealt.draw_seed):
            again = list(near_misses(wrong, dealt.draw_seed))
            assert all(scene != wrong for _, scene in again)


def found(kind: str, colour: str | None, side: float, **more: Any) -> Found:
    """A thing in the middle of the picture, nothing unusual about it but ``more``."""
    usual: dict[str, Any] = {
        "body": kind if kind in ANIMALS else "none", "texture": "none", "shape": "none", "baby": False, "mood": "none",
        "doing": "none", "upside_down": False, "from_behind": False, "style": "plain",
        "garments": dict.fromkeys(GARMENTS, "absent"), "box": (0.5, 0.5, side),
    }  # fmt: skip
    return Found(kind=kind, colour=colour, **(usual | more))


def test_an_abstention_counts_as_wrong_only_where_the_caption_asks() -> None:
    scene, cube = Scene("single", (Thing("cube", "red"),)), found("cube", "red", 0.5)
    assert decide(scene, Answers((cube,), None)).right
    assert decide(scene, Answers((replace(cube, mood=None, texture=None),), None)).right
    assert not decide(replace(scene, background="grey"), Answers((cube,), None)).right
    hat = replace(cube, garments=cube.garments | {"hat": None})
    for unsure in (replace(cube, kind=None), replace(cube, colour=None), hat):
        verdict = decide(scene, Answers((unsure,), "white"))
        assert not verdict.right and "cannot tell" in verdict.reasons[0]


def test_no_thing_more_and_no_garment_unsaid() -> None:
    scene = Scene("garments", (Thing("cat", garments=(Garment("hat", "red"),)),))
    worn = dict.fromkeys(GARMENTS, "absent") | {"hat": "red"}
    cat = found("cat", "natural", 0.9, garments=worn)
    assert decide(scene, Answers((cat,), "white")).right
    assert decide(scene, Answers((cat, cat), "white")).reasons == ("expected 1 thing, found 2",)
    dressed = replace(cat, garments=worn | {"shirt": "blue"})
    assert decide(scene, Answers((dressed,), "white")).reasons == ("expected the shirt absent, found blue",)
    assert decide(scene, Answers((), "white")).reasons == ("expected 1 thing, found 0",)


def test_truths_are_numbered_and_told_again() -> None:
    """What a lesson says in outputs' numbers is what the judge would say of outputs that are sure of them."""
    for dealt in [d for family in FAMILIES for d in scenes_of(family, 4)]:
        answers = truth(dealt.scene, dealt.draw_seed)
        told = numbered(answers)
        logits = [sure(told.names, THING_QUESTIONS), sure(told.whole[None], PICTURE_QUESTIONS)]
        said = answered(logits[0], THING_QUESTIONS, Thresholds())
        whole = answered(logits[1], PICTURE_QUESTIONS, Thresholds())
        for i, one in enumerate(answers.things):
            assert found_of({q: words[i] for q, words in said.items()}, one.box, 1.0) == one
        assert whole["background"] == [answers.background] and whole["arrangement"] == [answers.arrangement]


def sure(numbers: np.ndarray, questions: dict[str, tuple[str, ...]]) -> torch.Tensor:
    parts = [torch.eye(size)[torch.from_numpy(numbers[:, i])] for i, size in enumerate(splits(questions))]
    return 20 * torch.cat(parts, 1)


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
    assert one.pixels.shape == (8, 3, 192, 192) and one.pixels.abs().max() <= 1
    assert int(one.which.max()) < 6, "the pictures of nothing hold no thing"
    # Boxes stay in the picture, whatever moved and shrank.
    assert one.boxes[:, :2].min() > 0 and one.boxes[:, :2].max() < 192


def test_damage_is_mild_enough_to_leave_captions_true() -> None:
    clean = torch.from_numpy(np.stack([lesson(i)[0] for i in range(32)])).permute(0, 3, 1, 2).float() / 127.5 - 1
    spoiled = spoil(clean, torch.Generator().manual_seed(0))
    assert spoiled.shape == clean.shape and spoiled.abs().max() <= 1
    error = ((spoiled - clean) / 2).square().mean()
    assert 18 < float(-10 * error.log10()) < 35
    assert nothing(5, clean, torch.Generator().manual_seed(0)).shape == (5, 3, 192, 192)


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = Settings(steps=2, batch=6, empty=1, mosaics=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = train(tmp_path / "whole", settings, minutes=5).state_dict()
    train(tmp_path / "parts", settings, minutes=0)
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 1
    parts = train(tmp_path / "parts", settings, minutes=5).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_things_with_centres_in_neighbouring_cells_are_both_found() -> None:
    cells = {(8, 9): (0.1, 0.0, 5.0), (8, 10): (0.0, 0.3, 10.0), (8, 11): (0.0, -0.7, 10.0), (9, 10): (-0.55, 0.3, 9.9)}
    centres, boxes = torch.full((1, GRID, GRID), -9.0), torch.zeros(1, 3, GRID, GRID)
    for number, ((column, row), box) in enumerate(cells.items()):
        centres[0, row, column] = 4.0 - number
        boxes[0, :, row, column] = torch.tensor(box)
    which, places, sure = peaks(centres, boxes, 0.3)
    # The third points out of its cell, the fourth is the second seen from next door.
    assert which.tolist() == [0, 0] and places[:, 2].tolist() == [60.0, 120.0]
    assert torch.allclose(sure, torch.tensor([4.0, 3.0]).sigmoid())


def test_a_cell_has_the_box_of_the_thing_in_it() -> None:
    class Said(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            answers = torch.zeros(6, sum(splits(PICTURE_QUESTIONS)))
            return torch.full((6, GRID, GRID), -9.0), self.boxes, answers

    batch = replace(
        make_batch(1, 0, batch=6, empty=1, mosaics=1),
        which=torch.zeros(2, dtype=torch.long),
        boxes=torch.tensor([[8.5, 10.02, 10.0], [8.02, 9.05, 5.0]]) * SIDE / GRID,
    )
    eyes, said = Eyes(), Said()
    eyes.finder = said
    losses = {}
    # Of cell (8, 9): the smaller thing's centre is in it, the larger one's is nearer to its middle.
    for side in (5.0, 10.0):
        said.boxes = torch.zeros(6, 3, GRID, GRID)
        said.boxes[0, 2] = 10.0
        said.boxes[0, 2, 9, 8] = side
        losses[side] = float(finder_loss(eyes, batch))
    assert losses[5.0] < losses[10.0]


def test_a_finder_may_learn_alone(tmp_path: Path) -> None:
    settings = Settings(steps=1, batch=6, empty=1, mosaics=1, finder_alone=True)
    first = Judge(Eyes(), Thresholds())
    before = {name: tensor.clone() for name, tensor in first.eyes.state_dict().items()}
    after = train(tmp_path, settings, minutes=5, first=first).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"finder"}


# The shipped judge


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


@shipped
def test_drawn_scenes_are_accepted_and_near_misses_refused(judge: Judge) -> None:
    right, missed = [], []
    for family in FAMILIES:
        dealt = scenes_of(family, 60)
        answers = judge.answers(np.stack([draw(d.scene, size=SIDE, seed=d.draw_seed) for d in dealt]))
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
    small = np.stack([draw(d.scene, size=SIDE, seed=d.draw_seed) for d in dealt])
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
    assert len(whole) <= 8_000_000
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
