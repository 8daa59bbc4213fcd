"""OpenAI's state dicts and archives: everything from shapes; the activation never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from clip_samples import CONFIGS, features, random_clip

from limner.errors import InputError, ModelError
from limner.formats.detect import read_source
from limner.formats.import_model import build
from limner.formats.imported import Options
from limner.formats.openai_clip import is_openais_mixture
from limner.models.clip.model import CLIP

HALVES = (torch.nn.Conv2d, torch.nn.Linear)


def openais_state(model: CLIP) -> dict[str, torch.Tensor]:
    """The state as OpenAI's ``convert_weights`` leaves it, with the three numbers of the published files."""
    state = dict(model.state_dict())
    halves = {
        f"{name}.{part}" for name, m in model.named_modules() if isinstance(m, HALVES) for part in ("weight", "bias")
    }
    halves |= {key for key in state if "in_proj_" in key or key in ("text_projection", "visual.proj")}
    state = {key: tensor.half() if key in halves else tensor for key, tensor in state.items()}
    return state | {
        "input_resolution": torch.tensor(32),
        "context_length": torch.tensor(12),
        "vocab_size": torch.tensor(9),
    }


@pytest.mark.parametrize("name", ["openai", "resnet"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict(name: str, zipped: bool, tmp_path: Path) -> None:
    model = random_clip(CONFIGS[name])
    state = openais_state(model)
    assert is_openais_mixture(state)
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    imported = read_source(tmp_path / "x.pt")
    assert imported.facts["activation"] == "quick_gelu"
    assert imported.config.size == CONFIGS[name].size
    assert torch.allclose(features(build(imported), CONFIGS[name]), features(model, CONFIGS[name]), atol=0.02)
    assert imported.notes  # 518 ids: not OpenAI's vocabulary


def test_the_activation_is_demanded_where_nothing_tells(tmp_path: Path) -> None:
    model = random_clip(CONFIGS["openai"])
    torch.save(model.state_dict(), tmp_path / "x.pt")
    with pytest.raises(ModelError, match="--activation quick_gelu"):
        read_source(tmp_path / "x.pt")
    imported = read_source(tmp_path / "x.pt", Options(activation="gelu"))
    assert imported.config.vision.activation == imported.config.text.activation == "gelu"
    assert imported.facts["activation_known_by"] == "told"
    with pytest.raises(InputError, match="quick_gelu, gelu"):
        read_source(tmp_path / "x.pt", Options(activation="tanh"))


def test_a_training_checkpoint_without_configuration_does_not_tell_either(tmp_path: Path) -> None:
    model = random_clip(CONFIGS["openai"])
    state = {f"module.{key}": tensor for key, tensor in model.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "epoch_1.pt")
    with pytest.raises(ModelError, match="--activation"):
        read_source(tmp_path / "epoch_1.pt")
    imported = read_source(tmp_path / "epoch_1.pt", Options(activation="quick_gelu"))
    assert torch.equal(features(build(imported), CONFIGS["openai"]), features(model, CONFIGS["openai"]))


class QuickGELU(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class Other(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(x)


@pytest.mark.parametrize("known", [True, False])
def test_an_archive_tells_by_its_modules(known: bool, tmp_path: Path) -> None:
    model = random_clip(CONFIGS["openai"])

    class Archive(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, child in model.named_children():
                self.add_module(name, child)
            for name in ("positional_embedding", "text_projection", "logit_scale"):
                self.register_parameter(name, getattr(model, name))
            self.act = QuickGELU() if known else Other()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(model.encode_image(x))

    torch.jit.trace(Archive().eval(), torch.zeros(1, 3, 32, 32)).save(tmp_path / "x.pt")
    if not known:
        with pytest.raises(ModelError, match="--activation"):
            read_source(tmp_path / "x.pt")
        return
    imported = read_source(tmp_path / "x.pt")
    assert imported.facts["source"]["format"] == "OpenAI TorchScript archive"
    assert torch.equal(features(build(imported), CONFIGS["openai"]), features(model, CONFIGS["openai"]))


@pytest.mark.parametrize(
    ("key", "shape", "what"),
    [
        ("visual.positional_embedding", (12, 64), "square"),
        ("visual.conv1.weight", (60, 3, 8, 8), "multiples of 64"),
        ("text_projection", (64,), "2 sizes"),
        ("ln_final.weight", (63,), "shape"),
        ("visual.conv1.weight", (64, 3, 8, 7), "square|shape"),
        ("token_embedding.weight", (0, 64), "2 sizes above 0"),
    ],
)
def test_shapes_that_are_none_of_clips(key: str, shape: tuple[int, ...], what: str, tmp_path: Path) -> None:
    state = dict(random_clip(CONFIGS["openai"]).state_dict()) | {key: torch.zeros(shape)}
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=what):
        read_source(tmp_path / "x.pt", Options(activation="gelu"))


def test_a_layer_that_is_left_out(tmp_path: Path) -> None:
    state = {
        k: v for k, v in random_clip(CONFIGS["openai"]).state_dict().items() if "transformer.resblocks.0." not in k
    }
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"resblocks\.0"):
        read_source(tmp_path / "x.pt", Options(activation="gelu"))


def test_weights_of_something_else(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"OpenAI's names, got others \('weight'"):
        read_source(tmp_path / "x.pt")
