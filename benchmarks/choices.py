"""How the storybook's recipes were chosen: ``python benchmarks/choices.py dvae|dalle|clip --data DATA [--dvae RUN]``.

Each variant changes the recipe in one thing and computes as much as the recipe itself does in ``--pictures`` pictures:
one that is half as dear sees twice as many. All lower their rate over the second half. Every run is a ``limner train``
of its own; what ``--out`` holds already is not trained again. Prints PSNR in dB (dvae), nats per image token (dalle) on
test pairs, or the share of near misses told apart (clip) as mean and spread (highest - lowest) over the seeds, then the
difference to the recipe's run of the same seed, and last one line of JSON. Tokens of another dVAE are other nats: all
variants of ``dalle`` share one's, stored by ``limner data tokenize``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

from trained import against, last, trained

from limner.data.codes import ABOUT
from limner.data.shards import add_file
from limner.training.footprint import operations
from limner.training.recipe import load_recipe

GUMBEL = {
    "model.bottleneck": "gumbel", "model.levels": "[]", "model.standardise": "false", "objective.likelihood": "1.0",
    "objective.temperature_steps": "150", "objective.kl_steps": "60", "objective.kl_weight": "1.0",
}  # fmt: skip
SHORT_FIRST = "short captions first"
VARIANTS: dict[str, dict[str, dict[str, str]]] = {
    "dvae": {
        "the recipe": {},
        "8 x 8 codes": {"model.patch": "12"},
        "12 x 12 codes": {"model.patch": "8"},
        "24 x 24 codes": {"model.patch": "4"},
        "15,360 codes": {"model.levels": "[8, 8, 8, 6, 5]", "model.vocabulary": "15360"},
        "Gumbel-softmax": GUMBEL,
        "an encoder of convolutions": {"model.encoder": "convolutions"},
        "features not standardised": {"model.standardise": "false", "objective.fixed_statistics": "0"},
        "AdamW": {"optimizer": "adamw", "muon_learning_rate": "1.0"},
    },
    "dalle": {
        "the recipe": {},
        "batch 16": {"batch": "16"},
        "batch 64": {"batch": "64"},
        "twice the rate": {"learning_rate": "6e-3"},
        "half the rate": {"learning_rate": "1.5e-3"},
        "width 256": {"model.width": "256", "model.heads": "4"},
        "4 layers, width 256": {"model.width": "256", "model.heads": "4", "model.layers": "4"},
        "AdamW": {"optimizer": "adamw", "muon_learning_rate": "1.0", "learning_rate": "1e-3"},
        "no captions left out": {"caption_dropout": "0.0"},
        "a fifth of captions left out": {"caption_dropout": "0.2"},
        SHORT_FIRST: {},
    },
    "clip": {
        "the recipe": {},
        "no near misses": {"data.near": "1"},
        "near misses in pairs": {"data.near": "2"},
        "AdamW": {"optimizer": "adamw"},
    },
}
RECIPES = {"dvae": "dvae_storybook", "dalle": "dalle_storybook", "clip": "clip_storybook_near"}
MEASURES = {"dvae": "sample_psnr", "dalle": "sample_image"}


def schedule(kind: str, changes: dict[str, str], pictures: int) -> dict[str, str]:
    """The steps that compute as much as ``pictures`` pictures of the recipe, and a schedule of that length."""
    recipe, usual = load_recipe(RECIPES[kind], changes), load_recipe(RECIPES[kind])
    share = operations(kind, usual.model) / operations(kind, recipe.model)
    steps = max(2, round(pictures * share / recipe.training.batch))
    return {
        "steps": str(steps), "decay_steps": str(steps // 2), "warmup_steps": str(min(50, steps // 8)),
        "sample_every": str(steps), "ema_decay": "0.98", "keep": "1", "threads": "1", "workers": "0",
    }  # fmt: skip


def short_half(codes: Path, out: Path) -> Path:
    """The pairs of ``codes`` whose captions are no longer than the median, as codes of their own."""
    if out.is_dir():
        return out
    held: dict[str, tuple[bytes, bytes]] = {}
    for shard in sorted(codes.glob("*.tar")):
        with tarfile.open(shard) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        held |= {
            name[:-4]: (text, files[f"{name[:-4]}.codes.npy"]) for name, text in files.items() if name[-4:] == ".txt"
        }
    median = statistics.median(len(text) for text, _ in held.values())
    part = out.with_name(f"{out.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    with tarfile.open(part / "codes-00000.tar", "w") as tar:
        for key, (text, grid) in held.items():
            if len(text) <= median:
                add_file(tar, f"{key}.codes.npy", grid)
                add_file(tar, f"{key}.txt", text)
    shutil.copy(codes / ABOUT, part / ABOUT)
    return part.rename(out)


def run_variant(kind: str, name: str, run: Path, pictures: int, options: list[str], data: str) -> float:
    """Train a variant, or find it trained, and measure it."""
    changes = VARIANTS[kind][name]
    samples = {"dvae": {"objective.samples": "64"}, "dalle": {"objective.samples": "0"}, "clip": {}}[kind]
    if name == SHORT_FIRST:  # half of the pictures at a rate that stays, then the usual half
        first = schedule(kind, changes, pictures // 2) | {"decay_steps": "1"} | samples
        easy = short_half(Path(data), run.parent / "short")
        before = trained(kind, run.with_name(f"{run.name}-before"), RECIPES[kind], first, *options, "--data", str(easy))
        changes = {"decay_steps": str(int(first["steps"]) - 1), "warmup_steps": "1"}
        options = [*options, "--init", str(before / "model")]
        pictures -= pictures // 2
    trained(
        kind, run, RECIPES[kind], schedule(kind, changes, pictures) | changes | samples, *options, "--data", str(data)
    )
    return near_misses(run) if kind == "clip" else last(run, MEASURES[kind])


def near_misses(run: Path) -> float:
    """Per cent of near misses that a CLIP tells from the truth."""
    command = [
        sys.executable,
        "-m",
        "limner",
        "evaluate",
        "captions",
        "--model",
        str(run / "model"),
        "--pictures",
        "512",
    ]
    told = subprocess.run([*command, "--threads", "1", "--json", "--quiet"], check=True, capture_output=True, text=True)
    return 100 * float(json.loads(told.stdout)["hard_negatives"]["pairs"]["accuracy"])


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
    dvae = ["--dvae", args.dvae] if args.dvae else []
    found: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in range(args.seeds):  # seed by seed, so that an unfinished table is whole in its rows
        for name in chosen:
            run = args.out / args.kind / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}-{seed}"
            options = [*dvae, "--seed", str(seed)]
            found[name].append(run_variant(args.kind, name, run, args.pictures, options, args.data))
            print(f"{name}, seed {seed}: {found[name][-1]:.3f}", file=sys.stderr, flush=True)
    width = max(map(len, found))
    for name, values in found.items():
        difference = against(values, found["the recipe"])[1] if "the recipe" in found else ""
        print(f"{name:<{width}} {statistics.mean(values):7.3f} {max(values) - min(values):6.3f}  {difference}")
    print(json.dumps({args.kind: found, "pictures": args.pictures}))


if __name__ == "__main__":
    main()
