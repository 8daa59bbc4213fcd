"""The engines against the model itself: the same features within each precision's bound, kept when compiled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.engines.torch_towers import TorchTowers
from limner.errors import InputError
from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.clip.model import CLIP, normalise
from limner.models.clip.prefix import common_prefix, encode_after_prefix

TEXT = TextConfig(vocabulary=300, context=20, width=64, layers=2, heads=2)
VIT = CLIPConfig(embedding=32, resolution=64, vision=ViTConfig(2, 64, 16, heads=2), text=TEXT)
RESNET = CLIPConfig(embedding=32, resolution=64, vision=ResNetConfig((1, 1, 1, 1), 8), text=TEXT)


def made(config: CLIPConfig) -> CLIP:
    torch.manual_seed(0)
    model = CLIP(config).eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1.0, 0.1)
    return model


def inputs(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ids = np.zeros((count, 20), np.int64)
    for row in ids:
        length = rng.integers(3, 18)
        row[:length] = rng.integers(1, 298, length)
        row[length - 1] = 299
    return rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8), ids


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
def test_torch_is_the_model(config: CLIPConfig) -> None:
    model, (pictures, ids) = made(config), inputs()
    exact, rough = TorchTowers(model), TorchTowers(model, precision="bf16")
    with torch.inference_mode():
        pixels = normalise(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, config)
        np.testing.assert_allclose(exact.images(pictures), model.encode_image(pixels).numpy(), atol=1e-5)
        np.testing.assert_allclose(exact.texts(ids), model.encode_text(torch.from_numpy(ids)).numpy(), atol=1e-5)
    assert cosines(exact.images(pictures), rough.images(pictures)).min() > 0.999
    assert cosines(exact.texts(ids), rough.texts(ids)).min() > 0.999
    assert next(model.parameters()).dtype == torch.float32
    assert rough.scale == exact.scale == pytest.approx(1 / 0.07)


def test_common_beginnings_are_exact() -> None:
    model = made(VIT).double()
    rng = np.random.default_rng(1)
    ids = np.zeros((9, 20), np.int64)
    ids[:, :5] = [298, 7, 8, 9, 10]
    for i, row in enumerate(ids):
        row[5 : 6 + i] = rng.integers(1, 297, 1 + i)
        row[6 + i] = 299
    ids[:, 5] = 11
    assert common_prefix(TEXT, ids) == 6
    rows = torch.from_numpy(ids)
    with torch.inference_mode():
        for shared in (1, 5, 6):
            got = encode_after_prefix(model, rows, shared)
            torch.testing.assert_close(got, model.encode_text(rows), atol=1e-12, rtol=0)


def test_common_beginnings_end_before_the_end() -> None:
    same = np.tile(np.array([298, 5, 6, 299, 0, 0]), (9, 1))
    assert common_prefix(TEXT, same) == 3
    short = same.copy()
    short[0, 1:3] = [299, 0]
    assert common_prefix(TEXT, short) == 1
    import dataclasses

    assert common_prefix(dataclasses.replace(TEXT, causal=False), same) == 0
    model = made(VIT)
    with torch.inference_mode():
        torch.testing.assert_close(
            encode_after_prefix(model, torch.from_numpy(same), 3), model.encode_text(torch.from_numpy(same))
        )


def test_torch_knows_its_precisions() -> None:
    with pytest.raises(InputError, match="int8"):
        TorchTowers(made(VIT), precision="int8")


@pytest.mark.parametrize("config", [VIT, RESNET], ids=["vit", "resnet"])
def test_openvino_answers_as_torch(config: CLIPConfig, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    from limner.engines.openvino_towers import OpenVINOTowers

    model, (pictures, ids) = made(config), inputs()
    exact = TorchTowers(model)
    for precision, least in (("float32", 0.999999), ("bf16", 0.999)):
        towers = OpenVINOTowers(model, precision, "x", cache=tmp_path)
        for count in (12, 5):  # any batch
            assert cosines(exact.images(pictures[:count]), towers.images(pictures[:count])).min() > least
            assert cosines(exact.texts(ids[:count]), towers.texts(ids[:count])).min() > least
        assert towers.loss == {}
    made_at = {file: os.stat(file).st_mtime_ns for file in tmp_path.rglob("*.xml")}
    again = OpenVINOTowers(model, "bf16", "x", cache=tmp_path)
    again.images(pictures)
    again.texts(ids)
    assert {file: os.stat(file).st_mtime_ns for file in tmp_path.rglob("*.xml")} == made_at


def test_openvino_shares_beginnings_through_torch(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    from limner.engines.openvino_towers import OpenVINOTowers

    model, (_, ids) = made(VIT), inputs()
    ids[:, :16] = np.arange(1, 17)
    ids[:, 16:18] = [[5 + i, 299] for i in range(12)]
    towers = OpenVINOTowers(model, "float32", "x", cache=tmp_path)
    assert cosines(TorchTowers(model).texts(ids), towers.texts(ids)).min() > 0.999999
    assert not list(tmp_path.rglob("texts*.xml"))


@pytest.mark.slow
def test_int8_is_calibrated_measured_and_kept(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    from limner.engines.calibration import Samples
    from limner.engines.openvino_towers import OpenVINOTowers

    model, (pictures, ids) = made(VIT), inputs(60)
    towers = OpenVINOTowers(model, "int8", "x", samples=lambda: Samples(pictures, ids), cache=tmp_path)
    exact = TorchTowers(model)
    assert cosines(exact.images(pictures), towers.images(pictures)).min() > 0.99
    assert cosines(exact.texts(ids), towers.texts(ids)).min() > 0.98
    assert set(towers.loss) == {"images_least", "images_mean", "texts_least", "texts_mean"}
    assert 0.98 < towers.loss["images_least"] <= towers.loss["images_mean"] <= 1.0001
    kept = OpenVINOTowers(model, "int8", "x", cache=tmp_path)  # nothing to calibrate on, and no need
    np.testing.assert_allclose(kept.images(pictures), towers.images(pictures), atol=1e-3)
    with pytest.raises(InputError, match="calibrate"):
        OpenVINOTowers(model, "int8", "y", cache=tmp_path).images(pictures)


def test_calibration_draws_for_any_model(tiny_painter: Path) -> None:
    from limner.engines.calibration import drawn_samples
    from limner.models.modelfolder import read_folder

    loaded = read_folder(tiny_painter / "clip")
    samples = drawn_samples(loaded.config, loaded.tokenizer)
    assert samples.pictures.shape == (100, 16, 16, 3)
    assert samples.pictures.std() > 20
    again = drawn_samples(loaded.config, loaded.tokenizer)
    assert all(np.array_equal(a, b) for a, b in zip(samples, again, strict=True))
    assert drawn_samples(VIT, None).ids.shape == (len(samples.ids), 20)
