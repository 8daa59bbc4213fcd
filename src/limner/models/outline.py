"""A model's names and shapes without its numbers: built on torch's meta device, first weights left out.

Drawing random numbers on the meta device, where there is nothing to draw, loads torch's symbolic engine and compiler:
a second of a cold start. So the initialisers of ``torch.nn.init`` do nothing here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Undrawn(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__.endswith(("normal_", "uniform_")):  # of tensors, and of torch.nn.init
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextlib.contextmanager
def outline() -> Iterator[None]:
    """Modules made within have names and shapes, and neither memory nor random numbers."""
    with torch.device("meta"), _Undrawn():
        yield
