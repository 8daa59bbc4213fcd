"""Where numbers stop being finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def find_unstable_layer(model: nn.Module, run: Callable[[], None]) -> str:
    """The name of the first layer with an output, weight or (counted from the end) gradient that is not finite.

    ``run`` does a forward and backward pass again, so that outputs can be watched.
    """
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter.detach()).all()):
            return repr(name)
    first: list[str] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not first and not all(bool(torch.isfinite(t).all()) for t in _tensors(output)):
                first.append(name)

        return hook

    handles = [m.register_forward_hook(watch(name)) for name, m in model.named_modules() if not list(m.children())]
    model.zero_grad(set_to_none=True)
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    if first:
        return repr(first[0])
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return repr(name)
    return "of the loss itself"


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, tuple | list):
        return [t for item in value for t in _tensors(item)]
    return []
