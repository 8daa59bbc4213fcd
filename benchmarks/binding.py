"""What a transformer reads in captions: ``python benchmarks/binding.py [MODEL] [--scenes 24] [--untold]``.

Drawn scenes of the test split as codes, each with its caption and with near misses' captions in the same words: how
often the picture is likelier with its own, by what the miss changes ("garment colours swapped": the same words in
another order), and by how many nats (median). ``--untold`` hides all codes from the tokens after them, so that what
the caption says is all there is to go by. Prints a table and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict

import numpy as np
import torch

from limner.data.crops import pixels_of
from limner.device import autocast, set_threads
from limner.evaluate.statistics import interval
from limner.models.dalle.loss import image_nats
from limner.painter import load_painter
from limner.storybook.deal import LANGUAGES, deal
from limner.storybook.draw import draw
from limner.storybook.judge.nearmiss import near_misses
from limner.storybook.scene import FAMILIES


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="storybook", help="a painter")
    parser.add_argument("--scenes", type=int, default=24, help="of each family")
    parser.add_argument("--families", default="", help="some, with commas between; all if empty")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--untold", action="store_true", help="hide the codes themselves")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    set_threads(args.threads)
    studio = load_painter(args.model).studio
    model, last = studio.model, studio.config.text_length - 1
    found: dict[str, list[float]] = defaultdict(list)
    for family in args.families.split(",") if args.families else FAMILIES:
        for index in range(args.scenes):
            dealt = deal(index, seed=args.seed, split="test", families=(family,))
            picture = draw(dealt.scene, size=studio.resolution, seed=dealt.draw_seed)
            misses = list(near_misses(dealt.scene, dealt.draw_seed))
            scenes = [dealt.scene, *(scene for _, scene in misses)]
            captions = [LANGUAGES[dealt.language](scene, dealt.draw_seed, "any") for scene in scenes]
            rows = torch.from_numpy(studio.tokenizer.row(captions, studio.config.text_length, cut=True))
            codes = studio.dvae.encode(pixels_of(torch.from_numpy(picture[None]).permute(0, 3, 1, 2))).flatten(1)
            codes = codes.expand(len(rows), -1)
            with autocast(torch.device("cpu")):
                hidden = model.hidden(rows, torch.full_like(codes, -1) if args.untold else codes)
                nats = image_nats(model, hidden[:, last:], codes).double().sum(1)
            for (change, _), more in zip(misses, (nats[1:] - nats[0]).tolist(), strict=True):
                found[change].append(more)
    print(f"{'CHANGE':26s} {'TOLD APART':>10s} {'95 %':>15s} {'NATS':>8s} {'PAIRS':>6s}")
    figures = {}
    for change, more in sorted(found.items()):
        told = [[float(nats > 0)] for nats in more]
        low, high = interval(told)
        figures[change] = {"told": float(np.mean(told)), "nats": float(np.median(more)), "pairs": len(more)}
        share = 100 * figures[change]["told"]
        print(
            f"{change:26s} {share:8.0f} % {100 * low:7.0f} - {100 * high:3.0f} % {np.median(more):8.2f} {len(more):6d}"
        )
    print(json.dumps({"model": args.model, "untold": args.untold, "changes": figures}))


if __name__ == "__main__":
    main()
