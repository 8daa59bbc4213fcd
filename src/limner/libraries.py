"""Optional libraries: imported where they are used, told not to report that to their makers, named where missing."""

from __future__ import annotations

import os
from typing import Any

from limner.errors import MissingExtra


def openvino(instead: str) -> Any:
    """OpenVINO. Raises MissingExtra, which tells what to do ``instead`` of installing it."""
    try:
        import openvino as library
    except ImportError:
        raise MissingExtra(f"OpenVINO is not installed; pip install 'limner[openvino]', or {instead}") from None
    return library


def onnxruntime(instead: str) -> Any:
    """onnxruntime. Raises MissingExtra, which tells what to do ``instead`` of installing it."""
    # Recent ones send events to their makers, and keep them and a name for the machine on disk, unless this is set
    # before the first import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as library
    except ImportError:
        raise MissingExtra(f"onnxruntime is not installed; pip install 'limner[onnx]', or {instead}") from None
    return library
