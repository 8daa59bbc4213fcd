"""DALL·E's token step through onnxruntime on a CPU: ``onnx_graph``'s graph, run on arrays that the caller keeps.

The graph is small and kept in the user's cache, so that later processes neither write it nor load the library that
does; the weights come from the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from limner.engines import onnx_graph
from limner.engines.kept import model_folder, open_kept
from limner.engines.onnx_graph import Graph, weights_of
from limner.errors import InputError, MissingExtra
from limner.files import sha256
from limner.libraries import onnxruntime
from limner.models.dalle import DALLE

PRECISIONS = ("float32", "int8")
"""int8: weights as bytes with a scale for each output, inputs of matrices as bytes with a scale for each row, whose
products are summed exactly; the rest in float32."""
_ERRORS_ONLY = 3


class ONNXRuntimeStep:
    """Does what ``openvino_step.OpenVINOStep`` does, with the same arrays. Raises MissingExtra, InputError."""

    def __init__(
        self,
        model: DALLE,
        precision: str,
        *,
        threads: int,
        fingerprint: str | None = None,
        cache: Path | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision: expected {' or '.join(PRECISIONS)} with onnxruntime, got {precision!r}")
        self._library, self._model, self._precision = onnxruntime("use engine torch"), model, precision
        self._folder = None if fingerprint is None else model_folder(self._library, fingerprint, cache)
        self._threads = threads
        self._weights = weights_of(model, as_int8=precision == "int8")
        # On a CPU a value reads the array where it lies.
        self._values = {name: self._value(array) for name, array in self._weights.items()}
        self._sessions: dict[bool, Any] = {}

    def wrap(self, array: np.ndarray) -> object:
        """An array as ``bind`` takes it: contiguous, read where it lies whenever the step is computed."""
        return array, self._value(array)

    def bind(self, arrays: Mapping[str, Any]) -> None:
        """Read these wrapped arrays from now on. Where ``x`` is among them, a new batch begins, and all are."""
        if "x" in arrays:
            self._begin(rows=len(arrays["x"][0]), alone="spread" not in arrays)
        for name, (_, value) in arrays.items():
            self._binding.bind_ortvalue_input(name, value)
        self._alive |= arrays  # a value does not keep the array whose memory it reads

    def compiled(self, alone: bool) -> Any:
        """onnxruntime's session for batches of one caption (``alone``) or several, its graph from the cache or made."""
        name = f"step-{self._precision}-{'one' if alone else 'several'}"

        def build() -> bytes:
            try:
                graph = Graph(self._model, self._weights, as_int8=self._precision == "int8", alone=alone)
            except ImportError:
                raise MissingExtra("onnx is not installed; pip install 'limner[onnx]', or use engine torch") from None
            return graph.build()

        return open_kept(build, self._open, self._folder, name, f"{self._model.config} {_source()}")

    def __call__(self) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """Logits, and (keys, values) of each layer: views that the next call overwrites."""
        self._session.run_with_iobinding(self._binding)
        return self._logits, self._new

    def _begin(self, rows: int, alone: bool) -> None:
        if alone not in self._sessions:
            self._sessions[alone] = self.compiled(alone)
        self._session, config = self._sessions[alone], self._model.config
        self._binding, self._alive = self._session.io_binding(), {}
        self._logits = np.empty((rows, config.image_vocabulary), np.float32)
        shape = 1, config.heads, rows, config.width // config.heads
        given = [self._logits, *(np.empty(shape, np.float32) for _ in range(2 * config.layers))]
        for about, array in zip(self._session.get_outputs(), given, strict=True):
            value = self._value(array)
            self._binding.bind_ortvalue_output(about.name, value)
            self._alive[about.name] = array, value
        new = [array[0] for array in given[1:]]
        self._new = list(zip(new[::2], new[1::2], strict=True))

    def _open(self, graph: bytes) -> Any:
        options = self._library.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = _ERRORS_ONLY
        # Threads that wait by spinning take the cores from whatever else runs, and from torch between two steps.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The graph is written as it shall run: a sum and its norm, for one, would be joined to something slower.
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_external_initializers(list(self._values), list(self._values.values()))
        return self._library.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def _value(self, array: np.ndarray) -> Any:
        return self._library.OrtValue.ortvalue_from_numpy(array)


@lru_cache
def _source() -> str:
    """The hash of what writes the graph: another graph of the same weights is another graph."""
    return sha256(onnx_graph.__file__)
