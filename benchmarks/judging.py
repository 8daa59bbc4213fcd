"""How fast the judge answers: ``python benchmarks/judging.py``.

Judges ``--prompts`` × ``--count`` drawn pictures as an evaluation does, one prompt's pictures at a time, and prints
seconds (drawing apart, median of the rounds) and last one line of JSON with the same figures. ``--untrained`` takes a
judge of random weights, which finds as many things as it happens to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from limner.device import set_threads
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.storybook.judge import Judge
from limner.storybook.judge.network import Eyes
from limner.storybook.judge.thresholds import Thresholds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--count", type=int, default=4, help="pictures of each prompt")
    parser.add_argument("--size", type=int, default=192, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--untrained", action="store_true", help="a judge of random weights")
    args = parser.parse_args()
    set_threads(args.threads)
    judge = Judge(Eyes(), Thresholds()) if args.untrained else Judge.load()
    dealt = [deal(i, split="test") for i in range(args.prompts)]
    pictures = [
        np.stack([draw(one.scene, size=args.size, seed=one.draw_seed + k) for k in range(args.count)]) for one in dealt
    ]
    judge.verdicts(pictures[0], [dealt[0].scene] * args.count)
    seconds, right = [], 0
    for _ in range(args.rounds):
        begun = time.perf_counter()
        verdicts = [v for one, p in zip(dealt, pictures, strict=True) for v in judge.verdicts(p, [one.scene] * len(p))]
        seconds.append(time.perf_counter() - begun)
        right = sum(verdict.right for verdict in verdicts)
    figures = {
        "prompts": args.prompts,
        "pictures": args.prompts * args.count,
        "threads": args.threads,
        "seconds": round(statistics.median(seconds), 2),
        "pictures_per_second": round(args.prompts * args.count / statistics.median(seconds)),
        "accepted": right,
    }
    print(f"{figures['pictures']:,} pictures of {args.prompts} prompts, {args.size} px, {args.threads} threads")
    print(f"  judged in {figures['seconds']} s, {figures['pictures_per_second']} a second (wanted: 2,000 in 60 s)")
    print(f"  {figures['accepted']} of them accepted")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
