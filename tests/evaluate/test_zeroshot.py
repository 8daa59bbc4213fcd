"""Zero-shot accuracy: what counts as a class, what counts as right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import DataError, InputError
from limner.evaluate.zeroshot import evaluate_zeroshot, labelled
from limner.looking.heads import Head

COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "dark_blue": (0, 0, 200)}


class Colours:
    """A looker of mean colours; ``blind`` says the same of everything."""

    def __init__(self, blind: bool = False) -> None:
        self.blind = blind
        self.templates: object = None

    def embed_images(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        means = np.stack([p.mean(axis=(0, 1)) for p in pictures]).astype(np.float32)
        means = np.ones_like(means) if self.blind else means
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def head(self, labels: Sequence[str], templates: str | Sequence[str] | None, *, cut: bool) -> Head:
        self.templates = templates
        rows = np.stack([np.eye(3, dtype=np.float32)[["red", "green", "dark blue"].index(label)] for label in labels])
        return Head(tuple(labels), rows, 100.0, None, ("{}",), "", np.zeros(3, np.float32))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, colour in COLOURS.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), tuple(c + i for c in colour)).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def test_a_folder_for_each_class(folders: Path) -> None:
    got = evaluate_zeroshot(Colours(), labelled(str(folders)), templates="simple")
    assert (got["pictures"], got["classes"], got["top1"]["accuracy"], got["per_class"]) == (9, 3, 1.0, 1.0)
    low, high = got["top1"]["interval"]
    assert 0.6 < low < high == 1.0
    Image.new("RGB", (8, 8), (0, 200, 0)).save(folders / "red" / "wrong.png")
    got = evaluate_zeroshot(Colours(), labelled(str(folders)))
    assert got["top1"]["accuracy"] == pytest.approx(0.9)
    assert got["per_class"] == pytest.approx((0.75 + 1 + 1) / 3)


def test_captions_are_classes(folders: Path) -> None:
    lines = [f"{name}/{i}.png,{name.replace('_', ' ')}" for name in COLOURS for i in range(3)]
    (folders / "metadata.csv").write_text("file_name,text\n" + "\n".join(lines))
    got = evaluate_zeroshot(Colours(), labelled(str(folders)), classes=2)
    assert (got["pictures"], got["classes"]) == (6, 2)


def test_saying_the_same_of_everything_is_never_right(folders: Path) -> None:
    assert evaluate_zeroshot(Colours(blind=True), labelled(str(folders)))["top1"]["accuracy"] == 0.0


def test_broken_pictures_are_counted(folders: Path) -> None:
    (folders / "red" / "broken.png").write_bytes(b"junk")
    got = evaluate_zeroshot(Colours(), labelled(str(folders)))
    assert got["pictures"] == 9
    assert got["broken"] == {"not a picture": 1}


def test_what_has_no_classes_is_refused(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (folders / "red").rename(tmp_path / "one" / "red")
    with pytest.raises(InputError, match="two classes"):
        evaluate_zeroshot(Colours(), labelled(str(tmp_path / "one")))
    (tmp_path / "bare").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "bare" / "a.png")
    with pytest.raises(DataError, match="folder for each class"):
        labelled(str(tmp_path / "bare"))
    with pytest.raises(DataError, match="missing"):
        labelled(str(tmp_path / "missing"))
    with pytest.raises(InputError, match="2 classes"):
        evaluate_zeroshot(Colours(), labelled(str(folders)), classes=1)
