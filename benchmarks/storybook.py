"""How fast the storybook deals and draws on one core: ``python benchmarks/storybook.py``.

Prints scenes a second (CPU time of this process, median of the rounds) and last one line of JSON with the same figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from limner.storybook.deal import deal
from limner.storybook.draw import draw


def rate(work: Callable[[int], object], count: int, rounds: int) -> float:
    """Calls a second of CPU time, the median of ``rounds``."""
    rates = []
    for k in range(rounds):
        start = time.process_time()
        for i in range(k * count, (k + 1) * count):
            work(i)
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1000, help="scenes a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=128, help="pixels")
    args = parser.parse_args()
    dealt = [deal(i) for i in range(args.scenes * args.rounds)]
    for one in dealt[:100]:
        draw(one.scene, size=args.size, seed=one.draw_seed)

    def both(i: int) -> None:
        one = deal(i)
        draw(one.scene, size=args.size, seed=one.draw_seed)

    figures = {
        "size": args.size,
        "deal_per_second": round(rate(deal, args.scenes, args.rounds)),
        "draw_per_second": round(
            rate(lambda i: draw(dealt[i].scene, size=args.size, seed=dealt[i].draw_seed), args.scenes, args.rounds)
        ),
        "deal_and_draw_per_second": round(rate(both, args.scenes, args.rounds)),
    }
    print(f"scenes a second on one core, {args.size} px, median of {args.rounds} × {args.scenes}")
    print(f"  scene and caption dealt  {figures['deal_per_second']:>7,}")
    print(f"  drawn                    {figures['draw_per_second']:>7,}")
    print(f"  dealt and drawn          {figures['deal_and_draw_per_second']:>7,}   (wanted: at least 1,500 drawn)")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
