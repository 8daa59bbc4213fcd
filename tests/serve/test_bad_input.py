"""What may come wrong: a clear JSON error each, nothing hangs, and the log tells no caption."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import logging
import socket
import struct
import time
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import packed

from limner.serve.settings import Limits

DRAW = "/v1/images/generations"


@pytest.fixture(scope="module")
def strict(launch, pictures):
    limits = Limits(body=300_000, picture=100_000, json=20_000, waiting=3, body_seconds=1.0, header_seconds=1.0)
    return launch(folder=pictures, limits=limits, key="a key", hosts=("pictures.example",))


@pytest.fixture
def http(strict):
    with httpx.Client(base_url=strict.url, timeout=30, headers={"authorization": "Bearer a key"}) as http:
        yield http


def refused(answer: httpx.Response, status: int, param: str | None = None, code: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert param is None or error["param"] == param, error
    assert code is None or error["code"] == code, error
    assert "\n" not in error["message"] and 8 < len(error["message"]) < 500
    return error["message"]


@pytest.mark.parametrize(
    ("table", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "a\x1b[2J"}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"prompt": "word " * 300}, None),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "n": 65}, "n"),
        ({"prompt": "a", "n": "2"}, "n"),
        ({"prompt": "a", "n": True}, "n"),
        ({"prompt": "a", "n": 1.5}, "n"),
        ({"prompt": "a", "n": 10**400}, "n"),
        ({"prompt": "a", "candidates": 513}, "candidates"),
        ({"prompt": "a", "n": 4, "candidates": 3}, "candidates"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": "a", "seed": 2**64}, "seed"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "top_p": 0}, "top_p"),
        ({"prompt": "a", "top_k": 0}, "top_k"),
        ({"prompt": "a", "guidance": 1e9}, "guidance"),
        ({"prompt": "a", "size": "1x1"}, "size"),
        ({"prompt": "a", "size": 256}, "size"),
        ({"prompt": "a", "response_format": "gif"}, "response_format"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
        ({"prompt": "a", "partial_images": 17}, "partial_images"),
        ({"prompt": "a", "temprature": 1}, "temprature"),
    ],
    ids=str,
)
def test_fields_of_a_drawing(http, table, param):
    message = refused(http.post(DRAW, content=json.dumps(table)), 400, param)
    assert "expected" in message or "unknown" in message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"prompt": NaN}', b"\xff\xfe", b"[" * 10_000])
def test_bodies_that_are_no_json_object(http, body):
    refused(http.post(DRAW, content=body), 400, code="invalid_json")


def test_models_and_paths_that_are_not_there(http):
    refused(http.post(DRAW, json={"prompt": "a", "model": "../../etc"}), 404, "model", "model_not_found")
    refused(http.post("/v1/embeddings", json={"input": "a", "model": "gpt-9"}), 404, "model")
    refused(http.get("/nothing"), 404)
    refused(http.get("/page/../app.py"), 404)
    refused(http.get("/page/%2e%2e/app.py"), 404)
    refused(http.get(DRAW), 405)
    refused(http.post("/v1/images/edits", content=b"x", headers={"content-type": "text/plain"}), 415)


def test_bodies_over_the_limit(http):
    refused(http.post(DRAW, json={"prompt": "x" * 1_000_000}), 413, code="body_too_large")
    refused(http.post(DRAW, content=iter([b"x" * 100_000] * 9)), 413, code="body_too_large")
    refused(http.post("/v1/classify", files={"image": b"x" * 150_000}, data={"labels": "a,b"}), 413)


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "picture",
    [b"", b"not a picture", bomb(), packed(noise())[:300], packed(noise(), "JPEG")[:200], b"%!PS-Adobe-3.0 EPSF-3.0"],
    ids=["empty", "text", "bomb", "truncated PNG", "truncated JPEG", "EPS"],
)
def test_pictures_that_are_none(http, picture):
    for path, data in (
        ("/v1/images/edits", {"prompt": "a", "region": "0,0,8,8"}),
        ("/v1/images/variations", {}),
        ("/v1/classify", {"labels": "a,b"}),
        ("/v1/embeddings", {}),
        ("/v1/search", {}),
    ):
        refused(http.post(path, data=data, files={"image": ("x.png", picture)}), 400)
    files = {"image": packed(noise().resize((16, 16))), "mask": picture}
    refused(http.post("/v1/images/edits", data={"prompt": "a"}, files=files), 400)


def test_masks_and_regions(http, png):
    def ask(data: dict[str, str], **files: bytes) -> httpx.Response:
        return http.post("/v1/images/edits", data={"prompt": "a"} | data, files={"image": png} | files)

    refused(ask({}), 400, "mask")
    refused(ask({}, mask=packed(Image.new("L", (8, 16), 255))), 400, "mask", "invalid_mask")
    refused(ask({}, mask=packed(Image.new("L", (16, 16), 0))), 400, "mask")
    for region in ("0,0,8", "a,b,c,d", "8,8,8,8", "0,0,99,99", "-8,0,8,8", "0,0,1e3,8"):
        refused(ask({"region": region}), 400, "region")
    refused(ask({"region": "0,0,8,8", "particles": "65"}), 400, "particles")
    refused(ask({"region": "0,0,8,8", "n": "x"}), 400, "n")
    two = [("image[]", png), ("image[]", png)]
    refused(http.post("/v1/images/edits", data={"prompt": "a"}, files=two), 400, "image")
    address = {"prompt": "a", "image": "https://example.org/x.png"}
    refused(http.post("/v1/images/edits", data=address, files={"mask": png}), 400, "image")


def test_looks(http, png):
    picture = base64.b64encode(png).decode()
    for table, param in (
        ({"labels": ["a"]}, "image"),
        ({"image": picture}, "labels"),
        ({"image": "%%%", "labels": ["a", "b"]}, "image"),
        ({"image": "file:///etc/passwd", "labels": ["a", "b"]}, "image"),
        ({"image": picture, "labels": ["a", "a"]}, None),
        ({"image": picture, "labels": ["a", ""]}, "labels"),
        ({"image": picture, "labels": "a,,b"}, "labels"),
        ({"image": picture, "labels": [1]}, "labels"),
        ({"image": picture, "labels": ["a", "b"], "template": "unheard"}, None),
        ({"image": [picture] * 65, "labels": ["a", "b"]}, "image"),
        ({"image": picture, "labels": ["l"] * 1001}, "labels"),
    ):
        answer = http.post("/v1/classify", json=table)
        assert answer.status_code in (400, 413), answer.text
        if answer.status_code == 400:
            refused(answer, 400, param)
    refused(http.post("/v1/embeddings", json={"input": [[1, 2]]}), 400, "input")
    refused(http.post("/v1/embeddings", json={"input": "a", "dimensions": 7}), 400, "dimensions")
    refused(http.post("/v1/search", json={}), 400, "text")
    refused(http.post("/v1/search", json={"text": "a", "num_images": 10**6}), 400, "num_images")


def test_keys_hosts_and_origins(strict, http):
    for key in ("", "Bearer", "Bearer wrong", "Basic a key", "bearer a key"):
        answer = httpx.get(f"{strict.url}/v1/models", headers={"authorization": key} if key else {})
        assert answer.status_code == (200 if key.startswith("bearer") else 401)
    assert httpx.get(f"{strict.url}/healthz").status_code == 200
    assert httpx.get(f"{strict.url}/metrics").status_code == 401
    for host in ("evil.example", "localhost.evil.example", "", "pictures.example.evil.example", "[::"):
        answer = http.get("/v1/models", headers={"host": host})
        if host:
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "foreign_host"
        else:
            assert answer.status_code in (400, 403)
    for host in ("localhost:1", "127.0.0.1", "[::1]:80", "pictures.example", "PICTURES.example:8000"):
        assert http.get("/v1/models", headers={"host": host}).status_code == 200
    for origin in ("https://evil.example", "null", f"{strict.url}1"):
        refused(http.post(DRAW, json={"prompt": "a"}, headers={"origin": origin}), 403, code="foreign_origin")
    assert http.post(DRAW, json={"prompt": "a", "candidates": 1}, headers={"origin": strict.url}).status_code == 200
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    refused(http.get("/v1/search/pictures/x", headers=headers), 403)


def test_a_full_queue(strict, http):
    """Three requests are open already; the fourth is told to come back."""
    wish = {"prompt": "a red cube", "candidates": 120, "n": 1}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [one.result() for one in [pool.submit(http.post, DRAW, json=wish) for _ in range(8)]]
    codes = sorted(answer.status_code for answer in answers)
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 3
    full = next(answer for answer in answers if answer.status_code == 429)
    refused(full, 429, code="queue_full")
    assert int(full.headers["retry-after"]) > 0


def test_clients_that_send_a_byte_a_second(strict):
    host, port = strict.url.removeprefix("http://").split(":")
    head = b"POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer a key\r\n"
    for start in (b"P", b"", head + b"content-length: 100\r\n\r\n{", head + b"x: "):
        begun, got, reset = time.monotonic(), b"", False
        with socket.create_connection((host, int(port)), timeout=15) as slow:
            slow.sendall(start)
            slow.settimeout(0.25)
            while time.monotonic() - begun < 12:
                try:
                    part = slow.recv(4096)
                    got += part
                    if not part or b'"error"' in got:
                        break
                except TimeoutError:
                    try:
                        slow.sendall(b" ")
                    except OSError:
                        break
                except ConnectionResetError:
                    # A byte that crosses the server's close resets the connection, with the answer on its way
                    # (RFC 9112, section 9.6).
                    reset = True
                    break
        assert time.monotonic() - begun < 10
        if b"length" in start:
            assert b"408" in got[:20] or (reset and not got)
        else:
            assert not got or b"400" in got[:20]


def test_garbage_instead_of_http(strict):
    host, port = strict.url.removeprefix("http://").split(":")
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30, b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000):
        with socket.create_connection((host, int(port)), timeout=15) as raw:
            raw.settimeout(10)
            try:
                raw.sendall(garbage)
                while raw.recv(4096):
                    pass
            except ConnectionError:
                pass
    assert httpx.get(f"{strict.url}/healthz").status_code == 200


def test_the_log_holds_no_caption(http, caplog):
    with caplog.at_level(logging.DEBUG):
        http.post(DRAW, json={"prompt": "a secret cube", "candidates": 1})
        http.post(DRAW, json={"prompt": "a secret ball " * 40})
        http.get("/v1/search/pictures/secret.jpg?caption=secret")
        time.sleep(0.1)
    told = [record.getMessage() for record in caplog.records if record.name.startswith(("limner", "uvicorn"))]
    assert any(DRAW in line for line in told)
    assert "secret" not in "".join(told)


def test_the_log_holds_captions_where_they_are_asked_for(launch, pictures, caplog, png):
    talkative = launch(folder=pictures, log_captions=True)
    with caplog.at_level(logging.INFO), httpx.Client(base_url=talkative.url, timeout=30) as http:
        http.post(DRAW, json={"prompt": "a told cube\nand a line", "candidates": 1})
        data = {"prompt": "a told edit", "region": "0,0,8,8"}
        http.post("/v1/images/edits", data=data, files={"image": png})
        http.post("/v1/images/variations", data={"prompt": "a told variation"}, files={"image": png})
        http.post("/v1/search", json={"text": "a told search"})
        time.sleep(0.1)
    told = [record.getMessage() for record in caplog.records if record.name == "limner.serve"]
    for caption in (r"'a told cube\nand a line'", "'a told edit'", "'a told variation'", "'a told search'"):
        (line,) = [line for line in told if caption in line]
        assert "\n" not in line  # a caption cannot forge a line of the log
        assert any(other.startswith(line.split()[0]) for other in told if other != line)  # the request's id


def test_an_error_of_our_own_says_nothing_of_this_machine(launch, monkeypatch):
    server = launch()

    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("/home/somebody/secret")

    monkeypatch.setattr(server.desk, "_painter", broken)
    answer = httpx.post(f"{server.url}{DRAW}", json={"prompt": "a"})
    assert "secret" not in answer.text
    refused(answer, 500, code="internal_error")
