"""Models are fetched from a hub (here: a small one on this machine), listed, used by name, and removed again."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as fetching a model takes; ``files`` and ``asked`` belong to the server."""

    server: Any

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        if re.fullmatch(r"/api/models/someone/small/tree/\w+", path):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.server.files.items()
            ]
            return self._send(json.dumps(tree).encode(), "application/json")
        if re.fullmatch(r"/api/models/someone/small(/revision/\w+)?", path):
            siblings = [{"rfilename": name} for name in self.server.files]
            about = {"id": "someone/small", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
            return self._send(json.dumps(about).encode(), "application/json")
        found = re.fullmatch(r"/someone/small/resolve/\w+/(.+)", path)
        if found and found[1] in self.server.files:
            return self._send(self.server.files[found[1]], "application/octet-stream")
        self._send(b'{"error": "Repository not found"}', "application/json", 404)

    do_HEAD = do_GET

    def _send(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "X-Repo-Commit": COMMIT}
        headers["ETag"] = f'"{hashlib.sha1(data).hexdigest()}"'
        headers |= {"X-Error-Code": "RepoNotFound"} if status == 404 else {}
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        return


@pytest.fixture
def hub(tiny_painter: Path) -> Iterator[Any]:
    """A hub with one model, ``someone/small``, which has a pickle beside its safetensors."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files = {file.name: file.read_bytes() for file in (tiny_painter / "clip").iterdir()}
    server.files["pytorch_model.bin"] = b"a pickle that nobody asked for"
    server.asked = []
    server.surroundings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def test_pull_list_use_remove(hub: Any, limner: Callable[..., Any], refused: Callable[..., str]) -> None:
    pulled = limner("models", "pull", "someone/small", "--json", env=hub.surroundings)
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stderr == ""
    about = json.loads(pulled.stdout)
    assert (about["name"], about["kind"]) == ("someone/small", "clip")
    assert not any("pytorch_model.bin" in path for path in hub.asked)
    hub.asked.clear()

    listed = json.loads(limner("models", "list", "--json").stdout)["models"]
    assert [(m["name"], m["kind"]) for m in listed if m["source"] == "hub cache"] == [("someone/small", "clip")]
    assert json.loads(limner("models", "show", "someone/small", "--json").stdout)["parameters"] == about["parameters"]
    assert hub.asked == []

    gone = json.loads(limner("models", "rm", "someone/small", "--json").stdout)
    assert gone["freed"] > 10_000
    assert "limner models pull someone/small" in refused("models", "show", "someone/small")


def test_an_unknown_model_cannot_be_fetched(hub: Any, refused: Callable[..., str]) -> None:
    assert "no such model" in refused("models", "pull", "someone/else", env=hub.surroundings)


@pytest.mark.slow  # the library tries six times before it gives up
def test_a_silent_hub_is_one_line(hub: Any, refused: Callable[..., str]) -> None:
    silent = hub.surroundings | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "cannot be reached" in refused("models", "pull", "someone/small", env=silent)
