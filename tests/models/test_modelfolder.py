"""A model folder comes back as it was written, or not at all with one line that names the file and the key."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.errors import FileError, ModelError
from limner.models import names
from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.dalle.config import DALLEConfig
from limner.models.dvae.config import DVAEConfig
from limner.models.modelfolder import classes, describe, find_model, find_parts, read_folder, shipped, write_folder
from limner.text.bytepairs import BytePairs

TEXT = TextConfig(vocabulary=300, context=12, width=32, layers=1, heads=2)
CONFIGS = {
    "dvae": DVAEConfig(
        resolution=16,
        vocabulary=16,
        hidden=8,
        multipliers=(1, 2),
        blocks=1,
        decoder_input=8,
        patch=2,
        kernel=3,
        block="residual",
        bottleneck="fsq",
        levels=(4, 4),
    ),
    "dvae of the paper": DVAEConfig(resolution=16, vocabulary=16, hidden=8, blocks=1, decoder_input=8),
    "dalle": DALLEConfig(
        text_vocabulary=270, text_length=8, image_vocabulary=16, rows=4, columns=4, width=16, layers=2, heads=2
    ),
    "clip": CLIPConfig(embedding=16, resolution=16, vision=ViTConfig(1, 32, 8, heads=2), text=TEXT),
    "clip with a resnet": CLIPConfig(embedding=16, resolution=32, vision=ResNetConfig((1, 1, 1, 1), 8), text=TEXT),
}


def made(name: str = "dvae") -> tuple[str, Any, torch.nn.Module]:
    kind = name.split()[0]
    torch.manual_seed(1)
    return kind, CONFIGS[name], classes(kind)[1](CONFIGS[name])


def written(path: Path, name: str = "dvae", **options: Any) -> Path:
    kind, config, model = made(name)
    return write_folder(path, kind=kind, config=config, state=model.state_dict(), **options)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_comes_back(name: str, tmp_path: Path) -> None:
    kind, config, model = made(name)
    tokenizer = BytePairs.train(["a red cube", "a blue ball"] * 4, 262)
    facts = {"command": "limner train", "损失": 1.5, "steps": 3}
    path = tmp_path / "model"
    write_folder(path, kind=kind, config=config, state=model.state_dict(), tokenizer=tokenizer, facts=facts, card="# A")
    random = torch.get_rng_state()
    loaded = read_folder(path)
    assert torch.equal(random, torch.get_rng_state())
    assert (loaded.kind, loaded.config, loaded.facts, loaded.path) == (kind, config, facts, path)
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.encode("a red ball") == tokenizer.encode("a red ball")
    assert not loaded.model.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[key]), key
    assert (path / "README.md").read_text() == "# A"
    assert sorted(os.listdir(path)) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]


def test_half_is_half_the_size_and_read_as_float32(tmp_path: Path) -> None:
    whole, half = written(tmp_path / "whole", "dalle"), written(tmp_path / "half", "dalle", half=True)
    sizes = [(f / "model.safetensors").stat().st_size for f in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    first, second = read_folder(whole).model.state_dict(), read_folder(half).model.state_dict()
    for key in first:
        assert second[key].dtype == first[key].dtype
        torch.testing.assert_close(second[key], first[key], rtol=1e-3, atol=1e-6)


def test_large_models_are_sharded(tmp_path: Path) -> None:
    path = written(tmp_path / "model", "dalle", shard_bytes=8_000)
    index = json.loads((path / "model.safetensors.index.json").read_text())
    files = set(index["weight_map"].values())
    assert len(files) > 2
    assert files == {f.name for f in path.glob("*.safetensors")}
    assert sum(t.nbytes for f in files for t in load_file(path / f).values()) == index["metadata"]["total_size"]
    model = made("dalle")[2].state_dict()
    assert all(torch.equal(model[k], t) for k, t in read_folder(path).model.state_dict().items())
    (path / sorted(files)[1]).unlink()
    with pytest.raises(ModelError, match=r"00002-of-\d+\.safetensors: the shard is missing"):
        read_folder(path)


def test_a_description_needs_no_weights(tmp_path: Path) -> None:
    path = written(tmp_path / "model", facts={"a": 1})
    (path / "model.safetensors").unlink()
    about = describe(path)
    assert about.kind == "dvae"
    assert about.parameters == sum(p.numel() for p in made()[2].parameters())
    assert about.sizes["levels"] == [4, 4]


# What is refused


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the weights, and take the hashes out as an owner would who did it on purpose."""
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors")
    about = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(about | {"sha256": {}}))


def one(tensors: dict[str, torch.Tensor]) -> str:
    return next(k for k, t in sorted(tensors.items()) if t.ndim > 1)


CHANGES: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "missing": (lambda t: t.pop(one(t)), "weight '.*' is missing"),
    "foreign": (lambda t: t.update(stranger=torch.zeros(1)), "weight 'stranger' is unknown"),
    "shape": (lambda t: t.update({one(t): t[one(t)][:1].clone()}), r"expected shape \(.*\), got \(1, "),
    "nan": (lambda t: t[one(t)].view(-1)[3:4].fill_(float("nan")), "not finite"),
    "inf": (lambda t: t[one(t)].view(-1)[3:4].fill_(float("inf")), "not finite"),
    "double": (lambda t: t.update({one(t): t[one(t)].double()}), "expected 16- or 32-bit floats, got torch.float64"),
    "integers": (lambda t: t.update({one(t): t[one(t)].to(torch.int32)}), "expected a float, got torch.int32"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_weights_that_do_not_fit_are_named(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    change, message = CHANGES[name]
    rewrite(path, change)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message) as caught:
        read_folder(path)
    assert str(path / "model.safetensors") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_weight_changed_on_purpose_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    rewrite(path, lambda t: t[one(t)].fill_(0.25))
    assert any(bool((t == 0.25).all()) for t in read_folder(path).model.state_dict().values())


def damage(path: Path, name: str) -> None:
    weights, config = path / "model.safetensors", path / "config.json"
    about = json.loads(config.read_text())
    if name == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif name == "truncated, without hash":
        weights.write_bytes(weights.read_bytes()[:-100])
        config.write_text(json.dumps(about | {"sha256": {}}))
    elif name == "one bit":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif name == "pickle":
        weights.unlink()
        torch.save({}, path / "model.pt")
    elif name == "foreign file":
        weights.write_bytes(b"<html>not found</html>" * 10)
        config.write_text(json.dumps(about | {"sha256": {}}))
    elif name == "no weights":
        weights.unlink()
    elif name == "no config":
        config.unlink()
    elif name == "broken config":
        config.write_text("{")
    elif name == "somebody's config":
        config.write_text('{"model_type": "clip", "projection_dim": 512}')
    elif name == "another format":
        config.write_text(json.dumps(about | {"format": 99}))
    elif name == "unknown kind":
        config.write_text(json.dumps(about | {"kind": "unet"}))
    elif name == "unknown size":
        config.write_text(json.dumps(about | {"sizes": about["sizes"] | {"depth": 3}}))
    elif name == "impossible size":
        config.write_text(json.dumps(about | {"sizes": about["sizes"] | {"resolution": 17}}))
    elif name == "key of the wrong kind":
        config.write_text(json.dumps(about | {"facts": 3}))
    elif name == "outside":
        weights.rename(path.parent / "other.safetensors")
        index = {"weight_map": {"a": "../other.safetensors"}}
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
    elif name == "broken tokenizer":
        (path / "tokenizer.json").write_text("{}")


DAMAGES = {
    "truncated": "model.safetensors: expected sha256",
    "truncated, without hash": "model.safetensors: expected whole safetensors",
    "one bit": "model.safetensors: expected sha256",
    "pickle": "model.pt is read by limner import only",
    "foreign file": "model.safetensors: expected whole safetensors",
    "no weights": "expected model.safetensors",
    "no config": "expected a model folder with config.json",
    "broken config": "config.json: expected JSON",
    "somebody's config": "limner import",
    "another format": "expected format 1, got 99",
    "unknown kind": "expected one of dvae, dalle, clip, got 'unet'",
    "unknown size": "config.json: sizes: unknown setting 'depth'",
    "impossible size": "config.json: .*resolution: expected a multiple of 4, got 17",
    "key of the wrong kind": "key 'facts': expected dict, got 3",
    "outside": "files of this folder",
    "broken tokenizer": "tokenizer.json",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_line_that_names_the_file(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    damage(path, name)
    with pytest.raises(ModelError, match=DAMAGES[name]) as caught:
        read_folder(path)
    assert "\n" not in str(caught.value)


def test_only_what_fits_is_written(tmp_path: Path) -> None:
    kind, config, model = made()
    state = dict(model.state_dict())
    key = one(state)
    for bad in (
        {k: v for k, v in state.items() if k != key},
        state | {"more": torch.zeros(2)},
        state | {key: state[key][:1]},
        state | {key: state[key] / 0},
    ):
        with pytest.raises(ModelError):
            write_folder(tmp_path / "model", kind=kind, config=config, state=bad)
    with pytest.raises(ModelError, match="expected a DVAEConfig, got DALLEConfig"):
        write_folder(tmp_path / "model", kind=kind, config=CONFIGS["dalle"], state=state)
    with pytest.raises(ModelError, match="float16"):
        write_folder(tmp_path / "model", kind=kind, config=config, state=state | {key: state[key] + 1e6}, half=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "model", facts={"old": True})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError, match="disk is full"):
            written(path, facts={"old": False})
    assert read_folder(path).facts == {"old": True}
    assert [f.name for f in tmp_path.iterdir()] == ["model"]
    written(path, facts={"old": False})
    assert read_folder(path).facts == {"old": False}


# Names


def hub_entry(home: Path, name: str, source: Path) -> None:
    """What the Hugging Face library leaves in its cache."""
    entry = home / "hub" / ("models--" + name.replace("/", "--"))
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text("c0ffee")
    shutil.copytree(source, entry / "snapshots" / "c0ffee")


def test_names_are_found_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(names, "SHIPPED", tmp_path / "weights")
    painter = tmp_path / "weights" / "storybook"
    for part in ("dvae", "dalle", "clip"):
        written(painter / part, part)
    written(tmp_path / "own")
    hub_entry(tmp_path / "hf", "someone/painter", painter)
    hub_entry(tmp_path / "hf", "someone/small", tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    assert shipped() == ["storybook"]
    assert find_model("storybook") == painter
    assert find_model("storybook/clip") == painter / "clip"
    assert find_model("own") == Path("own")
    assert find_model(tmp_path / "own") == tmp_path / "own"
    assert read_folder("storybook/dalle").kind == "dalle"
    assert read_folder("someone/small").kind == "dvae"
    assert read_folder("someone/painter/clip").kind == "clip"
    assert find_parts("storybook") == {part: painter / part for part in ("dvae", "dalle", "clip")}
    with pytest.raises(ModelError, match=r"painter's folder.*name a part"):
        read_folder("storybook")
    shutil.rmtree(painter / "clip")
    with pytest.raises(ModelError, match="clip/ is missing"):
        find_parts("storybook")
    for unknown in ("nothing", "someone/else", "storybook/clip", "a/b/c/d", "../x y", ""):
        with pytest.raises(ModelError, match=r"known: storybook, someone/painter, someone/small") as caught:
            find_model(unknown)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="limner models pull someone/else"):
        find_model("someone/else")
    with pytest.raises(ModelError, match="got a file"):
        find_model(tmp_path / "own" / "config.json")


def test_without_any_model_the_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SHIPPED", tmp_path / "none")
    with pytest.raises(ModelError, match="known: none"):
        find_model("storybook")
