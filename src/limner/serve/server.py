"""The process: uvicorn with a limit on slow headers, and an end that lets requests finish."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from limner.errors import InputError, expected
from limner.serve.app import build
from limner.serve.desk import Desk


def protocol(seconds: float) -> type[H11Protocol]:
    """HTTP/1.1 whose clients must send a request's headers within ``seconds``."""

    class Impatient(H11Protocol):
        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._calm()
            elif self._patience is None:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._calm()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._calm()
            self._patience = self.loop.call_later(seconds, self._leave)

        def _calm(self) -> None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

        def _leave(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Impatient


class Server(uvicorn.Server):
    """At the first signal the desk takes nothing more; what is begun has ``grace`` seconds."""

    def __init__(self, desk: Desk, ready: Callable[[str, int], None] = lambda host, port: None) -> None:
        settings = desk.settings
        config = uvicorn.Config(
            build(desk),
            host=settings.host,
            port=settings.port,
            http=protocol(settings.limits.header_seconds),
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(settings.grace) + 2),
            h11_max_incomplete_event_size=32_000,
            limit_concurrency=1000,
            backlog=256,
        )
        super().__init__(config)
        self._desk, self._ready = desk, ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(*self.servers[0].sockets[0].getsockname()[:2])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._desk.stop_taking()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: Any = None) -> None:
        # Those who are not done when the time is up are answered 503, a moment before their connections end.
        ending = asyncio.get_running_loop().call_later(self._desk.settings.grace, self._desk.stop)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()


def check_address(host: str, port: int) -> None:
    """Whether this machine can listen there, before models are read for it. Raises InputError."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        todo = "127.0.0.1 is for this machine alone, 0.0.0.0 for all its networks"
        raise InputError(expected("--host", "a name or address of this machine", repr(host), todo)) from None
    for family, kind, protocol_number, _, address in places:
        with socket.socket(family, kind, protocol_number) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(address)
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                raise InputError(f"{host} port {port}: cannot listen there: {why}; take another --port") from None


def serve(desk: Desk, ready: Callable[[str, int], None]) -> None:
    """Serve until a signal comes; ``ready`` hears host and port."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("limner.serve").setLevel(logging.INFO)
    Server(desk, ready).run()
