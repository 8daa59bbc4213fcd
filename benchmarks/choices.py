"""How the storybook's recipes were chosen: ``python benchmarks/choices.py dvae|dalle --data DATA [--dvae RUN]``.

Each variant changes the recipe in one thing and computes as much as the recipe itself does in ``--pictures`` pictures:
one that is half as dear sees twice as many. All lower their rate over the second half. Every run is a ``limner train``
of its own; what ``--out`` holds already is not trained again. Prints PSNR in dB (dvae) or nats per image token (dalle)
on test pairs as mean and spread (highest - lowest) over the seeds, then the difference to the recipe's run of the same
seed, and last one line of JSON. Tokens of another dVAE are other nats: all variants of ``dalle`` share one's, stored by
``limner data tokenize``.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from pathlib import Path

from trained import against, last, trained

from limner.training.footprint import operations
from limner.training.recipe import load_recipe

GUMBEL = {
    "model.bottleneck": "gumbel", "model.levels": "[]", "model.standardise": "false", "objective.likelihood": "1.0",
    "objective.temperature_steps": "150", "objective.kl_steps": "60", "objective.kl_weight": "1.0",
}  # fmt: skip
VARIANTS: dict[str, dict[str, dict[str, str]]] = {
    "dvae": {
        "the recipe": {},
        "8 x 8 codes": {"model.patch": "9"},
        "18 x 18 codes": {"model.patch": "4"},
        "15,360 codes": {"model.levels": "[8, 8, 8, 6, 5]", "model.vocabulary": "15360"},
        "Gumbel-softmax": GUMBEL,
        "AdamW": {"optimizer": "adamw", "muon_learning_rate": "1.0"},
        "batch 32": {"batch": "32"},
        "one more block": {"model.decoder_blocks": "4"},
    },
    "dalle": {
        "the recipe": {},
        "batch 16": {"batch": "16"},
        "batch 64": {"batch": "64"},
        "twice the rate": {"learning_rate": "4e-3"},
        "half the rate": {"learning_rate": "1e-3"},
        "width 256": {"model.width": "256", "model.heads": "4"},
        "4 layers, width 256": {"model.width": "256", "model.heads": "4", "model.layers": "4"},
        "AdamW": {"optimizer": "adamw", "muon_learning_rate": "1.0"},
        "no captions left out": {"caption_dropout": "0.0"},
        "a fifth of captions left out": {"caption_dropout": "0.2"},
    },
}
MEASURES = {"dvae": "sample_psnr", "dalle": "sample_image"}


def schedule(kind: str, changes: dict[str, str], pictures: int) -> dict[str, str]:
    """The steps that compute as much as ``pictures`` pictures of the recipe, and a schedule of that length."""
    recipe, usual = load_recipe(f"{kind}_storybook", changes), load_recipe(f"{kind}_storybook")
    share = operations(kind, usual.model) / operations(kind, recipe.model)
    steps = max(2, round(pictures * share / recipe.training.batch))
    return {
        "steps": str(steps), "decay_steps": str(steps // 2), "warmup_steps": str(min(50, steps // 8)),
        "sample_every": str(steps), "ema_decay": "0.98", "keep": "1", "threads": "1", "workers": "0",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=VARIANTS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--dvae", help="for dalle: what made the tokens")
    parser.add_argument("--out", type=Path, default=Path("runs/choices"))
    parser.add_argument("--pictures", type=int, default=6400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="variants, by name")
    args = parser.parse_args()
    chosen = args.only or list(VARIANTS[args.kind])
    options = ["--data", args.data, *(("--dvae", args.dvae) if args.dvae else ())]
    found: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in range(args.seeds):  # seed by seed, so that an unfinished table is whole in its rows
        for name in chosen:
            run = args.out / args.kind / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}-{seed}"
            changes = VARIANTS[args.kind][name]
            samples = {"objective.samples": "64"} if args.kind == "dvae" else {"objective.samples": "0"}
            changes = schedule(args.kind, changes, args.pictures) | changes | samples
            trained(args.kind, run, f"{args.kind}_storybook", changes, *options, "--seed", str(seed))
            found[name].append(last(run, MEASURES[args.kind]))
            print(f"{name}, seed {seed}: {found[name][-1]:.3f}", file=sys.stderr, flush=True)
    width = max(map(len, found))
    for name, values in found.items():
        difference = against(values, found["the recipe"])[1] if "the recipe" in found else ""
        print(f"{name:<{width}} {statistics.mean(values):7.3f} {max(values) - min(values):6.3f}  {difference}")
    print(json.dumps({args.kind: found, "pictures": args.pictures}))


if __name__ == "__main__":
    main()
