"""What is exported loads strictly elsewhere and gives the same features; what a layout cannot say is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clip_samples import CAPTIONS, CONFIGS, features, inputs, random_clip, small_tokenizer, written
from safetensors.torch import load_file

from limner.errors import FileError, ModelError
from limner.formats.detect import read_source
from limner.formats.export import export_folder, to_open_clip
from limner.formats.import_model import build
from limner.models.modelfolder import Loaded, write_folder
from limner.text.bytepairs import BytePairs
from limner.text.clip_bytepairs import ClipBytePairs


@pytest.mark.parametrize("name", ["openai", "gelu"])
def test_transformers_loads_it_strictly_and_answers_the_same(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = written(tmp_path / "model", name)
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    theirs, told = transformers.CLIPModel.from_pretrained(tmp_path / "hf", output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not told.get(key), (key, told[key])
    pixels, ids = inputs(CONFIGS[name])
    with torch.inference_mode():
        answer = theirs.eval()(input_ids=ids, pixel_values=pixels)
    unit = torch.nn.functional.normalize(features(model, CONFIGS[name]), dim=-1)
    assert torch.allclose(torch.cat([answer.image_embeds, answer.text_embeds]), unit, atol=1e-5)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert words("the cat", padding="max_length", max_length=12)["input_ids"][:6] == _row("the cat")[:6]


def _row(caption: str) -> list[int]:
    return [int(i) for i in small_tokenizer("transformers").clip_row([caption], 12)[0]]


@pytest.mark.parametrize(("name", "format"), [("openai", "hf"), ("gelu", "hf")] + [(n, "open_clip") for n in CONFIGS])
def test_there_and_back(name: str, format: str, tmp_path: Path) -> None:
    model = written(tmp_path / "model", name)
    report = export_folder(tmp_path / "model", tmp_path / "there", format)
    back = read_source(tmp_path / "there")
    assert torch.allclose(features(build(back), CONFIGS[name]), features(model, CONFIGS[name]), atol=1e-5)
    if format == "open_clip":
        assert replace(back.config, preprocessing=None) == _explicit(replace(CONFIGS[name], preprocessing=None))
        assert back.config.pixels == CONFIGS[name].pixels
    else:
        assert back.config.pixels == replace(CONFIGS[name].pixels, convention="transformers_5")
        assert report["notes"]
    assert back.tokenizer is not None
    assert back.tokenizer.clip_row(["the cat"], 8)[0, :6].tolist() == _row("the cat")[:6]


def _explicit(config):  # type: ignore[no-untyped-def]
    vision, text = config.vision, config.text
    if hasattr(vision, "patch"):
        vision = replace(vision, mlp_width=vision.mlp, heads=vision.head_count)
    return replace(config, vision=vision, text=replace(text, mlp_width=text.mlp, heads=text.head_count))


def test_the_published_vocabulary_needs_no_files_in_open_clip(tmp_path: Path) -> None:
    config = replace(CONFIGS["openai"], text=replace(CONFIGS["openai"].text, vocabulary=49408, width=8, heads=1))
    state = random_clip(config).state_dict()
    words = ClipBytePairs.published()
    write_folder(tmp_path / "model", kind="clip", config=config, state=state, tokenizer=words)
    export_folder(tmp_path / "model", tmp_path / "there", "open_clip", half=True)
    names = {file.name for file in (tmp_path / "there").iterdir()}
    assert names == {"open_clip_config.json", "open_clip_model.safetensors"}
    weights = load_file(tmp_path / "there" / "open_clip_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}


def test_limners_own_tokenizer_gets_start_and_end(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    words = BytePairs.train(CAPTIONS * 20, 516)
    config = replace(CONFIGS["openai"], text=replace(CONFIGS["openai"].text, vocabulary=words.vocabulary + 2))
    state = random_clip(config).state_dict()
    write_folder(tmp_path / "model", kind="clip", config=config, state=state, tokenizer=words)
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    row = words.clip_row(["the dog"], 12)[0].tolist()
    assert theirs("the dog")["input_ids"] == row[: row.index(words.vocabulary + 1) + 1]


@pytest.mark.parametrize(("name", "what"), [("resnet", "ResNet"), ("siglip", "square"), ("averaged", "class token")])
def test_what_transformers_has_no_words_for(name: str, what: str, tmp_path: Path) -> None:
    written(tmp_path / "model", name)
    with pytest.raises(ModelError, match=what):
        export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    assert not (tmp_path / "hf").exists()


def test_open_clip_has_one_kind_of_gelu_for_both_towers(tmp_path: Path) -> None:
    config = replace(CONFIGS["openai"], text=replace(CONFIGS["openai"].text, activation="gelu"))
    loaded = Loaded("clip", config, random_clip(config), None, {}, tmp_path)
    with pytest.raises(ModelError, match="QuickGELU in both"):
        to_open_clip(loaded)


def test_other_people_s_folders_are_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "model", "openai")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("x")
    with pytest.raises(FileError, match="choose another place"):
        export_folder(tmp_path / "model", tmp_path / "there", "hf")
    assert (tmp_path / "there" / "thesis.txt").read_text() == "x"
    with pytest.raises(ModelError, match="hf, open_clip"):
        export_folder(tmp_path / "model", tmp_path / "new", "caffe")


def test_the_folder_is_plain_json_and_safetensors(tmp_path: Path) -> None:
    written(tmp_path / "model", "gelu")
    export_folder(tmp_path / "model", tmp_path / "hf", "hf")
    table = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert table["text_config"]["eos_token_id"] == 517
    assert table["vision_config"]["hidden_act"] == "gelu_pytorch_tanh"
    way = json.loads((tmp_path / "hf" / "preprocessor_config.json").read_text())
    assert way["size"] == {"height": 36, "width": 36}
    assert way["do_center_crop"] is False


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_open_clip_loads_it_strictly_and_answers_the_same(name: str, tmp_path: Path) -> None:
    try:
        import open_clip
    except Exception as error:  # torchvision, which it needs, may not fit this torch
        pytest.skip(f"open_clip cannot be imported here: {error}")
    model = written(tmp_path / "model", name)
    export_folder(tmp_path / "model", tmp_path / "there", "open_clip")
    theirs = open_clip.create_model(f"local-dir:{tmp_path / 'there'}").eval()
    assert torch.allclose(features(theirs, CONFIGS[name]), features(model, CONFIGS[name]), atol=2e-5)
