"""transformers' folders: which description wins, where text is pooled, how pictures are prepared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from clip_samples import CONFIGS, features, random_clip, small_tokenizer, written
from safetensors.torch import load_file, save_file

from limner.errors import ModelError
from limner.formats.detect import read_source
from limner.formats.export import export_folder
from limner.formats.import_model import build
from limner.formats.imported import Options
from limner.models.modelfolder import write_folder


def folder(tmp_path: Path, name: str = "openai") -> tuple[Path, Any]:
    model = written(tmp_path / "model", name)
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    return tmp_path / "hf", model


def edit(path: Path, file: str = "config.json", **changes: Any) -> None:
    table = json.loads((path / file).read_text()) if (path / file).is_file() else {}
    for key, value in changes.items():
        part, _, name = key.rpartition("__")
        spot = table.setdefault(part, {}) if part else table
        if value is None:
            spot.pop(name, None)
        else:
            spot[name] = value
    (path / file).write_text(json.dumps(table))


def test_old_weights_with_position_ids(tmp_path: Path) -> None:
    path, model = folder(tmp_path)
    state = load_file(path / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(12)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    (path / "model.safetensors").unlink()
    for zipped in (True, False):
        torch.save(state, path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        got = features(build(read_source(path)), CONFIGS["openai"])
        assert torch.allclose(got, features(model, CONFIGS["openai"]), atol=1e-5)


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    (path / "pytorch_model.bin").write_bytes(b"damaged")
    assert read_source(path).facts["source"]["files"].keys() == {"model.safetensors", "config.json"}


def test_config_dicts_win_with_all_their_defaults(tmp_path: Path) -> None:
    path, _ = folder(tmp_path, "gelu")
    config = json.loads((path / "config.json").read_text())
    text, vision = dict(config["text_config"]), dict(config["vision_config"])
    for part in (text, vision):
        del part["hidden_act"], part["layer_norm_eps"]
    del text["eos_token_id"]
    edit(path, text_config_dict=text, vision_config_dict=vision, transformers_version="4.30.2")
    imported = read_source(path)
    assert imported.config.vision.activation == imported.config.text.activation == "quick_gelu"
    assert imported.config.text.norm_eps == imported.config.vision.norm_eps == 1e-5
    assert imported.config.text.pool == "argmax"  # eos_token_id 2 was the default then
    edit(path, transformers_version="4.31.0")
    assert read_source(path).config.text.eos_id == 49407
    edit(path, text_config_dict=None, vision_config_dict=None)
    assert read_source(path).config.text.activation == "gelu"


def test_the_end_token_2_means_the_highest_id(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    assert read_source(path).config.text.pool == "argmax"
    edit(path, text_config__eos_token_id=300)
    text = read_source(path).config.text
    assert (text.pool, text.eos_id) == ("eos", 300)


def test_the_towers_projection_dim_does_not_count(tmp_path: Path) -> None:
    path, model = folder(tmp_path)
    edit(path, text_config__projection_dim=512, vision_config__projection_dim=512)
    got = features(build(read_source(path)), CONFIGS["openai"])
    assert torch.allclose(got, features(model, CONFIGS["openai"]), atol=1e-5)


def pixels_of(path: Path) -> Any:
    return read_source(path).config.pixels


def test_preprocessors_old_and_new(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    file = "preprocessor_config.json"
    (path / file).unlink()
    way = pixels_of(path)  # transformers' defaults, at the model's size
    assert (way.size, way.resize, way.interpolation, way.convention) == (
        (32, 32),
        "shortest",
        "bicubic",
        "transformers_5",
    )
    old = {"size": 36, "crop_size": 32, "resample": 2, "feature_extractor_type": "CLIPFeatureExtractor"}
    (path / file).write_text(json.dumps(old))
    way = pixels_of(path)
    assert (way.resize_to, way.interpolation, way.convention) == (36, "bilinear", "transformers_4")
    edit(path, transformers_version="4.45.0")
    new = {
        "size": {"height": 40, "width": 36},
        "crop_size": {"height": 32, "width": 32},
        "image_mean": 0.5,
        "resample": 1,
    }
    (path / file).write_text(json.dumps(new))
    way = pixels_of(path)
    assert (way.resize, way.resize_to, way.mean, way.interpolation) == ("squash", (40, 36), (0.5,) * 3, "lanczos")
    assert way.convention == "transformers_4"
    (path / file).write_text(json.dumps({"do_resize": False, "crop_size": 32, "do_normalize": False}))
    way = pixels_of(path)
    assert (way.resize, way.mean, way.std) == ("none", (0, 0, 0), (1, 1, 1))
    (path / file).write_text(
        json.dumps({"crop_size": 32, "rescale_factor": 1 / 127.5, "image_mean": 1, "image_std": 1})
    )
    way = pixels_of(path)
    assert way.mean == pytest.approx((0.5,) * 3)
    assert way.std == pytest.approx((0.5,) * 3)
    (path / file).unlink()
    (path / "processor_config.json").write_text(
        json.dumps({"image_processor": {"size": {"shortest_edge": 50}, "crop_size": 32}})
    )
    assert pixels_of(path).resize_to == 50


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("config.json", {"model_type": "siglip"}, "siglip"),
    ("config.json", {"architectures": ["CLIPVisionModelWithProjection"]}, "CLIPVisionModelWithProjection"),
    ("config.json", {"text_config__hidden_size": 10**9}, "hidden_size"),
    ("config.json", {"text_config__hidden_act": "builtins.exec"}, "hidden_act"),
    ("config.json", {"vision_config__num_channels": 4}, "num_channels"),
    ("config.json", {"vision_config__num_attention_heads": 5}, "heads"),
    ("config.json", {"vision_config__layer_norm_eps": -1}, "layer_norm_eps"),
    ("config.json", {"text_config__eos_token_id": [2, 3]}, "eos_token_id"),
    ("config.json", {"projection_dim": "24"}, "projection_dim"),
    ("config.json", {"vision_config": 3}, "table"),
    ("preprocessor_config.json", {"crop_size": 224}, "crop_size"),
    ("preprocessor_config.json", {"size": 10**9}, "size"),
    ("preprocessor_config.json", {"do_center_crop": False}, "nothing is cropped"),
    ("preprocessor_config.json", {"resample": 9}, "resample"),
    ("preprocessor_config.json", {"image_std": [1, 0, 1]}, "std"),
    ("preprocessor_config.json", {"rescale_factor": 0}, "rescale_factor"),
]


@pytest.mark.parametrize(("file", "changes", "what"), BAD)
def test_descriptions_that_are_refused(file: str, changes: dict[str, Any], what: str, tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    edit(path, file, **changes)
    with pytest.raises(ModelError, match=what):
        read_source(path)


def test_a_weight_of_another_shape_is_named_as_it_is_there(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    state = load_file(path / "model.safetensors")
    state["text_projection.weight"] = state["text_projection.weight"].T.contiguous()
    save_file(state, path / "model.safetensors")
    with pytest.raises(ModelError, match=r"text_projection\.weight: expected the shape"):
        read_source(path)
    (path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="found none"):
        read_source(path)


# Tokenizers in folders


def test_vocabulary_and_merges_alone(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    table = json.loads((path / "tokenizer.json").read_text())
    (path / "tokenizer.json").unlink()
    (path / "tokenizer_config.json").unlink()
    vocabulary = table["model"]["vocab"]
    (path / "vocab.json").write_text(json.dumps(vocabulary))
    (path / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(m) for m in table["model"]["merges"]) + "\n"
    )
    new = read_source(path).tokenizer
    edit(path, transformers_version="4.20.0")
    old = read_source(path).tokenizer
    told = read_source(path, Options(tokenizer="openai")).tokenizer
    assert new is not None and old is not None and told is not None
    assert (new.clean, old.clean, told.clean) == ("transformers", "transformers_slow", "openai")  # type: ignore[union-attr]
    assert new.encode("the cat") == small_tokenizer().encode("the cat")
    assert new.pad == new.end  # type: ignore[union-attr]
    (path / "added_tokens.json").write_text(json.dumps({"<b>": 519, "<a>": 518}))
    with pytest.raises(ModelError, match="ids up to 519"):
        read_source(path)


def test_a_tokenizer_for_more_tokens_than_the_model_has(tmp_path: Path) -> None:
    config = replace(CONFIGS["openai"], text=replace(CONFIGS["openai"].text, vocabulary=500))
    write_folder(tmp_path / "model", kind="clip", config=config, state=random_clip(config).state_dict())
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    assert read_source(tmp_path / "hf").notes
    small_tokenizer().save(tmp_path / "hf" / "tokenizer.json")
    with pytest.raises(ModelError, match="ids up to 517"):
        read_source(tmp_path / "hf")


def test_special_tokens_by_other_names(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    edit(path, "tokenizer_config.json", eos_token={"content": "cat</w>"}, limner=None)
    tokenizer = read_source(path).tokenizer
    assert tokenizer is not None
    assert tokenizer.end == 513  # type: ignore[union-attr]
    edit(path, "tokenizer_config.json", eos_token="<|nowhere|>")
    with pytest.raises(ModelError, match="nowhere"):
        read_source(path)
