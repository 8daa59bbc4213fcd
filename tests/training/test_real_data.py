"""Real pictures through all three stages: emoji shards, a folder with metadata.csv, a mixture with drawn scenes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from limner.data.sources import DataOptions, open_data
from limner.errors import DataError, TrainingError
from limner.models.modelfolder import read_folder
from limner.training.journal import read_journal
from limner.training.recipe import load_recipe
from limner.training.run import train

FEW = {"steps": "6", "batch": "8", "journal_every": "3", "sample_every": "6", "threads": "1"}


def losses(run: Path) -> list[float]:
    return [r["loss"] for r in read_journal(run / "journal.jsonl") if "loss" in r]


def test_emoji_train_through_all_three_stages(shared: Path, tmp_path: Path) -> None:
    emoji = str(shared / "data/emoji/twemoji-0000{0..1}.tar.gz")
    source = {"data.source": f'"{emoji}"'}
    train(load_recipe("dvae_debug", {**FEW, **source}), tmp_path / "dvae", device="cpu", quiet=True)
    both = {
        "data.source": f'"{emoji}*3,storybook*1"',
        "data.caption_keys": '["captions", "captions_zh"]',
        "data.dvae": f'"{tmp_path / "dvae"}"',
        "data.tokenizer_captions": "400",
    }
    train(load_recipe("dalle_debug", {**FEW, **both}), tmp_path / "dalle", device="cpu", quiet=True)
    words = {**source, "data.tokenizer_captions": "400"}
    train(load_recipe("clip_debug", {**FEW, **words}), tmp_path / "clip", device="cpu", quiet=True)
    for kind in ("dvae", "dalle", "clip"):
        first, last = losses(tmp_path / kind)
        assert last < first
        loaded = read_folder(tmp_path / kind / "model")
        assert loaded.kind == kind
        assert (loaded.tokenizer is None) == (kind == "dvae")
    opening = read_journal(tmp_path / "clip/journal.jsonl")[0]
    assert opening["pairs"] > 800
    assert "broken" not in opening


def a_folder(path: Path, count: int = 10, broken: int = 0) -> Path:
    path.mkdir()
    source = open_data("storybook", DataOptions(size=48)).train
    from PIL import Image

    with open(path / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text"])
        for i in range(count + broken):
            pair = source.at(i, [])
            writer.writerow([f"{i}.png", pair.caption])
            Image.fromarray(pair.picture[:, : 40 + i % 3]).save(path / f"{i}.png")
            if i >= count:
                (path / f"{i}.png").write_bytes(b"no picture")
    return path


def test_a_folder_trains_and_its_broken_pictures_are_named(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "pictures", 20, broken=3)
    recipe = load_recipe("clip_debug", {**FEW, "data.source": f'"{folder}"'})
    train(recipe, tmp_path / "run", device="cpu", quiet=True)
    record = [r for r in read_journal(tmp_path / "run/journal.jsonl") if "loss" in r][-1]
    assert record["broken"]["not a picture"] >= 3
    named = [name for r in read_journal(tmp_path / "run/journal.jsonl") for name in r.get("broken_names", [])]
    assert sorted(named) == [f"{i}.png: not a picture" for i in (20, 21, 22)]


def test_too_many_broken_pictures_stop_the_run(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "pictures", 6, broken=14)
    recipe = load_recipe("dvae_debug", {**FEW, "data.source": f'"{folder}"'})
    with pytest.raises(DataError, match=r"unusable \(not a picture \d+\), more than training.bad_share = 0.5"):
        train(recipe, tmp_path / "run", device="cpu", quiet=True)


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "pictures")
    recipe = load_recipe("dvae_debug", {**FEW, "steps": "2", "data.source": f'"{folder}"'})
    train(recipe, tmp_path / "run", device="cpu", quiet=True)
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()
    (folder / "metadata.csv").write_text("\n".join(lines[:-1]), encoding="utf-8")
    more = load_recipe("dvae_debug", {**FEW, "steps": "4", "data.source": f'"{folder}"'})
    with pytest.raises(TrainingError, match="other samples than when the run began"):
        train(more, tmp_path / "run", resume=True, device="cpu", quiet=True)


def test_a_run_starts_from_another_models_weights_and_words(tmp_path: Path) -> None:
    few = {**FEW, "steps": "2", "sample_every": "0", "data.tokenizer_captions": "300"}
    train(load_recipe("clip_debug", few), tmp_path / "a", device="cpu", quiet=True)
    tuned = {**few, "steps": "1", "learning_rate": "1e-12", "ema_decay": "0.0", "data.init": f'"{tmp_path / "a"}"'}
    train(load_recipe("clip_debug", tuned), tmp_path / "b", device="cpu", quiet=True)
    a, b = read_folder(tmp_path / "a/model"), read_folder(tmp_path / "b/model")
    for name, weight in a.model.state_dict().items():
        assert weight.sub(b.model.state_dict()[name]).abs().max() < 1e-6, name
    assert (tmp_path / "a/tokenizer.json").read_bytes() == (tmp_path / "b/tokenizer.json").read_bytes()
    wide = {**tuned, "model.vision.width": "64"}
    with pytest.raises(TrainingError, match=r"--init .*its sizes differ from the recipe's"):
        train(load_recipe("clip_debug", wide), tmp_path / "c", device="cpu", quiet=True)
