"""The painter as a face: untrained models, real files."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import limner
from limner.errors import InputError, ModelError, PictureError
from limner.painter import Painter
from limner.pictures.png import read_facts
from limner.sampling.likelihood import log_likelihoods


@pytest.fixture(scope="session")
def larger_painter(tmp_path_factory: pytest.TempPathFactory, tiny_painter: Path) -> Path:
    """As the tiny painter, but of 6 × 6 cells of 4 pixels, with sharper chances, and pictures of 24 × 24 pixels."""
    from limner.models.clip.config import CLIPConfig, TextConfig, ViTConfig
    from limner.models.dalle.config import DALLEConfig
    from limner.models.dvae.config import DVAEConfig
    from limner.models.modelfolder import classes, read_folder, write_folder

    tokenizer = read_folder(tiny_painter / "dalle").tokenizer
    assert tokenizer is not None
    ids = tokenizer.vocabulary
    dvae = DVAEConfig(resolution=24, vocabulary=32, hidden=8, blocks=1, decoder_input=8, multipliers=(1, 2), patch=2)
    dalle = DALLEConfig(
        text_vocabulary=ids, text_length=24, image_vocabulary=32, rows=6, columns=6, width=32, layers=3, heads=2
    )
    text = TextConfig(vocabulary=ids + 2, context=24, width=32, layers=1, heads=2)
    clip = CLIPConfig(embedding=16, resolution=16, vision=ViTConfig(1, 32, 8, heads=2), text=text)
    folder = tmp_path_factory.mktemp("larger")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for kind, config in {"dvae": dvae, "dalle": dalle, "clip": clip}.items():
            state = classes(kind)[1](config).state_dict()
            if kind != "clip":
                state = {name: w * 6 if w.ndim == 2 else w * 3 if w.ndim == 4 else w for name, w in state.items()}
            words = None if kind == "dvae" else tokenizer
            write_folder(folder / kind, kind=kind, config=config, state=state, tokenizer=words)
    return folder


@pytest.fixture(scope="session")
def painter(larger_painter: Path) -> Painter:
    return limner.load_painter(larger_painter)


@pytest.fixture(scope="session")
def picture(painter: Painter) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


# Drawing


def test_the_best_of_many_best_first(painter: Painter) -> None:
    every = painter.generate("a red cube", count=70, candidates=70, seed=5)
    assert [d.score for d in every] == sorted((d.score for d in every), reverse=True)
    assert sorted(d.index for d in every) == list(range(70))
    best = painter.generate("a red cube", count=3, candidates=70, seed=5)
    assert [d.index for d in best] == [d.index for d in every[:3]]
    assert len({d.image.tobytes() for d in every}) > 60


def test_a_picture_is_its_seed_and_index(painter: Painter) -> None:
    many = {d.index: d for d in painter.generate("a red cube", count=66, candidates=66, seed=5)}
    for d in painter.generate("a red cube", count=4, candidates=7, seed=5):
        assert np.array_equal(d.tokens, many[d.index].tokens)
        assert np.array_equal(pixels(d.image), pixels(many[d.index].image))
        assert d.score == many[d.index].score
    assert not np.array_equal(painter.generate("a red cube", candidates=1, seed=6)[0].tokens, many[0].tokens)
    assert not np.array_equal(painter.generate("a blue ball", candidates=1, seed=5)[0].tokens, many[0].tokens)


def test_scores_are_cosines_of_what_is_saved(painter: Painter, tmp_path: Path, larger_painter: Path) -> None:
    drawn = painter.generate("a red cube", count=2, candidates=4)
    paths = [d.save(tmp_path / f"{d.index}.png") for d in drawn]
    looker = limner.load_looker(larger_painter / "clip", engine="torch", precision="float32")
    cosines = looker.embed_images(paths) @ looker.embed_texts(["a red cube"])[0]
    assert np.allclose(cosines, [d.score for d in drawn], atol=2e-4)


def test_ranking_by_likelihood_and_by_both(painter: Painter) -> None:
    by_clip = painter.generate("a red cube", count=8, candidates=8)
    by_nats = painter.generate("a red cube", count=8, candidates=8, rank="likelihood")
    both = painter.generate("a red cube", count=8, candidates=8, rank={"clip": 1.0, "likelihood": 2.0})
    clip_scores = {d.index: d.score for d in by_clip}
    for d in by_nats:
        nats = painter.log_likelihood(d.tokens, "a red cube")
        assert d.score == pytest.approx(nats / 36, abs=1e-3)
    nats_scores = {d.index: d.score for d in by_nats}
    for d in both:
        assert d.score == pytest.approx(clip_scores[d.index] + 2 * nats_scores[d.index], abs=3e-4)
    assert [d.index for d in by_nats] != [d.index for d in by_clip]


def test_without_a_caption(painter: Painter) -> None:
    drawn = painter.generate("", count=3, candidates=5)
    assert [(d.index, d.score) for d in drawn] == [(0, None), (1, None), (2, None)]
    assert len(painter.generate(" ", count=2)) == 2
    assert painter.generate("", candidates=5, rank="likelihood")[0].score < 0


def test_guidance_changes_and_guidance_1_does_not(painter: Painter) -> None:
    plain, one, three = (
        painter.generate("a red cube", count=8, candidates=8, guidance=g) for g in (None, 1.0, 3.0)
    )  # fmt: skip
    assert [d.tokens.tolist() for d in plain] == [d.tokens.tolist() for d in one]
    assert [d.tokens.tolist() for d in plain] != [d.tokens.tolist() for d in three]


def test_drafts_give_the_best_so_far(painter: Painter) -> None:
    drafts = painter.drafts("a red cube", count=2, candidates=150)
    done = []
    for number in drafts:
        done.append(number)
        assert len(drafts.best()) == 2
    assert done == [64, 128, 150]
    assert [d.index for d in drafts.best()] == [
        d.index for d in painter.generate("a red cube", count=2, candidates=150)
    ]  # fmt: skip


def test_streaming_ends_in_the_picture_itself(painter: Painter) -> None:
    partials = list(painter.stream("a red cube", seed=5, index=3, share=1.0))
    assert [p.done for p in partials] == [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0]
    assert all(p.drawn is None for p in partials[:-1])
    whole = {d.index: d for d in painter.generate("a red cube", count=4, candidates=4, seed=5)}[3]
    last = partials[-1].drawn
    assert last is not None
    assert np.array_equal(last.tokens, whole.tokens)
    assert np.array_equal(pixels(partials[-1].image), pixels(whole.image))
    assert (pixels(partials[1].image)[8:] == 128).all()
    assert pixels(partials[1].image)[:8].std() > 0
    assert [p.done for p in painter.stream("a red cube", share=0.0)][-1] == 1.0


def test_facts_repeat_a_picture_bit_for_bit(painter: Painter, larger_painter: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "guidance": 2.0}
    drawn = painter.generate("一只红色的猫", count=2, candidates=6, seed=9, **settings)[1]
    facts = read_facts(drawn.save(tmp_path / "a.png"))
    assert facts.items() >= (settings | {"caption": "一只红色的猫", "seed": 9, "index": drawn.index}).items()
    assert str(larger_painter.parent) not in json.dumps(facts)
    again = limner.load_painter(larger_painter).repeat(tmp_path / "a.png")
    assert np.array_equal(pixels(again.image), pixels(Image.open(tmp_path / "a.png")))
    assert again.save(tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_what_cannot_be_repeated(painter: Painter, tiny_painter: Path, picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "plain.png")
    with pytest.raises(InputError, match="has no 'caption'"):
        painter.repeat(tmp_path / "plain.png")
    edited = painter.edit(picture, "a cat", region=(0, 0, 8, 8))[0].save(tmp_path / "edited.png")
    with pytest.raises(InputError, match="made by edit"):
        painter.repeat(edited)
    drawn = painter.generate("a cat", candidates=1)[0].save(tmp_path / "drawn.png")
    with pytest.raises(InputError, match="load the model that drew it"):
        limner.load_painter(tiny_painter).repeat(drawn)


def test_the_models_own_settings(larger_painter: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(larger_painter, own)
    about = json.loads((own / "dalle/config.json").read_text())
    about["facts"]["sampling"] = {"temperature": 0.5, "top_k": 3}
    (own / "dalle/config.json").write_text(json.dumps(about))
    painter = limner.load_painter(own)
    drawn = painter.generate("a red cube", candidates=1)[0]
    assert drawn.settings["top_k"] == 3
    other = painter.generate("a red cube", candidates=1, temperature=1.0)[0]
    assert (other.settings["temperature"], other.settings["top_k"]) == (1.0, 3)


# Editing


def test_editing_leaves_the_outside_alone(painter: Painter, picture: Image.Image) -> None:
    drawn = painter.edit(picture, "a red cube", region=(4, 8, 16, 20), count=2, candidates=3, seed=1)
    outside = np.ones((24, 24), bool)
    outside[8:20, 4:16] = False
    for d in drawn:
        assert np.array_equal(pixels(d.image)[outside], pixels(picture)[outside])
        assert (pixels(d.image) != pixels(picture)).any()
    kept = painter.encode(picture)
    redrawn = np.zeros((6, 6), bool)
    redrawn[2:5, 1:4] = True
    assert np.array_equal(drawn[0].tokens[~redrawn], kept[~redrawn])
    assert drawn[0].score is not None
    assert drawn[0].settings["region"] == [4, 8, 16, 20]


def test_editing_by_mask(painter: Painter, picture: Image.Image) -> None:
    mask = np.zeros((24, 24), np.uint8)
    mask[5:14, 5:14] = 255
    drawn = painter.edit(picture, "a red cube", mask=Image.fromarray(mask), particles=4, seam=0)[0]
    assert np.array_equal(pixels(drawn.image)[mask == 0], pixels(picture)[mask == 0])
    whole = painter.decode(drawn.tokens)
    assert np.array_equal(pixels(drawn.image)[mask > 0], pixels(whole)[mask > 0])


def test_edits_depend_on_seed_and_index_only(painter: Painter, picture: Image.Image) -> None:
    many = {d.index: d for d in painter.edit(picture, "a cat", region=(0, 0, 12, 12), count=6, candidates=6)}
    few = painter.edit(picture, "a cat", region=(0, 0, 12, 12), count=2, candidates=2)
    for d in few:
        assert np.array_equal(d.tokens, many[d.index].tokens)


def test_completing(painter: Painter, picture: Image.Image) -> None:
    drawn = painter.complete(picture, "a red cube", rows=2, count=2, candidates=2)
    assert np.array_equal(pixels(drawn[0].image)[:8], pixels(picture)[:8])
    assert np.array_equal(drawn[0].tokens[:2], painter.encode(picture)[:2])
    assert drawn[0].settings["verb"] == "complete"
    half = painter.complete(picture)[0]
    assert np.array_equal(half.tokens[:3], painter.encode(picture)[:3])
    for rows in (0, 6, 7, 1.5):
        with pytest.raises(InputError, match="rows: expected a whole number from 1 to 5"):
            painter.complete(picture, rows=rows)


def test_variations_keep_a_part(painter: Painter, picture: Image.Image) -> None:
    drawn = painter.variations(picture, count=3, strength=0.4, particles=2)
    kept = painter.encode(picture)
    assert len({tuple(d.settings["region"]) for d in drawn}) > 1
    for d in drawn:
        left, top, right, bottom = (side // 4 for side in d.settings["region"])
        outside = np.ones((6, 6), bool)
        outside[top:bottom, left:right] = False
        assert np.array_equal(d.tokens[outside], kept[outside])
    first = painter.variations(picture, count=1, strength=0.4, particles=2)[0]
    assert np.array_equal(first.tokens, drawn[0].tokens)


# Likelihood


def test_log_likelihood_and_the_best_caption(painter: Painter, picture: Image.Image) -> None:
    codes = torch.from_numpy(painter.encode(picture)).flatten()[None]
    expected = log_likelihoods(painter.studio.model, painter.studio.ids(["a red cube"], False), codes).item()
    assert painter.log_likelihood(picture, "a red cube") == pytest.approx(expected)
    captions = ["a red cube", "a blue ball", "一只红色的猫"]
    ranked = painter.best_caption(picture, captions)
    assert [c.nats for c in ranked] == sorted((painter.log_likelihood(picture, c) for c in captions), reverse=True)
    assert sum(c.probability for c in ranked) == pytest.approx(1.0)


# Bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "count: expected"), ({"count": 5, "candidates": 4}, "count: expected at most"),
        ({"candidates": 0}, "candidates: expected"), ({"candidates": 2.5}, "candidates: expected"),
        ({"seed": -1}, "seed: expected"), ({"seed": 2**64}, "seed: expected"), ({"seed": "x"}, "seed: expected"),
        ({"temperature": math.nan}, "temperature"), ({"temperature": -1.0}, "temperature"),
        ({"guidance": math.nan}, "guidance"), ({"guidance": -1}, "guidance"), ({"top_p": math.nan}, "top_p"),
        ({"top_p": -0.1}, "top_p"), ({"top_k": 0}, "top_k"), ({"rank": "beauty"}, "rank"),
        ({"rank": {"clip": -1.0}}, "rank weight of clip"), ({"rank": {"clip": 0.0}}, "rank: expected a weight"),
        ({"rank": {}}, "rank: expected"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_named(painter: Painter, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        painter.generate("a red cube", **options)


@pytest.mark.parametrize(
    "option",
    [
        {"temperature": math.nan}, {"temperature": -1.0}, {"temperature": math.inf}, {"temperature": "warm"},
        {"guidance": math.nan}, {"guidance": -0.5}, {"top_p": math.nan}, {"top_p": -0.1}, {"top_p": 0.0},
        {"top_p": 1.5}, {"top_k": 0}, {"top_k": 2.5}, {"seed": -1},
    ],
)  # fmt: skip
def test_wrong_settings_are_named_by_every_verb(painter: Painter, picture: Image.Image, option: dict[str, Any]) -> None:
    calls: dict[str, Callable[..., Any]] = {
        "generate": lambda **o: painter.generate("a cat", **o),
        "stream": lambda **o: list(painter.stream("a cat", **o)),
        "edit": lambda **o: painter.edit(picture, "a cat", region=(0, 0, 8, 8), **o),
        "complete": lambda **o: painter.complete(picture, "a cat", **o),
        "variations": lambda **o: painter.variations(picture, "a cat", **o),
    }
    for call in calls.values():
        with pytest.raises(InputError, match=f"^{next(iter(option))}: expected .*, got [^;]+(;|$)"):
            call(**option)


@pytest.mark.parametrize(("caption", "words"), [("cube " * 40, "at most 24 tokens, got"), (7, "text, got int")])
def test_wrong_captions_are_named_by_every_verb(
    painter: Painter, picture: Image.Image, caption: Any, words: str
) -> None:
    for call in (
        lambda: painter.generate(caption), lambda: list(painter.stream(caption)),
        lambda: painter.edit(picture, caption, region=(0, 0, 8, 8)), lambda: painter.complete(picture, caption),
        lambda: painter.variations(picture, caption), lambda: painter.log_likelihood(picture, caption),
        lambda: painter.best_caption(picture, ["a cat", caption]),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"^caption.*: expected {words}"):
            call()


def test_wrong_captions_are_named(painter: Painter) -> None:
    long = "cube " * 40
    with pytest.raises(InputError, match="expected at most 24 tokens"):
        painter.generate(long)
    assert painter.generate(long, candidates=1, cut=True)[0].caption == long
    with pytest.raises(InputError, match="caption: expected text, got int"):
        painter.generate(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        painter.generate("a cat", heat=1.0)  # type: ignore[call-arg]


def test_wrong_pictures_and_regions_are_named(painter: Painter, picture: Image.Image, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"region": (0, 0, 25, 8)}, "within the picture"), ({"region": (8, 8, 8, 8)}, "empty"),
        ({"region": (0, 0, 3, 8)}, "at least one cell of 4 × 4 pixels"), ({"mask": np.ones((8, 8))}, "mask: expected"),
        ({}, "neither"), ({"region": (0, 0, 8, 8), "particles": 0}, "particles"),
        ({"region": (0, 0, 8, 8), "seam": -1}, "seam"),
        ({"region": (0, 0, 8, 8), "count": 3, "candidates": 2}, "count"),
    ]  # fmt: skip
    for options, words in wrong:
        with pytest.raises(InputError, match=words):
            painter.edit(picture, "a cat", **options)
    with pytest.raises(InputError, match=r"picture: expected 24 × 24 pixels, got 30 × 24; crop and resize"):
        painter.edit(Image.new("RGB", (30, 24)), "a cat", region=(0, 0, 8, 8))
    with pytest.raises(PictureError, match="no such file"):
        painter.edit(tmp_path / "none.png", "a cat", region=(0, 0, 8, 8))
    with pytest.raises(InputError, match="strength"):
        painter.variations(picture, strength=1.5)
    with pytest.raises(InputError, match="codes: expected 6 × 6 whole numbers below 32"):
        painter.log_likelihood(np.full((6, 6), 32), "a cat")
    with pytest.raises(InputError, match="captions: expected at least one"):
        painter.best_caption(picture, [])


def test_without_clip(larger_painter: Path, tmp_path: Path) -> None:
    lone = limner.load_painter(dvae=larger_painter / "dvae", dalle=larger_painter / "dalle")
    assert lone.generate("a red cube")[0].score is None
    with pytest.raises(ModelError, match=r"expected a CLIP \(clip/\) to rank 5 candidates, found none"):
        lone.generate("a red cube", candidates=5)
    assert lone.generate("a red cube", candidates=5, rank="likelihood")[0].score < 0
    for rank in ("clip", {"clip": 1.0, "likelihood": 0.1}):  # asked for, so it is not left out in silence
        with pytest.raises(ModelError, match=r"expected a CLIP \(clip/\) to rank candidates, found none; give one"):
            lone.generate("a red cube", rank=rank)
        with pytest.raises(ModelError, match="expected a CLIP"):
            lone.edit(Image.new("RGB", (24, 24)), "a red cube", region=(0, 0, 8, 8), rank=rank)
    ranked = limner.load_painter(larger_painter, clip=larger_painter / "clip")
    assert ranked.generate("a red cube", candidates=2)[0].score is not None


def test_parts_that_do_not_fit(larger_painter: Path, tiny_painter: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a dVAE of 6 × 6 codes of 32, got 2 × 2 of 16"):
        limner.load_painter(larger_painter, dvae=tiny_painter / "dvae")
    with pytest.raises(ModelError, match="expected a dvae, got a clip"):
        limner.load_painter(larger_painter, dvae=larger_painter / "clip")
    with pytest.raises(ModelError, match="dvae/ is missing"):
        limner.load_painter(larger_painter / "clip")
    with pytest.raises(ModelError, match="unknown"):
        limner.load_painter("nobody")
    with pytest.raises(InputError, match="precision: expected float32, bf16, int8"):
        limner.load_painter(larger_painter, precision="fp4")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_precisions_draw_the_same_in_any_batch(larger_painter: Path, precision: str) -> None:
    painter = limner.load_painter(larger_painter, precision=precision)
    many = {d.index: d for d in painter.generate("a cat", count=20, candidates=20)}
    for d in painter.generate("a cat", count=3, candidates=3):
        assert np.array_equal(d.tokens, many[d.index].tokens)
    assert many[0].settings["precision"] == precision


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_draw_the_same_pictures(larger_painter: Path, engine: str) -> None:
    pytest.importorskip(engine)
    by_torch, by_other = (
        limner.load_painter(larger_painter, engine=name, precision="float32").generate("a cat", count=9, candidates=9)
        for name in ("torch", engine)
    )
    assert [d.tokens.tolist() for d in by_other] == [d.tokens.tolist() for d in by_torch]
    assert {d.settings["engine"] for d in by_torch} == {"torch"}
    assert {d.settings["engine"] for d in by_other} == {engine}


def test_which_engine(larger_painter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limner.load_painter(larger_painter).studio.engine == "torch"
    monkeypatch.setattr("limner.engines.choice.GAINS_FROM", 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert limner.load_painter(larger_painter).studio.engine == "torch"
    monkeypatch.undo()
    with pytest.raises(InputError, match="engine: expected auto, torch, openvino or onnxruntime, got 'tpu'"):
        limner.load_painter(larger_painter, engine="tpu")


@pytest.mark.parametrize(("bf16", "installed", "precision", "chosen"), [
    (True, {"openvino", "onnx", "onnxruntime"}, "auto", ("openvino", "bf16")),
    (True, {"openvino", "onnx", "onnxruntime"}, "int8", ("openvino", "int8")),
    (True, {"onnx", "onnxruntime"}, "auto", ("onnxruntime", "float32")),
    (False, {"openvino", "onnx", "onnxruntime"}, "auto", ("onnxruntime", "float32")),
    (False, {"openvino", "onnx", "onnxruntime"}, "int8", ("onnxruntime", "int8")),
    (False, {"openvino", "onnx", "onnxruntime"}, "bf16", ("openvino", "bf16")),
    (False, {"openvino", "onnxruntime"}, "auto", ("openvino", "float32")),
    (False, {"onnx", "onnxruntime"}, "bf16", ("torch", "bf16")),
    (False, set(), "auto", ("torch", "float32")),
])  # fmt: skip
def test_auto_is_what_is_ahead_on_the_chip(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, installed: set[str], precision: str, chosen: tuple[str, str]
) -> None:
    from limner.engines.choice import GAINS_FROM, choose_step

    monkeypatch.setattr("limner.engines.choice.has_bf16", lambda device: bf16)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in installed else None)
    cpu = torch.device("cpu")
    assert choose_step("auto", precision, cpu, GAINS_FROM) == chosen
    assert choose_step("auto", precision, cpu, GAINS_FROM - 1)[0] == "torch"
    assert choose_step("auto", precision, torch.device("meta"), GAINS_FROM)[0] == "torch"
    for engine in ("openvino", "onnxruntime"):
        with pytest.raises(InputError, match=f"engine {engine}: expected the CPU, got device meta; use engine torch"):
            choose_step(engine, precision, torch.device("meta"), GAINS_FROM)


def test_pictures_of_any_engine_are_drawn_again(larger_painter: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    drawn = limner.load_painter(larger_painter, engine="onnxruntime", precision="int8").generate("a cat", candidates=7)
    drawn[0].save(tmp_path / "a.png")
    facts = read_facts(tmp_path / "a.png")
    again = limner.load_painter(larger_painter, engine=facts["engine"], precision=facts["precision"])
    assert again.repeat(tmp_path / "a.png").image.tobytes() == drawn[0].image.tobytes()
