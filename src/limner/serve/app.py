"""All routes around one desk: the APIs, the page, health and measures."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

import limner
from limner.errors import LimnerError
from limner.looker import Looker
from limner.painter import Painter
from limner.serve import images_api, look_api, runs_api
from limner.serve.answers import Refusal, answer, refusal_of
from limner.serve.desk import Desk
from limner.serve.engine import Busy, NoTurn, Stopping
from limner.serve.guard import Guard
from limner.serve.openapi import document
from limner.serve.settings import ServeSettings

OWN_ERRORS: tuple[type[Exception], ...] = (Refusal, LimnerError, Busy, NoTurn, Stopping, MemoryError, ClientDisconnect)
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def build_app(painter: Painter | None, looker: Looker | None, settings: ServeSettings) -> ASGIApp:
    """The server as an ASGI app; its ``state.desk`` lives as long as it runs."""
    return build(Desk(painter, looker, settings))


def build(desk: Desk) -> ASGIApp:
    """The same around a desk of one's own."""
    settings, registry, started = desk.settings, CollectorRegistry(), int(time.time())
    _measures(desk, registry)
    names = [] if desk.painter is None else [desk.painter.name]
    if desk.looker is not None and Path(desk.looker.name).name not in names:
        names.append(Path(desk.looker.name).name)

    async def models(request: Request) -> Response:
        return answer({"object": "list", "data": images_api.model_entries(names, started)})

    async def model(request: Request) -> Response:
        name = request.path_params["id"]
        if name not in names:
            raise Refusal(404, f"model: expected one of {', '.join(names)}", param="model", code="model_not_found")
        return answer(images_api.model_entries([name], started)[0])

    async def health(request: Request) -> Response:
        if desk.stopping:
            return answer({"status": "stopping"}, 503)
        return answer({"status": "ok", "version": limner.__version__})

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    async def about(request: Request) -> Response:
        return answer(_about(desk))

    text = document(settings.limits)

    async def openapi(request: Request) -> Response:
        return answer(text)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk.start()
        try:
            yield
        finally:
            desk.stop()

    routes = [
        *images_api.routes(desk),
        *look_api.routes(desk),
        *runs_api.routes(settings.runs),
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{id:path}", model, methods=["GET"]),
        Route("/api/about", about, methods=["GET"]),
        Route("/healthz", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        *_page(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http, Exception: _any})
    app.state.desk = desk
    for kind in OWN_ERRORS:
        app.add_exception_handler(kind, _any)
    return Guard(app, settings, registry)


async def _any(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it
    if (refusal := refusal_of(error)).status == 500:
        raise error  # the guard logs and answers it
    return refusal.response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return Refusal(404, "path: nothing is there; see /openapi.json", code="not_found").response()
    if error.status_code == 405:
        response = Refusal(405, "method: not for this path; see /openapi.json", code="method_not_allowed").response()
        response.headers.update(error.headers or {})
        return response
    return Refusal(error.status_code if error.status_code == 400 else 500, str(error.detail)).response()


def _about(desk: Desk) -> dict[str, object]:
    painter, looker, limits = desk.painter, desk.looker, desk.settings.limits
    drawing = None
    if painter is not None:
        own = painter.studio.defaults
        drawing = {
            "model": painter.name, "resolution": painter.resolution, "cell": painter.studio.cell,
            "temperature": own.temperature, "guidance": own.guidance, "ranks": painter.studio.clip is not None,
            "count": limits.count, "candidates": limits.candidates,
        }  # fmt: skip
    return {
        "version": limner.__version__,
        "draw": drawing,
        "look": None if looker is None else {"model": Path(looker.name).name},
        "search": looker is not None and desk.settings.folder is not None,
        "runs": desk.settings.runs is not None,
    }


def _measures(desk: Desk, registry: CollectorRegistry) -> None:
    engine = desk.engine
    gauges: dict[str, tuple[str, Callable[[], float]]] = {"limner_pictures": ("Pictures drawn.", lambda: desk.drawn)}
    if engine is not None:
        gauges |= {
            "limner_rows": ("Rows of the batch that are drawn now.", lambda: engine.rows),
            "limner_pictures_waiting": ("Pictures that wait for a row.", lambda: engine.waiting),
            "limner_requests_open": ("Requests that are drawn or wait.", lambda: engine.open),
            "limner_steps": ("Steps of the token loop.", lambda: engine.ticks),
        }
    for name, (about, value) in gauges.items():
        Gauge(name, about, registry=registry).set_function(value)


def _page() -> list[Route]:
    """The page's files, read once; nothing else of the file system can be asked for."""
    routes = []
    for file in files("limner.serve").joinpath("page").iterdir():
        kind = KINDS.get(Path(file.name).suffix)
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            routes.append(Route(path, _static(file.read_bytes(), kind), methods=["GET"]))
    return routes


def _static(content: bytes, kind: str) -> Callable[[Request], object]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": "no-cache", "content-security-policy": CSP}

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=f"{kind}; charset=utf-8")

    return file
