"""Learning curves of runs side by side: ``python benchmarks/learning.py MEASURE RUN… [--plot FILE.png]``.

Prints a table of MEASURE (psnr, image, loss, accuracy …) against pictures seen, a mean over the journal's records of
each interval, and last one line of JSON. Runs of different batch sizes are compared at the same pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from limner.errors import LimnerError
from limner.training.journal import read_journal


def curve(run: Path, measure: str) -> list[tuple[int, float]]:
    """(pictures, value) of every record that has the measure."""
    return [
        (r["pictures"], r[measure]) for r in read_journal(run / "journal.jsonl") if measure in r and "pictures" in r
    ]


def table(curves: dict[str, list[tuple[int, float]]], rows: int) -> list[tuple[int, dict[str, float]]]:
    """Means over ``rows`` intervals of equal width, up to the longest run's end."""
    end = max(points[-1][0] for points in curves.values())
    result = []
    for i in range(rows):
        low, high = end * i / rows, end * (i + 1) / rows
        means = {}
        for name, points in curves.items():
            values = [value for pictures, value in points if low < pictures <= high]
            if values:
                means[name] = sum(values) / len(values)
        result.append((round(high), means))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measure")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    curves = {run.name: curve(run, arguments.measure) for run in arguments.runs}
    empty = [name for name, points in curves.items() if not points]
    if empty:
        raise SystemExit(f"{empty[0]}: expected a run whose journal has {arguments.measure!r}, found none")
    found = table(curves, arguments.rows)
    width = max(12, *(len(name) for name in curves))
    print("pictures".rjust(10), *(name.rjust(width) for name in curves))
    for pictures, means in found:
        print(
            str(pictures).rjust(10),
            *(f"{means[n]:.3f}".rjust(width) if n in means else "-".rjust(width) for n in curves),
        )
    if arguments.plot:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(7, 4))
        for name, points in curves.items():
            axes.plot([p for p, _ in points], [v for _, v in points], label=name)
        axes.set_xlabel("pictures seen")
        axes.set_ylabel(arguments.measure)
        axes.legend()
        axes.grid(alpha=0.3)
        figure.tight_layout()
        figure.savefig(arguments.plot, dpi=100)
    print(
        json.dumps(
            {"measure": arguments.measure, "curves": {n: [[p, m[n]] for p, m in found if n in m] for n in curves}}
        )
    )


if __name__ == "__main__":
    try:
        main()
    except LimnerError as error:
        raise SystemExit(str(error)) from None
