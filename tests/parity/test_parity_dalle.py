"""Public DALL·E-family checkpoints: OpenAI's dVAE answers as its owner's code does; hostile files run nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from parity_fixtures import fixture_folder, load_index
from safetensors.torch import load_file

from limner.errors import LimnerError
from limner.formats.import_model import import_model
from limner.formats.openai_dvae import CLASSES
from limner.formats.torch_files import attribute_tensors, read_torch
from limner.models.dvae.model import DVAE, map_pixels, unmap_pixels
from limner.models.modelfolder import read_folder

FOLDER = fixture_folder("dalle")
INDEX: dict[str, Any] = load_index(FOLDER) if FOLDER else {}
FIXTURES = INDEX.get("fixtures", [])
DVAES = [entry for entry in FIXTURES if entry["family"] == "openai_dvae"]
HOSTILE = [entry["file"] for entry in INDEX.get("hostile", [])]

pytestmark = pytest.mark.skipif(FOLDER is None, reason="no DALL·E parity fixtures beside the checkout (LIMNER_PARITY)")


@pytest.mark.parametrize("entry", DVAES, ids=lambda entry: entry["name"])
def test_openais_dvae(entry: dict[str, Any], tmp_path: Path) -> None:
    assert FOLDER is not None
    folder = FOLDER / entry["name"]
    report = import_model(folder, tmp_path / "dvae")
    assert report["kind"] == "dvae"
    model = read_folder(tmp_path / "dvae").model
    assert isinstance(model, DVAE)
    expected = load_file(folder / "expected.safetensors")
    close = {"atol": entry["tolerance"]["atol"], "rtol": entry["tolerance"]["rtol"]}
    assert torch.allclose(unmap_pixels(expected["in.raw"]), expected["out.unmapped"], **close)
    numbers = sorted(key.removeprefix("in.picture_") for key in expected if key.startswith("in.picture_"))
    assert numbers
    with torch.inference_mode():
        for i in numbers:
            picture, codes = expected[f"in.picture_{i}"], expected[f"out.tokens_{i}"]
            mapped = map_pixels(picture)
            assert torch.allclose(mapped, expected[f"out.mapped_{i}"], **close)
            assert torch.allclose(model.encoder(mapped), expected[f"out.encoder_logits_{i}"], **close)
            assert torch.equal(model.encode(picture), codes)
            vectors = model.bottleneck.vectors(codes)
            assert torch.allclose(model.decoder(vectors), expected[f"out.decoder_stats_{i}"], **close)
            assert torch.allclose(model.decode(codes), expected[f"out.picture_{i}"], **close)
        vectors = model.bottleneck.vectors(expected["in.codes"])
        assert torch.allclose(model.decoder(vectors), expected["out.codes_stats"], **close)


@pytest.mark.parametrize("entry", DVAES, ids=lambda entry: entry["name"])
def test_both_containers_hold_the_same_dvae(entry: dict[str, Any], tmp_path: Path) -> None:
    assert FOLDER is not None
    halves = []
    for name in ("decoder.pkl", "legacy_decoder.pkl"):
        file = read_torch(FOLDER / entry["name"] / name, classes=CLASSES)
        halves.append({key: file.tensor(ref) for key, ref in attribute_tensors(file.root, name).items()})
    assert halves[0].keys() == halves[1].keys()
    assert all(torch.equal(halves[0][key], halves[1][key]) for key in halves[0])
    for name in ("encoder.pkl", "legacy_decoder.pkl"):
        shutil.copyfile(FOLDER / entry["name"] / name, tmp_path / name.removeprefix("legacy_"))
    assert import_model(tmp_path / "encoder.pkl", tmp_path / "out")["difference"] == 0


PICKLES = [
    f"{entry['name']}/{name}"
    for entry in FIXTURES
    for name in entry["files"]
    if name.rsplit(".", 1)[-1] in ("pt", "pkl", "bin", "ckpt")
]


@pytest.mark.parametrize("name", PICKLES)
def test_the_reader_reads_every_familys_files_as_torch_does(name: str) -> None:
    assert FOLDER is not None
    if name.startswith("openai_dvae"):
        pytest.skip("whole modules: compared above")
    got, expected = read_torch(FOLDER / name), torch.load(FOLDER / name, weights_only=True, map_location="cpu")
    compared = _compare(got, got.root, expected)
    assert compared > 3


def _compare(file: Any, got: Any, expected: Any) -> int:
    if isinstance(expected, torch.Tensor):
        tensor = file.tensor(got)
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected)
        return 1
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        return sum(_compare(file, got[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        return sum(_compare(file, a, b) for a, b in zip(got, expected, strict=True))
    assert got == expected
    return 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FOLDER is not None
    monkeypatch.chdir(tmp_path)
    source = tmp_path / Path(name).name
    if "dvae" in name:
        (tmp_path / "source").mkdir()
        source = tmp_path / "source" / ("decoder.pkl" if "truncated" in name else "encoder.pkl")
        for half in ("encoder.pkl", "decoder.pkl"):
            shutil.copyfile(FOLDER / "openai_dvae" / half, tmp_path / "source" / half)
    shutil.copyfile(FOLDER / name, source)
    with pytest.raises(LimnerError) as told:
        import_model(source, tmp_path / "out")
    assert source.name in str(told.value)
    assert not (tmp_path / "PWNED").exists()
    assert not (tmp_path / "out").exists()
