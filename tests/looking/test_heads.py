"""Zero-shot heads: their rows, several names, keeping, averaging, thresholds, damage."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from limner.errors import InputError, ModelError
from limner.looker import Looker
from limner.looking.heads import Head, average, build_head, calibrated, export_head, load_head, save_head
from limner.looking.templates import IMAGENET, SUBSET, TEMPLATES, choose_templates, fill
from limner.looking.towers import unit


def test_published_template_sets_have_their_sizes() -> None:
    sizes = {
        "imagenet": 80, "subset": 7, "cifar10": 18, "cars": 8, "dtd": 8, "caltech101": 34, "fer2013": 6, "stl10": 2,
        "resisc45": 18, "gtsrb": 3, "country211": 5, "ucf101": 48, "kinetics700": 28, "eurosat": 3, "sun397": 2,
    }  # fmt: skip
    assert {name: len(set(TEMPLATES[name])) for name in sizes} == sizes
    assert set(SUBSET) < set(IMAGENET)
    assert "a close-up photo of the {}." in IMAGENET
    assert all(template.count("{}") == 1 for group in TEMPLATES.values() for template in group)


@pytest.mark.parametrize("bad", ["nonsense", [], ["no place"], ["{} and {}"], [3]])
def test_bad_templates(bad: object) -> None:
    with pytest.raises(InputError, match=r"template"):
        choose_templates(bad)  # type: ignore[arg-type]
    assert choose_templates("a {} here") == ("a {} here",)
    assert fill("a {} of {x}", "{}") == "a {} of {x}"


def test_rows_are_means_of_prompts_at_unit_length(looker: Looker) -> None:
    head = looker.head({"cat": ["a cat", "a red cat"], "cube": ["a cube"]}, ["{}", "blue {}"])
    prompts = looker.embed_texts(["a cat", "a red cat", "blue a cat", "blue a red cat"])
    np.testing.assert_allclose(head.weights[0], unit(prompts.mean(axis=0)), atol=1e-5)
    assert head.labels == ("cat", "cube")
    np.testing.assert_allclose(np.linalg.norm(head.weights, axis=1), 1, atol=1e-6)


def test_shared_beginnings_change_nothing(looker: Looker) -> None:
    labels = [f"{'red ' * (i % 3)}cube {i}" for i in range(20)]
    head = looker.head(labels, ["a blue ball left of a {}"])
    alone = np.concatenate([looker.embed_texts([f"a blue ball left of a {label}"]) for label in labels])
    np.testing.assert_allclose(head.weights, alone, atol=1e-6)


def test_kept_heads_come_back(looker: Looker, tmp_path: Path) -> None:
    head = calibrated(
        looker.head(["a cat", '猫, "quoted"'], SUBSET), unit(np.random.default_rng(0).normal(size=(9, 16)))
    )
    save_head(head, tmp_path / "pets.v1")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("pets")) == [
        "pets.v1.json",
        "pets.v1.safetensors",
    ]
    back = load_head(tmp_path / "pets.v1.json", model=looker.fingerprint)
    for field in dataclasses.fields(Head):
        assert np.array_equal(getattr(back, field.name), getattr(head, field.name)), field.name
    with pytest.raises(ModelError, match="another"):
        load_head(tmp_path / "pets.v1", model="other")


def test_damaged_heads_are_refused(looker: Looker, tmp_path: Path) -> None:
    weights, facts = save_head(looker.head(["a", "b"]), tmp_path / "head")
    with pytest.raises(ModelError, match="expected a head"):
        load_head(tmp_path / "missing")
    whole, table = weights.read_bytes(), json.loads(facts.read_text())
    weights.write_bytes(whole[:-8])
    with pytest.raises(ModelError, match="others"):
        load_head(tmp_path / "head")
    weights.write_bytes(whole)
    facts.write_text(json.dumps(table | {"labels": ["a", "b", "c"]}))
    with pytest.raises(ModelError, match="3 labels"):
        load_head(tmp_path / "head")
    facts.write_text(json.dumps({key: value for key, value in table.items() if key != "scale"}))
    with pytest.raises(ModelError, match="scale"):
        load_head(tmp_path / "head")


def test_exported_heads_give_the_same_logits(looker: Looker, tmp_path: Path) -> None:
    head = looker.head(["a cat", "猫"])
    export_head(head, tmp_path / "head.npz")
    out = np.load(tmp_path / "head.npz")
    features = looker.embed_texts(["a cube"])
    np.testing.assert_allclose(
        features @ out["weight"].T + out["bias"], head.scale * head.cosines(features), rtol=1e-5, atol=1e-5
    )
    assert out["labels"].tolist() == ["a cat", "猫"]
    with pytest.raises(InputError, match="npz"):
        export_head(head, tmp_path / "head.onnx")


def test_average_is_an_ensemble(looker: Looker) -> None:
    one, two = looker.head(["a cat", "a cube"], "{}"), looker.head(["a cat", "a cube"], "red {}")
    both = average([one, two])
    np.testing.assert_allclose(both.weights, looker.head(["a cat", "a cube"], ["{}", "red {}"]).weights, atol=1e-6)
    with pytest.raises(InputError, match="labels"):
        average([one, looker.head(["a cube", "a cat"])])
    with pytest.raises(InputError, match="at least one"):
        average([])


def test_calibration_keeps_its_rate() -> None:
    rng = np.random.default_rng(0)
    weights = unit(rng.normal(size=(4, 32)))
    head = Head(("a", "b", "c", "d"), weights, 100.0, None, ("{}",), "", unit(rng.normal(size=32)))
    strangers, kin = unit(rng.normal(size=(2000, 32))), unit(weights + 0.1 * rng.normal(size=(4, 32)))
    sure = calibrated(head, strangers, rate=0.1)
    new = unit(rng.normal(size=(2000, 32)))
    accepted = (sure.probabilities(new).argmax(axis=1) < 4).mean()
    assert 0.07 < accepted < 0.13
    assert (sure.probabilities(kin).argmax(axis=1) == np.arange(4)).all()
    assert np.allclose((sure.each(new) >= 0.5).mean(axis=0), 0.1, atol=0.03)
    for rate in (0.0, 1.0):
        with pytest.raises(InputError, match="rate"):
            calibrated(head, strangers, rate=rate)


def test_sigmoid_models_answer_for_each_label() -> None:
    head = Head(("a", "b"), np.eye(2, 4, dtype=np.float32), 10.0, -5.0, ("{}",), "", np.zeros(4, np.float32))
    features = unit(np.array([[1.0, 1.0, 0.0, 0.0]]))
    expected = 1 / (1 + np.exp(-(10.0 * np.sqrt(0.5) - 5.0)))
    np.testing.assert_allclose(head.probabilities(features), [[expected, expected]], rtol=1e-5)
    np.testing.assert_allclose(head.each(features), [[expected, expected]], rtol=1e-5)


def test_head_building_says_how_far_it_is(looker: Looker) -> None:
    done: list[int] = []
    build_head(looker.towers, looker.words, ["a", "b"], ["{}", "red {}"], each=done.append)
    assert sum(done) == 2 * 3  # each template's prompts, and the template without a label
