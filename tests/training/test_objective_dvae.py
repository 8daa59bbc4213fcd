"""What a dVAE's recipe may ask for: another kind of encoder than that of the model it starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from limner.errors import TrainingError
from limner.training.recipe import load_recipe
from limner.training.run import train

FEW = {"batch": "4", "sample_every": "0", "workers": "0", "threads": "1", "checkpoint_every": "2", "steps": "2"}


def dvae(**changes: str):
    return load_recipe("dvae_debug", {**FEW, **changes})


def test_an_encoder_of_another_kind_starts_anew_and_the_decoder_goes_on(tmp_path: Path) -> None:
    first = train(dvae(), tmp_path / "first", device="cpu", quiet=True)
    cells = {"model.encoder": '"cells"', "model.encoder_width": "16", "model.encoder_blocks": "1"}
    second = train(dvae(**cells, **{"data.init": str(first)}), tmp_path / "second", device="cpu", quiet=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert {name for name in before if name.startswith("decoder.")} == {n for n in after if n.startswith("decoder.")}
    # Two updates move the decoder little; one drawn anew would lie as far from it as it is large.
    name = "decoder.input.weight"
    assert torch.linalg.norm(after[name] - before[name]) < 0.1 * torch.linalg.norm(before[name])
    wider = dvae(**cells, **{"model.decoder_input": "16", "data.init": str(first)})
    with pytest.raises(TrainingError, match="its sizes differ"):
        train(wider, tmp_path / "third", device="cpu", quiet=True)
