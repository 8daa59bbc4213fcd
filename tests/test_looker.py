"""The looker as people use it: loaded by name, pictures in any form, labels, answers that add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import limner
from limner.errors import InputError, ModelError, PictureError
from limner.looker import Looker, load_looker
from limner.looking.heads import NONE


@pytest.fixture(scope="module")
def looker(tiny_painter: Path) -> Looker:
    return load_looker(tiny_painter, device="cpu")


def noise(seed: int, size: tuple[int, int] = (20, 31)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def test_a_painters_folder_holds_a_looker(tiny_painter: Path) -> None:
    whole, part = limner.load_looker(tiny_painter), limner.load_looker(tiny_painter / "clip")
    assert whole.fingerprint == part.fingerprint
    with pytest.raises(ModelError, match="dvae"):
        load_looker(tiny_painter / "dvae")


def test_features_are_the_models_own_at_unit_length(looker: Looker) -> None:
    pictures = [noise(i) for i in range(3)]
    pixels = torch.stack([looker.preprocess(p) for p in pictures])
    with torch.inference_mode():
        images = F.normalize(looker.model.encode_image(pixels), dim=-1).numpy()
        texts = F.normalize(looker.model.encode_text(looker.tokenize(["a red cube", "a blue ball"])), dim=-1).numpy()
    np.testing.assert_allclose(looker.embed_images(pictures), images, atol=1e-6)
    np.testing.assert_allclose(looker.embed_texts(["a red cube", "a blue ball"]), texts, atol=1e-6)


def test_a_picture_is_the_same_in_any_form(looker: Looker, tmp_path: Path) -> None:
    picture = noise(1)
    path = tmp_path / "noise.png"
    picture.save(path)
    forms = [picture, path, str(path), path.read_bytes(), np.asarray(picture)]
    features = looker.embed_images(forms)
    assert features.dtype == np.float32
    assert all(np.array_equal(features[0], row) for row in features)


def test_one_label_holds_and_probabilities_add_up(looker: Looker) -> None:
    rows = looker.classify([noise(1), noise(2)], ["a red cube", "a blue ball", "a cat"])
    for row in rows:
        assert sum(a.probability for a in row) == pytest.approx(1.0)
        assert [a.probability for a in row] == sorted((a.probability for a in row), reverse=True)
        scores = np.array([a.score for a in row])
        logits = looker.towers.scale * scores
        np.testing.assert_allclose([a.probability for a in row], np.exp(logits) / np.exp(logits).sum(), rtol=1e-5)
    assert len(looker.classify([noise(1)], ["a", "b", "c"], top=2)[0]) == 2


def test_each_label_by_itself_above_a_threshold(looker: Looker) -> None:
    labels = ["a red cube", "a blue ball", "a cat"]
    everything = looker.classify([noise(1)], labels, threshold=0.0)[0]
    assert {a.label for a in everything} == set(labels)
    middle = everything[1].probability
    assert [a.label for a in looker.classify([noise(1)], labels, threshold=middle)[0]] == [
        a.label for a in everything[:2]
    ]
    with pytest.raises(InputError, match="threshold"):
        looker.classify([noise(1)], labels, threshold=1.5)


def test_none_of_these_after_calibration(looker: Looker) -> None:
    strangers = [noise(i) for i in range(10, 30)]
    head = looker.head(["a red cube", "a cat"], none_of=strangers, rate=0.1)
    best = [row[0].label for row in looker.classify(strangers, head)]
    assert best.count(NONE) == 18
    row = looker.classify([noise(1)], head)[0]
    assert sum(a.probability for a in row) == pytest.approx(1.0)


def test_heads_are_reused_but_not_by_another_model(looker: Looker) -> None:
    head = looker.head(["a", "b"], ["one {}.", "two {}."])
    assert looker.classify([noise(1)], head) == looker.classify([noise(1)], ["a", "b"], ["one {}.", "two {}."])
    import dataclasses

    with pytest.raises(InputError, match="another"):
        looker.classify([noise(1)], dataclasses.replace(head, model="someone's"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [([], "at least one"), (["a", "a"], "twice"), (["a", " "], "empty"), ("cat", "list"), ([1], "text")],
)
def test_bad_labels(looker: Looker, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        looker.classify([noise(1)], labels)


def test_a_label_above_the_context_is_named(looker: Looker) -> None:
    with pytest.raises(InputError, match=r"label 'zz.*expected at most \d+ tokens"):
        looker.classify([noise(1)], ["a cat", "zz" * 60])


def test_bad_pictures_are_told_or_skipped(looker: Looker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"broken\.png"):
        looker.embed_images([noise(1), broken])
    found = looker.look([noise(1), broken, noise(2), tmp_path / "missing.png"])
    assert found.indices == [0, 2]
    assert [b.index for b in found.broken] == [1, 3]
    assert found.features.shape == (2, 16)
    with pytest.raises(InputError, match="list"):
        looker.embed_images("cat.png")


def test_looking_leaves_no_gradients_and_answers_alike_in_any_batch(looker: Looker) -> None:
    pictures = [noise(i) for i in range(40)]
    together = looker.embed_images(pictures)
    alone = np.concatenate([looker.embed_images([p]) for p in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    texts = [f"{'a red ' * (i % 4)}cube {i}" for i in range(20)]
    np.testing.assert_allclose(
        looker.embed_texts(texts), np.concatenate([looker.embed_texts([t]) for t in texts]), atol=1e-6
    )
    assert all(p.grad is None for p in looker.model.parameters())


def test_another_resolution_is_another_model(looker: Looker, tiny_painter: Path) -> None:
    larger = load_looker(tiny_painter, device="cpu", resolution=32)
    assert larger.preprocess(noise(1)).shape == (3, 32, 32)
    assert larger.fingerprint != looker.fingerprint
    assert larger.embed_images([noise(1)]).shape == (1, 16)
    np.testing.assert_allclose(larger.embed_texts(["a cat"]), looker.embed_texts(["a cat"]), atol=1e-6)


def test_unknown_precision_and_engine(tiny_painter: Path) -> None:
    with pytest.raises(InputError, match="precision"):
        load_looker(tiny_painter, precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="engine"):
        load_looker(tiny_painter, engine="tensorrt")  # type: ignore[arg-type]


def test_other_peoples_folders_are_read_as_they_are(shared: Path) -> None:
    from safetensors.numpy import load_file

    folder = shared / "parity" / "clip" / "hf_new" / "eos49407"
    answer = load_file(folder / "expected.safetensors")
    found = load_looker(folder, device="cpu")
    with torch.inference_mode():
        images = found.model.encode_image(torch.from_numpy(answer["pixels"]))
    np.testing.assert_allclose(images.numpy(), answer["image_features"], atol=7.6e-05)
    pictures = [shared / "parity" / "clip" / "pictures" / f"{name}.png" for name in ("rgb_50x37", "grey_41x64")]
    np.testing.assert_allclose(found.embed_images(pictures), answer["image_features_normalized"][:2], atol=1e-5)


def test_openvino_behind_the_same_face(looker: Looker, tiny_painter: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fast = load_looker(tiny_painter, device="cpu", precision="bf16", engine="openvino")
    pictures, texts = [noise(i) for i in range(3)], ["a red cube", "a cat"]
    assert (fast.embed_images(pictures) * looker.embed_images(pictures)).sum(1).min() > 0.999
    assert (fast.embed_texts(texts) * looker.embed_texts(texts)).sum(1).min() > 0.999
    assert list(tmp_path.rglob("*.xml"))


@pytest.mark.slow
def test_int8_calibrates_itself_on_drawn_pictures(
    looker: Looker, tiny_painter: Path, tmp_path: Path, monkeypatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    small = load_looker(tiny_painter, device="cpu", precision="int8")
    pictures = [noise(i) for i in range(3)]
    assert (small.embed_images(pictures) * looker.embed_images(pictures)).sum(1).min() > 0.95
    assert small.towers.loss["images_least"] > 0.95  # type: ignore[attr-defined]
