"""CLIP's towers against transformers and open_clip: ``python benchmarks/clip.py``.

ViT-B/32 with random weights. Each side is a process of its own, since another engine's threads in the process slow
torch down; the sides take turns, A B A B. With one thread the clock is the process's CPU time, which a busy machine
disturbs less. Printed are medians and ratios; the last line is the same as JSON (null: that side could not be had).
open_clip is fetched once by pip into a folder of its own (``benchmarks/peers.py``):

====================================  ================================================================================
pictures_torch, _openvino, _int8      pictures/s, batch 32: limner over transformers in float32
cosine_openvino, cosine_int8          lowest cosine of those features to limner's in float32
texts_torch, texts_int8               captions/s, 16 words, batch 64: limner over transformers in float32
texts_torch_open_clip                 the same over open_clip, which pads to 77
texts_torch_padded                    the same over transformers given 77 tokens, as open_clip gives them
head_transformers, head_open_clip     a head of classes × templates: limner (torch, bf16) over the peer, tokens given
folder_overlap                        JPEGs end to end over the slower of decoding and towers alone (1 is the best)
decoding_fast, cosine_fast            ``--fast`` decoding over exact decoding, pictures/s; lowest cosine of features
====================================  ================================================================================

``--rows pictures texts head folder`` picks rows. The head is of 1,000 classes × 80 templates: limner builds all of it,
in rounds of some templates over all classes; the peers, which go class by class, are timed on some classes in all
templates, and their time is that times the share of classes. The folder has 500 pictures (``clip_folder.py``) and uses
all cores. All of it takes a quarter of an hour on two idle cores; ``--small`` takes a head of 250 × 8 and 48 pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import peers
from clip_folder import folder
from clip_given import FINGERPRINT, HeadPlan, model_parts, pictures, text_rows

Prepare = Callable[[str, bool], tuple[Callable[[int], Any], dict[str, Any]]]
"""(row, small) → what runs round number i once, and facts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["pictures", "texts", "head", "folder"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="A smaller head and folder.")
    parser.add_argument(
        "--without", nargs="*", default=[], help="Sides to leave out, e.g. int8 (calibrating takes long)."
    )
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(args.side, args.threads, args.small)
        return
    result: dict[str, float | None] = {}
    for row in args.rows:
        if row == "folder":
            result |= folder(args.small)
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
    others = ["transformers", *(["padded"] if row == "texts" else []), *(["open_clip"] if row != "pictures" else [])]
    sides = [f"{row}:{name}" for name in [*others, *ROWS[row][1]] if name not in args.without]
    running = {side: Side(side, args) for side in sides}
    live = {side: process for side, process in running.items() if process.ready}
    times: dict[str, list[float]] = {side: [] for side in live}
    head = HeadPlan.of(args.small)
    rounds = head.rounds if row == "head" else args.rounds
    for number in range(rounds):
        for side, process in live.items():
            times[side].append(process.run(number))
    if row == "head":  # all rounds together are the head, or for the peers a share of its classes
        medians = {side: sum(t) * (1 if side == "head:torch" else head.scale) for side, t in times.items()}
        what = f"head of {head.classes} × {head.templates}: seconds, {rounds} rounds"
    else:
        medians = {side: statistics.median(t) for side, t in times.items()}
        what = f"{row}: seconds, median of {rounds} rounds"
    print(f"\n{what} in turn, {args.threads} thread(s)")
    base = medians[f"{row}:transformers"]
    result: dict[str, float | None] = {}
    for side in sides:
        if side not in live:
            print(f"  {side.split(':')[1]:<14} could not be had")
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
            [*command, *(["--small"] if args.small else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("SHOW") else None,
            text=True,
            env=environment,
        )
        self.told: dict[str, Any] = self._read()
        self.ready = bool(self.told.get("ready"))

    def run(self, number: int) -> float:
        """Seconds of round ``number``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
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


def serve(side: str, threads: int, small: bool) -> None:
    """The process of one side."""
    row, name = side.split(":")
    if name == "open_clip" and not peers.use_open_clip():
        print(json.dumps({"ready": False}), flush=True)
        return
    import torch

    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    run, told = SIDES[name](row, small)
    if row != "head":
        run(0)
    print(json.dumps({"ready": True, **told}), flush=True)
    for line in sys.stdin:
        start = clock()
        run(int(line))
        print(json.dumps({"seconds": clock() - start}), flush=True)


# The sides: each prepares a row and returns what runs it once


def limner_side(engine: str, precision: str) -> Prepare:
    """limner by ``engine``."""

    def prepare(row: str, small: bool) -> tuple[Callable[[int], Any], dict[str, Any]]:
        from limner.engines.calibration import drawn_samples
        from limner.engines.openvino_towers import OpenVINOTowers
        from limner.engines.torch_towers import TorchTowers
        from limner.looking.heads import build_head

        model, config, tokenizer = model_parts()
        towers: Any
        if engine == "torch":
            towers = TorchTowers(model, precision=precision)
        else:
            towers = OpenVINOTowers(model, precision, FINGERPRINT, samples=lambda: drawn_samples(config, tokenizer))
        if row == "head":
            plan = HeadPlan.of(small)
            names, sentences = plan.names(), plan.sentences()
            build_head(towers, tokenizer, names[:50], sentences[:1])
            return lambda i: build_head(towers, tokenizer, names, sentences[i :: plan.rounds]), {}
        given = pictures() if row == "pictures" else text_rows()
        run = towers.images if row == "pictures" else towers.texts
        exact = TorchTowers(model)
        a, b = run(given), (exact.images if row == "pictures" else exact.texts)(given)
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return lambda _: run(given), {"cosine": float(cosine.min())}

    return prepare


def transformers_side(context: int | None = None) -> Prepare:
    """transformers in float32, its own attention; ``context``: rows of so many tokens, not the batch's longest."""

    def prepare(row: str, small: bool) -> tuple[Callable[[int], Any], dict[str, Any]]:
        import torch
        from transformers import CLIPConfig, CLIPModel

        model = CLIPModel(CLIPConfig()).eval().requires_grad_(False)
        if row == "pictures":
            pixels = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 255
            return _inferring(lambda _: model.get_image_features(pixel_values=pixels)), {}

        def encode(ids: Any) -> Any:
            mask = (torch.arange(ids.shape[1])[None] <= ids.argmax(dim=1)[:, None]).long()
            return model.get_text_features(input_ids=ids, attention_mask=mask)

        return _texts(encode, row, small, context), {}

    return prepare


def open_clip_side(row: str, small: bool) -> tuple[Callable[[int], Any], dict[str, Any]]:
    """open_clip in float32; its texts are always 77 tokens."""
    import open_clip

    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval().requires_grad_(False)
    return _texts(model.encode_text, row, small, 77), {}


def _texts(encode: Callable[[Any], Any], row: str, small: bool, context: int | None) -> Callable[[int], Any]:
    """A peer's captions, or its share of the head's classes, encoded batch by batch."""
    import torch

    batches = [[torch.from_numpy(ids) for ids in part] for part in _batches(row, small, context)]
    run = _inferring(lambda i: [encode(ids) for ids in batches[i % len(batches)]])
    if row == "head":
        _inferring(lambda _: encode(batches[0][0]))(0)
    return run


def _batches(row: str, small: bool, context: int | None) -> list[list[np.ndarray]]:
    """For each round: rows of token ids in batches, each padded to its longest, or to ``context``."""
    if row == "texts":
        rounds = [[text_rows()]]
    else:
        from limner.looking.templates import fill

        plan, tokenizer = HeadPlan.of(small), model_parts()[2]
        # As peers build heads: all prompts of a class at once.
        prompts = [[fill(sentence, name) for sentence in plan.sentences()] for name in plan.names()]
        size = max(1, 80 // plan.templates)
        rounds = []
        for start in range(0, plan.rounds * plan.share, plan.share):
            part = prompts[start : start + plan.share]
            groups = [part[i : i + size] for i in range(0, len(part), size)]
            rounds.append([tokenizer.clip_row([p for names in group for p in names], 77) for group in groups])
    cut = lambda ids: ids[:, : context or int(ids.argmax(axis=1).max()) + 1]  # noqa: E731
    return [[cut(ids) for ids in part] for part in rounds]


def _inferring(work: Callable[[int], Any]) -> Callable[[int], Any]:
    import torch

    def run(number: int) -> Any:
        with torch.inference_mode():
            return work(number)

    return run


SIDES: dict[str, Prepare] = {
    "transformers": transformers_side(),
    "padded": transformers_side(77),
    "open_clip": open_clip_side,
    "torch": limner_side("torch", "bf16"),
    "openvino": limner_side("openvino", "bf16"),
    "int8": limner_side("openvino", "int8"),
}


if __name__ == "__main__":
    main()
