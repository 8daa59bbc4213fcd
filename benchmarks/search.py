"""Searching many vectors: ``python benchmarks/search.py``.

``--count`` unit vectors of ``--width``, gathered about ``--centres`` as features of pictures are; the time of one
query for the 10 nearest, exactly in float32 and over copies of 16 and 8 bits with the best rescored. With one thread
the clock is the process's CPU time, which a busy machine disturbs less. ``--graph`` adds ``usearch`` behind the same
call, whose index takes minutes to build. The last line is the same as JSON: seconds ``exact``, ``bits16``, ``bits8``,
``graph``, and ``recall_…`` against the exact answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from limner.device import set_threads
from limner.looking.graph import Graph
from limner.looking.towers import unit
from limner.looking.vectors import Compact, Exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--centres", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--graph", action="store_true")
    args = parser.parse_args()
    clock = time.process_time if set_threads(args.threads) == 1 else time.perf_counter
    random = np.random.default_rng(0)
    centres = random.normal(size=(args.centres, args.width)).astype(np.float32) + 2.0
    features = np.empty((args.count, args.width), np.float32)
    for start in range(0, args.count, 100_000):
        rows = features[start : start + 100_000]
        rows[:] = random.standard_normal(rows.shape, dtype=np.float32)
        rows += centres[random.integers(0, args.centres, len(rows))]
        rows[:] = unit(rows)
    queries = unit(centres[: args.queries] + 0.5 * random.normal(size=(args.queries, args.width)))
    result: dict[str, float] = {}
    answers: dict[str, np.ndarray] = {}
    stores: dict[str, Callable[[np.ndarray], Any]] = {"exact": Exact, "bits16": lambda f: Compact(f, 16)}
    stores |= {"bits8": lambda f: Compact(f, 8)} | ({"graph": Graph} if args.graph else {})
    for name, make in stores.items():
        store = make(features)
        store.nearest(queries[:1], 10)
        times = []
        found = []
        for query in queries:
            began = clock()
            found.append(store.nearest(query[None], 10).indices[0])
            times.append(clock() - began)
        answers[name], result[name] = np.array(found), statistics.median(times)
        recall = float((answers[name][:, :, None] == answers["exact"][:, None]).any(2).mean())
        if name != "exact":
            result[f"recall_{name}"] = recall
        print(f"{name:<8} {result[name]:7.3f} s a query   recall {recall:.3f}")
        del store
    print(json.dumps(result))


if __name__ == "__main__":
    main()
