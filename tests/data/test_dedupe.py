"""Real pictures resized and encoded anew are found; those that only resemble each other are not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.cli.main import main
from limner.data.dedupe import Look, find, groups, write
from limner.data.epochs import Epochs
from limner.data.shards import add_file
from limner.data.sources import DataOptions, open_data
from limner.errors import DataError


def opened(source: Path | str) -> Epochs:
    data = open_data(str(source), DataOptions(size=64, test_share=0.0, captions=False)).train
    assert isinstance(data, Epochs)
    return data


@pytest.fixture(scope="module")
def copies(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty emoji, and of every fourth a smaller one, a JPEG and a WebP."""
    folder = tmp_path_factory.mktemp("copies")
    data = opened(shared / "data/emoji/noto-00000.tar.gz")
    with tarfile.open(folder / "a.tar", "w") as tar:
        for i, item in enumerate(data.items[:160:4]):
            picture = Image.fromarray(data.read(item, 0).picture)
            versions = [("", picture, "png", {})]
            if i % 4 == 0:
                versions += [("-small", picture.resize((77, 77), Image.Resampling.LANCZOS), "png", {})]
                versions += [("-jpg", picture, "jpeg", {"quality": 60}), ("-webp", picture, "webp", {"quality": 60})]
            for ending, version, kind, how in versions:
                buffer = io.BytesIO()
                version.save(buffer, kind, **how)
                add_file(tar, f"{i:03d}{ending}.{kind}", buffer.getvalue())
                add_file(tar, f"{i:03d}{ending}.txt", b"an emoji")
        add_file(tar, "999.png", b"no picture")
    return folder


def test_resized_and_encoded_anew_is_found(copies: Path, tmp_path: Path) -> None:
    found = find(opened(copies))
    names = {found.items[g[0]].key: {found.items[i].key for i in g[1:]} for g in found.groups}
    for i in range(0, 40, 4):
        (group,) = (rest for key, rest in names.items() if key.startswith(f"{i:03d}"))
        assert f"{i:03d}-small" in group  # the smallest never stays
        assert len(group) == 3
    assert len(found.kept) == 40
    assert [b.name for b in found.broken] == ["999"]
    write(found.kept, tmp_path / "out")
    again = find(opened(tmp_path / "out"))
    assert len(again.items) == 40
    assert again.groups == again.broken == []
    assert again.items[1].caption is not None
    with pytest.raises(DataError, match="new or empty"):
        write(found.kept, tmp_path / "out")


def test_clocks_that_differ_by_a_hand_are_not_the_same(shared: Path) -> None:
    data = opened(shared / "data/emoji/twemoji-*.tar.gz")
    clocks = [i for i in data.items if 0x1F550 <= int(i.key.split("-")[1], 16) <= 0x1F567]
    assert len(clocks) > 15
    assert find(Epochs("clocks", clocks, data.read)).groups == []


def test_groups_by_blocks_are_those_of_every_pair() -> None:
    rng = np.random.RandomState(0)
    centres = rng.uniform(0, 255, (30, 768)).astype(np.float32)
    rows = np.concatenate([centres + rng.normal(0, s, centres.shape).astype(np.float32) for s in (0, 1, 2)])
    looks = [Look(row, 100 - i) for i, row in enumerate(rows)]
    wanted = [[i, i + 30, i + 60] for i in range(30)]
    assert groups(looks) == groups(looks, block=7) == wanted
    assert groups(looks[:1]) == []


def test_the_command_tells_and_writes(copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "dedupe", str(copies), str(tmp_path / "out"), "--json"]) == 0
    assert '"pictures": 70, "kept": 40' in capsys.readouterr().out
    assert main(["data", "dedupe", str(copies)]) == 0
    assert "stands for" in capsys.readouterr().out
    assert main(["data", "dedupe", "storybook"]) == 1
