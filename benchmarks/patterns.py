"""Attention patterns against torch's attention under a dense mask: ``python benchmarks/patterns.py``.

Times attention alone (projections apart), forward and backward, both sides in turn, and prints medians, their ratio and
how far outputs and gradients lie apart. On a CPU the clock is this process's CPU time, which a busy machine disturbs
less. The last line is the same as JSON: ``row``, ``column``, ``conv``, ``full`` are the ratios of the first precision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from limner.models.patterns import Column, Conv, Full, Pattern, Row
from limner.shapes import Layout

PATTERNS: dict[str, Pattern] = {"row": Row(), "column": Column(), "conv": Conv(), "full": Full()}
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def sides(pattern: Pattern, layout: Layout, length: int, dtype: torch.dtype, device: str) -> tuple[Attend, Attend]:
    """Torch under the pattern's mask, and limner."""
    mask = torch.zeros(length, length, dtype=dtype, device=device)
    mask.masked_fill_(~pattern.mask(layout)[:length, :length].to(device), float("-inf"))
    return (
        lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=mask),
        lambda q, k, v: pattern.attend(q, k, v, layout),
    )


def compare(sides: tuple[Attend, Attend], qkv: Tensor, grad: Tensor, rounds: int) -> tuple[list[float], float]:
    """Median seconds of both sides, and the largest difference of output and gradient."""

    def run(attend: Attend) -> tuple[Tensor, Tensor, float]:
        # (B, T, 3, H, K), as the projection leaves it → (B, H, T, K) each
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        start = clock(qkv.device)
        out = attend(q, k, v)
        (back,) = torch.autograd.grad(out, qkv, grad)
        return out.detach(), back, clock(qkv.device) - start

    first = [run(attend) for attend in sides]
    apart = max(float((a - b).abs().max()) for a, b in zip(first[0][:2], first[1][:2], strict=True))
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for kept, attend in zip(times, sides, strict=True):
            kept.append(run(attend)[2])
    return [statistics.median(kept) for kept in times], apart


def clock(device: torch.device) -> float:
    """Seconds: CPU time on a CPU, finished work on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=int, default=256)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--head-width", type=int, default=64)
    parser.add_argument("--precision", nargs="+", choices=sorted(DTYPES), default=["float32", "bf16"])
    parser.add_argument("--patterns", nargs="+", choices=sorted(PATTERNS), default=list(PATTERNS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = Layout(args.text, args.rows, args.columns)
    length = layout.total - 1  # the last image token is no input
    print(
        f"attention forward and backward, {args.text} + {args.rows} × {args.columns} tokens, batch {args.batch}, "
        f"{args.heads} heads of {args.head_width}, {args.device}, {args.threads} thread(s), median of {args.rounds}"
    )
    print(f"{'':10}{'':9}{'dense mask':>12}{'limner':>12}{'ratio':>8}{'largest difference':>21}{'pairs seen':>12}")
    figures: dict[str, float | str] = {"device": args.device, "threads": args.threads, "tokens": layout.total}
    for precision in args.precision:
        dtype = DTYPES[precision]
        shape = (args.batch, length, 3, args.heads, args.head_width)
        qkv = torch.randn(shape, dtype=dtype, device=args.device, requires_grad=True)
        grad = torch.randn(args.batch, length, args.heads, args.head_width, dtype=dtype, device=args.device)
        for name in args.patterns:
            pattern = PATTERNS[name]
            both = sides(pattern, layout, length, dtype, args.device)
            (dense, mine), apart = compare(both, qkv, grad.transpose(1, 2), args.rounds)
            seen = pattern.mask(layout).float().mean().item()
            print(
                f"{precision:10}{name:9}{dense * 1e3:>9.1f} ms{mine * 1e3:>9.1f} ms{dense / mine:>7.2f}×"
                f"{apart:>21.1e}{seen:>11.1%}"
            )
            key = name if precision == args.precision[0] else f"{name}_{precision}"
            figures[key] = round(dense / mine, 2)
            figures[f"{key}_difference"] = float(f"{apart:.2g}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
