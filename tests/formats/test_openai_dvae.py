"""OpenAI's dVAE from whole pickled modules, in both containers, without its package."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch_samples import MARKER, TOUCH, Runs

from limner.errors import LimnerError, ModelError
from limner.formats.detect import read_source
from limner.formats.import_model import import_model
from limner.models.dvae.config import DVAEConfig
from limner.models.dvae.model import DVAE
from limner.models.modelfolder import read_folder


class Conv2d(nn.Module):
    """As OpenAI's: parameters are called w and b."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        # A permuted view of another order in memory, as in the published files.
        self.w = nn.Parameter(weight.permute(1, 0, 2, 3).contiguous().permute(1, 0, 2, 3))
        self.b = nn.Parameter(bias.clone())
        self.device = torch.device("cpu")


class Encoder(nn.Module):
    """Any module that holds others by name."""

    def __init__(self, children: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


pytestmark = pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name, classes in (("dall_e", []), ("dall_e.utils", [Conv2d]), ("dall_e.encoder", [Encoder])):
        module = types.ModuleType(name)
        for cls in classes:
            monkeypatch.setattr(cls, "__module__", name)
            setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, name, module)
    yield
    assert not (tmp_path / MARKER).exists()


def theirs(model: DVAE, part: str) -> Encoder:
    """One half of a dVAE of limner's as OpenAI's modules."""

    def conv(at: nn.Module) -> Conv2d:
        return Conv2d(at.weight.detach(), at.bias.detach())

    half: Any = getattr(model, part)
    blocks: OrderedDict[str, nn.Module] = OrderedDict(input=conv(half.input))
    for g, group in enumerate(half.groups):
        inside: OrderedDict[str, nn.Module] = OrderedDict()
        for b, block in enumerate(group):
            path = OrderedDict((f"conv_{c + 1}", conv(x)) for c, x in enumerate(block.residual))
            own: dict[str, nn.Module] = {"res_path": nn.Sequential(path)}
            own["id_path"] = conv(block.identity) if isinstance(block.identity, nn.Conv2d) else nn.Identity()
            inside[f"block_{b + 1}"] = Encoder(own)
        inside["pool"] = nn.MaxPool2d(2)
        blocks[f"group_{g + 1}"] = nn.Sequential(inside)
    blocks["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=conv(half.output)))
    return Encoder({"blocks": nn.Sequential(blocks)})


def written(folder: Path, *, zipped: bool = True, **sizes: Any) -> DVAE:
    folder.mkdir()
    torch.manual_seed(0)
    model = DVAE(DVAEConfig(**{"resolution": 256, "vocabulary": 32, "hidden": 8, "decoder_input": 6} | sizes)).eval()
    for part in ("encoder", "decoder"):
        path = folder / f"{part}.pkl"
        torch.save(theirs(model, part), path, _use_new_zipfile_serialization=zipped)
    return model


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"blocks": 1, "decoder_blocks": 3}, {"decoder_input": 64, "kernel": 5}])
def test_codes_and_pictures_are_the_same(sizes: dict[str, Any], zipped: bool, tmp_path: Path) -> None:
    model = written(tmp_path / "dall-e", zipped=zipped, **sizes)
    report = import_model(tmp_path / "dall-e", tmp_path / "out")
    assert (report["kind"], report["format"], report["difference"]) == ("dvae", "OpenAI dVAE pickles", 0)
    loaded = read_folder(tmp_path / "out")
    assert loaded.config == model.config
    assert set(loaded.facts["source"]["files"]) == {"encoder.pkl", "decoder.pkl"}
    pixels = torch.rand(2, 3, 24, 40)
    codes = model.encode(pixels)
    assert torch.equal(loaded.model.encode(pixels), codes)
    assert torch.equal(loaded.model.decode(codes), model.decode(codes))


def test_one_half_is_found_beside_the_other(tmp_path: Path) -> None:
    written(tmp_path / "dall-e")
    assert read_source(tmp_path / "dall-e" / "decoder.pkl").kind == "dvae"
    (tmp_path / "dall-e" / "encoder.pkl").unlink()
    with pytest.raises(LimnerError):
        read_source(tmp_path / "dall-e" / "decoder.pkl")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_module_is_named_and_does_not_run(zipped: bool, tmp_path: Path) -> None:
    model = written(tmp_path / "dall-e")
    armed = theirs(model, "encoder")
    armed.blocks.input.note = Runs(exec, TOUCH)  # type: ignore[union-attr]
    torch.save(armed, tmp_path / "dall-e" / "encoder.pkl", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"encoder\.pkl.*exec"):
        import_model(tmp_path / "dall-e", tmp_path / "out")


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    model = written(tmp_path / "dall-e")
    half = theirs(model, "decoder")
    for what, change in (
        ("finite", lambda: half.blocks.output.conv.w.data.fill_(float("nan"))),  # type: ignore[union-attr]
        ("got none", lambda: delattr(half.blocks.group_2.block_1, "res_path")),  # type: ignore[union-attr]
        ("convolution", lambda: delattr(half.blocks, "input")),  # type: ignore[arg-type]
    ):
        change()
        torch.save(half, tmp_path / "dall-e" / "decoder.pkl")
        with pytest.raises(ModelError, match=what):
            read_source(tmp_path / "dall-e")
    torch.save({"a": torch.ones(1)}, tmp_path / "dall-e" / "decoder.pkl")
    with pytest.raises(ModelError, match="whole module"):
        read_source(tmp_path / "dall-e")
