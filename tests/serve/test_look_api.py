"""Embeddings by OpenAI's client, classification, search; nothing but the folder's pictures can be had."""

from __future__ import annotations

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

openai = pytest.importorskip("openai")


@pytest.fixture
def client(running):
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def http(running):
    with httpx.Client(base_url=running.url, timeout=60) as http:
        yield http


def test_embeddings_are_the_lookers(client, looker, png, http):
    texts = ["a red cube", "一只红色的猫"]
    expected = looker.embed_texts(texts)
    for form in ({}, {"encoding_format": "float"}):  # the client asks for base64 by itself
        answer = client.embeddings.create(model="text-embedding-3-small", input=texts, **form)
        assert np.allclose([entry.embedding for entry in answer.data], expected, atol=1e-6)
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    name = client.models.list().data[0].id
    answer = client.embeddings.create(model=name, input=url, extra_body={"modality": "image"})
    assert np.allclose(answer.data[0].embedding, looker.embed_images([png])[0], atol=1e-6)
    files = [("image", ("a.png", png)), ("image", ("b.png", png))]
    data = http.post("/v1/embeddings", files=files).json()["data"]
    # A batch of two may be multiplied by another kernel than one alone: the same picture, not the same bits.
    assert np.allclose([entry["embedding"] for entry in data], [answer.data[0].embedding] * 2, atol=1e-6)


def test_classify(http, looker, png):
    expected = looker.classify([png], ["a red cube", "a cat"], "simple")[0]
    packed_png = base64.b64encode(png).decode()
    wish = {"image": packed_png, "labels": ["a red cube", "a cat"], "template": "simple"}
    (row,) = http.post("/v1/classify", json=wish).json()["data"]
    assert [(one["label"], pytest.approx(one["score"])) for one in row] == [(a.label, a.probability) for a in expected]
    assert sum(one["score"] for one in row) == pytest.approx(1)
    form = {"labels": "a red cube, a cat", "template": "a photo of a {}."}
    (same,) = http.post("/v1/classify", data=form, files={"image": png}).json()["data"]
    assert [(one["label"], pytest.approx(one["score"])) for one in same] == [(a["label"], a["score"]) for a in row]


def test_search_finds_the_picture_itself(http, pictures):
    file = (pictures / "sub" / "picture 7.png").read_bytes()
    answer = http.post("/v1/search", files={"image": file}, data={"num_images": "3"}).json()
    assert answer["pictures"] == 12 + 1  # the link is listed, and refused below
    assert answer["data"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert "sub/picture 7.png" in [hit["id"] for hit in answer["data"]]
    like = http.post("/v1/search", json={"like": "sub/picture 7.png", "num_images": 3}).json()
    assert like["data"] == answer["data"]
    assert len(http.post("/v1/search", json={"text": "a red cube", "num_images": 5}).json()["data"]) == 5
    shown = http.get(next(hit["url"] for hit in answer["data"] if hit["id"] == "sub/picture 7.png"))
    assert shown.headers["content-type"] == "image/jpeg"
    near = np.asarray(Image.open(io.BytesIO(shown.content)))[12, 12].astype(int)
    assert np.abs(near - (140, 115, 49)).max() < 8


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "/etc/passwd", "link.png", ".limner", "sub", "", "a%00b"],
)
def test_paths_lead_nowhere_else(http, name):
    answer = http.get("/v1/search/pictures/" + name)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
    assert http.post("/v1/search", json={"like": name or "x"}).status_code == 404


def test_a_server_without_a_looker_or_folder(launch):
    bare = launch(looker=None)
    wish = {"input": "x"}
    assert httpx.post(f"{bare.url}/v1/embeddings", json=wish).json()["error"]["code"] == "model_not_found"
    assert httpx.get(f"{bare.url}/v1/search/pictures/x").status_code == 404
    only = launch(painter=None)
    assert httpx.post(f"{only.url}/v1/search", json={"text": "x"}).json()["error"]["code"] == "no_folder"
    assert httpx.post(f"{only.url}/v1/images/generations", json={"prompt": "x"}).status_code == 404
