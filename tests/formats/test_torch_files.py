"""The containers of torch: what torch writes is read to the bit, what lies about itself is refused."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_samples import floats, tensor_pickle, write_legacy, write_zip

from limner.errors import LimnerError, ModelError
from limner.formats.torch_files import attribute_tensors, class_names, read_torch
from limner.formats.weights import read_weights

ALL = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8]
ALL += [torch.uint8, torch.bool]


def samples() -> dict[str, torch.Tensor]:
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    tensors = {f"{dtype}": (torch.arange(6) % 2).to(dtype).reshape(2, 3) for dtype in ALL}
    return tensors | {
        "transposed": base.transpose(0, 2),
        "slice": base[1:, ::2, 1:3],
        "rows": torch.arange(9.0).as_strided((5, 4), (1, 1), 1),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "shared": base,
        "broadcast": torch.ones(1).expand(4, 4),
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_every_tensor_that_torch_saves(zipped: bool, tmp_path: Path) -> None:
    torch.save(samples(), tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    got = read_weights(tmp_path / "x.pt")
    assert got.kind == ("zip" if zipped else "legacy")
    assert list(got.tensors) == list(samples())
    for name, expected in samples().items():
        assert got.tensors[name].dtype == expected.dtype, name
        assert torch.equal(got.tensors[name], expected), name
        assert got.tensors[name].stride() == expected.stride() or not expected.numel()


@pytest.mark.parametrize("zipped", [True, False])
def test_what_lies_beside_the_weights(zipped: bool, tmp_path: Path) -> None:
    content = {"epoch": 3, "state_dict": torch.nn.Linear(2, 3).state_dict(), "opt": {"lr": 0.1, "betas": (0.9, 0.99)}}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    got = read_weights(tmp_path / "x.pt")
    assert got.beside == {"epoch": 3, "opt": {"lr": 0.1, "betas": (0.9, 0.99)}}
    assert list(got.tensors) == ["weight", "bias"]


def test_a_torchscript_archive(tmp_path: Path) -> None:
    class Inner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(3, 2)
            self.norm = torch.nn.BatchNorm1d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.fc(x))

    model = torch.nn.Sequential(Inner().eval(), torch.nn.GELU()).eval()
    torch.jit.trace(model, torch.zeros(4, 3)).save(tmp_path / "x.pt")
    got = read_weights(tmp_path / "x.pt")
    assert got.kind == "torchscript"
    assert {"Inner", "Linear", "GELU"} <= got.classes
    assert set(got.tensors) == set(model.state_dict())
    assert all(torch.equal(got.tensors[k], v) for k, v in model.state_dict().items())


def test_modules_are_read_as_bags_where_their_classes_are_allowed(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.BatchNorm2d(4))
    for zipped in (True, False):
        torch.save(model, tmp_path / "x.pkl", _use_new_zipfile_serialization=zipped)
        with pytest.raises(ModelError, match=r"torch\.nn"):
            read_torch(tmp_path / "x.pkl")
        file = read_torch(tmp_path / "x.pkl", classes=("torch.nn.modules.",))
        got = {k: file.tensor(ref) for k, ref in attribute_tensors(file.root, "x").items()}
        assert set(got) == set(model.state_dict())
        assert all(torch.equal(got[k], v) for k, v in model.state_dict().items())
        assert class_names(file.root) == {"Sequential", "Conv2d", "ReLU", "BatchNorm2d"}


LIES = {
    "offset": ({"offset": 1}, "building a tensor"),
    "size": ({"size": (3, 2)}, "building a tensor"),
    "stride": ({"stride": (3, 1)}, "building a tensor"),
    "negative stride": ({"stride": (-2, 1)}, "natural"),
    "negative size": ({"size": (-2, 2)}, "natural"),
    "huge": ({"size": (1 << 40, 1 << 40), "stride": (0, 0)}, "in proportion"),
    "true as a size": ({"size": (True, 2)}, "natural"),
    "sizes without strides": ({"stride": (1,)}, "2 sizes and 1 strides"),
    "numel": ({"numel": 1 << 40}, "bytes, got"),
    "negative numel": ({"numel": -4}, "storage without"),
    "key outside": ({"key": "../../etc/hostname"}, "no storage's name"),
    "key absent": ({"key": "7"}, "no such entry"),
    "key no text": ({"key": 7}, "storage without"),
    "type": ({"kind": "DoubleStorage"}, "bytes, got"),
    "dimensions": ({"size": (1,) * 20, "stride": (1,) * 20}, "20 sizes"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_a_tensor(name: str, tmp_path: Path) -> None:
    claims, what = LIES[name]
    sound = write_zip(tmp_path / "sound.pt", tensor_pickle(), {"0": floats(1, 2, 3, 4)})
    assert read_weights(sound).tensors["w"].tolist() == [[1, 2], [3, 4]]
    liar = write_zip(tmp_path / "liar.pt", tensor_pickle(**claims), {"0": floats(1, 2, 3, 4)})
    with pytest.raises(ModelError, match=what):
        read_weights(liar)


def test_an_unaligned_storage_is_read(tmp_path: Path) -> None:
    for length in range(1, 9):
        path = write_zip(tmp_path / "x.pt", tensor_pickle(), {"9" * length: b"", "0": floats(1, 2, 3, 4)})
        assert read_weights(path).tensors["w"].tolist() == [[1, 2], [3, 4]]


def test_writing_to_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.pt", tensor_pickle(), {"0": floats(1, 2, 3, 4)})
    before = path.read_bytes()
    read_weights(path).tensors["w"].zero_()
    assert path.read_bytes() == before


def _zip(path: Path, entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_zips(tmp_path: Path) -> None:
    data, storage = tensor_pickle(), floats(1, 2, 3, 4)
    odd: list[tuple[list[tuple[str, bytes]], int, str]] = [
        ([("a/data.pkl", data), ("a/data/0", storage), ("a/data.pkl", data)], zipfile.ZIP_STORED, "twice"),
        ([("a/data.pkl", data), ("b/data.pkl", data), ("a/data/0", storage)], zipfile.ZIP_STORED, "got 2"),
        ([("x.txt", b"")], zipfile.ZIP_STORED, "got 0"),
        ([("a/data.pkl", data), ("a/data/0", storage)], zipfile.ZIP_DEFLATED, "compressed"),
        ([("a/data.pkl", data), ("a/data/0", storage), ("a/byteorder", b"big")], zipfile.ZIP_STORED, "little-endian"),
    ]
    for entries, method, what in odd:
        with pytest.raises(ModelError, match=what):
            read_torch(_zip(tmp_path / "x.pt", entries, method))


def test_entries_over_the_same_bytes(tmp_path: Path) -> None:
    # Many storages that all point at one entry's bytes would be a bomb to whoever copies them.
    path = write_zip(tmp_path / "x.pt", tensor_pickle(numel=1024, size=(1024,), stride=(1,)), {"0": bytes(4096)})
    assert read_torch(path).kind == "zip"
    raw = bytearray(path.read_bytes())
    place = raw.rindex(b"archive/data/0") - 46
    assert raw[place : place + 4] == b"PK\x01\x02"
    raw[place + 42 : place + 46] = struct.pack("<I", 0)  # the directory points at the pickle instead
    path.write_bytes(raw)
    with pytest.raises(ModelError, match=r"heading|ends earlier"):
        read_torch(path)


def test_odd_legacy_files(tmp_path: Path) -> None:
    sound = write_legacy(tmp_path / "x.pt", tensor_pickle(), ["0"], struct.pack("<q", 4) + floats(1, 2, 3, 4))
    assert read_weights(sound).tensors["w"].tolist() == [[1, 2], [3, 4]]
    for keys, tail, what in (
        (["0"], struct.pack("<q", 4) + floats(1, 2, 3), "ends"),
        (["0"], struct.pack("<q", 3) + floats(1, 2, 3, 4), "says 3"),
        (["0"], struct.pack("<q", -1) + floats(1, 2, 3, 4), "says -1"),
        ([], b"", "got none"),
        (["0", "0"], b"", "list of storages"),
        (["1"], b"", "that tensors use"),
    ):
        with pytest.raises(ModelError, match=what):
            read_torch(write_legacy(tmp_path / "x.pt", tensor_pickle(), keys, tail))


def test_what_is_no_file_of_torch(tmp_path: Path) -> None:
    for content, what in (
        (b"", "empty"),
        (b"<!DOCTYPE html>", "<!DOCTYP"),
        (b"PK\x03\x04 and no more", "damaged"),
        (pickle.dumps({"a": 1}), "plain pickle"),
        (b"\x89HDF\r\n", "begins"),
    ):
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(ModelError, match=what):
            read_torch(tmp_path / "x.pt")
    with pytest.raises(LimnerError, match="no such file"):
        read_torch(tmp_path / "absent.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_raises_nothing_but_our_error(zipped: bool, tmp_path: Path) -> None:
    content = {"state_dict": torch.nn.Linear(2, 3).state_dict(), "epoch": 1}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    sound = (tmp_path / "x.pt").read_bytes()
    random = torch.Generator().manual_seed(0)
    path = tmp_path / "y.pt"
    refused = 0
    for cut in range(0, len(sound), max(1, len(sound) // 60)):
        refused += _refused(path, sound[:cut])
    for _ in range(200):
        broken = bytearray(sound)
        for _ in range(3):
            place = int(torch.randint(len(sound), (1,), generator=random))
            broken[place] = int(torch.randint(256, (1,), generator=random))
        refused += _refused(path, bytes(broken))
    assert refused > 60


def _refused(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    try:
        tensors: dict[str, Any] = read_weights(path).tensors
        assert all(t.numel() < 100 for t in tensors.values())
    except LimnerError:
        return 1
    return 0
