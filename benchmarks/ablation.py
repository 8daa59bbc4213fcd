"""The paper's transformer against later parts, at equal compute: ``python benchmarks/ablation.py --codes CODES``.

Every variant changes the recipe ``ablation.toml`` in one thing and sees the same pictures in the same order, with as
many parameters (within 2 %). Each is trained with ``--seeds`` seeds by ``limner train`` in a process of its own; what
``--out`` holds already is not trained again, and an interrupted run goes on. Prints validation nats per image token as
mean and spread (highest - lowest) over the seeds, last as one line of JSON. The stored tokens are made by

    limner data tokenize storybook CODES --dvae storybook --count 12800
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

from limner.training.journal import read_journal
from limner.training.recipe import load_recipe

BASE = Path(__file__).with_name("ablation.toml")

MUON = {"optimizer": '"muon"', "muon_learning_rate": "1.5"}
QK_NORM = {"model.qk_norm": "true"}
FULL = {"model.attention": '["full"]', "model.last": '"full"'}
DIGITS = {"model.code_levels": "[7, 5, 5, 5, 5]"}
ROTARY = {"model.rotary": "true"}
SWIGLU = {"model.activation": '"swiglu"', "model.mlp_ratio": "2.6667"}
TIED = {"model.tied": "true", "model.width": "232"}
SMALL = {"model.tied": "true", "model.width": "224", "model.mlp_ratio": "2.875"}
"""Tied, at a width that rotary positions can halve twice in each of four heads, and the rest in the MLP."""

VARIANTS: dict[str, dict[str, str]] = {
    "paper": {},
    "Muon": MUON,
    "QK-norm": QK_NORM,
    "rotary 2-D": ROTARY,
    "SwiGLU": SWIGLU,
    "tied (width 232)": TIED,
    "full attention": FULL,
    "shared code digits": DIGITS,
    "Muon, QK-norm, full, digits": MUON | QK_NORM | FULL | DIGITS,
    "the same, rotary, SwiGLU": MUON | QK_NORM | FULL | DIGITS | ROTARY | SWIGLU,
    "dalle_small's (width 224)": MUON | DIGITS | ROTARY | SWIGLU | SMALL,
}
RATES = ("1e-3", "4e-3")
"""Beside the recipe's own, for both optimisers with one seed: neither is shown at a rate that does not suit it."""


def parameters(changes: dict[str, str]) -> int:
    """Of a variant's model."""
    import torch

    from limner.models.dalle.model import DALLE

    with torch.device("meta"):
        return sum(p.numel() for p in DALLE(load_recipe(BASE, changes).model).parameters())


def nats(run: Path, changes: dict[str, str], seed: int, codes: Path, dvae: str) -> float:
    """Validation nats per image token at the end of a run, trained now where it is not."""
    if not (run / "model").is_dir():
        settings = [word for item in changes.items() for word in ("--set", "=".join(item))]
        command = [sys.executable, "-m", "limner", "train", "dalle", "--recipe", str(BASE), "--data", str(codes)]
        command += ["--dvae", dvae, "--out", str(run), "--seed", str(seed), "--resume", "--quiet", *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(float(r["sample_image"]) for r in reversed(read_journal(run / "journal.jsonl")) if "sample_image" in r)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", type=Path, required=True, help="stored tokens")
    parser.add_argument("--dvae", default="storybook", help="the dVAE that made them")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="variants, by name")
    args = parser.parse_args()
    chosen = args.only or list(VARIANTS)
    sizes = {name: parameters(VARIANTS[name]) for name in chosen}
    usual = parameters({})
    odd = [name for name, count in sizes.items() if abs(count / usual - 1) > 0.02]
    if odd:
        raise SystemExit(f"{odd[0]}: expected {usual} parameters within 2 %, got {sizes[odd[0]]}")
    found: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in range(args.seeds):  # seed by seed, so that an unfinished table is whole in its rows
        for name in chosen:
            run = args.out / ("-".join(re.sub(r"[,()']", "", name).split()) + f"-{seed}")
            found[name].append(nats(run, VARIANTS[name], seed, args.codes, args.dvae))
            print(f"{name}, seed {seed}: {found[name][-1]:.3f}", file=sys.stderr, flush=True)
    rates = {}
    for name in ("paper", "Muon") if not args.only else ():
        for rate in RATES:
            changes = VARIANTS[name] | {"learning_rate": rate}
            rates[f"{name}, rate {rate}"] = nats(args.out / f"{name}-rate-{rate}", changes, 0, args.codes, args.dvae)
    width = max(map(len, [*found, *rates]))
    print(f"{'':<{width}} parameters   nats  spread  against paper, seed by seed")
    rows = {}
    for name, values in found.items():
        mean, spread = statistics.mean(values), max(values) - min(values)
        rows[name] = {"parameters": sizes[name], "nats": mean, "spread": spread, "seeds": values}
        gain = ""
        if "paper" in found:
            # A seed deals the same pictures in the same order to all, so that its runs are pairs.
            gains = [value - paper for value, paper in zip(values, found["paper"], strict=True)]
            rows[name]["gains"] = gains
            gain = f"{statistics.mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})"
        print(f"{name:<{width}} {sizes[name]:>10,} {mean:6.3f}  {spread:6.3f}  {gain}")
    for name, value in rates.items():
        print(f"{name:<{width}} {'one seed':>10} {value:6.3f}")
    print(json.dumps({"variants": rows, "rates": rates}))


if __name__ == "__main__":
    main()
