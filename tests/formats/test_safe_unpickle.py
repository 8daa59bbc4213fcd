"""Pickles that would run code: none runs, each is refused by the name of what it calls."""

from __future__ import annotations

import contextlib
import io
import operator
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_samples import MARKER, TOUCH, Runs, SetsState, write_legacy, write_zip

from limner.errors import LimnerError, ModelError
from limner.formats.import_model import import_model
from limner.formats.safe_unpickle import Bag, Reader
from limner.formats.torch_files import read_torch

ARMED: dict[str, Any] = {
    "os.system": Runs(os.system, f": > {MARKER}"),
    "eval": Runs(eval, TOUCH),
    "exec": Runs(exec, TOUCH),
    "open": Runs(open, MARKER, "w"),
    "subprocess": Runs(subprocess.call, ["touch", MARKER]),
    "getattr": Runs(getattr, Runs(__import__, "os"), "system"),
    "import": Runs(__import__, "antigravity"),
    "partial": Runs(partial(eval, TOUCH)),
    "nested in a list": [1, [2, {"a": (3, Runs(exec, TOUCH))}]],
    "as a key": {Runs(exec, TOUCH): 1},
    "as an argument": Runs(OrderedDict, Runs(eval, TOUCH)),
    "getattr of a type": Runs(getattr, Runs(getattr, dict, "__class__"), "__subclasses__"),
    "attrgetter": Runs(operator.attrgetter("system"), "os"),
    "setstate": SetsState({"x": Runs(exec, TOUCH)}),
    "torch.load": Runs(torch.load, MARKER),
    "torch.hub": Runs(torch.hub.load, "owner/name", "model"),
    "load from bytes": Runs(torch.storage._load_from_bytes, b"x"),
    "pickle in a pickle": Runs(pickle.loads, pickle.dumps(Runs(exec, TOUCH))),
    "rebuild from type": Runs(torch._tensor._rebuild_from_type_v2, exec, torch.Tensor, (TOUCH,), {}),
}


def read(data: bytes, **kwargs: Any) -> Any:
    return Reader("x.pt", **kwargs).read(io.BytesIO(data))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARMED)
def test_nothing_runs(name: str, protocol: int) -> None:
    with pytest.raises(ModelError, match=r"nothing of it was run|x\.pt: expected a pickle"):
        read(pickle.dumps(ARMED[name], protocol=protocol))


@pytest.mark.parametrize("place", ["state", "training", "open_clip", "hf", "legacy", "plain"])
@pytest.mark.parametrize("name", ["eval", "setstate", "nested in a list"])
def test_nothing_runs_in_any_importer(name: str, place: str, tmp_path: Path) -> None:
    armed = pickle.dumps({"state_dict": OrderedDict(w=1), "optimizer": ARMED[name]}, protocol=2)
    source = tmp_path / "source"
    source.mkdir()
    if place == "state":
        source = write_zip(source / "model.pt", pickle.dumps({"w": ARMED[name]}, protocol=2))
    elif place == "training":
        (source / "open_clip_config.json").write_text('{"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}')
        write_zip(source / "epoch_1.pt", armed)
    elif place == "open_clip":
        (source / "open_clip_config.json").write_text('{"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}')
        write_zip(source / "open_clip_pytorch_model.bin", armed)
    elif place == "hf":
        (source / "config.json").write_text('{"model_type": "clip"}')
        write_zip(source / "pytorch_model.bin", armed)
    elif place == "legacy":
        source = write_legacy(source / "model.pt", armed)
    else:
        source = source / "model.bin"
        source.write_bytes(armed)
    with pytest.raises(ModelError, match=r"nothing of it was run|expected a pickle"):
        import_model(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"(i__builtin__\nexec\n(S'1'\ntR.", "exec"),  # INST
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", r"posix\.system"),  # STACK_GLOBAL
        (b"\x80\x02ctorch.serialization\nos.system\n.", r"os\.system"),
        (b"\x80\x02c__torch__.x y\nZ\n.", "__torch__"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "OrderedDict"),  # NEWOBJ of something that is no bag
        (b"\x80\x02ccollections\nOrderedDict\n)RN\x85b.", "state"),  # BUILD with a tuple
        (b"\x80\x02K\x01)R.", "calling int"),
        (b"\x80\x02)Q.", "no storage"),  # BINPERSID
        (b"\x80\x02K\x01", "damaged|cut off"),
        (b"", "damaged|cut off"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02h\x05.", "damaged"),  # GET of nothing
        (b"\x80\x02t.", "damaged"),  # no mark
        (b"\x80\x02(\x85.", "damaged"),  # a mark as a value
        (b"\x80\x02]]\x85K\x01s.", "damaged"),  # a list as a key
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),  # a text longer than the file
        (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "damaged"),  # a number longer than the file
        (b"\x80\x02I" + b"9" * 10_000 + b"\n.", "damaged"),
    ],
)
def test_odd_pickles_are_refused(data: bytes, what: str) -> None:
    with pytest.raises(ModelError, match=what):
        read(data)


def test_a_whole_model_is_named_as_such() -> None:
    with pytest.raises(ModelError, match=r"clip\.model\.CLIP, its author's class: a whole model was saved"):
        read(b"\x80\x02cclip.model\nCLIP\n)\x81}b.")


def test_a_class_becomes_a_bag_and_its_state_attributes() -> None:
    bag = read(b"\x80\x02c__torch__.a.B\nC\n)\x81}X\x01\x00\x00\x00xK\x05sb.", classes=("__torch__.",))
    assert isinstance(bag, Bag)
    assert (bag.name, bag.attributes) == ("__torch__.a.B.C", {"x": 5})
    with pytest.raises(ModelError, match="__setstate__"):
        read(b"\x80\x02c__torch__.a\nC\n)\x81K\x05b.", classes=("__torch__.",))


def test_memory_is_bounded_by_the_pickle() -> None:
    # A memo at place 2^31 - 1: an array of that length would take 16 GB.
    assert read(b"\x80\x02K\x07r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.") == 7
    # Lists that hold each other twice: 2^60 items to whoever walks them naively.
    doubled = b"\x80\x02]" + b"".join(b"q%c]q%c(h%ch%ce" % (i, i + 1, i, i) for i in range(60)) + b"."
    with pytest.raises(ModelError):
        read(doubled)
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    assert isinstance(read(deep), list)
    tuples = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."
    with pytest.raises(ModelError, match="key"):
        read(tuples)


def test_walking_shared_lists_takes_no_time(tmp_path: Path) -> None:
    value: Any = []
    for _ in range(60):
        value = [value, value]
    path = write_zip(tmp_path / "x.pt", pickle.dumps({"a": value}, protocol=2))
    assert read_torch(path).kind == "zip"


def test_too_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.formats.safe_unpickle.OPCODES", 100)
    with pytest.raises(ModelError, match="longer than 100"):
        read(b"\x80\x02" + b"K\x010" * 200 + b"K\x01.")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(value=PLAIN, protocol=st.integers(0, 4))
def test_plain_values_come_back_as_pickle_has_them(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol=protocol)) == value


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_but_our_error(data: st.DataObject) -> None:
    sound = pickle.dumps({"w": [1, 2.5, "x", (3, b"y")], "o": OrderedDict(a=1), "s": {1, 2}}, protocol=2)
    broken = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LimnerError):
        read(bytes(broken))


def test_importing_the_reader_imports_no_torch() -> None:
    program = "import sys, limner.formats.safe_unpickle, limner.formats.torch_files; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "False"
