"""The folder row of ``clip.py``: large JPEGs from disk to features."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from clip_given import FINGERPRINT, model_parts


def folder(small: bool) -> dict[str, float | None]:
    """12-megapixel JPEGs: decoding alone, towers alone, both together, on all cores; and the fast decoder."""
    from concurrent.futures import ThreadPoolExecutor

    from limner.device import set_threads
    from limner.engines.openvino_towers import OpenVINOTowers
    from limner.engines.torch_towers import TorchTowers
    from limner.looking.embed import EXACT, Reading, embed_pictures, read_pixels

    threads = set_threads(None)
    count, different = (48, 8) if small else (500, 20)
    model = model_parts()[0]
    towers: Any = TorchTowers(model, precision="bf16")
    if importlib.util.find_spec("openvino") is not None:  # as load_looker chooses
        towers = OpenVINOTowers(model, "bf16", FINGERPRINT)
    with tempfile.TemporaryDirectory() as place:
        files = []
        for i in range(count):
            file = Path(place, f"{i}.jpg")
            if i < different:
                photograph(i).save(file, quality=90)
            else:
                os.link(files[i % different], file)
            files.append(file)
        size = sum(file.stat().st_size for file in files[:different]) / different / 1e6

        def decode(reading: Reading = EXACT) -> list[np.ndarray]:
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(lambda file: read_pixels(file, towers, reading), files))

        exact, fast = np.stack(decode()), np.stack(decode(Reading(fast=True))[:different])

        def look() -> None:
            for start in range(0, count, towers.batch):
                towers.images(exact[start : start + towers.batch])

        a, b = (TorchTowers(model).images(pixels) for pixels in (exact[:different], fast))
        cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        look()
        work = {
            "decoding": decode,
            "towers": look,
            "end to end": lambda: embed_pictures(towers, files),
            "decoding fast": lambda: decode(Reading(fast=True)),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(3):
            for name, run in work.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(t) for name, t in times.items()}
    print(f"\nfolder: {count} JPEGs of 12 megapixels ({size:.1f} MB each), seconds, median of 3, {threads} threads")
    print(f"  (towers: {type(towers).__name__}, bf16)")
    for name, seconds in medians.items():
        print(f"  {name:<14} {seconds:8.2f} s   {count / seconds:6.1f} pictures/s")
    print(f"  features of fast decoding: cosine {cosines.min():.5f} at least")
    return {
        "folder_overlap": statistics.median(e / max(d, t) for d, t, e in zip(*list(times.values())[:3], strict=True)),
        "decoding_fast": medians["decoding"] / medians["decoding fast"],
        "cosine_fast": float(cosines.min()),
    }


def photograph(seed: int) -> Any:
    """A picture of 4,000 × 3,000 pixels with a photograph's fall-off of detail and a sensor's noise."""
    from PIL import Image

    random = np.random.default_rng(seed)
    picture = np.zeros((3000, 4000, 3), np.float32)
    for side, strength in ((4, 60), (16, 40), (64, 24), (256, 14), (1024, 8)):
        rough = random.normal(128, strength, (side * 3 // 4, side, 3)).clip(0, 255).astype(np.uint8)
        picture += np.asarray(Image.fromarray(rough).resize((4000, 3000), Image.Resampling.BICUBIC), np.float32) - 128
    picture += 128 + random.standard_normal(picture.shape, np.float32) * 5
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))
