"""A headless Chromium (Debian's) before a real server; left out where either is missing."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="the page's tests are left out: no selenium")
pytest.importorskip("starlette")

from tests.serve.conftest import Running, looker, painter  # noqa: E402

from limner.serve.settings import ServeSettings  # noqa: E402

__all__ = ["looker", "painter"]

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --lang=en-US --force-color-profile=srgb"
)


def browser_here() -> bool:
    return all(map(shutil.which, ("chromium", "chromedriver")))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures to search, and two training runs."""
    base = tmp_path_factory.mktemp("page")
    (base / "pictures").mkdir()
    for number in range(6):
        Image.new("RGB", (40, 40), (40 * number, 90, 200 - 30 * number)).save(base / "pictures" / f"p{number}.png")
    for name, slope in (("first", 2.0), ("second", 3.0)):
        run = base / "runs" / name
        (run / "samples").mkdir(parents=True)
        (run / "recipe.toml").write_text('kind = "dalle"\n[training]\nsteps = 400\n')
        lines = [f'{{"step": {step}, "loss": {slope / (1 + step / 50)}, "rate": 9}}' for step in range(0, 200, 20)]
        (run / "journal.jsonl").write_text("\n".join(lines))
        Image.new("RGB", (60, 30), "teal").save(run / "samples" / "00000200.png")
    return base / "pictures", base / "runs"


@pytest.fixture(scope="session")
def site(painter: Any, looker: Any, folders: tuple[Path, Path]) -> Iterator[Running]:
    running = Running(painter, looker, ServeSettings(port=0, folder=folders[0], runs=folders[1]))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def open_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Chromium with a folder of its own; ``dark`` and the window's size may be given."""
    if not browser_here():
        pytest.skip("the page's tests are left out: no chromium and chromedriver")
    started = []

    def start(dark: bool = False, width: int = 1280, height: int = 1000) -> Any:
        options = webdriver.ChromeOptions()
        folder = tmp_path_factory.mktemp("chromium")
        for flag in FLAGS.split():
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={folder}")
        options.add_argument(f"--window-size={width},{height}")
        if dark:
            options.add_argument("--force-dark-mode")
        options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        driver.set_page_load_timeout(60)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        started.append(driver)
        return driver

    yield start
    for driver in started:
        driver.quit()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-core-python is not installed")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def a_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of noise."""
    path = tmp_path_factory.mktemp("files") / "noise.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    return path
