"""Compiled graphs on disk: the same bits, made anew where they are damaged, told apart by what changes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines.test_towers import VIT, inputs, made
from tests.sampling.conftest import small_dalle

import limner
from limner.engines import kept
from limner.engines.onnxruntime_step import ONNXRuntimeStep
from limner.engines.openvino_step import OpenVINOStep
from limner.sampling.engine_step import EngineStep


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all graphs that are built rather than read."""
    names: list[str] = []
    compile_kept, open_kept = kept.compile_kept, kept.open_kept

    def counted(build: Callable[[], Any], name: str) -> Callable[[], Any]:
        def named() -> Any:
            names.append(name)
            return build()

        return named

    def compiled(library: Any, build: Any, settings: Any, folder: Any, name: str, about: str = "") -> Any:
        return compile_kept(library, counted(build, name), settings, folder, name, about)

    def opened(build: Any, open_graph: Any, folder: Any, name: str, about: str = "") -> Any:
        return open_kept(counted(build, name), open_graph, folder, name, about)

    for room in ("openvino_step", "openvino_towers"):
        monkeypatch.setattr(f"limner.engines.{room}.compile_kept", compiled)
    monkeypatch.setattr("limner.engines.onnxruntime_step.open_kept", opened)
    return names


STEPS: dict[str, Any] = {"openvino": OpenVINOStep, "onnxruntime": ONNXRuntimeStep}
KINDS = {"openvino": "blob", "onnxruntime": "onnx"}


@pytest.fixture(params=STEPS)
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def logits(
    engine: str,
    cache: Path | None,
    precision: str = "float32",
    threads: int = 1,
    fingerprint: str = "x",
    width: int = 32,
) -> torch.Tensor:
    torch.manual_seed(0)
    model = small_dalle(width=width)
    name = None if cache is None else fingerprint
    step = EngineStep(model, STEPS[engine](model, precision, threads=threads, fingerprint=name, cache=cache))
    one, two = (step.read(torch.full((model.config.text_length,), number)) for number in (0, 1))
    rows = []
    for contexts in ([(one, 3)], [(one, 2), (two, 1)]):
        state = step.begin(contexts)
        for position in range(3):
            rows.append(step.advance(state, torch.tensor([1, 2, 3]), position))
    return torch.stack(rows)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_kept_step_has_the_same_bits(engine: str, tmp_path: Path, built: list[str], precision: str) -> None:
    made = logits(engine, None, precision)
    assert built == [f"step-{precision}-one", f"step-{precision}-several"]
    assert torch.equal(logits(engine, tmp_path, precision), made)
    assert len(built) == 4
    assert torch.equal(logits(engine, tmp_path, precision), made)
    assert len(built) == 4
    assert len(list(tmp_path.rglob("*"))) == 1 + 2  # the model's folder and two graphs, nothing half-written


def test_what_changes_a_graph_has_a_graph_of_its_own(
    engine: str, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logits(engine, tmp_path)
    changes: list[dict[str, Any]] = [{"precision": "int8"}, {"fingerprint": "y"}, {"width": 64}]
    # What OpenVINO compiles is for so many threads; onnxruntime's graph is for any.
    changes += [{"threads": 2}] if engine == "openvino" else []
    for change in changes:
        before = len(built)
        logits(engine, tmp_path, **change)
        assert len(built) == before + 2
    for place, value in {"limner.__version__": "9", f"{engine}.__version__": "9-1"}.items():
        monkeypatch.setattr(place, value)
        before = len(built)
        logits(engine, tmp_path)
        assert len(built) == before + 2


def test_threads_do_not_change_onnxruntimes_bits(tmp_path: Path, built: list[str]) -> None:
    pytest.importorskip("onnxruntime")
    one = logits("onnxruntime", tmp_path)
    assert torch.equal(logits("onnxruntime", tmp_path, threads=2), one)
    assert len(built) == 2


def damaged(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return {"empty": b"", "cut": content[:middle], "one bit": flipped, "something else": b"something else"}[how]


@pytest.mark.parametrize("how", ["empty", "cut", "one bit", "something else"])
def test_a_damaged_step_is_made_anew(engine: str, tmp_path: Path, built: list[str], how: str) -> None:
    made = logits(engine, tmp_path)
    files = sorted(tmp_path.rglob(f"*.{KINDS[engine]}"))
    whole = [file.read_bytes() for file in files]
    assert len(files) == 2
    for file, content in zip(files, whole, strict=True):
        file.write_bytes(damaged(content, how))
    assert torch.equal(logits(engine, tmp_path), made)
    assert len(built) == 4
    assert torch.equal(logits(engine, tmp_path), made)
    assert len(built) == 4
    # OpenVINO writes the same graph in slightly other sizes: what counts is that nothing damaged is left.
    assert all(file.read_bytes() != damaged(content, how) for file, content in zip(files, whole, strict=True))


def test_a_whole_file_that_the_engine_does_not_take_is_made_anew(engine: str, tmp_path: Path, built: list[str]) -> None:
    import zlib

    made = logits(engine, tmp_path)
    for file in tmp_path.rglob(f"*.{KINDS[engine]}"):
        file.write_bytes(b"of another build" + zlib.crc32(b"of another build").to_bytes(4, "little"))
    assert torch.equal(logits(engine, tmp_path), made)
    assert len(built) == 4


def test_where_nothing_can_be_written_nothing_is_kept(engine: str, tmp_path: Path, built: list[str]) -> None:
    (tmp_path / "a file").write_text("in the way")
    made = logits(engine, None)
    assert torch.equal(logits(engine, tmp_path / "a file" / "cache"), made)
    assert torch.equal(logits(engine, tmp_path / "a file"), made)
    assert (tmp_path / "a file").read_text() == "in the way"
    assert len(built) == 6


def test_a_kept_graph_needs_no_library_to_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    made = logits("onnxruntime", tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert torch.equal(logits("onnxruntime", tmp_path), made)


def test_towers_are_made_anew_too(tmp_path: Path, built: list[str]) -> None:
    from limner.engines.openvino_towers import OpenVINOTowers

    model, (pictures, ids) = made(VIT), inputs()

    def features(cache: Path) -> np.ndarray:
        towers = OpenVINOTowers(model, "float32", "x", cache=cache)
        return np.concatenate([towers.images(pictures), towers.texts(ids)])

    first = features(tmp_path)
    assert np.array_equal(features(tmp_path), first)
    assert len(built) == 2
    for suffix in (".blob", ".xml"):
        for file in tmp_path.rglob(f"*{suffix}"):
            file.write_bytes(damaged(file.read_bytes(), "cut"))
    np.testing.assert_allclose(features(tmp_path), first, atol=1e-5)
    assert len(built) == 4
    np.testing.assert_allclose(features(tmp_path), first, atol=1e-5)
    assert len(built) == 4
    (tmp_path / "a file").write_text("in the way")
    np.testing.assert_allclose(features(tmp_path / "a file"), first, atol=1e-5)


def test_painters_keep_their_step(
    engine: str, tiny_painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    drawn = [
        limner.load_painter(tiny_painter, engine=engine, precision="float32").generate("a red cube", candidates=2)
        for _ in range(2)
    ]
    assert np.array_equal(drawn[0][0].tokens, drawn[1][0].tokens)
    graphs = list((tmp_path / "limner" / engine).rglob(f"*.{KINDS[engine]}"))
    assert [file.name.startswith("step-float32-one-") for file in graphs] == [True]
