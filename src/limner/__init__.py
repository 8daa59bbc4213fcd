"""limner draws what a caption says and tells what a picture shows: DALL·E and CLIP (January 2021).

The faces are ``load_painter`` and ``load_looker``; importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from limner.looker import Looker, load_looker
    from limner.painter import Painter, load_painter

__all__ = ["Looker", "Painter", "__version__", "load_looker", "load_painter"]

_FACES = {
    "load_painter": "limner.painter",
    "Painter": "limner.painter",
    "load_looker": "limner.looker",
    "Looker": "limner.looker",
}


def __getattr__(name: str) -> Any:
    # The faces sit on torch, which takes a second to load: they are fetched at first use.
    if name in _FACES:
        import importlib

        return getattr(importlib.import_module(_FACES[name]), name)
    raise AttributeError(f"module 'limner' has no attribute {name!r}")
