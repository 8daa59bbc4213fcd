"""A training step against transformers' GPT-2, and what feeds it: ``python benchmarks/training.py``.

8 layers of width 384, 6 heads, 64 + 256 tokens, batch 8, a head of 10,304 words, bf16 autocast, fused AdamW without
clipping or averages on either side, full attention, captions that fill their row. Each side is a process of its own;
they take turns, A B A B. With one thread the clock is the process's CPU time, which a busy machine disturbs less. The
last line is JSON:

==========  ============================================================================================================
tokens      tokens/s of limner, as ``limner train`` runs it, over GPT-2's
tokens_kept the same over GPT-2's with glibc told to keep memory too (as ``limner train`` does)
share       limner's matrix products over the bf16 rate that a product of 2,560 × 384 × 1,536 reaches here
memory      the time of limner's step without ``keep_memory`` over that with it; ``megabytes`` are both peaks
data        pictures/s of the data pipeline alone (PNGs in shards, decoded, cropped to 64 px) over what the model eats
==========  ============================================================================================================

``--device cuda`` times a transformer of 350 million parameters at 256 + 1,024 tokens instead, compiled as on any GPU,
and prints tokens/s and the share of the chip's measured bf16 rate.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TEXT, SIDE, BATCH, TEXT_WORDS, CODES = 64, 16, 8, 2112, 8192
SIDES = ("gpt2", "limner", "gpt2_kept", "limner_plain")


def limner_step(device: str, large: bool = False) -> tuple[Callable[[], None], int, float]:
    """An update as the loop does it, its tokens, and the operations of its matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    from limner.models.dalle.config import DALLEConfig
    from limner.models.dalle.loss import loss
    from limner.models.dalle.model import DALLE
    from limner.training.optimizer import Optimizer
    from limner.training.parallel import blocks
    from limner.training.recipe import TrainingSettings

    text, side, batch, layers, width, heads = (256, 32, 16, 24, 1024, 16) if large else (TEXT, SIDE, BATCH, 8, 384, 6)
    words = 16_384 if large else TEXT_WORDS - TEXT
    config = DALLEConfig(
        text_vocabulary=words, text_length=text, image_vocabulary=CODES, rows=side, columns=side,
        width=width, layers=layers, heads=heads, attention=("full",), last="full",
    )  # fmt: skip
    model = DALLE(config).to(device)
    if large:
        for block in blocks(model):
            block.compile()
    optimizer = Optimizer(model, TrainingSettings(steps=1, batch=batch, learning_rate=1e-4))
    captions = torch.randint(0, words, (batch, text), device=device)
    codes = torch.randint(0, CODES, (batch, side * side), device=device)

    def step() -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            value, _ = loss(model, captions, codes)
        value.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()

    with torch.device("meta"):
        twin, rows = DALLE(config), torch.zeros(batch, text, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        twin(rows, torch.zeros(batch, side * side, dtype=torch.long))
    return step, batch * (text + side * side), 3.0 * counter.get_total_flops()


def gpt2_step() -> Callable[[], None]:
    """An update of transformers' GPT-2 of the same sizes."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=TEXT_WORDS + CODES, n_positions=TEXT + SIDE * SIDE, n_embd=384, n_layer=8, n_head=6,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, attn_implementation="sdpa",
    )  # fmt: skip
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, config.vocab_size, (BATCH, TEXT + SIDE * SIDE))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = model(input_ids=ids, labels=ids).loss
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def serve(side: str, threads: int) -> None:
    """In a process of its own: a line of JSON with the seconds of each update that a line on stdin asks for."""
    from limner.device import keep_memory

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if side in ("limner", "gpt2_kept"):
        keep_memory()
    told: dict[str, float] = {}
    if side.startswith("limner"):
        step, tokens, operations = limner_step("cpu")
        told = {"tokens": tokens, "operations": operations}
    else:
        step = gpt2_step()
    clock = time.process_time if threads == 1 else time.perf_counter
    for _ in range(2):
        step()
    for _ in sys.stdin:
        start = clock()
        step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"seconds": clock() - start, "megabytes": peak, **told}
        print(json.dumps(answer), flush=True)


def take_turns(sides: tuple[str, ...], rounds: int, threads: int) -> dict[str, dict[str, float]]:
    """Medians of each side's numbers."""
    command = [sys.executable, __file__, "--threads", str(threads), "--side"]
    running = {s: subprocess.Popen([*command, s], stdin=-1, stdout=-1, text=True) for s in sides}
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, process in running.items():
            assert process.stdin is not None and process.stdout is not None
            print(file=process.stdin, flush=True)
            found[side].append(json.loads(process.stdout.readline()))
    for process in running.values():
        process.communicate("")
    return {s: {k: statistics.median(a[k] for a in answers) for k in answers[0]} for s, answers in found.items()}


def matrix_rate(device: str, rows: int = 2560, inner: int = 384, columns: int = 1536) -> float:
    """Operations/s of a bf16 product."""
    a = torch.randn(rows, inner, device=device, dtype=torch.bfloat16)
    b = torch.randn(inner, columns, device=device, dtype=torch.bfloat16)
    times = []
    for _ in range(30):
        start = now(device)
        for _ in range(4):
            a @ b
        times.append((now(device) - start) / 4)
    return 2 * rows * inner * columns / statistics.median(times)


def now(device: str) -> float:
    """CPU time on one thread of a CPU, finished work on a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def pipeline(pictures: int = 512) -> float:
    """Pictures/s of shards, decoding and crops to 64 px, in this process."""
    from PIL import Image

    from limner.data.crops import Crop
    from limner.data.loader import batches
    from limner.data.sources import DataOptions, open_data
    from limner.training.objective_dvae import DVAECollate

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(Path(folder) / "pictures-00000.tar", "w") as tar:
            for i in range(pictures):
                noise = torch.randint(0, 255, (12, 12, 3), dtype=torch.uint8).numpy()
                buffer = io.BytesIO()
                Image.fromarray(noise).resize((136, 136), Image.Resampling.BICUBIC).save(buffer, "PNG")
                for name, data in ((f"{i:06d}.png", buffer.getvalue()), (f"{i:06d}.txt", b"a picture")):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        source = open_data(folder, DataOptions(size=64)).train
        collate: Any = DVAECollate(Crop("dvae", 64), 0)
        start, seen = now("cpu"), 0
        for batch in batches(source, collate, batch=BATCH, start=0, stop=pictures // BATCH, workers=0):
            seen += len(batch.positions)
        return seen / (now("cpu") - start)


def on_gpu(rounds: int) -> dict[str, float]:
    """The 350 M transformer."""
    step, tokens, operations = limner_step("cuda", large=True)
    for _ in range(5):
        step()
    times = []
    for _ in range(max(rounds, 10)):
        start = now("cuda")
        step()
        times.append(now("cuda") - start)
    seconds, rate = statistics.median(times), matrix_rate("cuda", 8192, 8192, 8192)
    result = {"tokens_per_second": tokens / seconds, "share": operations / seconds / rate, "rate": rate}
    print(f"{tokens / seconds:,.0f} tokens/s, {result['share']:.0%} of {rate / 1e12:.0f} measured TFLOP/s in bf16")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["tokens", "memory", "data"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(args.side, args.threads)
        return
    torch.set_num_threads(args.threads)
    if args.device == "cuda":
        print(json.dumps(on_gpu(args.rounds)))
        return
    result: dict[str, Any] = {}
    sides = SIDES if "memory" in args.rows else SIDES[:3]
    medians = take_turns(sides, args.rounds, args.threads)
    ours, rate = medians["limner"], matrix_rate("cpu")
    print(f"an update of {ours['tokens']:.0f} tokens, median of {args.rounds} in turn, {args.threads} thread(s)")
    for side, found in medians.items():
        faster = medians["gpt2"]["seconds"] / found["seconds"]
        print(f"  {side:<13} {found['seconds']:7.3f} s   {faster:5.2f} × GPT-2   peak {found['megabytes']:6.0f} MB")
    if "tokens" in args.rows:
        share = ours["operations"] / ours["seconds"] / rate
        result |= {
            "tokens": medians["gpt2"]["seconds"] / ours["seconds"],
            "tokens_kept": medians["gpt2_kept"]["seconds"] / ours["seconds"],
            "share": share,
        }
        print(f"  {share:.0%} of {rate / 1e9:.0f} GFLOP/s, the measured bf16 rate")
    if "memory" in args.rows:
        plain = medians["limner_plain"]
        result |= {
            "memory": plain["seconds"] / ours["seconds"],
            "megabytes": [plain["megabytes"], ours["megabytes"]],
        }
    if "data" in args.rows:
        supply, eaten = pipeline(), BATCH / ours["seconds"]
        result["data"] = supply / eaten
        print(f"  data: {supply:.0f} pictures/s, {supply / eaten:.1f} × the {eaten:.1f} that the model eats")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
