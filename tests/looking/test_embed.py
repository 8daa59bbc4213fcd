"""Reading pictures as OpenAI does, batches that overlap, texts of any length."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from limner.errors import InputError, PictureError
from limner.looking import embed
from limner.looking.embed import Reading, embed_pictures, embed_texts, read_pixels, stream_pictures
from limner.looking.read import find_pictures, open_picture
from limner.models.clip.config import CLIPConfig, TextConfig, ViTConfig


class Towers:
    """Features that show what came in: a picture's mean colour, a text's length."""

    batch, alone, scale, bias = 4, False, 10.0, None

    def __init__(self, size: int = 24, **text: object) -> None:
        words = TextConfig(vocabulary=300, context=16, width=8, layers=1, heads=1, **text)  # type: ignore[arg-type]
        self.config = CLIPConfig(3, size, ViTConfig(1, 8, 8, heads=1), words)
        self.batches: list[tuple[int, ...]] = []

    def images(self, pictures: np.ndarray) -> np.ndarray:
        self.batches.append(pictures.shape)
        return pictures.mean(axis=(1, 2)) + 1.0

    def texts(self, ids: np.ndarray) -> np.ndarray:
        self.batches.append(ids.shape)
        return np.stack([ids.max(axis=1), (ids > 0).sum(axis=1), np.ones(len(ids))], axis=1).astype(np.float32)


class Letters:
    """A tokenizer of letters: start 298, end 299."""

    def clip_row(self, captions: list[str], context: int, *, cut: bool = False) -> np.ndarray:
        rows = np.zeros((len(captions), context), np.int64)
        for row, caption in zip(rows, captions, strict=True):
            ids = [ord(c) % 256 + 1 for c in caption]
            if len(ids) > context - 2 and not cut:
                raise InputError(f"caption {caption!r}: too long")
            ids = ids[: context - 2]
            row[: len(ids) + 2] = [298, *ids, 299]
        return rows


def test_files_become_openais_pixels_bit_by_bit(shared: Path) -> None:
    folder = shared / "parity" / "clip"
    expected = load_file(folder / "preprocess.expected.safetensors")
    names = [p["name"] for p in json.loads((folder / "index.json").read_text())["pictures"]]
    assert len(names) == 12
    for name in names:
        for source in (folder / "pictures" / f"{name}.png", (folder / "pictures" / f"{name}.png").read_bytes()):
            pixels = read_pixels(source, Towers(), Reading())
            assert np.array_equal(pixels, expected[f"openai/{name}"]), name


def test_exif_turns_only_when_asked(shared: Path) -> None:
    path = shared / "parity" / "clip" / "pictures" / "exif6_40x27.png"
    plain, turned = (read_pixels(path, Towers(), Reading(exif=e)) for e in (False, True))
    assert not np.array_equal(plain, turned)
    upright = Image.open(path).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(turned, read_pixels(upright, Towers(), Reading()))


def test_fast_decoding_is_near_and_smaller(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 640, dtype=np.uint8)
    picture = Image.fromarray(
        np.stack([np.tile(ramp, (640, 1)), np.tile(ramp[:, None], (1, 640)), np.tile(ramp, (640, 1))], 2)
    )
    picture.save(tmp_path / "large.jpg", quality=90)
    assert open_picture(tmp_path / "large.jpg", shrink=24).size == (80, 80)
    assert open_picture(tmp_path / "large.jpg").size == (640, 640)
    exact, fast = (read_pixels(tmp_path / "large.jpg", Towers(), Reading(fast=f)) for f in (False, True))
    assert 0 <= np.abs(exact.astype(int) - fast).max() <= 6
    picture.resize((40, 40)).save(tmp_path / "small.jpg")
    assert open_picture(tmp_path / "small.jpg", shrink=24).size == (40, 40)


def test_order_is_kept_and_the_unreadable_is_told() -> None:
    pictures: list[object] = [Image.new("RGB", (9, 9), (i, 0, 0)) for i in range(11)]
    pictures[2], pictures[7] = b"junk", b""
    towers = Towers()
    found = embed_pictures(towers, pictures, Reading(threads=3))  # type: ignore[arg-type]
    assert found.indices == [0, 1, 3, 4, 5, 6, 8, 9, 10]
    assert [(b.index, "empty" in b.reason) for b in found.broken] == [(2, False), (7, True)]
    reds = found.features[:, 0] / found.features[:, 1]
    np.testing.assert_allclose(reds - 1, found.indices, atol=1e-4)
    assert [shape[0] for shape in towers.batches] == [4, 4, 1]


def test_sources_are_taken_as_needed_and_no_further() -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Image.new("RGB", (8, 8))

    stream = stream_pictures(Towers(), endless(), Reading(threads=1))
    for _ in range(3):
        next(stream)
    stream.close()
    assert taken <= 3 * 4 + 16 + 4


def test_decoding_goes_on_while_the_towers_work(monkeypatch: pytest.MonkeyPatch) -> None:
    towers, log, lock = Towers(), list[str](), threading.Lock()
    real = embed.read_pixels

    def slow_read(*arguments):
        time.sleep(0.01)
        with lock:
            log.append("read")
        return real(*arguments)

    def slow_images(pictures: np.ndarray) -> np.ndarray:
        before = len(log)
        time.sleep(0.15)
        with lock:
            log.append("overlapped" if len(log) > before else "alone")
        return np.ones((len(pictures), 3), np.float32)

    monkeypatch.setattr(embed, "read_pixels", slow_read)
    monkeypatch.setattr(towers, "images", slow_images)
    embed_pictures(towers, [Image.new("RGB", (8, 8)) for _ in range(40)], Reading(threads=1))
    assert log.count("overlapped") >= 2


def test_no_picture_is_begun_while_towers_want_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    towers, begun = Towers(), []
    monkeypatch.setattr(towers, "alone", True, raising=False)

    def read(source: Image.Image, *_: object) -> np.ndarray:
        begun.append(source)
        time.sleep(0.001)
        return np.zeros((24, 24, 3), np.uint8)

    def images(pictures: np.ndarray) -> np.ndarray:
        time.sleep(0.003)  # those that were begun before
        before = len(begun)
        time.sleep(0.01)
        assert len(begun) == before
        return np.ones((len(pictures), 3), np.float32)

    monkeypatch.setattr(embed, "read_pixels", read)
    monkeypatch.setattr(towers, "images", images)
    found = embed_pictures(towers, [Image.new("RGB", (8, 8)) for _ in range(40)], Reading(threads=2))
    assert found.indices == list(range(40))
    monkeypatch.setattr(towers, "images", lambda pictures: 1 / 0)  # a failing tower leaves no decoder waiting
    with pytest.raises(ZeroDivisionError):
        embed_pictures(towers, [Image.new("RGB", (8, 8)) for _ in range(40)], Reading(threads=2))


def test_texts_are_sorted_into_batches_and_come_back_in_order() -> None:
    towers = Towers()
    texts = ["abcdefgh"[: i % 8 + 1] for i in range(40)]
    features = embed_texts(towers, Letters(), texts)
    lengths = np.rint(features[:, 1] / features[:, 2]).astype(int)
    assert lengths.tolist() == [len(t) + 2 for t in texts]
    assert len(towers.batches) > 1
    assert np.allclose(np.linalg.norm(features, axis=1), 1)


def test_long_texts_are_refused_or_cut() -> None:
    with pytest.raises(InputError, match="too long"):
        embed_texts(Towers(), Letters(), ["x" * 40])
    assert embed_texts(Towers(), Letters(), ["x" * 40], too_long="cut").shape == (1, 3)
    with pytest.raises(InputError, match="windows"):
        embed_texts(Towers(), Letters(), ["x" * 40], too_long="windows")
    with pytest.raises(InputError, match="list"):
        embed_texts(Towers(), Letters(), "one text")
    assert embed_texts(Towers(), Letters(), []).shape == (0, 3)


def test_windows_are_the_mean_of_their_parts() -> None:
    from limner.text.clip_bytepairs import ClipBytePairs

    tokenizer, towers = ClipBytePairs.published(), Towers()
    rows, owners = tokenizer.windows(["a photo " * 20, "a cat"], 16)
    assert owners.tolist() == [0, 0, 0, 1]
    parts = embed.unit(towers.texts(rows))
    found = embed_texts(towers, tokenizer, ["a photo " * 20, "a cat"], too_long="windows")
    np.testing.assert_allclose(found[0], embed.unit(parts[:3].sum(axis=0)), atol=1e-6)


def test_unmasked_texts_keep_their_full_rows() -> None:
    towers = Towers(causal=False)
    rows = Letters().clip_row(["ab", "abc"], 16)
    assert embed.row_lengths(towers, rows).tolist() == [16, 16]
    assert embed.row_lengths(Towers(), rows).tolist() == [4, 5]


def test_pictures_are_found_by_folder_pattern_and_name(album: Path) -> None:
    names = [p.relative_to(album).as_posix() for p in find_pictures([album])]
    assert names == ["0.png", "1.png", "2.png", "broken.jpg", "dusk/3.png", "dusk/4.png"]
    assert [p.name for p in find_pictures([str(album / "*.png"), album / "0.png"])] == ["0.png", "1.png", "2.png"]
    assert find_pictures([album / "missing.png"]) == [album / "missing.png"]
    with pytest.raises(PictureError, match="pattern"):
        find_pictures([str(album / "*.webp")])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "JPEG"])
def test_the_file_may_close_before_the_picture_is_used(kind: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    more = {} if kind == "JPEG" else {"save_all": True, "append_images": frames[1:]}
    frames[0].save(tmp_path / "x", kind, **more)
    picture = open_picture(tmp_path / "x")
    (tmp_path / "x").unlink()
    red, green, blue = np.asarray(picture.resize((4, 4)).convert("RGB"))[1, 1]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n truncated", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    with pytest.raises(PictureError, match=r"x\.png"):
        open_picture(file)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    packed = io.BytesIO()
    Image.new("1", (9000, 8000)).save(packed, "PNG")
    began = time.perf_counter()
    with pytest.raises(PictureError, match="64 megapixels"):
        open_picture(packed.getvalue())
    assert time.perf_counter() - began < 1.0
