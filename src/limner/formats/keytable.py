"""One table of names for each format, used both ways: somebody's weights in, limner's weights out in that format.

A row pairs a name of ours with one or more of theirs. ``{n}`` stands for a number (a layer), ``{p}`` for ``weight`` or
``bias``, ``{rest}`` for anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from limner.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

PLACES = {"n": r"(?P<n>0|[1-9]\d{0,5})", "p": r"(?P<p>weight|bias)", "rest": r"(?P<rest>.+)"}


@dataclass(frozen=True)
class Change:
    """How tensors change on the way: their tensors (one, or several in order) to ours, and back."""

    to_ours: Callable[[Sequence[Tensor]], Tensor]
    to_theirs: Callable[[Tensor], Sequence[Tensor]]


def _thirds(joined: Tensor) -> Sequence[Tensor]:
    return joined.chunk(3, dim=0)


def _join(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(parts), dim=0)


SAME = Change(lambda parts: parts[0], lambda tensor: [tensor])
TRANSPOSED = Change(lambda parts: parts[0].T, lambda tensor: [tensor.T.contiguous()])
THIRDS = Change(_join, _thirds)
"""Query, key and value: three matrices of theirs, thirds by rows of one of ours."""
SCALAR = Change(lambda parts: parts[0].reshape(()), lambda tensor: [tensor])


@dataclass(frozen=True)
class Row:
    """A name of ours, theirs (several where one tensor of ours is several of theirs), and what changes."""

    ours: str
    theirs: str | tuple[str, ...]
    change: Change = SAME

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs


@dataclass(frozen=True)
class KeyTable:
    """The rows of a format; ``ignored``: names of theirs that carry nothing (left out on the way in)."""

    format: str
    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()

    def to_ours(self, theirs: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
        """Their tensors under our names, in their order. Raises ModelError: an unknown name, a part that is missing."""
        ours: dict[str, Tensor] = {}
        used: set[str] = set()
        for name in theirs:
            if name in used or any(pattern.fullmatch(name) for pattern in self._ignored):
                continue
            row, places = self._row(name, where)
            parts = [part.format(**places) for part in row.names]
            missing = next((part for part in parts if part not in theirs), None)
            if missing is not None:
                raise ModelError(f"{where}: expected {missing} beside {name}, got none")
            tensors = [theirs[part] for part in parts]
            self._check_parts(tensors, parts, where)
            ours[row.ours.format(**places)] = row.change.to_ours(tensors)
            used.update(parts)
        return ours

    def to_theirs(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under their names. Raises ModelError where the format has no place for one."""
        theirs: dict[str, Tensor] = {}
        for name, tensor in ours.items():
            for pattern, row in self._from_ours:
                if match := pattern.fullmatch(name):
                    parts = row.change.to_theirs(tensor)
                    for part, value in zip(row.names, parts, strict=True):
                        theirs[part.format(**match.groupdict())] = value
                    break
            else:
                raise ModelError(f"{self.format}: expected weights that the format has names for, got {name}")
        return theirs

    def their_name(self, ours: str) -> str:
        """What a weight of ours is called there (the first, where it is several)."""
        for pattern, row in self._from_ours:
            if match := pattern.fullmatch(ours):
                return row.names[0].format(**match.groupdict())
        return ours

    def _row(self, name: str, where: object) -> tuple[Row, dict[str, str]]:
        for pattern, row in self._from_theirs:
            if match := pattern.fullmatch(name):
                return row, match.groupdict()
        raise ModelError(f"{where}: expected weights of a {self.format}, got the unknown {name[:100]!r}")

    def _check_parts(self, tensors: Sequence[Tensor], parts: Sequence[str], where: object) -> None:
        for tensor, part in zip(tensors[1:], parts[1:]):
            if tensor.shape != tensors[0].shape or tensor.dtype != tensors[0].dtype:
                raise ModelError(
                    f"{where}: {part}: expected {tensors[0].dtype} {tuple(tensors[0].shape)} as {parts[0]}, "
                    f"got {tensor.dtype} {tuple(tensor.shape)}"
                )

    @cached_property
    def _from_theirs(self) -> list[tuple[re.Pattern[str], Row]]:
        return [(_pattern(name), row) for row in self.rows for name in row.names]

    @cached_property
    def _from_ours(self) -> list[tuple[re.Pattern[str], Row]]:
        return [(_pattern(row.ours), row) for row in self.rows]

    @cached_property
    def _ignored(self) -> list[re.Pattern[str]]:
        return [_pattern(name) for name in self.ignored]


def _pattern(name: str) -> re.Pattern[str]:
    # Names are literal text but for the places in braces.
    parts = re.split(r"\{(\w+)\}", name)
    return re.compile("".join(PLACES[part] if i % 2 else re.escape(part) for i, part in enumerate(parts)))
