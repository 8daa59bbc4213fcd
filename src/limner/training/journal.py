"""The journal of a run: one JSON object a line, numbers only, in step with the checkpoints."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from limner.errors import FileError
from limner.files import explain, write_atomically

TIMES = ("seconds", "rate", "time")
"""The fields that depend on the clock; all others are the same in a run that was stopped and resumed."""


class Journal:
    """Appends records to ``journal.jsonl`` (and to ``tensorboard/`` where that library is installed)."""

    def __init__(self, folder: Path, step: int, tensorboard: bool = True) -> None:
        """Go on after ``step``: later records, of a run that was killed, are taken out, as is a half-written line."""
        self.path = folder / "journal.jsonl"
        if self.path.exists():
            kept = [r for r in read_journal(self.path) if r.get("step", 0) <= step]
            write_atomically(self.path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept))
        try:
            self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        except OSError as error:
            raise FileError(explain(error, self.path)) from error
        self._board = _tensorboard(folder / "tensorboard", step) if tensorboard else None

    def write(self, record: dict[str, Any]) -> None:
        """One line. A number that is not finite is written as a string, since JSON has none."""
        clean = {k: (str(v) if isinstance(v, float) and not math.isfinite(v) else v) for k, v in record.items()}
        try:
            self._file.write(json.dumps(clean, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise FileError(explain(error, self.path)) from error
        if self._board is not None:
            for name, value in record.items():
                if isinstance(value, int | float) and name != "step":
                    self._board.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The records of a journal; a last line that a kill left unfinished is left out."""
    records: list[dict[str, Any]] = []
    if not path.is_file():
        return records
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
