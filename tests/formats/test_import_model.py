"""From a source to a folder: recognised, checked, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from clip_samples import CONFIGS, features, random_clip, small_tokenizer, written

from limner.cli.main import main
from limner.errors import FileError, InputError, ModelError
from limner.formats.detect import find_source, read_source
from limner.formats.export import export_folder
from limner.formats.import_model import at_resolution, build, import_model, self_check
from limner.formats.imported import Imported, Options
from limner.models.modelfolder import read_folder, write_folder
from limner.text.clip_bytepairs import ClipBytePairs


@pytest.fixture
def hf(tmp_path: Path) -> Path:
    written(tmp_path / "model", "openai")
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    return tmp_path / "hf"


def test_the_folder_answers_as_the_source_and_says_where_it_is_from(hf: Path, tmp_path: Path) -> None:
    report = import_model(hf, tmp_path / "out")
    loaded = read_folder(tmp_path / "out")
    expected = features(read_folder(tmp_path / "model").model, CONFIGS["openai"])
    assert torch.allclose(features(loaded.model, CONFIGS["openai"]), expected, atol=1e-5)
    assert isinstance(loaded.tokenizer, ClipBytePairs)
    facts = loaded.facts
    assert facts["activation"] == "quick_gelu"
    assert facts["source"]["format"] == "transformers CLIPModel folder"
    assert set(facts["source"]["files"]) == {"model.safetensors", "config.json"}
    assert facts["tokenizer"] == {"clean": "openai", "context": 12}
    assert report["difference"] == 0
    assert report["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    sizes = json.loads((tmp_path / "out" / "config.json").read_text())["sizes"]
    assert sizes["preprocessing"]["convention"] == "transformers_5"


def test_half_precision_is_kept_or_asked_for(hf: Path, tmp_path: Path) -> None:
    full = import_model(hf, tmp_path / "full")
    half = import_model(hf, tmp_path / "half", half=True)
    assert full["difference"] == 0 < half["difference"] < 0.02
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    export_folder(tmp_path / "model", tmp_path / "hf16", "hf", half=True)
    again = import_model(tmp_path / "hf16", tmp_path / "kept")
    assert again["difference"] == 0
    assert (tmp_path / "kept" / "model.safetensors").stat().st_size == sizes[1]


def test_nothing_is_written_or_lost_when_something_is_wrong(hf: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    with pytest.raises(FileError, match="other files"):
        import_model(hf, tmp_path / "photos")
    with pytest.raises(FileError, match="would be lost"):
        import_model(hf, tmp_path)
    with pytest.raises(FileError, match="would be lost"):
        import_model(hf, hf)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="got a file"):
        import_model(hf, tmp_path / "file")
    (hf / "model.safetensors").write_bytes(b"x" * 100)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ModelError):
        import_model(hf, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "x"


def test_an_older_model_is_replaced(hf: Path, tmp_path: Path) -> None:
    import_model(hf, tmp_path / "out", half=True)
    before = (tmp_path / "out" / "model.safetensors").stat().st_size
    import_model(hf, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > before


def test_the_self_check_sees_a_difference(hf: Path, tmp_path: Path) -> None:
    import_model(hf, tmp_path / "out")
    imported = read_source(hf)
    assert self_check(imported, tmp_path / "out") == 0
    other = read_source(hf)
    other.state["visual.proj"] = -other.state["visual.proj"]
    with pytest.raises(ModelError, match="answers of the source"):
        self_check(other, tmp_path / "out")
    assert imported.tokenizer is not None
    retyped = read_source(hf, Options(tokenizer="open_clip_whitespace"))
    with pytest.raises(ModelError, match="token ids"):
        self_check(retyped, tmp_path / "out")


def test_sources_are_recognised(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        find_source(tmp_path / "absent")
    with pytest.raises(ModelError, match="limner models pull"):
        find_source("nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="an empty folder"):
        read_source(tmp_path / "empty")
    (tmp_path / "empty" / "cat.jpg").write_text("x")
    with pytest.raises(ModelError, match=r"a folder with cat\.jpg"):
        read_source(tmp_path / "empty")
    with pytest.raises(ModelError, match="open_clip, hf, openai"):
        read_source(tmp_path / "empty", format="caffe")
    torch.save(random_clip(CONFIGS["openai"]).state_dict(), tmp_path / "empty" / "ViT.pt")
    options = Options(activation="quick_gelu")
    assert read_source(tmp_path / "empty", options).facts["source"]["files"].keys() == {"ViT.pt"}
    with pytest.raises(ModelError, match="expected a folder of open_clip or a file of open_clip's"):
        read_source(tmp_path / "empty", options, format="open_clip")


def test_a_folder_of_both_kinds_is_open_clips_unless_told(hf: Path, tmp_path: Path) -> None:
    export_folder(tmp_path / "model", tmp_path / "oc", "open_clip")
    for file in (tmp_path / "oc").iterdir():
        (hf / file.name).write_bytes(file.read_bytes())
    assert read_source(hf).facts["source"]["format"] == "open_clip folder"
    assert read_source(hf, format="hf").facts["source"]["format"] == "transformers CLIPModel folder"


def test_the_commands(hf: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["import", str(hf), str(tmp_path / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "clip"
    assert report["activation"] == "quick_gelu"
    assert main(["export", str(tmp_path / "out"), str(tmp_path / "oc"), "--format", "open_clip", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "open_clip_config.json" in report["files"]
    assert main(["export", str(tmp_path / "out"), str(tmp_path / "x")]) == 1
    assert "--format hf, open_clip or onnx" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "absent.pt"), str(tmp_path / "y")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["import", str(hf)]) == 2


@pytest.mark.parametrize(("name", "side"), [("openai", 48), ("resnet", 96), ("siglip", 56), ("gelu", 50)])
def test_a_clip_at_another_resolution(name: str, side: int, tmp_path: Path) -> None:
    config = CONFIGS[name]
    imported = Imported("clip", config, random_clip(config).state_dict(), small_tokenizer())
    other = at_resolution(imported, side)
    assert other.config.size == other.config.pixels.size == (side, side)
    assert other.config.pixels.mean == config.pixels.mean
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert build(other).encode_image(pixels).isfinite().all()
    write_folder(tmp_path / "x", kind="clip", config=other.config, state=other.state, facts=other.facts)
    assert read_folder(tmp_path / "x").facts["trained_at"] == list(config.size)
    if config.size == (32, 32):
        assert at_resolution(imported, 32).config == config
        # A picture that is one colour looks much the same at any size.
        with torch.inference_mode():
            small = build(imported).encode_image(torch.ones(1, 3, 32, 32))
            large = build(other).encode_image(torch.ones(1, 3, side, side))
        assert torch.cosine_similarity(small, large).item() > 0.9


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    config = CONFIGS["openai"]
    imported = Imported("clip", config, random_clip(config).state_dict())
    for side in (0, -5, 7, 10**9):
        with pytest.raises(InputError, match="resolution"):
            at_resolution(imported, side)
    with pytest.raises(ModelError, match="got a dvae"):
        at_resolution(Imported("dvae", None, {}), 32)
