"""Names: a CLIP that knows finds all of them, one that does not finds few; data of every form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import DataError, InputError
from limner.evaluate.named import Named, evaluate_drawn, evaluate_named, read_named

NAMES = [f"colour number {i}" for i in range(12)]


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (16, 16), (20 * number, 255 - 20 * number, 7 * number))


class Knowing:
    """Features that are the number itself, of pictures and of names; ``shift`` makes it wrong."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def embed_images(self, images: list[Image.Image]) -> np.ndarray:
        numbers = [image.getpixel((0, 0))[0] // 20 for image in images]  # type: ignore[index]
        return np.eye(len(NAMES))[[(n + self.shift) % len(NAMES) for n in numbers]]

    def embed_texts(self, texts: list[str], *, too_long: str) -> np.ndarray:
        return np.eye(len(NAMES))[[NAMES.index(text) for text in texts]]


class Painter:
    """Draws the colour of the name; ``options`` are those of the last call."""

    def generate(self, caption: str, **options: object) -> list[object]:
        self.options = options
        return [Named(picture(NAMES.index(caption)), caption)] and [
            type("Drawn", (), {"image": picture(NAMES.index(caption))})
        ]


def a_folder(path: Path, times: int = 1) -> Path:
    for i, name in enumerate(NAMES * times):
        picture(NAMES.index(name)).save(path / f"{i}.png")
    rows = "".join(f"{i}.png,{name}\n" for i, name in enumerate(NAMES * times))
    (path / "metadata.csv").write_text("file_name,text\n" + rows)
    return path


def test_a_knowing_clip_names_all_and_a_wrong_one_none(tmp_path: Path) -> None:
    named = read_named(str(a_folder(tmp_path)), key="", count=100)
    assert sorted(one.name for one in named) == sorted(NAMES)
    right = evaluate_named(Knowing(), named, among=6)
    assert (right["accuracy"], right["count"]) == (1.0, 12)
    assert evaluate_named(Knowing(1), named, among=12)["accuracy"] == 0.0


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    assert len(read_named(str(a_folder(tmp_path, times=3)), key="", count=100)) == len(NAMES)


def test_names_from_the_samples_json(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i, name in enumerate(NAMES):
            picture(i).save(tmp_path / "p.png")
            (tmp_path / "j.json").write_text(json.dumps({"captions": ["another", name]}))
            tar.add(tmp_path / "p.png", f"{i}.png")
            tar.add(tmp_path / "j.json", f"{i}.json")
    named = read_named(str(tmp_path / "a.tar"), key="captions.1", count=5, seed=3)
    assert len(named) == 5
    assert {one.name for one in named} <= set(NAMES)


def test_names_are_drawn_the_likeliest_first_and_recognised() -> None:
    painter = Painter()
    named = [Named(picture(i), name) for i, name in enumerate(NAMES)]
    table, drawn = evaluate_drawn(painter, Knowing(), named, among=6, prompts=12, candidates=4, quiet=True)  # type: ignore[arg-type]
    assert (table["accuracy"], table["count"], len(drawn)) == (1.0, 12, 12)
    assert painter.options["rank"] == "likelihood"
    assert painter.options["candidates"] == 4


def test_wrong_sizes_and_missing_data_are_refused(tmp_path: Path) -> None:
    named = [Named(picture(i), name) for i, name in enumerate(NAMES)]
    with pytest.raises(InputError, match="among"):
        evaluate_named(Knowing(), named, among=13)
    with pytest.raises(DataError, match="expected"):
        read_named(str(tmp_path / "missing"), key="", count=3)
