"""ONNX graphs of both towers: any batch, the same features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clip_samples import CONFIGS, inputs, written

from limner.errors import FileError, ModelError

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.mark.parametrize("name", ["openai", "resnet", "siglip", "gelu"])
def test_both_towers_in_onnxruntime(name: str, tmp_path: Path) -> None:
    from limner.formats.onnx import export_onnx

    model = written(tmp_path / "model", name)
    report = export_onnx(tmp_path / "model", tmp_path / "onnx")
    assert {"vision.onnx", "text.onnx", "clip.json", "tokenizer.json"} <= set(report["files"])
    assert report["difference"] < 1e-4
    pixels, ids = inputs(CONFIGS[name])
    for file, key, batch, encode in (
        ("vision.onnx", "pixels", pixels, model.encode_image),
        ("text.onnx", "ids", ids, model.encode_text),
    ):
        session = ort.InferenceSession(tmp_path / "onnx" / file, providers=["CPUExecutionProvider"])
        for rows in (batch, batch[:1], torch.cat([batch, batch, batch])):
            (got,) = session.run(["features"], {key: rows.numpy()})
            with torch.inference_mode():
                np.testing.assert_allclose(got, encode(rows).numpy(), atol=2e-4, rtol=1e-4)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    from limner.formats.onnx import export_onnx

    written(tmp_path / "model", "openai")
    with pytest.raises(FileError, match="choose another place"):
        export_onnx(tmp_path / "model", tmp_path / "model")


def test_a_tower_that_no_file_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.formats import onnx

    written(tmp_path / "model", "openai")
    monkeypatch.setattr(onnx, "LARGEST", 1000)
    with pytest.raises(ModelError, match="at most 1000 bytes"):
        onnx.export_onnx(tmp_path / "model", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
