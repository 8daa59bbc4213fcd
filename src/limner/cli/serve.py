"""``limner serve``: the models over HTTP, as OpenAI's Images API, a look API and a page."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from limner.cli.common import DEFAULT_MODEL, Device, Json, Model, Threads
from limner.cli.drawing import Engine
from limner.errors import FileError, InputError, MissingExtra, ModelError

MaybePath = Optional[Path]  # noqa: UP045 - typer on Python 3.11
Words = Optional[list[str]]  # noqa: UP045
MaybeText = Optional[str]  # noqa: UP045


def serve(
    model: Model = DEFAULT_MODEL,
    clip: Annotated[MaybeText, typer.Option("--clip", help="CLIP that looks; the painter's own if not given.")] = None,
    folder: Annotated[MaybePath, typer.Option("--folder", help="Pictures that may be searched.")] = None,
    index: Annotated[MaybePath, typer.Option("--index", help="Keep the folder's index here instead of in it.")] = None,
    runs: Annotated[MaybePath, typer.Option("--runs", help="Training folders to watch.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0: any that is free.")] = 8000,
    allow_host: Annotated[Words, typer.Option("--allow-host", help="A name under which it may be asked.")] = None,
    api_key_file: Annotated[MaybePath, typer.Option("--api-key-file", help="A file with the key to ask for.")] = None,
    waiting: Annotated[int, typer.Option("--waiting", min=1, help="Requests that may be open at once.")] = 128,
    rows: Annotated[int, typer.Option("--rows", min=2, max=64, help="Pictures drawn at once.")] = 64,
    candidates: Annotated[int, typer.Option("--max-candidates", min=1, help="Candidates of one request.")] = 512,
    grace: Annotated[float, typer.Option("--grace", min=0, help="Seconds for requests when told to stop.")] = 20.0,
    log_captions: Annotated[bool, typer.Option("--log-captions", help="Let captions stand in the log.")] = False,
    engine: Engine = "auto",
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16 or int8.")] = "float32",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Serve drawing and looking until Ctrl-C or SIGTERM.

    A key may stand in LIMNER_API_KEY too. Nothing is read or written outside of the folders given here.
    """
    try:
        from limner.serve.desk import Desk
        from limner.serve.server import check_address
        from limner.serve.server import serve as run
        from limner.serve.settings import Limits, ServeSettings
    except ModuleNotFoundError as error:
        raise MissingExtra(f"serve: {error.name} is not installed; pip install 'limner[serve]'") from error
    from limner.device import set_threads

    for name, place in (("--folder", folder), ("--runs", runs), ("--index", index)):
        if place is not None and not place.is_dir():
            raise FileError(f"{name} {place}: expected a folder, got {'a file' if place.exists() else 'nothing'}")
    check_address(host, port)
    set_threads(threads)
    settings = ServeSettings(
        host=host, port=port, key=_key(api_key_file), hosts=tuple(allow_host or ()), folder=folder, index=index,
        runs=runs, grace=grace, log_captions=log_captions,
        limits=Limits(waiting=waiting, rows=rows, candidates=candidates, count=min(64, candidates)),
    )  # fmt: skip
    painter, looker = _models(model, clip, device, engine, precision)

    def ready(address: str, port: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        url = f"http://{shown}:{port}"
        print(json_.dumps({"url": url}) if json else f"limner serves at {url}", flush=True)
        if settings.key is None and address not in ("127.0.0.1", "::1"):
            typer.echo("limner: everybody who reaches this address may draw; --api-key-file asks for a key", err=True)

    run(Desk(painter, looker, settings), ready)


def _models(model: str, clip: str | None, device: str, engine: str, precision: str) -> tuple[Any, Any]:
    from limner.looker import load_looker
    from limner.models.modelfolder import find_model
    from limner.painter import load_painter

    if clip is not None and model == DEFAULT_MODEL:
        try:
            find_model(model)
        except ModelError:  # only looking was asked for
            return None, load_looker(clip, device=device)
    painter = load_painter(model, device=device, engine=engine, precision=precision)
    if clip is not None:
        return painter, load_looker(clip, device=device)
    return painter, None if painter.studio.clip is None else load_looker(model, device=device)


def _key(file: Path | None) -> str | None:
    import os

    from limner.files import explain

    if file is None:
        return os.environ.get("LIMNER_API_KEY") or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FileError(explain(error, file)) from error
    if not key:
        raise InputError(f"{file}: expected a key, got an empty file")
    return key
