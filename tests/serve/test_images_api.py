"""OpenAI's own client against a real server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import packed

from limner.pictures.png import read_facts

openai = pytest.importorskip("openai")


@pytest.fixture
def client(running: Any) -> Any:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0, timeout=60) as client:
        yield client


def pixels(entry: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(entry.b64_json))).convert("RGB"))


def test_generate_gives_what_the_painter_draws(client, painter):
    answer = client.images.generate(prompt="a red cube", n=3, extra_body={"seed": 7, "candidates": 20})
    drawn = painter.generate("a red cube", count=3, candidates=20, seed=7)
    assert [entry.index for entry in answer.data] == [one.index for one in drawn]
    assert [entry.score for entry in answer.data] == [one.score for one in drawn]
    for entry, one in zip(answer.data, drawn, strict=True):
        assert np.array_equal(pixels(entry), np.asarray(one.image))
        facts = read_facts(base64.b64decode(entry.b64_json))
        assert facts == facts | {"caption": "a red cube", "seed": 7, "index": one.index, "candidates": 20}
        assert np.array_equal(np.asarray(painter.repeat(facts).image), pixels(entry))
    assert answer.usage.output_tokens == 3 * painter.config.layout.image
    assert answer.size == "16x16"


def test_settings_arrive(client, painter):
    own = {"seed": 3, "candidates": 2, "temperature": 0.5, "guidance": 2.0, "top_k": 4, "top_p": 0.9}
    answer = client.images.generate(
        prompt="一只红色的猫",
        n=2,
        size="256x256",
        response_format="url",
        model="dall-e-2",
        quality="hd",
        extra_body=own,
    )
    assert answer.model_extra["ignored"] == ["quality"]
    picture = base64.b64decode(answer.data[0].url.removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(picture)).size == (256, 256)
    facts = read_facts(picture)
    assert facts == facts | own | {"caption": "一只红色的猫"}
    drawn = painter.generate("一只红色的猫", count=2, **own)
    assert [entry.index for entry in answer.data] == [one.index for one in drawn]


def test_stream_shows_partial_pictures_then_the_whole(client, painter):
    events = list(
        client.images.generate(prompt="a red cube", n=2, stream=True, partial_images=1, extra_body={"seed": 5})
    )
    partial = [event for event in events if event.type == "image_generation.partial_image"]
    whole = [event for event in events if event.type == "image_generation.completed"]
    assert [event.type for event in events][-2:] == ["image_generation.completed"] * 2
    assert len(whole) == 2
    drawn = {one.index: np.asarray(one.image) for one in painter.generate("a red cube", count=2, candidates=2, seed=5)}
    for event in whole:
        assert np.array_equal(pixels(event), drawn[event.index])
    assert partial
    half = painter.resolution // 2
    for event in partial:
        assert event.partial_image_index == 0
        assert (pixels(event)[half:] == 128).all()
        assert pixels(event).std() > 0


def test_edit_keeps_every_pixel_outside(client, png):
    before = np.asarray(Image.open(io.BytesIO(png)))
    alpha = Image.new("RGBA", (16, 16), (0, 0, 0, 255))
    alpha.paste((0, 0, 0, 0), (8, 0, 16, 8))
    white = Image.new("L", (16, 16), 0)
    white.paste(255, (8, 0, 16, 8))
    answers = [
        client.images.edit(image=io.BytesIO(png), mask=packed(mask), prompt="a cat", n=2, extra_body={"seed": 1})
        for mask in (alpha, white)
    ]
    outside = np.ones((16, 16), bool)
    outside[:8, 8:] = False
    for entry in answers[0].data:
        assert np.array_equal(pixels(entry)[outside], before[outside])
        assert not np.array_equal(pixels(entry)[~outside], before[~outside])
    assert [pixels(a).tolist() for a in answers[0].data] == [pixels(a).tolist() for a in answers[1].data]
    own = Image.open(io.BytesIO(png)).convert("RGBA")
    own.putalpha(alpha.getchannel("A"))
    named = client.images.edit(image=[("x.png", packed(own))], prompt="a cat", extra_body={"seed": 1})
    assert np.array_equal(pixels(named.data[0])[outside], np.asarray(own.convert("RGB"))[outside])
    streamed = list(client.images.edit(image=png, mask=packed(white), prompt="a cat", stream=True))
    assert [event.type for event in streamed] == ["image_edit.completed"]


def test_an_edit_streams_partial_pictures(client, png):
    before = np.asarray(Image.open(io.BytesIO(png)))
    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (8, 0, 16, 16))  # a cell in each of the two rows
    asked = {"image": png, "mask": packed(mask), "prompt": "a cat", "n": 2, "extra_body": {"seed": 1}}
    events = list(client.images.edit(**asked, stream=True, partial_images=2))
    partial = [event for event in events if event.type == "image_edit.partial_image"]
    whole = [event for event in events if event.type == "image_edit.completed"]
    assert [event.model_extra["index"] for event in partial] == [0, 1]
    assert [event.partial_image_index for event in partial] == [0, 0]
    for event in partial:
        assert np.array_equal(pixels(event)[:, :8], before[:, :8])
        assert not np.array_equal(pixels(event)[:8, 8:], before[:8, 8:])
    alone = client.images.edit(**asked).data
    assert [pixels(event).tolist() for event in whole] == [pixels(entry).tolist() for entry in alone]


def test_variations(client, png):
    answer = client.images.create_variation(image=png, n=2, size="256x256")
    assert [Image.open(io.BytesIO(base64.b64decode(e.b64_json))).size for e in answer.data] == [(256, 256)] * 2
    drawn = client.images.generate(prompt="a red cube", extra_body={"candidates": 1})
    varied = client.images.create_variation(image=base64.b64decode(drawn.data[0].b64_json))
    assert read_facts(base64.b64decode(varied.data[0].b64_json))["caption"] == "a red cube"


def test_variations_stream_partial_pictures(client, running, png):
    """OpenAI's client knows no such stream: the events are asked for as a browser would."""
    wish = {"n": "2", "seed": "3", "strength": "1", "stream": "true", "partial_images": "1"}
    answer = httpx.post(f"{running.url}/v1/images/variations", data=wish, files={"image": png}, timeout=60)
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    events = [json.loads(line) for line in lines]
    partial = [event for event in events if event["type"] == "image_variation.partial_image"]
    assert [event["index"] for event in partial] == [0, 1]
    alone = client.images.create_variation(image=png, n=2, extra_body={"seed": 3, "strength": 1})
    whole = [event["b64_json"] for event in events if event["type"] == "image_variation.completed"]
    assert [read_facts(base64.b64decode(one))["index"] for one in whole] == [0, 1]
    for one, entry in zip(whole, alone.data, strict=True):
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(one))))
        assert np.array_equal(picture, pixels(entry))


def test_models(client, painter):
    assert [model.id for model in client.models.list()] == [painter.name]
    assert client.models.retrieve(painter.name).owned_by == "limner"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_errors_are_the_clients_own(client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.images.generate(prompt="x", model="stable-diffusion")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.images.generate(prompt="x", n=1000)
    assert (wrong.value.param, wrong.value.type) == ("n", "invalid_request_error")
    assert wrong.value.request_id
    with pytest.raises(openai.BadRequestError, match="mask: expected"):
        client.images.edit(image=packed(Image.new("RGB", (16, 16))), prompt="x")


def test_together_as_alone(running):
    """Twelve requests at once get the very bytes that each gets alone."""
    wishes = [
        {"prompt": f"a {colour} cube", "n": 1 + k % 3, "seed": k, "candidates": 4, "guidance": 1.0 + k % 2}
        for k, colour in enumerate(["red", "blue", "red", "green"] * 3)
    ]

    async def ask() -> list[Any]:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            return await asyncio.gather(*(http.post("/v1/images/generations", json=wish) for wish in wishes))

    together = [answer.json()["data"] for answer in asyncio.run(ask())]
    for wish, found in zip(wishes, together, strict=True):
        assert httpx.post(f"{running.url}/v1/images/generations", json=wish, timeout=60).json()["data"] == found


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true"
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
def test_who_goes_away_frees_the_rows(running, stream):
    wish = {"prompt": "a red cube", "n": 64, "candidates": 512, "stream": stream, "partial_images": 2}
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{running.url}/v1/images/generations", json=wish, timeout=0.15)
    until(lambda: running.desk.engine.open == 0)
    until(lambda: running.desk.engine.rows == 0)
