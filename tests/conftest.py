"""What every test shares: a quiet machine, no network, a private user folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "limner-home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real pictures and other people's checkpoints, where the checkout has them beside it."""
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ with data and parity fixtures is not beside this checkout")
    return SHARED
