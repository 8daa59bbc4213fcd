"""Reading pickles without running them: a small machine for the opcodes that weights need, and an allow-list of names.

Python's ``pickle`` is a program that a file brings along. Here the standard library only decodes the opcodes
(``pickletools``); this module carries them out on plain values. A name outside the allow-list ends the reading, a call
can only reach the few functions below, which build descriptions of tensors, and a class becomes a ``Bag`` of
attributes: no constructor, no ``__setstate__``, no import.
"""

from __future__ import annotations

import math
import pickletools
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import IO, Any

from limner.errors import ModelError

OPCODES = 2_000_000
"""Most opcodes in one pickle: a checkpoint with optimiser state has some hundred thousand."""
DIMENSIONS = 16
KEYS = (str, int, float, bytes, type(None))

DTYPES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}


@dataclass(frozen=True)
class StorageType:
    """``torch.FloatStorage`` and its like: a dtype's name and the bytes of one number."""

    dtype: str
    itemsize: int


@dataclass(frozen=True)
class Storage:
    """Numbers in the file: ``numel`` of them under ``key``; ``first`` where a view begins (older container)."""

    key: str
    type: StorageType
    numel: int
    first: int = 0


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A tensor as the file describes it: a storage, an offset, sizes and strides, all within the storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Numbers of the tensor (more than the storage holds, where strides overlap)."""
        return math.prod(self.size)


@dataclass(frozen=True)
class BagClass:
    """A class that the file names and that is allowed as a bag of attributes."""

    name: str


@dataclass(eq=False)
class Bag:
    """An object of a class that is not imported: its class's name and its attributes."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Call:
    """A name that may be called, and what answers."""

    name: str
    answer: Callable[..., Any]


class _Mark:
    pass


_MARK = _Mark()


class Reader:
    """Reads pickles from ``where`` (a file, and what in it). ``classes``: names of classes, or prefixes that end in a
    dot, which become bags; ``storage``: checks a storage that the pickle names.
    """

    def __init__(
        self, where: str, *, classes: Collection[str] = (), storage: Callable[[Storage], None] | None = None
    ) -> None:
        self.where = where
        self._classes = tuple(c for c in classes if not c.endswith("."))
        self._prefixes = tuple(c for c in classes if c.endswith("."))
        self._check_storage = storage
        self._names = self._allowed()

    def read(self, stream: IO[bytes]) -> Any:
        """The value of the pickle at the stream's place: plain containers, numbers, texts, TensorRefs and Bags.

        Raises ModelError: a name that is not allowed, an opcode out of place, a pickle that ends early or is too long.
        """
        try:
            return self._run(stream)
        except ModelError:
            raise
        except RecursionError:
            raise self.refusal("nested too deep") from None
        except (ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, UnicodeError) as error:
            raise self.refusal(f"damaged ({_short(error)})") from None
        except Exception as error:  # struct.error and what pickletools may raise beside the above
            raise self.refusal(f"damaged ({_short(error)})") from None

    def refusal(self, what: str) -> ModelError:
        """The error that names the file and why it is not read."""
        return ModelError(f"{self.where}: expected a pickle of tensors and plain values, got one that is {what}")

    # The machine

    def _run(self, stream: IO[bytes]) -> Any:
        stack: list[Any] = []
        memo: dict[int, Any] = {}
        argument: Any
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > OPCODES:
                raise self.refusal(f"longer than {OPCODES} operations")
            name = opcode.name
            if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _LITERALS:
                stack.append(argument)
            elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name == "STOP":
                (value,) = stack
                return value
            elif name == "GLOBAL":
                stack.append(self._find(*argument.split(" ", 1)))
            elif name == "STACK_GLOBAL":
                name_, module = stack.pop(), stack.pop()
                stack.append(self._find(module, name_))
            elif name == "INST":
                raise self._unknown(argument.replace(" ", "."))
            else:
                self._operate(name, argument, stack)
        raise self.refusal("cut off")

    def _operate(self, name: str, argument: Any, stack: list[Any]) -> None:
        if name in ("PROTO", "FRAME"):
            return
        if name in _FRESH:
            stack.append(_FRESH[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            _to_mark(stack)
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "TUPLE":
            stack.append(tuple(_to_mark(stack)))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            length = int(name[-1])
            items = _values(stack[-length:], length)
            del stack[-length:]
            stack.append(tuple(items))
        elif name == "LIST":
            stack.append(_to_mark(stack))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else _to_mark(stack)
            _of(stack[-1], list).extend(items)
        elif name in ("DICT", "SETITEM", "SETITEMS"):
            items = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else _to_mark(stack)
            if name == "DICT":
                stack.append({})
            self._fill(_of(stack[-1], dict), items)
        elif name == "FROZENSET":
            stack.append(frozenset(_key(item) for item in _to_mark(stack)))
        elif name == "ADDITEMS":
            items = _to_mark(stack)
            _of(stack[-1], set).update(_key(item) for item in items)
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        elif name == "NEWOBJ":
            arguments, cls = stack.pop(), stack.pop()
            if not isinstance(cls, BagClass) or arguments != ():
                raise self.refusal(f"making an object of {_name(cls)} with arguments")
            stack.append(Bag(cls.name))
        elif name == "BUILD":
            state = stack.pop()
            self._build(stack[-1], state)
        elif name in ("PERSID", "BINPERSID"):
            stack.append(self._persistent(stack.pop() if name == "BINPERSID" else argument))
        else:
            raise self.refusal(f"using the operation {name}, which weights do not need")

    def _fill(self, table: dict[Any, Any], items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            table[_key(key)] = value

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Call) or not isinstance(arguments, tuple):
            raise self.refusal(f"calling {_name(function)}")
        return function.answer(*arguments)

    def _build(self, target: Any, state: Any) -> None:
        if isinstance(target, Bag):
            if isinstance(state, tuple) and len(state) == 2 and state[0] is None and isinstance(state[1], dict):
                state = state[1]  # slots
            if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
                # TorchScript archives: only a class with its own __setstate__ has another kind of state.
                raise self.refusal(f"giving {target.name} a state of its own making (__setstate__), which is code")
            target.attributes.update(state)
        elif isinstance(target, dict) and isinstance(state, dict):
            return  # an OrderedDict's own attributes (torch's _metadata): the weights do without
        else:
            raise self.refusal(f"setting the state of {_name(target)}")

    def _persistent(self, identity: Any) -> Any:
        if isinstance(identity, tuple) and len(identity) == 4 and identity[0] == "module":
            return identity[1]  # the older container: a class with its source text, which is not read
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise self.refusal("naming something outside that is no storage")
        _, kind, key, _, numel, *view = identity
        if not isinstance(kind, StorageType) or not isinstance(key, str) or not _natural(numel):
            raise self.refusal("naming a storage without type, key or length")
        first = 0
        if view and view[0] is not None:
            key, first, numel = _view(view[0], key, numel)
        if not key.isascii() or not key.replace("_", "").isalnum() or len(key) > 200:
            raise self.refusal(f"naming a storage {key[:60]!r}, which is no storage's name")
        storage = Storage(key, kind, numel, first)
        if self._check_storage is not None:
            self._check_storage(storage)
        return storage

    # The names

    def _find(self, module: Any, name: Any) -> Any:
        full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else _name(name)
        if full in self._names:
            return self._names[full]
        if full in self._classes or (full.startswith(self._prefixes) and full.replace(".", "").isidentifier()):
            return BagClass(full)
        raise self._unknown(full)

    def _unknown(self, full: str) -> ModelError:
        full = full[:120]
        if full.split(".")[0] in sys.stdlib_module_names or full.startswith(("__builtin__", "torch", "numpy", "posix")):
            why = "which is code that weights do not need; nothing of it was run"
        else:
            why = "its author's class: a whole model was saved, save its state_dict() instead; nothing of it was run"
        return ModelError(f"{self.where}: expected tensors and plain values, got {full}, {why}")

    def _allowed(self) -> dict[str, Any]:
        calls: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": self._ordered,
            "builtins.set": self._set,
            "__builtin__.set": self._set,
            "builtins.bytes": _no_bytes,
            "__builtin__.bytes": _no_bytes,
            "_codecs.encode": _encode,
            "torch.device": lambda *parts: ":".join(str(_of(p, str, int)) for p in parts),
            "torch.Size": lambda sizes: tuple(_natural_tuple(sizes)),
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": lambda data, *rest: _of(data, TensorRef),
            # TorchScript's typed lists and dictionaries
            "torch.jit._pickle.build_intlist": lambda items: _of(items, list),
            "torch.jit._pickle.build_doublelist": lambda items: _of(items, list),
            "torch.jit._pickle.build_boollist": lambda items: _of(items, list),
            "torch.jit._pickle.build_tensorlist": lambda items: _of(items, list),
            "torch.jit._pickle.restore_type_tag": lambda value, tag: value,
        }
        names: dict[str, Any] = {name: _Call(name, answer) for name, answer in calls.items()}
        names |= {f"torch.{name}": StorageType(*kind) for name, kind in DTYPES.items()}
        names |= {f"torch.{dtype}": dtype for dtype, _ in DTYPES.values()}
        names["torch.storage.UntypedStorage"] = StorageType("uint8", 1)
        return names

    def _ordered(self, pairs: Any = ()) -> dict[Any, Any]:
        table: dict[Any, Any] = {}
        for pair in _of(pairs, list, tuple):
            key, value = pair
            table[_key(key)] = value
        return table

    def _set(self, items: Any = ()) -> set[Any]:
        return {_key(item) for item in _of(items, list, tuple)}

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRef:
        if not isinstance(storage, Storage) or not _natural(offset):
            raise self.refusal("building a tensor without a storage")
        size, stride = _natural_tuple(size), _natural_tuple(stride)
        if len(size) != len(stride) or len(size) > DIMENSIONS:
            raise self.refusal(f"building a tensor of {len(size)} sizes and {len(stride)} strides")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if all(size) else 0
        if last >= max(storage.numel, 1) or (not storage.numel and all(size)):
            raise self.refusal(
                f"building a tensor of sizes {size} and strides {stride} from place {offset} of {storage.numel} numbers"
            )
        return TensorRef(storage, offset, size, stride)


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_FRESH: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_LITERALS = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING")
    + ("SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
    + ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
)


def _to_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _values(items: list[Any], length: int) -> list[Any]:
    if len(items) != length or any(isinstance(item, _Mark) for item in items):
        raise IndexError("stack underflow")
    return items


def _of(value: Any, *types: type) -> Any:
    if not isinstance(value, types):
        raise TypeError(f"{_name(value)} where {types[0].__name__} is due")
    return value


def _key(value: Any) -> Any:
    # Only flat keys: a tuple nested a million deep would overflow the stack of the hash function.
    flat = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, KEYS) for part in flat):
        raise TypeError(f"{_name(value)} as a key")
    return value


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _natural_tuple(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or not all(_natural(item) for item in value):
        raise ValueError("sizes or strides that are no natural numbers")
    return tuple(value)


def _view(view: Any, key: str, numel: int) -> tuple[str, int, int]:
    # A storage inside another one: (its own key, first number, length); the outer one has key and numel.
    _, first, length = _of(view, tuple)
    if not _natural(first) or not _natural(length) or first + length > numel:
        raise ValueError("a storage view outside its storage")
    return key, first, length


def _no_bytes() -> bytes:
    return b""


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("another encoding than latin1")
    return str(_of(text, str)).encode("latin1")


def _name(value: Any) -> str:
    if isinstance(value, _Call | BagClass | Bag):
        return value.name
    return type(value).__name__.lstrip("_")


def _short(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return text if len(text) <= 120 else text[:117] + "…"
