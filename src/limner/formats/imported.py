"""What every importer takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from limner.errors import InputError
from limner.models.clip.config import Activation

if TYPE_CHECKING:
    from torch import Tensor

    from limner.text.bytepairs import BytePairs
    from limner.text.clip_bytepairs import ClipBytePairs

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


@dataclass(frozen=True)
class Options:
    """What the user says where a file does not: ``activation`` of both towers, ``config`` (a JSON file that describes
    the weights), ``tokenizer`` (whose cleaning of captions: see ``text.clip_bytepairs``).
    """

    activation: str | None = None
    config: Path | None = None
    tokenizer: str | None = None

    def told_activation(self) -> Activation | None:
        """The activation that the user says. Raises InputError for one that is none."""
        if self.activation is None:
            return None
        for known in ACTIVATIONS:
            if self.activation == known:
                return known
        raise InputError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")


@dataclass(frozen=True)
class Imported:
    """A model that was read and checked: ``kind``, config, and a state dict under our names, as precise as it came.

    ``facts`` tell where it came from, in plain values; ``notes`` are lines for the user about what it lacks.
    """

    kind: str
    config: Any
    state: dict[str, Tensor]
    tokenizer: BytePairs | ClipBytePairs | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
