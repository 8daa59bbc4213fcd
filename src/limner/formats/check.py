"""Weights against the model that they are for: names, shapes, dtypes, finiteness, before a single one is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from limner.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def expected_tensors(kind: str, config: Any) -> dict[str, Tensor]:
    """The state dict that a model of ``kind`` has, without memory for its numbers (on the meta device)."""
    from limner.models.modelfolder import classes
    from limner.models.outline import outline

    with outline():
        return classes(kind)[1](config).state_dict()


def fit(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: object,
    name: Callable[[str], str] = lambda ours: ours,
) -> dict[str, Tensor]:
    """``state`` in the order of ``expected``, each weight checked: its name, shape, kind of number, and that all its
    numbers are finite. ``name`` gives the owner's name of a weight for the errors. Raises ModelError with that name.
    """
    strange = next((key for key in state if key not in expected), None)
    missing = next((key for key in expected if key not in state and not _is_count(key)), None)
    if missing is not None:
        beside = f"; it has {name(strange)}, which has no place" if strange is not None else ""
        raise ModelError(f"{where}: expected the weight {name(missing)}, got none{beside}")
    if strange is not None:
        raise ModelError(f"{where}: expected no other weights than the configuration's, got {name(strange)} as well")
    fitted = {}
    for key, like in expected.items():
        # torch before 1.0 did not store how many batches a batch norm had seen; nothing depends on it.
        tensor = state.get(key)
        fitted[key] = (
            like.new_zeros(like.shape, device="cpu") if tensor is None else _one(tensor, like, where, name(key))
        )
    return fitted


def _one(tensor: Tensor, like: Tensor, where: object, name: str) -> Tensor:
    if tensor.shape != like.shape:
        raise ModelError(f"{where}: {name}: expected the shape {tuple(like.shape)}, got {tuple(tensor.shape)}")
    if tensor.is_floating_point() != like.is_floating_point() or tensor.dtype in _other_types():
        wanted = "floating-point numbers" if like.is_floating_point() else "whole numbers"
        raise ModelError(f"{where}: {name}: expected {wanted}, got {str(tensor.dtype).removeprefix('torch.')}")
    if not is_finite(tensor):
        raise ModelError(f"{where}: {name}: expected finite numbers, got NaN or infinity")
    return tensor


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite (looked through in pieces, so that no mask of a large tensor is made)."""
    if not tensor.is_floating_point():
        return True
    flat = tensor.reshape(-1)
    return all(bool(piece.isfinite().all()) for piece in flat.split(1 << 22))


def _is_count(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _other_types() -> tuple[torch.dtype, ...]:
    import torch

    names = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
    return (torch.bool, *(getattr(torch, name) for name in names if hasattr(torch, name)))
