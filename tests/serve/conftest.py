"""A real server on loopback, in a thread of the test's process."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from PIL import Image

from limner.looker import Looker, load_looker
from limner.painter import Painter, load_painter
from limner.serve.desk import Desk
from limner.serve.server import Server
from limner.serve.settings import ServeSettings


class Running:
    """A server that runs: its ``url``, ``desk`` and ``server``."""

    def __init__(self, painter: Painter | None, looker: Looker | None, settings: ServeSettings) -> None:
        self.desk, ready = Desk(painter, looker, settings), threading.Event()
        self.url = ""

        def told(host: str, port: int) -> None:
            self.url = f"http://{host}:{port}"
            ready.set()

        self.server = Server(self.desk, told)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def painter(tiny_painter: Path) -> Painter:
    return load_painter(tiny_painter)


@pytest.fixture(scope="session")
def looker(tiny_painter: Path) -> Looker:
    return load_looker(tiny_painter)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve pictures of one colour each, beside a secret that is not in it."""
    folder = tmp_path_factory.mktemp("search") / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number in range(12):
        colour = (number * 20, 255 - number * 20, number * 7)
        place = folder / ("sub" if number % 2 else ".") / f"picture {number}.png"
        Image.new("RGB", (24, 24), colour).save(place)
    Image.new("RGB", (24, 24), "red").save(folder.parent / "secret.png")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    return folder


@pytest.fixture(scope="session")
def launch(painter: Painter, looker: Looker) -> Iterator[Callable[..., Running]]:
    """Start a server of the tiny painter with other settings; all are stopped at the end."""
    started: list[Running] = []

    def run(painter: Any = painter, looker: Any = looker, **settings: Any) -> Running:
        started.append(Running(painter, looker, ServeSettings(port=0, **settings)))
        return started[-1]

    yield run
    for one in started:
        if one.thread.is_alive():
            one.stop()


@pytest.fixture(scope="session")
def running(launch: Callable[..., Running], pictures: Path) -> Running:
    return launch(folder=pictures)


@pytest.fixture
def png() -> bytes:
    """A picture of the tiny painter's size."""
    return packed(Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)))


def packed(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()
