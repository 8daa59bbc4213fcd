"""``limner doctor``: does this installation work, and on what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from limner.cli.common import Json, emit, settings_files, table


def doctor(json: Json = False) -> None:
    """Check this installation: versions, devices, shipped models (every weight), folders, optional libraries.

    Exit code 1 if something that limner needs does not work.
    """
    checks = [_versions(), _device(), _models(), _cache(), _settings(), _extras()]
    answer = {check["name"]: {"ok": check["ok"], "detail": check["detail"]} for check in checks}
    healthy = all(check["ok"] for check in checks)
    rows = [("ok" if check["ok"] else "FAILS", check["name"], check["detail"]) for check in checks]
    emit({"ok": healthy, "checks": answer}, json, table(rows))
    if not healthy:
        raise typer.Exit(1)


def _check(name: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "detail": detail}


def _versions() -> dict[str, Any]:
    import platform

    import torch

    import limner

    detail = f"limner {limner.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    return _check("versions", True, f"{detail}, {platform.system()} {platform.machine()}")


def _device() -> dict[str, Any]:
    """The device that ``auto`` takes must multiply like the CPU before it is trusted with a picture."""
    import torch

    from limner.device import default_threads, pick_device

    device = pick_device("auto")
    detail = f"{device}, {default_threads()} CPU threads"
    if device.type == "cpu":
        return _check("device", True, detail)
    numbers = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    expected = torch.softmax(numbers @ numbers.T / 16, -1)
    moved = numbers.to(device)
    error = float((torch.softmax(moved @ moved.T / 16, -1).cpu() - expected).abs().max())
    return _check("device", error < 1e-2, f"{detail}; differs from the CPU by {error:.1e} (at most 1e-2 is right)")


def _models() -> dict[str, Any]:
    from limner.errors import LimnerError
    from limner.models.modelfolder import CONFIG, PAINTER_PARTS, read_folder
    from limner.models.names import SHIPPED, shipped

    read = []
    try:
        for name in shipped():
            parts = [f"{name}/{part}" for part in PAINTER_PARTS if (SHIPPED / name / part / CONFIG).is_file()]
            for part in parts or [name]:
                read_folder(part)
                read.append(part)
    except LimnerError as error:
        return _check("models", False, str(error))
    return _check(
        "models", bool(read), f"read whole: {', '.join(read)}" if read else "no shipped model found; reinstall"
    )


def _cache() -> dict[str, Any]:
    from limner.models.names import hub_folder

    folder = hub_folder()
    place: Path = folder
    while not place.exists():
        place = place.parent
    usable = os.access(place, os.W_OK)
    return _check(
        "hub cache", True, f"{folder} ({'can be written' if usable else 'cannot be written: models pull will fail'})"
    )


def _settings() -> dict[str, Any]:
    variables = sorted(key for key in os.environ if key.startswith("LIMNER_"))
    found = [*map(str, settings_files()), *variables]
    return _check("settings", True, ", ".join(found) or "defaults only")


def _extras() -> dict[str, Any]:
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    missing: dict[str, list[str]] = {}
    for line in requires("limner") or []:
        found = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)
        if found:
            library, extra = found.groups()
            lacking = missing.setdefault(extra, [])
            try:
                version(library)
            except PackageNotFoundError:
                lacking.append(library)
    words = [f"{extra} (without {', '.join(names)})" if names else extra for extra, names in missing.items()]
    return _check("extras", True, ", ".join(words))
