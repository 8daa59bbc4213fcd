"""What codes say of pixels that are not theirs: ``python benchmarks/leaks.py [MODEL] [--scenes 64]``.

A character is drawn twice, one garment in another colour, and both pictures become codes. Of the cells whose own pixels
are the same in both, this counts those whose code differs: the encoder looked at their neighbours. A transformer that
is shown true codes may read a colour there before the garment begins, and not in the caption. Prints the share,
the number of such codes before the first cell that changed (in raster order), what a code of these pictures costs in
nats where all that is known is how often each occurs, how often it is its left neighbour's, and last one line of JSON.
Most of these pictures is bare ground: dear codes, few of them like their neighbours, are what the encoder writes there.
"""

from __future__ import annotations

import argparse
import json
import statistics

import numpy as np
import torch

from limner.data.crops import pixels_of
from limner.device import set_threads
from limner.evaluate.statistics import interval
from limner.painter import load_painter
from limner.storybook.deal import deal
from limner.storybook.draw import draw
from limner.storybook.judge.nearmiss import near_misses


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="storybook", help="a painter")
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    set_threads(args.threads)
    studio = load_painter(args.model).studio
    rows, columns, cell = studio.config.rows, studio.config.columns, studio.cell
    shares: list[list[float]] = []
    before: list[int] = []
    codes: list[torch.Tensor] = []
    for index in range(20 * args.scenes):
        dealt = deal(index, seed=77, split="test", families=("garments",))
        other = dict(near_misses(dealt.scene, dealt.draw_seed)).get("garment colour")
        if other is None:
            continue
        both = np.stack([draw(s, size=studio.resolution, seed=dealt.draw_seed) for s in (dealt.scene, other)])
        one, two = studio.dvae.encode(pixels_of(torch.from_numpy(both).permute(0, 3, 1, 2))).view(2, -1)
        codes.append(one)
        moved = (both[0] != both[1]).reshape(rows, cell, columns, cell, 3).any(axis=(1, 3, 4)).reshape(-1)
        leaked = (one != two).numpy() & ~moved
        shares.append([float(leaked.sum() / max(1, (~moved).sum()))])
        before.append(int(leaked[: int(moved.argmax())].sum()))
        if len(shares) == args.scenes:
            break
    share = statistics.mean(value for (value,) in shares)
    low, high = interval(shares)
    print(f"{args.model}: {rows} x {columns} codes, {len(shares)} pairs of pictures")
    print(f"  {100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of cells with the same pixels have another code")
    print(f"  {statistics.mean(before):.1f} of them, median {statistics.median(before)}, before the first that changed")
    grid = torch.stack(codes)
    often = torch.bincount(grid.flatten()).double() / grid.numel()
    nats = float(-torch.special.xlogy(often, often).sum())
    alike = float((grid.view(-1, rows, columns).diff(dim=2) == 0).double().mean())
    print(f"  {nats:.2f} nats a code, {100 * alike:.0f} % of them their left neighbour's")
    figures = {"model": args.model, "share": share, "before": statistics.mean(before), "pairs": len(shares)}
    print(json.dumps({**figures, "nats": nats, "alike": alike}))


if __name__ == "__main__":
    main()
