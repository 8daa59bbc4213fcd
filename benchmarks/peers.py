"""Peers that limner itself does not need, each fetched once by pip into a folder of its own under the user's cache."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

OPEN_CLIP = ("open_clip_torch==3.3.0", "timm==1.0.31", "torchvision")
_KEPT: list[Any] = []


def use_open_clip() -> bool:
    """Make ``import open_clip`` work in this process; False where it could not be fetched.

    Without dependencies: torch stays the one that limner is measured with. torchvision's compiled part is made for
    another build of torch; open_clip's towers use none of it, but importing torchvision wants its operators known.
    """
    if importlib.util.find_spec("open_clip") is None:
        folder = fetched("open-clip-3.3.0", OPEN_CLIP)
        if folder is None:
            return False
        sys.path.append(str(folder))
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)  # operators live as long as their library
    return True


def fetched(name: str, packages: tuple[str, ...]) -> Path | None:
    """The folder with ``packages``, fetched if it is not there yet; None where pip fails (no network)."""
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("limner")) / "benchmarks" / name
    done = folder / "fetched"
    if not done.is_file():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
        try:
            command = [*pip, "--upgrade", "--target", str(folder), *packages]
            subprocess.run(command, check=True, timeout=600, stdout=sys.stderr)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return None
        done.touch()
    return folder
