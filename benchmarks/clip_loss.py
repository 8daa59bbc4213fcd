"""The contrastive loss in tiles against the plain one: ``python benchmarks/clip_loss.py``.

Forward and backward at ``--pairs`` pairs of ``--width``, both ways in turn, in float32 and under bf16 autocast; then
the memory above its inputs that the tiles take at ``--large`` pairs. The last line is the same as JSON: ``float32``,
``bf16`` are tiled over plain time, ``megabytes`` the peak, ``apart`` the difference in float64 at 1,024 pairs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn.functional import normalize

from limner.models.clip.loss import contrastive_loss


def pairs(count: int, width: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Unit rows of pictures and captions that resemble each other, and a scale."""
    torch.manual_seed(0)
    images = normalize(torch.randn(count, width, dtype=dtype), dim=-1)
    texts = normalize(images + 0.1 * torch.randn(count, width, dtype=dtype), dim=-1)
    scale = torch.tensor(14.3, dtype=dtype)
    return images.requires_grad_(), texts.requires_grad_(), scale.requires_grad_()


def seconds(given: tuple[Tensor, Tensor, Tensor], tiled: bool, bf16: bool) -> float:
    """CPU time of the loss and its gradients."""
    start = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss = contrastive_loss(*given, tiled=tiled)
    torch.autograd.grad(loss, given)
    return time.process_time() - start


def peak(count: int, width: int) -> None:
    """In a process of its own: print the megabytes that the tiles take above their inputs."""
    given = pairs(count, width)
    small = tuple(t[:64].detach().requires_grad_() if t.ndim else t for t in given)
    torch.autograd.grad(contrastive_loss(*small, tiled=True), small)
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak counts from here, not from when the inputs were made
    torch.autograd.grad(contrastive_loss(*given, tiled=True), given)
    print((status("VmHWM") - before) / 1024)


def status(field: str) -> int:
    """kB of this process, as Linux tells."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8192)
    parser.add_argument("--large", type=int, default=32768)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        peak(args.large, args.width)
        return
    given, result = pairs(args.pairs, args.width), {}
    for name, bf16 in (("float32", False), ("bf16", True)):
        times = [[seconds(given, tiled, bf16) for tiled in (False, True)] for _ in range(args.rounds)]
        plain, tiled = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:<8} plain {plain:7.2f} s   tiled {tiled:7.2f} s   {tiled / plain:5.2f}")
        result[name] = tiled / plain
    exact = pairs(1024, args.width, torch.float64)
    whole, parts = (
        [loss.detach(), *torch.autograd.grad(loss, exact)]
        for loss in (contrastive_loss(*exact, tiled=tiled) for tiled in (False, True))
    )
    result["apart"] = max(float((a - b).abs().max()) for a, b in zip(whole, parts, strict=True))
    command = [sys.executable, __file__, "--peak", "--large", str(args.large), "--width", str(args.width)]
    result["megabytes"] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"{args.large} pairs: {result['megabytes']:.0f} MB above the inputs; float64 apart by {result['apart']:.1e}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
