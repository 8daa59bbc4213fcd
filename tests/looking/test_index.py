"""The index of a folder: what is looked at again, what is not, and what survives damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import FileError, InputError, PictureError
from limner.looker import Looker
from limner.looking.index import Changes, Index, index_file, update_index
from limner.looking.page import write_page
from limner.looking.search import Query, embed_query, search_index


def update(looker: Looker, folder: Path, **options: object) -> tuple[Index, int]:
    """The index, and how many pictures were looked at for it."""
    looked: list[int] = []
    index = update_index(looker.towers, folder, model=looker.fingerprint, each=looked.append, **options)  # type: ignore
    return index, sum(looked)


def test_the_first_look_and_the_second(looker: Looker, album: Path) -> None:
    first, looked = update(looker, album)
    assert (looked, first.changes) == (6, Changes(added=5, broken=1))
    assert [f.path for f in first.files] == ["0.png", "1.png", "2.png", "dusk/3.png", "dusk/4.png"]
    assert [(b.path, "picture" in (b.broken or "")) for b in first.broken] == [("broken.jpg", True)]
    np.testing.assert_allclose(first.features, looker.embed_images([first.path(i) for i in range(5)]), atol=1e-6)
    second, looked = update(looker, album)
    assert (looked, second.changes) == (0, Changes(broken=1, kept=6))
    assert np.array_equal(first.features, second.features)


def test_moved_copied_changed_removed(looker: Looker, album: Path, noise) -> None:
    before, _ = update(looker, album)
    shutil.move(album / "0.png", album / "dusk" / "renamed.png")
    shutil.copy(album / "1.png", album / "copy.png")
    noise(77).save(album / "2.png")
    (album / "dusk" / "3.png").unlink()
    noise(78).save(album / "broken.jpg")
    after, looked = update(looker, album)
    assert looked == 2  # the changed one and the mended one
    assert after.changes == Changes(added=2, moved=2, removed=2, broken=0, kept=2)
    rows = dict(zip((f.path for f in after.files), after.features, strict=True))
    assert np.array_equal(rows["dusk/renamed.png"], before.features[0])
    assert np.array_equal(rows["copy.png"], rows["1.png"])
    np.testing.assert_allclose(rows["2.png"], looker.embed_images([album / "2.png"])[0], atol=1e-6)
    assert not after.broken


def test_a_touched_file_is_hashed_but_not_looked_at(looker: Looker, album: Path) -> None:
    update(looker, album)
    os.utime(album / "0.png", (1, 1))
    index, looked = update(looker, album)
    assert (looked, index.changes.kept) == (0, 6)


def test_hidden_files_and_the_index_itself_are_left_out(looker: Looker, album: Path, noise) -> None:
    (album / ".cache").mkdir()
    noise(9).save(album / ".cache" / "thumb.png")
    noise(9).save(album / ".hidden.png")
    assert len(update(looker, album)[0].files) == 5


def test_a_damaged_index_is_made_again(looker: Looker, album: Path) -> None:
    update(looker, album)
    file = index_file(album, looker.fingerprint)
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"\x08\0\0\0\0\0\0\0{}      "):
        file.write_bytes(damage)
        index, looked = update(looker, album)
        assert (looked, len(index.files)) == (6, 5)


def test_a_stopped_look_leaves_the_old_index(looker: Looker, album: Path, noise) -> None:
    update(looker, album)
    noise(50).save(album / "new.png")

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_index(looker.towers, album, model=looker.fingerprint, each=stop)
    assert not list((album / ".limner").glob("*.part"))
    index, looked = update(looker, album)
    assert (looked, len(index.files)) == (1, 6)


def test_the_index_may_stand_elsewhere(looker: Looker, album: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    update(looker, album, place=place)
    assert not (album / ".limner").exists()
    assert update(looker, album, place=place)[1] == 0
    with pytest.raises(FileError, match="folder"):
        update(looker, tmp_path / "missing")


def test_an_empty_folder_has_an_empty_index(looker: Looker, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    index, _ = update(looker, tmp_path / "empty")
    assert index.features.shape == (0, 16)
    assert search_index(index, looker.embed_texts(["a cat"])[0]) == []


def test_search_by_picture_sentence_and_both(looker: Looker, album: Path) -> None:
    hits = looker.search(album, album / "dusk" / "3.png", count=2)
    assert hits[0].path == album / "dusk" / "3.png"
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    words = looker.search(album, "a red cube", count=9)
    assert len(words) == 5
    assert [h.score for h in words] == sorted((h.score for h in words), reverse=True)
    assert [h.path.name for h in looker.search(album, "a red cube", only=["dusk/*"])] == [
        h.path.name for h in words if h.path.parent.name == "dusk"
    ]
    assert all(h.score >= words[1].score for h in looker.search(album, "a red cube", least=words[1].score))


def test_queries_add_and_subtract(looker: Looker, album: Path, noise) -> None:
    texts, pictures = looker.embed_texts(["a cat", "a cube"]), looker.embed_images([noise(1)])
    query = Query(texts=((1.0, "a cat"), (-0.5, "a cube")), pictures=((2.0, noise(1)),))
    expected = texts[0] - 0.5 * texts[1] + 2.0 * pictures[0]
    got = embed_query(looker.towers, looker.words, query)
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-6)


def test_bad_queries(looker: Looker, album: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        looker.search(album, Query())
    with pytest.raises(InputError, match="empty"):
        looker.search(album, " ")
    with pytest.raises(InputError, match="cancel"):
        looker.search(album, Query(texts=((1.0, "a cat"), (-1.0, "a cat"))))
    with pytest.raises(PictureError, match=r"broken\.jpg"):
        looker.search(album, album / "broken.jpg")
    with pytest.raises(InputError, match="int"):
        looker.search(album, 3)
    with pytest.raises(InputError, match="count"):
        looker.search(album, "a cat", count=0)


def test_the_page_escapes_names(looker: Looker, album: Path, tmp_path: Path) -> None:
    odd = album / "a<b>&'\".png"
    Image.new("RGB", (8, 8)).save(odd)
    hits = looker.search(album, odd, count=1)
    page = write_page(hits, "<script>", tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "a&lt;b&gt;&amp;" in page
    assert "data:image/jpeg;base64," in page
