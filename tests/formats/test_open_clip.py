"""open_clip's habits: prefixes, resized positions, scalars of any shape, exact GELU by default."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from clip_samples import CONFIGS, features, inputs, small_tokenizer, written
from safetensors.torch import load_file, save_file

from limner.errors import ModelError
from limner.formats.detect import read_source
from limner.formats.export import export_folder
from limner.formats.import_model import build
from limner.formats.imported import Options
from limner.formats.open_clip import CONFIG, find_weights, resize_line
from limner.formats.open_clip_config import Described
from limner.formats.read_json import Fields

WEIGHTS = "open_clip_model.safetensors"


def folder(tmp_path: Path, name: str = "gelu", tokenizer: Any = None) -> tuple[Path, Any]:
    model = written(tmp_path / "model", name, tokenizer)
    export_folder(tmp_path / "model", tmp_path / "oc", "open_clip")
    return tmp_path / "oc", model


def edit(path: Path, **changes: Any) -> None:
    table = json.loads((path / CONFIG).read_text())
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if part == "preprocess":
            spot = table["preprocess_cfg"]
        else:
            spot = table["model_cfg"] if part == "model" else table["model_cfg"][f"{part}_cfg"]
        if value is None:
            spot.pop(name)
        else:
            spot[name] = value
    (path / CONFIG).write_text(json.dumps(table))


def same(path: Path, model: Any, name: str) -> None:
    assert torch.allclose(features(build(read_source(path)), CONFIGS[name]), features(model, CONFIGS[name]), atol=1e-5)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_training_checkpoints(prefix: str, tmp_path: Path) -> None:
    path, model = folder(tmp_path)
    state = {prefix + key: tensor for key, tensor in load_file(path / WEIGHTS).items()}
    (path / WEIGHTS).unlink()
    for epoch in (2, 11):
        torch.save(
            {"epoch": epoch, "name": "x", "state_dict": state, "optimizer": {"state": {}}}, path / f"epoch_{epoch}.pt"
        )
    imported = read_source(path)
    assert imported.facts["source"]["format"] == "open_clip training checkpoint"
    assert list(imported.facts["source"]["files"]) == ["epoch_11.pt", CONFIG]
    same(path / "epoch_2.pt", model, "gelu")


def test_the_order_of_preference(tmp_path: Path) -> None:
    for name in ("a.bin", "z.safetensors", "epoch_3.pt", "epoch_latest.pt", "pytorch_model.bin", WEIGHTS):
        (tmp_path / name).write_bytes(b"")
    found = []
    while any(tmp_path.iterdir()):
        found.append(find_weights(tmp_path).name)
        (tmp_path / found[-1]).unlink()
    assert found == [WEIGHTS, "pytorch_model.bin", "epoch_latest.pt", "epoch_3.pt", "z.safetensors", "a.bin"]
    with pytest.raises(ModelError, match="found none"):
        find_weights(tmp_path)


@pytest.mark.parametrize("moved", [True, False])
def test_custom_text_with_old_and_new_names(moved: bool, tmp_path: Path) -> None:
    path, model = folder(tmp_path)
    state = load_file(path / WEIGHTS)
    text = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
    if moved:
        save_file({f"text.{k}" if k.startswith(text) else k: v for k, v in state.items()}, path / WEIGHTS)
    edit(path, model__custom_text=True)
    same(path, model, "gelu")


def test_scalars_may_be_vectors_of_one_and_a_bias_may_be_absent(tmp_path: Path) -> None:
    path, model = folder(tmp_path, "siglip")
    state = load_file(path / WEIGHTS)
    state["logit_scale"] = state["logit_scale"].reshape(1)
    del state["logit_bias"]
    save_file(state, path / WEIGHTS)
    edit(path, model__nonscalar_logit_scale=True)
    imported = read_source(path)
    assert imported.state["logit_scale"].shape == imported.state["logit_bias"].shape == ()
    assert imported.state["logit_bias"].item() == 0
    assert torch.equal(build(imported).logit_scale, model.logit_scale)


def test_positions_of_another_size_are_resized(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    edit(path, vision__image_size=[48, 56], text__context_length=20)
    imported = read_source(path)
    assert imported.config.size == (48, 56)
    assert imported.state["visual.positional_embedding"].shape == (1 + 6 * 7, 48)
    assert imported.state["positional_embedding"].shape == (20, 24)
    old = load_file(path / WEIGHTS)
    assert torch.equal(imported.state["visual.positional_embedding"][0], old["visual.positional_embedding"][0])
    with torch.inference_mode():
        assert build(imported).encode_image(torch.zeros(1, 3, 48, 56)).isfinite().all()


def test_positions_of_a_caption_stay_a_line() -> None:
    line = torch.arange(8.0)[:, None].expand(8, 2)
    longer = resize_line(line, 16)
    assert torch.allclose(longer[1:-1].diff(dim=0), torch.full((13, 2), 0.5), atol=1e-5)


def test_positions_that_are_no_square_are_not_resized(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    state = load_file(path / WEIGHTS)
    state["visual.positional_embedding"] = state["visual.positional_embedding"][:-2].contiguous()
    save_file(state, path / WEIGHTS)
    with pytest.raises(ModelError, match="square"):
        read_source(path)


def test_the_default_activation_is_the_exact_gelu(tmp_path: Path) -> None:
    path, model = folder(tmp_path, "openai")
    same(path, model, "openai")
    edit(path, model__quick_gelu=None)
    imported = read_source(path)
    assert imported.facts["activation"] == "gelu"
    assert imported.facts["activation_known_by"] == "open_clip's default"
    other = features(build(imported), CONFIGS["openai"])
    assert (other - features(model, CONFIGS["openai"])).abs().max() > 1e-3
    told = read_source(path, Options(activation="quick_gelu"))
    assert torch.allclose(features(build(told), CONFIGS["openai"]), features(model, CONFIGS["openai"]), atol=1e-5)


def test_a_file_with_its_configuration_elsewhere(tmp_path: Path) -> None:
    path, model = folder(tmp_path)
    (path / CONFIG).rename(tmp_path / "bare.json")
    bare = json.loads((tmp_path / "bare.json").read_text())["model_cfg"]  # as in open_clip's model_configs
    bare["text_cfg"].pop("hf_tokenizer_name")
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    imported = read_source(path / WEIGHTS, Options(config=tmp_path / "bare.json"))
    assert torch.allclose(features(build(imported), CONFIGS["gelu"]), features(model, CONFIGS["gelu"]), atol=1e-5)
    assert imported.config.pixels.resize == "shortest"  # no preprocess_cfg: OpenAI's
    with pytest.raises(ModelError, match="multiples of 64"):
        read_source(path / WEIGHTS, Options(activation="gelu"))


def test_int_of_width_times_ratio() -> None:
    for width, ratio, mlp in ((32, 4.3637, 139), (1664, 4.9231, 8192), (1280, 4.0, 5120)):
        cfg = {"width": width, "head_width": 16, "mlp_ratio": ratio, "layers": 1}
        model = {"embed_dim": 8, "vision_cfg": cfg, "text_cfg": {}}
        assert Described(Fields(model, "x"), Fields({}, "x"), Options()).config.vision.mlp == mlp  # type: ignore[union-attr]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"vision__layers": 10**9}, "layers: expected a whole number"),
    ({"vision__width": 1e9}, "width: expected a whole number"),
    ({"text__width": -8}, "width: expected"),
    ({"text__vocab_size": True}, "vocab_size"),
    ({"text__context_length": 10**9}, "context_length"),
    ({"vision__image_size": 10**9}, "image_size"),
    ({"vision__patch_size": 0}, "patch_size"),
    ({"vision__patch_size": [8, 4]}, "patch_size"),
    ({"vision__patch_size": 64}, "resolution"),
    ({"vision__head_width": 64}, "head_width"),
    ({"vision__head_width": 9}, "head_width"),
    ({"text__heads": 5}, "heads"),
    ({"vision__mlp_ratio": -1}, "mlp_ratio"),
    ({"vision__swirl": 3}, "unknown 'swirl'"),
    ({"model__swirl": 3}, "unknown 'swirl'"),
    ({"vision__qk_norm": True}, "qk_norm"),
    ({"vision__attentional_pool": True}, "attentional_pool"),
    ({"text__embed_cls": True}, "embed_cls"),
    ({"text__proj_type": "none"}, "proj_type"),
    ({"vision__pool_type": "none"}, "pool_type"),
    ({"vision__timm_model_name": "vit_base"}, "timm's 'vit_base'"),
    ({"text__hf_model_name": "roberta-base"}, "transformers' 'roberta-base'"),
    ({"text__hf_tokenizer_name": "../../../etc"}, "hf_tokenizer_name"),
    ({"text__hf_tokenizer_name": "/etc/passwd"}, "hf_tokenizer_name"),
    ({"model__multimodal_cfg": {}}, "multimodal_cfg"),
    ({"vision__norm_kwargs": {"eps": 0}}, "eps"),
    ({"vision__norm_kwargs": {"elementwise_affine": False}}, "elementwise_affine"),
    ({"vision__act_kwargs": {"approximate": "sin"}}, "approximate"),
    ({"model__quick_gelu": True}, "quick_gelu"),
    ({"model__quick_gelu": 1}, "true or false"),
    ({"preprocess__std": [0, 1, 1]}, "std"),
    ({"preprocess__mean": [0, 1]}, "mean"),
    ({"preprocess__resize_mode": "twist"}, "resize_mode"),
    ({"preprocess__fill_color": 300}, "fill_color"),
]


@pytest.mark.parametrize(("changes", "what"), BAD)
def test_configurations_that_are_refused(changes: dict[str, Any], what: str, tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    edit(path, **changes)
    with pytest.raises(ModelError, match=what):
        read_source(path)


def test_a_tokenizer_of_another_kind_leaves_a_note(tmp_path: Path) -> None:
    path, _ = folder(tmp_path)
    edit(path, text__hf_tokenizer_name="bert-base-uncased")
    assert read_source(path).tokenizer is not None  # open_clip takes the folder's own
    (path / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    imported = read_source(path)
    assert imported.tokenizer is None
    assert "bert-base-uncased" in imported.notes[0]


def test_features_depend_on_every_setting(tmp_path: Path) -> None:
    # A setting that is read and then forgotten would show here: each changes the answer.
    path, model = folder(tmp_path, "averaged")
    config = CONFIGS["averaged"]
    _, ids = inputs(config)
    base = features(model, config)
    for changes in (
        {"vision__pool_type": "tok"},
        {"vision__final_ln_after_pool": True},
        {"vision__head_width": 12},
        {"vision__norm_kwargs": {"eps": 0.1}},
        {"vision__act_kwargs": {"approximate": "tanh"}},
        {"text__pool_type": "last"},
        {"text__pool_type": "eos", "text__eos_id": int(ids[0, 2])},
        {"text__no_causal_mask": True, "text__pool_type": "last"},
        {"text__heads": 4, "text__no_causal_mask": True},
        {"text__norm_kwargs": {"eps": 0.1}},
    ):
        kept = (path / CONFIG).read_text()
        edit(path, **changes)
        got = features(build(read_source(path)), config)
        (path / CONFIG).write_text(kept)
        assert (got - base).abs().max() > 1e-5, changes
    assert small_tokenizer().size == config.text.vocabulary
    assert replace(config, preprocessing=None).pixels.resize == "shortest"
