"""``limner serve`` as a process: how it says where it is, and how it leaves when it is told to."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
DRAW = "/v1/images/generations"
Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def start(tiny_painter: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``limner serve`` with more options; gives the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def run(*more: object) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "limner", "serve", "--model", str(tiny_painter), "--port", "0", "--json"]
        log = (tmp_path / "log.txt").open("w", encoding="utf-8")
        process = subprocess.Popen(
            [*command, *map(str, more)], stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path
        )
        started.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["url"]

    yield run
    for process in started:
        process.kill()
        process.wait(10)


def until(url: str, name: str, least: int) -> None:
    """Wait for a measure."""
    end = time.monotonic() + 60
    with httpx.Client(timeout=10) as http:
        while time.monotonic() < end:
            lines = http.get(f"{url}/metrics").text.splitlines()
            if next(float(line.split()[1]) for line in lines if line.startswith(f"{name} ")) >= least:
                return
            time.sleep(0.005)
    pytest.fail(f"{name} did not come to {least}")


def ask(url: str, candidates: int) -> Any:
    return httpx.post(f"{url}{DRAW}", json={"prompt": "a red cube", "candidates": candidates}, timeout=60)


def test_sigterm_lets_finish_what_has_begun(start: Start, tmp_path: Path) -> None:
    process, url = start("--rows", 2, "--max-candidates", 400, "--grace", 30)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, httpx.Client(base_url=url, timeout=60) as kept:
        assert kept.get("/healthz").json()["status"] == "ok"
        begun = pool.submit(ask, url, 400)
        until(url, "limner_rows", 2)
        process.send_signal(signal.SIGTERM)
        try:
            refused = kept.post(DRAW, json={"prompt": "a red cube"})
        except httpx.TransportError:  # the connection was closed already
            pass
        else:
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "stopping"
            assert int(refused.headers["retry-after"]) > 0
        assert begun.result().status_code == 200
        assert len(begun.result().json()["data"]) == 1
    process.wait(30)
    assert process.returncode in (0, -signal.SIGTERM)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    assert "red cube" not in log


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_sigterm_ends_what_takes_too_long(start: Start, tmp_path: Path, stream: bool) -> None:
    process, url = start("--max-candidates", 10**6, "--grace", 1)
    wish = {"prompt": "a red cube", "candidates": 10**6, "stream": stream, "partial_images": 1}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        endless = pool.submit(httpx.post, f"{url}{DRAW}", json=wish, timeout=60)
        until(url, "limner_rows", 1)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        answer = endless.result()
        process.wait(30)
    assert time.monotonic() - asked < 15
    if stream:  # its beginning was sent with 200 already
        assert "event: error" in answer.text
        assert '"code": "stopping"' in answer.text
    else:
        assert answer.status_code == 503
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    process, url = start("--max-candidates", 10**6, "--grace", 60)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        endless = pool.submit(ask, url, 10**6)
        until(url, "limner_rows", 1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert endless.exception() is not None or endless.result().status_code >= 500


def test_where_it_cannot_listen_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = [
            (
                ["--port", str(taken.getsockname()[1])],
                "cannot listen there: address already in use; take another --port",
            ),
            (["--host", "256.1.1.1"], "--host: expected a name or address of this machine, got '256.1.1.1'"),
            (["--host", "192.0.2.1", "--port", "0"], "192.0.2.1 port 0: cannot listen there: cannot assign"),
        ]
        for arguments, told in cases:
            command = [sys.executable, "-m", "limner", "serve", *arguments]
            answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert answer.returncode == 1
            assert told in answer.stderr
            assert len(answer.stderr.splitlines()) == 1


def test_an_engine_that_is_none_is_one_line(tiny_painter: Path) -> None:
    command = [sys.executable, "-m", "limner", "serve", "--model", str(tiny_painter), "--port", "0", "--engine", "tpu"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr == "limner: engine: expected auto, torch, openvino or onnxruntime, got 'tpu'\n"
