"""The bytes that are alive while an update is traced, told by phase, and what they are at other sizes.

A phase is the time between two events: a block begins or ends its forward pass, the loss is there (and the weights'
copies in another precision may go), the gradient reaches a block's output, or the first block's input. The most that
is alive in one phase grows evenly with pictures and with layers. The most of all phases does not: another one may come
to hold it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Phase(NamedTuple):
    """``start``, ``forward``, ``after`` (until the next block, or with head and loss), ``loss`` (the backward pass of
    those), ``backward`` or ``end`` (what comes before the first block), and the block's number."""

    kind: str
    block: int = 0


class Held(NamedTuple):
    """The most bytes of a phase: of everything, and of everything but the gradients of parameters."""

    together: float
    activations: float

    def towards(self, other: Held, steps: float) -> Held:
        """What lies ``steps`` steps from here, where one leads to ``other``."""
        return Held(*(a + steps * (b - a) for a, b in zip(self, other, strict=True)))

    def moved(self, a: Held, b: Held, times: float) -> Held:
        """This, ``times`` the way from ``a`` to ``b`` further."""
        return Held(*(x + times * (q - p) for x, p, q in zip(self, a, b, strict=True)))


Phases = dict[Phase, Held]


class Alive(TorchDispatchMode):
    """Counts bytes of storages from the operator that makes them to their end, phase by phase."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.gradients = 0
        self.phase = Phase("start")
        self.phases: Phases = {}
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._take(leaf)
        most = self.phases.get(self.phase, Held(0, 0))
        beside = self.bytes - self.gradients
        if self.bytes > most.together or beside > most.activations:
            self.phases[self.phase] = Held(max(most.together, self.bytes), max(most.activations, beside))
        return out

    def ignore(self, tensor: Tensor) -> None:
        """Count nothing for a tensor that was there before."""
        self._watch(tensor, 0)

    def follow(self, blocks: Sequence[nn.Module]) -> None:
        """Tell phases by the passes of ``blocks``."""

        def at(phase: Phase) -> Callable[[Any], None]:
            def reached(_gradient: Any) -> None:
                self.phase = phase

            return reached

        def begins(number: int, given: Any) -> None:
            self.phase = Phase("forward", number)
            if number == 0 and isinstance(given, Tensor) and given.requires_grad:
                given.register_hook(at(Phase("end")))

        def ends(number: int, out: Any) -> None:
            self.phase = Phase("after", number)
            if isinstance(out, Tensor) and out.requires_grad:
                out.register_hook(at(Phase("backward", number)))

        for number, block in enumerate(blocks):
            block.register_forward_pre_hook(lambda _m, given, n=number: begins(n, given[0] if given else None))
            block.register_forward_hook(lambda _m, _given, out, n=number: ends(n, out))

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._watch(tensor, storage.nbytes())

    def _watch(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        self.bytes += size

        def gone(_reference: Any) -> None:
            self.bytes -= size
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, gone)


def most(phases: Phases) -> Held:
    """The most of any phase."""
    return Held(max(h.together for h in phases.values()), max(h.activations for h in phases.values()))


def wider(few: Phases, more: Phases, steps: float) -> Phases:
    """Phases for more pictures: ``steps`` steps from ``few``, where one leads to ``more``."""
    return {phase: held.towards(more[phase], steps) for phase, held in few.items()}


def depths(patterns: Sequence[Any], cycle: int) -> tuple[int, int] | None:
    """Two numbers of layers, a cycle apart, from which ``deeper`` reckons a model with ``patterns``, or None.

    Layers take their patterns in turn, a ``cycle`` long, and the last has its own. Both models begin and end with the
    same layers as the deep one, and the smaller has each of its patterns.
    """
    layers = len(patterns)
    low = 1 + (layers - 1) % cycle
    while {*patterns[: low - 1], patterns[-1]} != set(patterns) or low < 2:
        low += cycle
    return (low, low + cycle) if layers > low + cycle else None


def deeper(a: Phases, b: Phases, low: int, cycle: int, layers: int) -> Phases:
    """Phases of ``layers`` blocks from those of ``low`` and of ``low + cycle``.

    Every cycle that is put into the middle adds what it keeps to all moments between its forward and backward pass, and
    its gradients to all moments after. So a backward phase near the loss grows by the first, one near the input by the
    second; between them the sum goes evenly from one to the other, so that one of the two holds the most. Forward
    phases hold copies of weights too, and grow by themselves.
    """
    high = low + cycle
    times = (layers - high) / cycle
    forward = a[Phase("after", low - 1)], b[Phase("after", high - 1)]
    near_loss = a[Phase("loss")], b[Phase("loss")]
    near_input = a[Phase("backward")], b[Phase("backward")]
    found: Phases = {}
    for phase, held in b.items():
        last = Phase(phase.kind, phase.block + layers - high)
        if phase.kind == "start":
            found[phase] = held
        elif phase.kind == "end":
            found[phase] = held.moved(*near_input, times)
        elif phase.kind == "loss":
            found[phase] = held.moved(*near_loss, times)
        elif phase.kind in ("forward", "after"):
            found[last] = held.moved(*forward, times)
        else:
            found[last] = held.moved(*near_loss, times)
            if phase.block < cycle:
                found[phase] = held.moved(*near_input, times)
    return found
