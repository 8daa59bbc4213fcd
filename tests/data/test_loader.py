"""Batches are functions of their number: any number of workers, any slice, any start."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from limner.data.crops import Crop
from limner.data.loader import Batch, Tensors, batches
from limner.data.pair import Broken, Pair, mixed
from limner.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """Pairs whose first pixel is their position; every seventh position has been passed over once."""

    name: str = "numbers"
    count: None = None
    unusable: tuple[Broken, ...] = ()
    fingerprint: str = ""
    die_at: int = -1

    def at(self, position: int, broken: list[Broken]) -> Pair:
        if position == self.die_at:
            os._exit(9)
        if position % 7 == 0:
            broken.append(Broken(str(position), "seventh"))
        if position == 1000:
            raise DataError("nothing at 1000")
        return Pair(np.full((2, 2, 3), position % 256, np.uint8), f"{position}", f"{position}")

    def caption(self, position: int) -> str:
        return f"{position}"

    def bookmarks(self) -> dict[str, list[int]]:
        return {}

    def remember(self, bookmarks: dict[str, list[int]]) -> None:
        return


def collate(pairs: list[Pair], positions: list[int]) -> Tensors:
    return {"first": torch.tensor([int(p.picture[0, 0, 0]) for p in pairs]), "at": torch.tensor(positions)}


def run(workers: int, **changes: int) -> list[Batch]:
    settings = {"batch": 6, "start": 2, "stop": 7, "workers": workers, **changes}
    return list(batches(Numbers(), collate, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_with_what_was_passed_over(workers: int) -> None:
    found = run(workers)
    assert [b.positions[0] for b in found] == [12, 18, 24, 30, 36]
    assert torch.equal(torch.cat([b.tensors["first"] for b in found]), torch.arange(12, 42))
    assert [b.name for batch in found for b in batch.broken] == ["14", "21", "28", "35"]


def test_ranks_split_each_batch_in_rank_order() -> None:
    whole = run(0)
    slices = [run(0, rank=rank, world=3) for rank in range(3)]
    for number, batch in enumerate(whole):
        joined = torch.cat([slices[rank][number].tensors["at"] for rank in range(3)])
        assert torch.equal(joined, batch.tensors["at"])


def test_a_batch_that_ranks_do_not_divide_is_refused() -> None:
    with pytest.raises(DataError, match="expected a multiple of the 4 processes, got 6"):
        run(0, world=4)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_that_fails_is_one_line(workers: int) -> None:
    with pytest.raises(DataError, match=r"^nothing at 1000$"):
        run(workers, start=165, stop=168)


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(DataError, match="a process that reads data died"):
        list(batches(Numbers(die_at=20), collate, batch=4, start=0, stop=9, workers=1))


def test_mixed_seeds_are_fixed_and_spread() -> None:
    assert mixed(1, 2) == mixed(1, 2) != mixed(2, 1)
    assert len({mixed(0, i) % 1000 for i in range(3000)}) > 900
    assert 0 <= mixed(-5) < 2**63


@pytest.mark.parametrize("kind", ["dvae", "dalle", "clip", "centre"])
def test_crops_have_their_size_and_are_functions_of_the_seed(kind: str) -> None:
    picture = np.random.RandomState(0).randint(0, 256, (50, 71, 3)).astype(np.uint8)
    for size in (16, 32, 64):
        crop = Crop(kind, size)  # type: ignore[arg-type]
        assert crop(picture, 3).shape == (size, size, 3)
        assert np.array_equal(crop(picture, 3), crop(picture, 3))
    several = {Crop(kind, 32)(picture, seed).tobytes() for seed in range(8)}  # type: ignore[arg-type]
    assert len(several) == 1 if kind == "centre" else len(several) > 3


def test_a_square_of_the_right_size_is_only_mirrored_and_only_by_the_dvae() -> None:
    picture = np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)
    for kind in ("dalle", "clip", "centre"):
        assert all(np.array_equal(Crop(kind, 16)(picture, s), picture) for s in range(9))  # type: ignore[arg-type]
    mirrored = [np.array_equal(Crop("dvae", 16)(picture, s), picture[:, ::-1]) for s in range(40)]
    assert 8 < sum(mirrored) < 32
