"""The server under a crowd: nothing lost, nothing mixed up, nothing wrong, and memory that stays.

    python benchmarks/soak.py --minutes 10

64 clients draw (plain and as streams), edit, classify, search and embed, all at once; a tenth of them go away midway
and a tenth ask for what cannot be had. Every wish has been asked once alone before: pictures must be the same bytes,
looks the same numbers to 1e-4. Refusals must have the right status and OpenAI's form. The server's memory is read all
the time and compared with what it was at minute 2 (a fifth of a shorter run). Prints a table, and last one line of
JSON; the exit status is 1 where something was lost, mixed up or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import collections
import hashlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from serving import server

DRAW, EDIT, LIMIT = "/v1/images/generations", "/v1/images/edits", 600.0
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple")
THINGS = ("cube", "ball", "star", "heart", "cat")


@dataclass(frozen=True)
class Wish:
    """A request and, once it is known, what it must give."""

    kind: str
    path: str
    json: dict[str, Any] | None = None
    data: dict[str, str] | None = None
    files: dict[str, bytes] | None = None
    status: int = 200

    def packed(self) -> dict[str, Any]:
        parts = {"json": self.json, "data": self.data, "files": self.files}
        return {name: part for name, part in parts.items() if part is not None}


@dataclass
class Tally:
    """What has come of the requests."""

    done: collections.Counter[str] = field(default_factory=collections.Counter)
    lost: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    turned_away: int = 0


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def wishes(picture: bytes, side: int) -> list[Wish]:
    """Good ones of every kind, no two with the same answer."""
    found = []
    for number in range(16):
        caption = f"a {COLOURS[number % 6]} {THINGS[number % 5]}"
        wish: dict[str, Any] = {"prompt": caption, "seed": number, "n": 1 + number % 3, "candidates": 3 + number % 6}
        wish |= [{}, {"guidance": 1.0}, {"temperature": 0.5, "top_p": 0.9}, {"top_k": 9, "guidance": 3.0}][number % 4]
        found.append(Wish("draw", DRAW, json=wish))
        if number % 4 == 0:
            stream = {"stream": True, "partial_images": 2, "seed": number + 100}
            found.append(Wish("stream", DRAW, json=wish | stream))
    for number in range(4):
        half = side // 2
        region = [(0, 0, half, half), (half, 0, side, half), (0, half, side, side), (0, 0, side, side)][number]
        data = {"prompt": f"a {COLOURS[number]} ball", "region": ",".join(map(str, region)), "seed": str(number)}
        data |= {"candidates": "2", "particles": "4"}
        found.append(Wish("edit", EDIT, data=data, files={"image": picture}))
    for number in range(4):
        data = {"labels": ", ".join(f"a {colour} {THINGS[number]}" for colour in COLOURS)}
        found.append(Wish("classify", "/v1/classify", data=data, files={"image": picture}))
        found.append(Wish("search", "/v1/search", json={"text": f"a {COLOURS[number]} star", "num_images": 3}))
        found.append(Wish("embed", "/v1/embeddings", json={"input": f"a {COLOURS[number]} heart"}))
    return found


def bad_wishes(picture: bytes) -> list[Wish]:
    """What must be refused, with its status."""
    return [
        Wish("bad", DRAW, json={"prompt": ""}, status=400),
        Wish("bad", DRAW, json={"prompt": "a\x00b"}, status=400),
        Wish("bad", DRAW, json={"prompt": "a", "n": 1000}, status=400),
        Wish("bad", DRAW, json={"prompt": "a", "temprature": 1}, status=400),
        Wish("bad", DRAW, json={"prompt": "a", "model": "nobody"}, status=404),
        Wish("bad", DRAW, json={"prompt": "x" * 1_000_000}, status=413),
        Wish("bad", EDIT, data={"prompt": "a"}, files={"image": b"no picture"}, status=400),
        Wish("bad", EDIT, data={"prompt": "a"}, files={"image": picture[:200], "mask": picture}, status=400),
        Wish("bad", EDIT, data={"prompt": "a"}, files={"image": picture, "mask": b""}, status=400),
        Wish("bad", "/v1/classify", json={"labels": ["a", "b"]}, status=400),
        Wish("bad", "/v1/search", json={"like": "../secret.png"}, status=404),
        Wish("bad", "/v1/nothing", json={}, status=404),
    ]


def meaning(wish: Wish, text: str) -> Any:
    """What counts of an answer: hashes of pictures with their facts, numbers of looks."""
    if wish.kind == "stream":
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        whole = [event for event in events if event["type"].endswith("completed")]
        partial = sorted((event["index"], event["partial_image_index"]) for event in events if "done" in event)
        return [_picture(entry) for entry in whole], bool(partial)
    table = json.loads(text)
    if wish.kind in ("draw", "edit"):
        return [_picture(entry) for entry in table["data"]]
    if wish.kind == "classify":
        rows = [{one["label"]: one["score"] for one in row} for row in table["data"]]
        return [sorted(row.items()) for row in rows]
    if wish.kind == "search":
        return [(hit["id"], hit["similarity"]) for hit in table["data"]]
    return [("", number) for number in table["data"][0]["embedding"]]


def _picture(entry: dict[str, Any]) -> tuple[Any, ...]:
    digest = hashlib.sha256(base64.b64decode(entry["b64_json"])).hexdigest()
    return entry["seed"], entry["index"], entry["score"], digest


def same(one: Any, two: Any) -> bool:
    """Equal, where numbers of looks may differ by 1e-4."""
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return abs(one - two) <= 1e-4
    return bool(one == two)


async def client(http: httpx.AsyncClient, number: int, until: float, crowd: Crowd) -> None:
    """One client: ask, check, ask again."""
    luck, tally = random.Random(number), crowd.tally
    while time.monotonic() < until:
        chance = luck.random()
        if chance < 0.1:
            await go_away(http, luck, tally)
            continue
        wish = luck.choice(crowd.bad if chance < 0.2 else crowd.good)
        begun = time.monotonic()
        try:
            answer = await http.post(wish.path, **wish.packed())
            if answer.status_code == 429 and wish.status != 429:  # a full queue says when to come back
                tally.turned_away += 1
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
        except httpx.HTTPError as error:
            tally.lost.append(f"{wish.kind}: {type(error).__name__} {error}")
            continue
        tally.done[wish.kind] += 1
        tally.seconds[wish.kind].append(time.monotonic() - begun)
        check(wish, answer, crowd)


def check(wish: Wish, answer: httpx.Response, crowd: Crowd) -> None:
    """Count an answer that is not what it must be."""
    told = f"{wish.kind} {wish.json or wish.data}"[:200]
    if answer.status_code != wish.status:
        crowd.tally.wrong.append(f"{told}: {answer.status_code} instead of {wish.status}: {answer.text[:200]}")
    elif wish.status != 200:
        if set(answer.json()["error"]) != {"message", "type", "param", "code"}:
            crowd.tally.wrong.append(f"{told}: {answer.text[:200]}")
    else:
        found = meaning(wish, answer.text)
        if not same(found, crowd.expected[crowd.good.index(wish)]):
            others = [other for other, known in zip(crowd.good, crowd.expected, strict=True) if same(found, known)]
            (crowd.tally.mixed if others else crowd.tally.wrong).append(f"{told}: {str(found)[:200]}")


async def go_away(http: httpx.AsyncClient, luck: random.Random, tally: Tally) -> None:
    """Ask for much, and leave before it is there."""
    wish = {"prompt": f"a {luck.choice(COLOURS)} {luck.choice(THINGS)} {luck.randrange(10**6)}", "n": 8}
    wish |= {"candidates": 64, "stream": luck.random() < 0.5, "partial_images": 2, "cut": True}
    try:
        await http.post(DRAW, json=wish, timeout=httpx.Timeout(LIMIT, read=luck.uniform(0.05, 1.0)))
    except httpx.ReadTimeout:
        tally.done["gone"] += 1
    except httpx.HTTPError as error:
        tally.lost.append(f"gone: {type(error).__name__} {error}")
    else:
        tally.done["gone"] += 1  # quicker than we could leave


@dataclass
class Crowd:
    """What all clients know."""

    good: list[Wish]
    bad: list[Wish]
    expected: list[Any] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def resident(pid: int) -> float:
    """Memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the server's memory cannot be read")


async def watch(pid: int, seen: list[tuple[float, float]], every: float) -> None:
    begun = time.monotonic()
    while True:
        seen.append((time.monotonic() - begun, resident(pid)))
        await asyncio.sleep(every)


async def soak(url: str, pid: int, wanted: argparse.Namespace) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=wanted.clients + 8, max_keepalive_connections=wanted.clients)
    async with httpx.AsyncClient(base_url=url, timeout=LIMIT, limits=limits) as http:
        side = (await http.get("/api/about")).json()["draw"]["resolution"]
        noise = Image.effect_noise((side, side), 90).convert("RGB")
        crowd = Crowd(wishes(png(noise), side), bad_wishes(png(noise)))
        for wish in crowd.good:
            answer = await http.post(wish.path, **wish.packed())
            answer.raise_for_status()
            crowd.expected.append(meaning(wish, answer.text))
        seen: list[tuple[float, float]] = []
        seconds = 60 * wanted.minutes
        watching = asyncio.create_task(watch(pid, seen, min(2.0, seconds / 50)))
        until = time.monotonic() + seconds
        await asyncio.gather(*(client(http, number, until, crowd) for number in range(wanted.clients)))
        watching.cancel()
        # Whoever went away has left nothing behind.
        for _ in range(200):
            lines = (await http.get("/metrics")).text.splitlines()
            names = ("limner_rows ", "limner_requests_open ", "limner_pictures_waiting ")
            left = sum(float(line.split()[1]) for line in lines if line.startswith(names))
            if not left:
                break
            await asyncio.sleep(0.1)
        for wish, known in zip(crowd.good, crowd.expected, strict=True):
            answer = await http.post(wish.path, **wish.packed())
            if not same(meaning(wish, answer.text), known):
                crowd.tally.wrong.append(f"{wish.kind} alone again")
    tally = crowd.tally
    for name in ("lost", "mixed", "wrong"):
        for line in getattr(tally, name)[:10]:
            print(f"{name}: {line}", file=sys.stderr)
    early = min(120.0, seconds / 5)
    before = statistics.median(memory for when, memory in seen if 0.8 * early <= when <= 1.2 * early)
    after = statistics.median(memory for when, memory in seen[-max(3, len(seen) // 20) :])
    draws = sorted(tally.seconds["draw"]) or [0.0]
    return {
        "minutes": wanted.minutes, "clients": wanted.clients, "answers": sum(tally.done.values()), **tally.done,
        "turned_away": tally.turned_away, "lost": len(tally.lost), "mixed_up": len(tally.mixed),
        "wrong": len(tally.wrong), "left_behind": left, "memory_early_mb": before, "memory_end_mb": after,
        "memory_ratio": after / before, "draw_seconds_median": statistics.median(draws),
        "draw_seconds_95": draws[int(0.95 * (len(draws) - 1))],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for number in range(40):
            colour = (number * 6, 255 - number * 5, number * 37 % 256)
            Image.new("RGB", (64, 64), colour).save(f"{folder}/picture {number}.png")
        with server(wanted.model, wanted.threads, "--folder", folder) as url:
            figures = asyncio.run(soak(url, url.pid, wanted))
    for name, value in figures.items():
        print(f"{name:24} {value:12.3f}" if isinstance(value, float) else f"{name:24} {value:8}")
    print(json.dumps(figures))
    if figures["lost"] or figures["mixed_up"] or figures["wrong"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
