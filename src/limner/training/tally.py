"""What is summed up between two lines of the journal, and what of the data could not be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from limner.data.pair import Broken, Source
from limner.errors import DataError

NAMED = 200
"""Broken samples that the journal names, each once; the others are counted."""
FEW = 8
"""So many broken samples never stop a run."""


@dataclass
class Tally:
    """Sums since the last line of the journal, counts since the start; saved with a checkpoint: a line may span one."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    skipped_steps: int = 0
    in_a_row: int = 0
    pictures: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    told: int = 0

    def add(self, measures: dict[str, float]) -> None:
        """Take in one step's numbers, always in the same order, so that sums come out the same."""
        self.count += 1
        self.in_a_row = 0
        for name, value in measures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def skip(self) -> None:
        """Count a step whose numbers were not finite."""
        self.skipped_steps += 1
        self.in_a_row += 1

    def means(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: total / self.count for name, total in self.sums.items()} if self.count else {}
        self.sums, self.count = {}, 0
        return means

    def seen(self, pictures: int, broken: Iterable[Broken]) -> None:
        """Count samples of a batch and those that were passed over for it."""
        self.pictures += pictures
        for name, cause in broken:
            self.broken[cause] = self.broken.get(cause, 0) + 1
            line = f"{name}: {cause}"
            if len(self.named) < NAMED and line not in self.named:
                self.named.append(line)

    def broken_record(self) -> dict[str, Any]:
        """The journal's fields about broken samples; names are given once."""
        if not self.broken:
            return {}
        record: dict[str, Any] = {"broken": dict(sorted(self.broken.items()))}
        if len(self.named) > self.told:
            record["broken_names"] = self.named[self.told :]
            self.told = len(self.named)
        return record

    def check(self, source: str, share: float) -> None:
        """Raise DataError where more than ``share`` of the samples so far were unusable."""
        check_share(source, self.broken, self.pictures, share)


def opening_record(source: Source, share: float) -> dict[str, Any]:
    """The journal's first line: what the source has and what of it cannot be used. Raises DataError (too much)."""
    tally = Tally()
    tally.seen(source.count or 0, source.unusable)
    tally.check(source.name, share)
    return {"step": 0, "data": source.name, "pairs": source.count, **tally.broken_record()}


def check_share(source: str, broken: dict[str, int], usable: int, share: float) -> None:
    """Raise DataError where more than ``share`` of broken and usable samples are broken, and more than a few."""
    bad = sum(broken.values())
    if bad >= FEW and bad > share * (bad + usable):
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(broken.items()))
        raise DataError(
            f"{source}: {bad} of {bad + usable} samples are unusable ({causes}), more than training.bad_share = "
            f"{share:g} allows; mend the data or raise that share"
        )
