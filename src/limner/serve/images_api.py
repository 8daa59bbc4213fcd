"""OpenAI's Images API: generations, edits, variations, models; streams of partial pictures."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from limner.errors import PictureError
from limner.painter import Drawn, Painter
from limner.pictures.load import load_picture
from limner.pictures.png import png_bytes, read_facts
from limner.pictures.transform import centre_crop
from limner.sampling.retouch import Watch
from limner.serve.answers import Refusal, answer, refusal_of
from limner.serve.asked import Asked, read_asked
from limner.serve.desk import Desk, Partial, Ping
from limner.serve.fields import Fields, missing, read_fields, read_json
from limner.serve.gone import unless_gone
from limner.serve.guard import log_caption

Region = tuple[int, int, int, int]


def routes(desk: Desk) -> list[Route]:
    """The routes of this file, for ``desk``."""
    api = ImagesAPI(desk)
    return [
        Route("/v1/images/generations", api.generations, methods=["POST"]),
        Route("/v1/images/edits", api.edits, methods=["POST"]),
        Route("/v1/images/variations", api.variations, methods=["POST"]),
    ]


class ImagesAPI:
    """The three ways of drawing."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._limits = desk, desk.settings.limits

    @property
    def _painter(self) -> Painter:
        if self._desk.painter is None:
            raise Refusal(404, "model: this server has no painter", param="model", code="model_not_found")
        return self._desk.painter

    async def generations(self, request: Request) -> Response:
        """POST /v1/images/generations."""
        fields = await read_json(request, self._limits.json)
        asked = read_asked(fields, self._painter, self._limits)
        fields.finish()
        log_caption(request, self._desk.settings, asked.prompt)
        drawing = self._desk.draw(asked.sketch(self._painter.config.rows))
        if asked.stream:
            return await self._stream(request, asked, drawing, "image_generation")
        return answer(await unless_gone(request, self._collect(asked, drawing)))

    async def edits(self, request: Request) -> Response:
        """POST /v1/images/edits."""
        fields, limits = await read_fields(request, files=4, most=self._limits.picture), self._limits
        asked = read_asked(fields, self._painter, limits)
        pictures, masks = fields.pictures("image", "images", most=1), fields.pictures("mask")
        region = _region(fields)
        particles = fields.whole("particles", 16, 1, limits.particles) or 16
        sweeps = fields.whole("sweeps", 0, 0, 16) or 0
        fields.finish()
        if not pictures:
            raise missing("image", "a picture")
        log_caption(request, self._desk.settings, asked.prompt)

        def work(painter: Painter, watch: Watch) -> list[Drawn]:
            image, wanted = _with_mask(painter, pictures[0], masks[0] if masks else None, region)
            place: dict[str, Any] = {"region": region} if wanted is None else {"mask": wanted}
            return painter.edit(
                image, asked.prompt, **place, count=asked.count, candidates=asked.candidates, seed=asked.seed,
                particles=particles, sweeps=sweeps, cut=asked.cut, watch=watch, **_options(asked),
            )  # fmt: skip

        return await self._redrawn(request, asked, work, "image_edit")

    async def variations(self, request: Request) -> Response:
        """POST /v1/images/variations."""
        fields = await read_fields(request, files=2, most=self._limits.picture)
        pictures = fields.pictures("image", most=1)
        if not pictures:
            raise missing("image", "a picture")
        told = await self._desk.finish(lambda: _caption_of(pictures[0])) if not fields.has("prompt") else ""
        asked = read_asked(fields, self._painter, self._limits, prompt=told)
        strength = fields.number("strength", 0, 1)
        fields.finish()
        log_caption(request, self._desk.settings, asked.prompt)

        def work(painter: Painter, watch: Watch) -> list[Drawn]:
            return painter.variations(
                pictures[0], asked.prompt, count=asked.count, strength=0.5 if strength is None else strength,
                seed=asked.seed, cut=asked.cut or asked.prompt == told, watch=watch, **_options(asked),
            )  # fmt: skip

        return await self._redrawn(request, asked, work, "image_variation")

    # Answers

    async def _redrawn(
        self, request: Request, asked: Asked, work: Callable[[Painter, Watch], list[Drawn]], name: str
    ) -> Response:
        drawing = self._desk.redraw(work, asked.count, asked.partials if asked.stream else 0)
        if asked.stream:
            return await self._stream(request, asked, drawing, name)
        return answer(await unless_gone(request, self._collect(asked, drawing)))

    async def _collect(self, asked: Asked, drawing: AsyncIterator[Any]) -> dict[str, Any]:
        async with aclosing(drawing) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, list):
                    data = await self._desk.finish(partial(_entries, event, asked))
                    table = {"created": int(time.time()), "data": data, **self._common(asked)}
                    return table | {"usage": self._usage(asked, len(data))}
        raise RuntimeError("the drawing ended without a picture")

    async def _stream(self, request: Request, asked: Asked, drawing: AsyncIterator[Any], name: str) -> Response:
        # Refusals of the queue are answered by their status; only then the stream begins.
        first = await unless_gone(request, anext(drawing))

        async def events() -> AsyncIterator[bytes]:
            try:
                async with aclosing(drawing) as rest:  # type: ignore[type-var]
                    async for part in self._told(first, asked, name):
                        yield part
                    async for event in rest:
                        async for part in self._told(event, asked, name):
                            yield part
                yield b"data: [DONE]\n\n"
            except Exception as error:
                yield _sse("error", refusal_of(error).body)

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events(), headers=headers, media_type="text/event-stream")

    async def _told(self, event: Any, asked: Asked, name: str) -> AsyncIterator[bytes]:
        if isinstance(event, Ping):
            yield b": ping\n\n"
        elif isinstance(event, Partial):
            image = await self._desk.finish(lambda: _packed(event.image, asked.size, {}, False))
            kind = f"{name}.partial_image"
            table = {"type": kind, "b64_json": image, "partial_image_index": event.at, "index": event.number}
            yield _sse(kind, table | {"created_at": int(time.time()), "done": event.done} | self._common(asked))
        else:
            for rank, drawn in enumerate(event):
                (entry,) = await self._desk.finish(partial(_entries, [drawn], asked))
                kind = f"{name}.completed"
                table = {"type": kind, "created_at": int(time.time()), "rank": rank, **entry, **self._common(asked)}
                yield _sse(kind, table | {"usage": self._usage(asked, 1)})

    def _common(self, asked: Asked) -> dict[str, Any]:
        common = {"size": f"{asked.size}x{asked.size}", "output_format": "png", "background": "opaque"}
        common |= {"model": self._painter.name}
        return common | ({"ignored": asked.ignored} if asked.ignored else {})

    def _usage(self, asked: Asked, pictures: int) -> dict[str, Any]:
        words = len(self._painter.studio.tokenizer.encode(asked.prompt)) if asked.prompt else 0
        drawn = pictures * self._painter.config.layout.image
        return {
            "input_tokens": words,
            "output_tokens": drawn,
            "total_tokens": words + drawn,
            "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
        }


def _options(asked: Asked) -> dict[str, Any]:
    settings = asked.settings
    return {
        "temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
        "guidance": settings.guidance,
    }  # fmt: skip


def _entries(drawn: list[Drawn], asked: Asked) -> list[dict[str, Any]]:
    return [_entry(one, asked) for one in drawn]


def _entry(drawn: Drawn, asked: Asked) -> dict[str, Any]:
    edited = drawn.settings.get("verb") != "generate"
    packed = _packed(drawn.image, asked.size, drawn.facts, edited)
    picture = {"url": f"data:image/png;base64,{packed}"} if asked.as_url and not asked.stream else {"b64_json": packed}
    return picture | {"seed": drawn.seed, "index": drawn.index, "score": drawn.score}


def _packed(image: Image.Image, size: int, facts: dict[str, Any], edited: bool) -> str:
    if image.width != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return base64.b64encode(png_bytes(image, facts, edited=edited)).decode("ascii")


def _sse(kind: str, table: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(table)}\n\n".encode()


def _caption_of(picture: bytes) -> str:
    """What the picture says it shows, where limner drew it."""
    caption = read_facts(picture).get("caption", "")
    return caption if isinstance(caption, str) else ""


def _region(fields: Fields) -> Region | None:
    text = fields.text("region", "", most=60, blank=True)
    if not text:
        return None
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        shape = "region: expected left,top,right,bottom in pixels"
        raise Refusal(400, shape, param="region", code="invalid_value") from None
    return left, top, right, bottom


def _with_mask(
    painter: Painter, picture: bytes, mask: bytes | None, region: Region | None
) -> tuple[Image.Image, np.ndarray | None]:
    """The picture at the painter's size, and what to redraw of it, bool (H, W); None where ``region`` tells."""
    image = load_picture(picture)
    if region is not None:
        if mask is not None:
            raise Refusal(400, "region: expected a mask or a region, got both", param="region", code="invalid_value")
        return painter.fit(image), None
    source = mask if mask is not None else picture
    wanted = _redrawn(source, white=mask is not None)
    if wanted is None:
        what = "a mask, a region, or a picture with transparent parts to say what to redraw"
        raise Refusal(400, f"mask: expected {what}, got none", param="mask", code="missing_required_parameter")
    if wanted.size != image.size:
        got = f"{wanted.width} × {wanted.height}"
        message = f"mask: expected the picture's size, {image.width} × {image.height}, got {got}"
        raise Refusal(400, message, param="mask", code="invalid_mask")
    if wanted.size != (painter.resolution, painter.resolution):
        wanted = centre_crop(wanted.convert("RGB"), painter.resolution)
    return painter.fit(image), np.asarray(wanted.convert("L")) > 127


def _redrawn(source: bytes, *, white: bool) -> Image.Image | None:
    """White where to redraw: what is transparent, or (``white``) what is white; None where nothing says so."""
    load_picture(source, exif=False)  # limits and errors
    try:
        with Image.open(io.BytesIO(source)) as picture:
            alpha = picture.convert("RGBA").getchannel("A")
            if alpha.getextrema()[0] < 128:  # type: ignore[operator]
                return alpha.point([255] * 128 + [0] * 128)
            return picture.convert("L") if white else None
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError(f"mask: cannot be read ({error})") from error


def model_entries(names: Sequence[str], started: int) -> list[dict[str, Any]]:
    """Models as the Models API lists them."""
    return [{"id": name, "object": "model", "created": started, "owned_by": "limner"} for name in names]
