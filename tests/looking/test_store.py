"""Features as files; shards part by part."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import DataError, InputError
from limner.looker import Looker
from limner.looking.store import embed_shards, is_shard, write_features


def shard(path: Path, seeds: range, broken: bool = False) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for seed in seeds:
            packed = io.BytesIO()
            pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(packed, "PNG")
            for name, content in ((f"{seed:05d}.png", packed.getvalue()), (f"{seed:05d}.txt", b"a caption")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        if broken:
            info = tarfile.TarInfo("zz.jpg")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"junk"))
    return path


def test_npy_and_parquet_say_the_same(tmp_path: Path) -> None:
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    names = ["a.png", "猫.png"]
    write_features(tmp_path / "x.npy", names, features, {"model": "m"}, skipped=["b.png: broken"])
    write_features(tmp_path / "x.parquet", names, features, {"model": "m"})
    assert np.array_equal(np.load(tmp_path / "x.npy"), features)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {
        "names": names,
        "skipped": ["b.png: broken"],
        "model": "m",
    }
    table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "x.parquet")
    assert table["name"].to_pylist() == names
    assert table["embedding"].to_pylist() == features.tolist()
    with pytest.raises(InputError, match="npy"):
        write_features(tmp_path / "x.csv", names, features, {})


def test_shards_part_by_part_and_resumed(looker: Looker, tmp_path: Path) -> None:
    shards = [shard(tmp_path / "a.tar", range(3), broken=True), shard(tmp_path / "b.tar.gz", range(3, 5))]
    assert all(map(is_shard, shards))
    out = tmp_path / "out"
    made = embed_shards(looker.towers, shards, out, facts={})
    assert [p.name for p in made] == ["a.npy", "b.npy"]
    about = json.loads((out / "a.json").read_text())
    assert about["names"] == ["00000.png", "00001.png", "00002.png"]
    assert about["skipped"][0].startswith("zz.jpg: ")
    pixels = np.random.default_rng(4).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_allclose(np.load(out / "b.npy")[1], looker.embed_images([pixels])[0], atol=1e-6)
    (out / "a.npy").unlink()
    assert [p.name for p in embed_shards(looker.towers, shards, out, facts={})] == ["a.npy"]


def test_processes_share_the_shards(looker: Looker, tmp_path: Path) -> None:
    shards = [shard(tmp_path / f"{i}.tar", range(i, i + 1)) for i in range(5)]
    parts = [embed_shards(looker.towers, shards, tmp_path / "out", facts={}, rank=r, world=2) for r in range(2)]
    assert [[p.stem for p in part] for part in parts] == [["0", "2", "4"], ["1", "3"]]


def test_a_cut_shard_leaves_no_part(looker: Looker, tmp_path: Path) -> None:
    whole = shard(tmp_path / "a.tar", range(4))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:2500])
    with pytest.raises(DataError, match=r"cut\.tar"):
        embed_shards(looker.towers, [cut], tmp_path / "out", facts={})
    assert not list((tmp_path / "out").glob("*"))
    with pytest.raises(DataError, match="twice"):
        embed_shards(looker.towers, [whole, whole], tmp_path / "out", facts={})
