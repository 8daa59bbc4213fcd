"""What every test shares: a quiet machine, no network, a private user folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


OTHER_ENGINES = ("tests/engines/", "tests/test_looker.py", "tests/formats/test_onnx.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # OpenVINO's thread pools outlive their tests, and training that forks in such a process crashes: they go last.
    items.sort(key=lambda item: item.nodeid.startswith(OTHER_ENGINES))


@pytest.fixture(autouse=True)
def _private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "limner-home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real pictures and other people's checkpoints, where the checkout has them beside it."""
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ with data and parity fixtures is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny_painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painter's folder of untrained models that draw 16 × 16 pictures at once."""
    import torch

    from limner.models.clip.config import CLIPConfig, TextConfig, ViTConfig
    from limner.models.dalle.config import DALLEConfig
    from limner.models.dvae.config import DVAEConfig
    from limner.models.modelfolder import classes, write_folder
    from limner.text.bytepairs import BytePairs

    tokenizer = BytePairs.train(["a red cube", "a blue ball left of a cat", "一只红色的猫"] * 9, 270)
    ids = tokenizer.vocabulary
    dvae = DVAEConfig(resolution=16, vocabulary=16, hidden=8, blocks=1, decoder_input=8)
    dalle = DALLEConfig(
        text_vocabulary=ids,
        text_length=96,
        image_vocabulary=16,
        rows=dvae.rows,
        columns=dvae.columns,
        width=16,
        layers=2,
        heads=2,
    )
    text = TextConfig(vocabulary=ids + 2, context=98, width=32, layers=1, heads=2)
    clip = CLIPConfig(embedding=16, resolution=16, vision=ViTConfig(1, 32, 8, heads=2), text=text)
    folder = tmp_path_factory.mktemp("painter")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for kind, config in {"dvae": dvae, "dalle": dalle, "clip": clip}.items():
            state = classes(kind)[1](config).state_dict()
            words = None if kind == "dvae" else tokenizer
            write_folder(folder / kind, kind=kind, config=config, state=state, tokenizer=words)
    return folder
