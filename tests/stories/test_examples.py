"""The examples run."""

from __future__ import annotations

import runpy
from pathlib import Path

from limner.pictures.load import load_picture
from limner.pictures.png import read_facts

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_strip_of_make_demo(tiny_painter: Path, tmp_path: Path) -> None:
    main = runpy.run_path(str(EXAMPLES / "strip.py"))["main"]
    path = main(str(tmp_path / "new" / "strip.png"), str(tiny_painter))
    assert path == tmp_path / "new" / "strip.png"
    width, height = load_picture(path).size
    assert width > 4 * 192
    assert height > 192
    assert len(read_facts(path)["captions"]) == 4
