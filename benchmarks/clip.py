"""CLIP's towers against transformers (and open_clip, where it is installed): ``python benchmarks/clip.py``.

ViT-B/32 with random weights. Each side is a process of its own, since another engine's threads in the process slow
torch down; the sides take turns, A B A B. With one thread the clock is the process's CPU time, which a busy machine
disturbs less. Printed are medians and ratios; the last line is the same as JSON (null: that side is not installed):

====================================  ================================================================================
pictures_torch, _openvino, _int8      pictures/s, batch 32: limner over transformers in float32
cosine_openvino, cosine_int8          lowest cosine of those features to limner's in float32
texts_torch, texts_int8               captions/s, 16 words, batch 64: limner over transformers in float32
texts_torch_open_clip                 the same over open_clip, which pads to 77
texts_torch_padded                    the same over transformers given 77 tokens, as open_clip gives them
head_transformers, head_open_clip     a head of classes × templates: limner (torch, bf16) over the peer, tokens given
folder_overlap                        JPEGs end to end over the slower of decoding and towers alone (1 is the best)
====================================  ================================================================================

``--rows pictures texts head folder`` picks rows; ``--full`` takes the head of 1,000 × 80 and 500 pictures of the
folder, which is minutes on two cores; else a part of each, whose ratio is the same but for what more classes share.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PICTURES, TEXTS, WORDS = 32, 64, 16
NOUNS = "cat dog house tree boat car bear clock teapot lamp chair table book star fish owl pig fox snail cup"
QUALITIES = (
    "red blue old small tall striped wooden happy broken golden wet dusty painted heavy round empty loud sleeping "
    "running flying frozen burning hollow folded twisted shiny rusty furry spiky soft giant tiny ancient modern "
    "plastic paper glass stone iron silver velvet woollen crooked upright floating sunken hidden famous royal common"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["pictures", "texts", "head", "folder"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--full", action="store_true")
    parser.add_argument(
        "--without", nargs="*", default=[], help="Sides to leave out, e.g. int8 (calibrating takes long)."
    )
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(args.side, args.threads, args.full)
        return
    result: dict[str, float | None] = {}
    for row in args.rows:
        if row == "folder":
            result |= folder(args.full)
        else:
            result |= compare(row, args)
    print(json.dumps(result))


ROWS = {
    "pictures": ("transformers", {"torch": "bf16", "openvino": "bf16", "int8": "int8"}),
    "texts": ("transformers", {"torch": "bf16", "int8": "int8"}),
    "head": ("transformers", {"torch": "bf16"}),
}


def compare(row: str, args: argparse.Namespace) -> dict[str, float | None]:
    """One row of the table: every side in its process, in turn."""
    peers = ["transformers", *(["padded"] if row == "texts" else []), *(["open_clip"] if row != "pictures" else [])]
    sides = [f"{row}:{name}" for name in [*peers, *ROWS[row][1]] if name not in args.without]
    running = {side: Side(side, args) for side in sides}
    live = {side: process for side, process in running.items() if process.ready}
    times: dict[str, list[float]] = {side: [] for side in live}
    for _ in range(args.rounds):
        for side, process in live.items():
            times[side].append(process.run())
    medians = {side: statistics.median(t) for side, t in times.items()}
    base = medians[f"{row}:transformers"]
    print(f"\n{row}: seconds, median of {args.rounds} rounds in turn, {args.threads} thread(s)")
    result: dict[str, float | None] = {}
    for side in sides:
        if side not in live:
            print(f"  {side.split(':')[1]:<14} not installed")
            continue
        told = running[side].told
        shown = (
            f"  {side.split(':')[1]:<14} {medians[side]:8.3f} s   {base / medians[side]:6.2f} × transformers float32"
        )
        print(shown + (f"   cosine {told['cosine']:.5f}" if "cosine" in told else ""))
    ours = medians[f"{row}:torch"]
    if row == "head":
        result = {"head_transformers": base / ours, "head_open_clip": _ratio(medians.get("head:open_clip"), ours)}
    else:
        for name in ROWS[row][1]:
            side = f"{row}:{name}"
            result[f"{row}_{name}"] = _ratio(base, medians.get(side))
            if side in live and "cosine" in running[side].told:
                result[f"cosine_{row}_{name}" if row == "texts" else f"cosine_{name}"] = running[side].told["cosine"]
    if row == "texts":
        result["texts_torch_open_clip"] = _ratio(medians.get("texts:open_clip"), ours)
        result["texts_torch_padded"] = _ratio(medians["texts:padded"], ours)
    for process in running.values():
        process.stop()
    return result


def _ratio(other: float | None, ours: float | None) -> float | None:
    return None if other is None or ours is None else other / ours


class Side:
    """A process that prepares one side, and runs it once each time it is told to."""

    def __init__(self, side: str, args: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--side", side, "--threads", str(args.threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1", "NNCF_CI": "1"}
        self._process = subprocess.Popen(
            [*command, *(["--full"] if args.full else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("SHOW") else None,
            text=True,
            env=environment,
        )
        self.told: dict[str, Any] = self._read()
        self.ready = bool(self.told.get("ready"))

    def run(self) -> float:
        """Seconds of one run."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._read()["seconds"])

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise SystemExit(f"benchmarks/clip.py: a side ended early: {self._process.args}; SHOW=1 prints its errors")


def serve(side: str, threads: int, full: bool) -> None:
    """The process of one side."""
    row, name = side.split(":")
    if name == "open_clip" and importlib.util.find_spec("open_clip") is None:
        print(json.dumps({"ready": False}), flush=True)
        return
    import torch

    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    run, told = SIDES[name](row, full)
    run()
    print(json.dumps({"ready": True, **told}), flush=True)
    for _ in sys.stdin:
        start = clock()
        run()
        print(json.dumps({"seconds": clock() - start}), flush=True)


# What is given to both sides


def pictures() -> np.ndarray:
    """Drawn scenes and noise, uint8 (B, 224, 224, 3)."""
    from limner.engines.calibration import drawn_samples

    config, tokenizer = model_parts()[1:]
    return drawn_samples(config, tokenizer, seed=1).pictures[:PICTURES]


def text_rows() -> np.ndarray:
    """Captions of 16 words, int64 (B, longest)."""
    random = np.random.default_rng(0)
    words = f"{NOUNS} {QUALITIES}".split()
    captions = [" ".join(random.choice(words, WORDS)) for _ in range(TEXTS)]
    return model_parts()[2].clip_row(captions, 77)


def head_parts(full: bool) -> tuple[list[str], tuple[str, ...]]:
    """Classes and templates: 1,000 × 80, or 250 × 8 of them."""
    from limner.looking.templates import IMAGENET

    classes = [f"{quality} {noun}" for noun in NOUNS.split() for quality in QUALITIES.split()][:1000]
    random = np.random.default_rng(0)
    if full:
        return classes, IMAGENET
    return [classes[i] for i in random.permutation(1000)[:250]], tuple(IMAGENET[i] for i in random.permutation(80)[:8])


def model_parts() -> tuple[Any, Any, Any]:
    """limner's model with random weights, its config, OpenAI's tokenizer."""
    import torch

    from limner.models.clip.model import CLIP
    from limner.text.clip_bytepairs import ClipBytePairs
    from limner.training.recipe import load_recipe

    config = load_recipe("clip_vit_b32").model
    torch.manual_seed(0)
    return CLIP(config).eval().requires_grad_(False), config, ClipBytePairs.published()


# The sides: each prepares a row and returns what runs it once


def limner_side(engine: str, precision: str) -> Callable[[str, bool], tuple[Callable[[], Any], dict[str, Any]]]:
    """limner by ``engine``."""

    def prepare(row: str, full: bool) -> tuple[Callable[[], Any], dict[str, Any]]:
        from limner.engines.calibration import drawn_samples
        from limner.engines.openvino_towers import OpenVINOTowers
        from limner.engines.torch_towers import TorchTowers
        from limner.looking.heads import build_head

        model, config, tokenizer = model_parts()
        towers: Any
        if engine == "torch":
            towers = TorchTowers(model, precision=precision)
        else:
            towers = OpenVINOTowers(
                model, precision, "benchmark-vit-b32-seed-0", samples=lambda: drawn_samples(config, tokenizer)
            )
        if row == "head":
            classes, templates = head_parts(full)
            return lambda: build_head(towers, tokenizer, classes, templates), {}
        given = pictures() if row == "pictures" else text_rows()
        run = towers.images if row == "pictures" else towers.texts
        exact = TorchTowers(model)
        a, b = run(given), (exact.images if row == "pictures" else exact.texts)(given)
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return lambda: run(given), {"cosine": float(cosine.min())}

    return prepare


def transformers_side(context: int | None = None) -> Callable[[str, bool], tuple[Callable[[], Any], dict[str, Any]]]:
    """transformers in float32, its own attention; ``context``: rows of so many tokens, not the batch's longest."""

    def prepare(row: str, full: bool) -> tuple[Callable[[], Any], dict[str, Any]]:
        import torch
        from transformers import CLIPConfig, CLIPModel

        model = CLIPModel(CLIPConfig()).eval().requires_grad_(False)
        if row == "pictures":
            pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 255
            return _inferring(lambda: model.get_image_features(pixel_values=pixels)), {}
        batches = [torch.from_numpy(ids) for ids in _batches(row, full, context)]
        ends = [ids.argmax(dim=1) for ids in batches]
        masks = [(torch.arange(i.shape[1])[None] <= e[:, None]).long() for i, e in zip(batches, ends, strict=True)]
        given = list(zip(batches, masks, strict=True))
        return _inferring(lambda: [model.get_text_features(input_ids=i, attention_mask=m) for i, m in given]), {}

    return prepare


def open_clip_side(row: str, full: bool) -> tuple[Callable[[], Any], dict[str, Any]]:
    """open_clip in float32; its texts are always 77 tokens."""
    import open_clip
    import torch

    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval().requires_grad_(False)
    batches = [torch.from_numpy(ids) for ids in _batches(row, full, 77)]
    return _inferring(lambda: [model.encode_text(ids) for ids in batches]), {}


def _batches(row: str, full: bool, context: int | None) -> list[np.ndarray]:
    """Rows of token ids in batches, each padded to its longest, or to ``context``."""
    if row == "texts":
        rows = [text_rows()]
    else:
        from limner.looking.templates import fill

        classes, templates = head_parts(full)
        tokenizer = model_parts()[2]
        # As peers build heads: all prompts of a class at once.
        prompts = [[fill(template, name) for template in templates] for name in classes]
        size = max(1, 80 // len(templates))
        groups = [prompts[i : i + size] for i in range(0, len(prompts), size)]
        rows = [tokenizer.clip_row([prompt for names in group for prompt in names], 77) for group in groups]
    return [ids[:, : context or int(ids.argmax(axis=1).max()) + 1] for ids in rows]


def _inferring(work: Callable[[], Any]) -> Callable[[], Any]:
    import torch

    def run() -> Any:
        with torch.inference_mode():
            return work()

    return run


SIDES: dict[str, Callable[[str, bool], tuple[Callable[[], Any], dict[str, Any]]]] = {
    "transformers": transformers_side(),
    "padded": transformers_side(77),
    "open_clip": open_clip_side,
    "torch": limner_side("torch", "bf16"),
    "openvino": limner_side("openvino", "bf16"),
    "int8": limner_side("openvino", "int8"),
}


def folder(full: bool) -> dict[str, float | None]:
    """12-megapixel JPEGs: decoding alone, towers alone, both together, on all cores."""
    from PIL import Image

    from limner.device import set_threads
    from limner.engines.torch_towers import TorchTowers
    from limner.looking.embed import EXACT, embed_pictures, read_pixels

    threads = set_threads(None)
    count = 500 if full else 48
    model = model_parts()[0]
    towers: Any = TorchTowers(model, precision="bf16")
    with tempfile.TemporaryDirectory() as place:
        random = np.random.default_rng(0)
        files = []
        for i in range(count):
            file = Path(place, f"{i}.jpg")
            if i < 8:
                rough = random.integers(0, 256, (150, 200, 3), dtype=np.uint8)
                Image.fromarray(rough).resize((4000, 3000), Image.Resampling.BICUBIC).save(file, quality=90)
            else:
                os.link(files[i % 8], file)
            files.append(file)
        given = np.stack([read_pixels(file, towers, EXACT) for file in files[:8]])[np.arange(count) % 8]

        def decode() -> None:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda file: read_pixels(file, towers, EXACT), files))

        def look() -> None:
            for start in range(0, count, towers.batch):
                towers.images(given[start : start + towers.batch])

        work = {"decoding": decode, "towers": look, "end to end": lambda: embed_pictures(towers, files)}
        look()
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(1 if full else 3):
            for name, run in work.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(t) for name, t in times.items()}
    print(f"\nfolder: {count} JPEGs of 12 megapixels, seconds, {threads} threads")
    for name, seconds in medians.items():
        print(f"  {name:<14} {seconds:8.2f} s   {count / seconds:6.1f} pictures/s")
    return {"folder_overlap": medians["end to end"] / max(medians["decoding"], medians["towers"])}


if __name__ == "__main__":
    main()
