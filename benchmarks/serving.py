"""The server against the painter itself: throughput of 32 clients, a small request beside a large one, first partials.

    python benchmarks/serving.py --model storybook --rounds 3 --processes 2

A: ``painter.generate`` at batch 32, in a process of its own. B: ``limner serve``, asked by 32 clients all the time
(other captions and seeds each), in a process of its own; A B A B, each for ``--seconds``, the other one idle. Then a
request of 4 candidates alone and while 28 rows of another one are drawn, also in turn; the first partial picture of a
stream; the page in headless Chromium (left out where there is none); and with ``--processes N`` one server of one
thread against N of them, the clients dealt out in turn. Everything is bounded by time, not by numbers of pictures, so
that a busy machine makes it no longer. Prints a table, and last one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import httpx

CLIENTS = 32
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown")
THINGS = ("cube", "ball", "star", "heart")
CAPTIONS = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS]
LIMIT = 120.0

OFFLINE = """
import json, sys, time
from limner.device import set_threads
from limner.painter import load_painter
model, threads = sys.argv[1], int(sys.argv[2])
set_threads(threads)
painter = load_painter(model, precision="float32")  # as the server has it
painter.generate("a red cube", count=32, candidates=32)
print("ready", flush=True)
for line in sys.stdin:
    begun, batches = time.perf_counter(), 0
    while time.perf_counter() - begun < float(line):
        painter.generate("a red cube", count=32, candidates=32, seed=batches)
        batches += 1
    print(json.dumps([32 * batches, time.perf_counter() - begun]), flush=True)
"""


class Measured(NamedTuple):
    """Pictures by the clock, and by the processor time of the process that drew them (0: not known)."""

    per_second: float
    per_cpu_second: float

    def __str__(self) -> str:
        return f"{self.per_second:.2f}/s, {self.per_cpu_second:.2f} a CPU second"


class Offline:
    """The painter in a process of its own, that draws batches of 32 when it is told to."""

    def __init__(self, model: str, threads: int) -> None:
        command = [sys.executable, "-c", OFFLINE, model, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(threads)
        )
        self._line()

    def throughput(self, seconds: float) -> Measured:
        assert self.process.stdin is not None
        before = cpu_seconds(self.process.pid)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        pictures, taken = json.loads(self._line())
        cpu = cpu_seconds(self.process.pid) - before
        return Measured(pictures / taken, pictures / cpu if cpu else 0.0)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the painter's process ended")
        return line


class Served(str):
    """A server's address, and its process."""

    pid: int


@contextmanager
def server(model: str, threads: int, *more: str) -> Iterator[Served]:
    """``limner serve`` on a free port."""
    command = [sys.executable, "-m", "limner", "serve", "--model", model, "--port", "0", "--json", "--grace", "1"]
    process = subprocess.Popen(
        [*command, "--threads", str(threads), *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(threads),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        url = Served(json.loads(line)["url"])
        url.pid = process.pid
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken; 0 where the system has no /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment(threads: int) -> dict[str, str]:
    """This process's, with ``threads`` threads for matrix libraries."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


async def draw(
    http: httpx.AsyncClient, url: str, caption: str, seed: int, candidates: int = 1, **more: Any
) -> float:  # fmt: skip
    """Seconds of one request."""
    begun = time.perf_counter()
    wish = {"prompt": caption, "seed": seed, "n": 1, "candidates": candidates, **more}
    answer = await http.post(f"{url}/v1/images/generations", json=wish)
    answer.raise_for_status()
    assert len(answer.json()["data"]) == 1
    return time.perf_counter() - begun


async def throughput(urls: list[Served], seconds: float) -> Measured:
    """Pictures a second of 32 clients that ask for one picture after the other.

    Counted from when each has been answered once, for at least ``seconds``. Answers come in waves, as many as there
    are clients, so that only whole waves are counted.
    """
    whole: list[float] = []
    first, answered = asyncio.Semaphore(0), asyncio.Event()

    async def client(number: int) -> None:
        seed = number
        while True:
            await draw(http, urls[number % len(urls)], CAPTIONS[number], seed)
            whole.append(time.perf_counter())
            answered.set()
            if seed == number:
                first.release()
            seed += CLIENTS

    async with httpx.AsyncClient(timeout=LIMIT, limits=httpx.Limits(max_connections=CLIENTS)) as http:
        clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
        try:
            for _ in range(CLIENTS):
                await asyncio.wait_for(first.acquire(), LIMIT)
            begun, cpu = time.perf_counter(), -sum(cpu_seconds(url.pid) for url in urls)
            waves, before = 0, len(whole)
            while time.perf_counter() < begun + seconds or not waves:
                waves += 1
                while len(whole) < before + waves * CLIENTS:
                    await asyncio.wait_for(answered.wait(), LIMIT)
                    answered.clear()
            cpu += sum(cpu_seconds(url.pid) for url in urls)
            counted = waves * CLIENTS
            return Measured(counted / (time.perf_counter() - begun), counted / cpu if cpu else 0.0)
        finally:
            for one in clients:
                one.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


def ratio(ours: list[Measured], theirs: list[Measured], which: int) -> float:
    """Median of one side over the other, pair by pair; by the clock (0) or by processor time (1)."""
    return statistics.median(one[which] / (two[which] or 1.0) for one, two in zip(ours, theirs, strict=True))


async def beside(url: str, rounds: int, times: int) -> tuple[float, float]:
    """Median seconds of a request of 4 candidates: alone, and while 28 rows of another are drawn, in turn."""
    alone, busy = [], []
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for _ in range(rounds):
            for seed in range(times):
                alone.append(await draw(http, url, "a red cube", seed, 4))
            other = asyncio.create_task(draw(http, url, "a blue ball", 9, 512))
            while await rows(http, url) < 28:
                await asyncio.sleep(0.01)
            for seed in range(times):
                busy.append(await draw(http, url, "a red cube", seed, 4))
                assert not other.done(), "the large request ended too soon"
            other.cancel()
            with suppress(asyncio.CancelledError):
                await other
            while await rows(http, url):
                await asyncio.sleep(0.01)
    return statistics.median(alone), statistics.median(busy)


async def rows(http: httpx.AsyncClient, url: str) -> float:
    """Rows that are drawn now."""
    text = (await http.get(f"{url}/metrics")).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("limner_rows "))


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
            while await rows(http, url):
                await asyncio.sleep(0.01)
    return statistics.median(found)


def page(url: str, times: int) -> dict[str, float]:
    """Seconds until the page can be used and bytes of all it loads, in headless Chromium; {} where there is none."""
    try:
        from selenium import webdriver
    except ImportError:
        return {}
    chromedriver = shutil.which("chromedriver")
    if chromedriver is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        return {}
    seconds, size = [], 0
    for _ in range(times):  # a browser with nothing in its cache each time
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            options = webdriver.ChromeOptions()
            for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"):
                options.add_argument(flag)
            driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
            try:
                driver.get("about:blank")
                driver.get(url)
                until = time.monotonic() + 30
                while driver.execute_script("return document.body.dataset.ready") != "yes":
                    assert time.monotonic() < until, "the page is not ready"
                    time.sleep(0.01)
                seconds.append(driver.execute_script("return performance.getEntriesByName('ready')[0].startTime") / 1e3)
                kinds = "['navigation', 'resource']"
                size = driver.execute_script(
                    f"return {kinds}.flatMap((k) => performance.getEntriesByType(k))"
                    ".reduce((sum, e) => sum + Math.max(e.transferSize, e.encodedBodySize), 0)"
                )
            finally:
                driver.quit()
    return {"page_interactive_seconds": statistics.median(seconds), "page_bytes": size}


def several(model: str, processes: int, rounds: int, seconds: float) -> dict[str, float]:
    """Pictures a second of one process and of several, with one thread each, in turn."""
    one, all_of_them = [], []
    with ExitStack() as stack:
        urls = [stack.enter_context(server(model, 1)) for _ in range(processes)]
        for _ in range(rounds):
            one.append(asyncio.run(throughput(urls[:1], seconds)).per_second)
            all_of_them.append(asyncio.run(throughput(urls, seconds)).per_second)
    gain = statistics.median(n / single for single, n in zip(one, all_of_them, strict=True))
    return {
        "one_process_pictures_per_second": statistics.median(one),
        f"{processes}_processes_pictures_per_second": statistics.median(all_of_them),
        "processes_ratio": gain,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--rounds", type=int, default=3, help="A B pairs")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement of throughput")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--processes", type=int, default=1)
    wanted = parser.parse_args()
    offline = Offline(wanted.model, wanted.threads)
    ours: list[Measured] = []
    theirs: list[Measured] = []
    try:
        with server(wanted.model, wanted.threads) as url:
            for _ in range(wanted.rounds):
                theirs.append(offline.throughput(wanted.seconds))
                ours.append(asyncio.run(throughput([url], wanted.seconds)))
                print(f"painter {theirs[-1]}  server {ours[-1]}", file=sys.stderr)
            partial = asyncio.run(first_partial(url, 5))
            shown = page(url, 3)
    finally:
        offline.close()
    # Of 38 rows one request may hold three quarters, 28.
    with server(wanted.model, wanted.threads, "--rows", "38") as url:
        alone, busy = asyncio.run(beside(url, wanted.rounds, 3))
    figures = {
        "painter_pictures_per_second": statistics.median(one.per_second for one in theirs),
        "server_pictures_per_second": statistics.median(one.per_second for one in ours),
        "batched": ratio(ours, theirs, 0),
        "batched_by_cpu_time": ratio(ours, theirs, 1),
        "alone_seconds": alone,
        "beside_28_rows_seconds": busy,
        "beside": busy / alone,
        "first_partial_seconds": partial,
        **shown,
    }
    if wanted.processes > 1:
        figures |= several(wanted.model, wanted.processes, max(1, wanted.rounds - 1), wanted.seconds)
    for name, value in figures.items():
        print(f"{name:36} {value:10.3f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
