"""What stands before every route: host and origin, the key, limits of size and time, request ids, measures, a log line.

Plain ASGI, so that bodies and answers stream through.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import secrets
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.serve.answers import Refusal, refusal_of
from limner.serve.settings import ServeSettings

log = logging.getLogger("limner.serve")
OPEN = ("/healthz", "/openapi.json", "/favicon.ico")
"""Paths that need no key, as the page's files don't: they tell nothing."""

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]


class Guard:
    """ASGI middleware around ``app``."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, registry: CollectorRegistry) -> None:
        self.app, self.settings = app, settings
        self._key = None if settings.key is None else settings.key.encode()
        self._hosts = {"localhost", settings.host.lower(), *(name.lower() for name in settings.hosts)}
        self._count = Counter("limner_requests", "Requests answered.", ["route", "status"], registry=registry)
        self._seconds = Histogram("limner_request_seconds", "Time of a request.", ["route"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, request_id, status = time.monotonic(), secrets.token_hex(8), 0
        scope.setdefault("state", {})["request_id"] = request_id

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS, (b"x-request-id", request_id.encode())]
            # A client that reads nothing must not hold its answer here for ever.
            await asyncio.wait_for(send(message), self.settings.limits.send_seconds)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal.response()(scope, receive, sending)
            else:
                await self.app(scope, _Bounded(receive, self.settings).receive, sending)
        except TimeoutError:
            log.warning("%s: the client reads nothing; let go", request_id)
            raise
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status == 500:
                log.exception("%s: %s", request_id, type(error).__name__)
            if status:
                raise
            await refusal.response()(scope, receive, sending)
        finally:
            path = scope.get("route_path") or _route(scope)
            self._count.labels(path, str(status)).inc()
            self._seconds.labels(path).observe(time.monotonic() - begun)
            log.info("%s %s %s %s %.3f s", request_id, scope["method"], path, status, time.monotonic() - begun)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._known(host):
            return Refusal(403, "host: not a name of this server; start it with --allow-host NAME", code="foreign_host")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            origin = headers.get(b"origin", b"").decode("latin-1")
            if origin and urlsplit(origin).netloc.lower() != host.lower():
                return Refusal(403, "origin: other sites' pages may not ask this server", code="foreign_origin")
        elif headers.get(b"sec-fetch-site") == b"cross-site" and headers.get(b"sec-fetch-mode") != b"navigate":
            return Refusal(403, "origin: other sites' pages may not ask this server", code="foreign_origin")
        if not self._allowed(scope["path"], headers.get(b"authorization", b"")):
            return Refusal(401, "authorization: expected this server's key", code="invalid_api_key")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.settings.limits.body:
            return Refusal(413, f"body: expected at most {self.settings.limits.body} bytes", code="body_too_large")
        return None

    def _known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:  # a number cannot be rebound by somebody's name server
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _allowed(self, path: str, given: bytes) -> bool:
        if self._key is None or path in OPEN or not path.startswith(("/v1", "/api", "/metrics")):
            return True
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(token.strip(), self._key) and scheme.lower() == b"bearer"


def log_caption(request: Request, settings: ServeSettings, caption: str) -> None:
    """Write what was asked for into the log, where the settings want it there."""
    if settings.log_captions:
        log.info("%s caption %r", request.state.request_id, caption)


class _Bounded:
    """A request's body that ends in a Refusal when it gets too long or takes too long."""

    def __init__(self, receive: Receive, settings: ServeSettings) -> None:
        self._receive, self._limits = receive, settings.limits
        self._until = time.monotonic() + settings.limits.body_seconds
        self._size, self._whole = 0, False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            seconds = f"{self._limits.body_seconds:g}"
            raise Refusal(408, f"body: expected it whole within {seconds} seconds", code="slow_client") from None
        self._size += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        if self._size > self._limits.body:
            raise Refusal(413, f"body: expected at most {self._limits.body} bytes", code="body_too_large")
        return message


def _route(scope: Scope) -> str:
    # The pattern, not the path: names of pictures and runs stay out of log and measures.
    route = scope.get("route")
    return str(getattr(route, "path", None) or scope.get("state", {}).get("route") or "other")
