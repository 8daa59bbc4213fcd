"""The server against the painter itself: throughput of 32 clients, a small request beside a large one, first partials.

    python benchmarks/serving.py --model storybook --rounds 3

A: ``painter.generate`` at batch 32, in a process of its own. B: ``limner serve``, asked by 32 clients at once (other
captions and seeds each), in a process of its own; A B A B. Prints a table, and last one line of JSON. ``--processes 2``
adds two servers side by side, each on its port, the clients dealt out in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

CLIENTS = 32
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown")
THINGS = ("cube", "ball", "star", "heart")
CAPTIONS = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS]
LIMIT = 300.0

OFFLINE = """
import json, sys, time
from limner.device import set_threads
from limner.painter import load_painter
model, rounds, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
set_threads(threads)
painter = load_painter(model)
painter.generate("a red cube", count=2, candidates=32)
for line in sys.stdin:
    begun = time.perf_counter()
    for k in range(rounds):
        painter.generate("a red cube", count=32, candidates=32, seed=k)
    print(json.dumps(32 * rounds / (time.perf_counter() - begun)), flush=True)
"""


@contextmanager
def offline(model: str, rounds: int, threads: int) -> Iterator[subprocess.Popen[str]]:
    """The painter in a process that draws ``rounds`` batches of 32 at each line it is sent."""
    command = [sys.executable, "-c", OFFLINE, model, str(rounds), str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@contextmanager
def server(model: str, threads: int, *more: str) -> Iterator[str]:
    """``limner serve`` on a free port; gives its address."""
    command = [sys.executable, "-m", "limner", "serve", "--model", model, "--port", "0", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [*command, "--threads", str(threads), *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(60)


async def draw(
    http: httpx.AsyncClient, url: str, caption: str, seed: int, count: int = 1, candidates: int = 1
) -> float:
    """Seconds of one request."""
    begun = time.perf_counter()
    wish = {"prompt": caption, "seed": seed, "n": count, "candidates": candidates}
    answer = await http.post(f"{url}/v1/images/generations", json=wish)
    answer.raise_for_status()
    assert len(answer.json()["data"]) == count
    return time.perf_counter() - begun


async def throughput(urls: list[str], rounds: int) -> float:
    """Pictures a second of 32 clients that ask ``rounds`` times each, one picture at a time."""

    async def client(number: int) -> None:
        for k in range(rounds):
            await draw(http, urls[number % len(urls)], CAPTIONS[number], k * CLIENTS + number)

    async with httpx.AsyncClient(timeout=LIMIT, limits=httpx.Limits(max_connections=CLIENTS)) as http:
        begun = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        return CLIENTS * rounds / (time.perf_counter() - begun)


async def beside(url: str, times: int) -> tuple[float, float]:
    """Median seconds of a request of 4 candidates: alone, and while 28 rows of others are drawn all the time."""
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        alone = [await draw(http, url, "a red cube", seed, 1, 4) for seed in range(times)]
        others = asyncio.create_task(draw(http, url, "a blue ball", 9, 1, 28 * (times + 8)))
        # So many candidates would take up to 48 rows; the server of this part has 37, of which one may hold 28.
        await asyncio.sleep(0.5)
        busy = []
        for seed in range(times):
            assert not others.done(), "the large request ended too soon"
            busy.append(await draw(http, url, "a red cube", seed, 1, 4))
        others.cancel()
        return statistics.median(alone), statistics.median(busy)


async def first_partial(url: str, times: int) -> float:
    """Median seconds until the first partial picture of a streamed request on an idle server."""
    found = []
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for seed in range(times):
            wish = {"prompt": CAPTIONS[seed], "seed": seed, "stream": True, "partial_images": 3}
            begun = time.perf_counter()
            async with http.stream("POST", f"{url}/v1/images/generations", json=wish) as answer:
                async for line in answer.aiter_lines():
                    if line == "event: image_generation.partial_image":
                        found.append(time.perf_counter() - begun)
                        break
            await asyncio.sleep(0.2)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--rounds", type=int, default=3, help="A B pairs")
    parser.add_argument("--requests", type=int, default=3, help="requests of each client, batches of the painter")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--processes", type=int, default=1)
    wanted = parser.parse_args()
    ours, theirs = [], []
    with offline(wanted.model, wanted.requests, wanted.threads) as painter, server(wanted.model, wanted.threads) as url:
        assert painter.stdin is not None and painter.stdout is not None
        asyncio.run(throughput([url], 1))
        for _ in range(wanted.rounds):
            painter.stdin.write("go\n")
            painter.stdin.flush()
            theirs.append(float(painter.stdout.readline()))
            ours.append(asyncio.run(throughput([url], wanted.requests)))
        partial = asyncio.run(first_partial(url, 5))
    with server(wanted.model, wanted.threads, "--rows", "37") as url:
        asyncio.run(throughput([url], 1))
        alone, busy = asyncio.run(beside(url, 5))
    batched = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
    figures = {
        "painter_pictures_per_second": statistics.median(theirs),
        "server_pictures_per_second": statistics.median(ours),
        "batched": batched,
        "alone_seconds": alone,
        "beside_28_rows_seconds": busy,
        "beside": busy / alone,
        "first_partial_seconds": partial,
    }
    if wanted.processes > 1:
        figures |= side_by_side(wanted.model, wanted.processes, wanted.requests)
    for name, value in figures.items():
        print(f"{name:32} {value:8.3f}")
    print(json.dumps(figures))


def side_by_side(model: str, processes: int, requests: int) -> dict[str, float]:
    """Pictures a second of one process, and of several, with one thread each."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        urls = [stack.enter_context(server(model, 1)) for _ in range(processes)]
        for url in urls:
            asyncio.run(throughput([url], 1))
        one = asyncio.run(throughput(urls[:1], requests))
        several = asyncio.run(throughput(urls, requests))
    return {"one_process": one, f"{processes}_processes": several, "processes_ratio": several / one}


if __name__ == "__main__":
    main()
