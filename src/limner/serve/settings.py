"""What a server is allowed to do, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """Bounds on what one request may ask (bytes, pictures, seconds) and on what may wait."""

    body: int = 48_000_000
    picture: int = 16_000_000
    json: int = 200_000
    prompt: int = 4000
    count: int = 64
    candidates: int = 512
    particles: int = 64
    pictures: int = 64
    texts: int = 512
    labels: int = 1000
    waiting: int = 128
    rows: int = 64
    body_seconds: float = 30.0
    header_seconds: float = 10.0
    send_seconds: float = 60.0


@dataclass(frozen=True)
class ServeSettings:
    """Where the server listens, whom it answers, what it shows.

    ``key``: what clients must send as bearer (None: nothing). ``hosts``: names under which it may be asked besides
    localhost and numbers. ``folder``: pictures to search; ``index``: where their index is kept (None: in the folder).
    ``runs``: training folders to watch. ``grace``: seconds that requests have at the end. ``log_captions``: whether
    captions may stand in the log.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = None
    hosts: tuple[str, ...] = ()
    folder: Path | None = None
    index: Path | None = None
    runs: Path | None = None
    grace: float = 20.0
    log_captions: bool = False
    limits: Limits = Limits()
