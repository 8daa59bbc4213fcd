"""How fast image tokens are drawn, against GPT-2 of the same sizes in transformers.

    python benchmarks/sampling.py                 # all cores; --threads 1 for one
    python benchmarks/sampling.py --batches 4     # a piece of it
    python benchmarks/sampling.py --quality       # nats per token in each precision, shipped painter
    python benchmarks/sampling.py --steps         # engines' steps alone, in turn, on one thread
    python benchmarks/sampling.py --stream        # only what streaming costs, shipped painter
    python benchmarks/sampling.py --cold          # seconds until a step is compiled, without and with the cache on disk

"engine" is what a painter takes on this chip (``limner.engines.choice``), "int8" the engine that it takes for int8.
"Same bits from n rows on" tells how many rows a batch must have for a picture not to depend on its batch; no fewer are
computed.

The model has 8 layers, width 384, 6 heads, 64 caption and 256 image tokens, vocabularies of 8,192 and 2,048 and the
paper's patterns; the peer is transformers' GPT-2 of the same sizes with full attention, ``generate`` with sampling.
Both read 64 tokens and draw 256, weights are random. Every side is a process of its own; they take turns, one at a
time, and a figure is the median of the rounds after one to warm up. Sides whose library is missing are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sampling_peers import (
    GRID,
    HEADS,
    IMAGE_VOCABULARY,
    LAYERS,
    TEXT,
    TEXT_VOCABULARY,
    TOKENS,
    WIDTH,
    Draw,
    ctranslate2_int8,
    gpt2,
)

BATCHES = [1, 4, 32]
PEER = "transformers gpt2"
SIDES = (
    PEER, "ctranslate2 int8", "torch float32", "torch bf16", "torch int8",
    "openvino float32", "openvino bf16", "openvino int8", "onnxruntime float32", "onnxruntime int8",
)  # fmt: skip


def limner_model():  # type: ignore[no-untyped-def]
    import torch

    from limner.models.dalle import DALLE, DALLEConfig

    torch.manual_seed(0)
    config = DALLEConfig(
        text_vocabulary=TEXT_VOCABULARY, text_length=TEXT, image_vocabulary=IMAGE_VOCABULARY, rows=GRID, columns=GRID,
        width=WIDTH, layers=LAYERS, heads=HEADS,
    )  # fmt: skip
    return DALLE(config).eval()


def make_step(model, name: str, threads: int):  # type: ignore[no-untyped-def]
    from limner.engines.onnxruntime_step import ONNXRuntimeStep
    from limner.engines.openvino_step import OpenVINOStep
    from limner.sampling.engine_step import EngineStep
    from limner.sampling.linear import PRECISIONS
    from limner.sampling.step import TokenStep

    engine, precision = name.split()
    if engine == "torch":
        return TokenStep(model, PRECISIONS[precision])
    if engine == "onnxruntime":
        return EngineStep(model, ONNXRuntimeStep(model, precision, threads=threads))
    return EngineStep(model, OpenVINOStep(model, precision, threads=threads))


def chosen() -> dict[str, str]:
    """The sides behind the keys of the JSON line, by what this chip computes."""
    import torch

    from limner.device import has_bf16, sums_int8_exactly
    from limner.engines.choice import GAINS_FROM, choose_step

    cpu = torch.device("cpu")
    sides = {
        # Torch's fastest whose sums are exact.
        "torch": "torch int8" if sums_int8_exactly() else "torch float32",
        "engine": " ".join(choose_step("auto", "auto", cpu, GAINS_FROM)),
        "int8": " ".join(choose_step("auto", "int8", cpu, GAINS_FROM)),
    }
    slow = {name for name in SIDES if name.endswith("bf16") and not has_bf16(cpu)}
    slow |= set() if sums_int8_exactly() else {"torch int8"}
    return sides | {name.replace(" ", "_"): name for name in SIDES[1:] if name not in slow}


def limner(name: str, threads: int) -> Draw:
    import torch

    from limner.sampling.generate import Candidate, draw_codes
    from limner.sampling.settings import SamplingSettings

    step, settings = make_step(limner_model(), name, threads), SamplingSettings()

    def draw(batch: int) -> None:
        context = step.read(torch.randint(0, TEXT_VOCABULARY, (TEXT,)))
        drawn = draw_codes(step, [Candidate(context, 0, number) for number in range(batch)], settings)
        assert drawn.codes.shape == (batch, TOKENS)

    draw.needs = step.least  # type: ignore[attr-defined]
    return draw


def serve_side(name: str, threads: int) -> None:
    """Be one side: a batch size comes in on a line, the seconds of one drawing go out."""
    import torch

    torch.set_num_threads(threads)
    makers = {PEER: gpt2, "ctranslate2 int8": ctranslate2_int8}
    try:
        draw = makers[name](threads) if name in makers else limner(name, threads)
    except ImportError as error:
        print(f"missing {error.name}", flush=True)
        return
    print(f"ready {getattr(draw, 'needs', 1)}", flush=True)
    for line in sys.stdin:
        begun = time.perf_counter()
        draw(int(line))
        print(time.perf_counter() - begun, flush=True)


class Side:
    """A process that draws when it is told to."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        command = [sys.executable, __file__, "--side", name, "--threads", str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answer = self._line()

    def draw(self, batch: int) -> float:
        assert self.process.stdin is not None
        print(batch, file=self.process.stdin, flush=True)
        return float(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        # A library may print lines of its own.
        for line in self.process.stdout:
            word = line.strip().split(" ")[0]
            if word in ("ready", "missing") or word.replace(".", "", 1).replace("e-", "", 1).isdigit():
                return line.strip()
        return "missing (it ended)"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def machine(threads: int, sizes: dict[str, int]) -> tuple[dict[str, float], float]:
    """Bounds, in a process of its own: bytes/s read from arrays of ``sizes`` bytes, float32 operations/s."""
    code = f"""
import time, torch
torch.set_num_threads({threads})
def best(f, work):
    f()
    times = []
    for _ in range(15):
        begun = time.perf_counter(); f(); times.append(time.perf_counter() - begun)
    return work / min(times)
m = torch.rand(1024, 1024)
print(*(best(torch.rand(size // 4).sum, size) for size in {list(sizes.values())}), best(lambda: m @ m, 2 * 1024**3))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    *bandwidths, operations = map(float, answer)
    return dict(zip(sizes, bandwidths, strict=True)), operations


def compare(names: list[str], batches: list[int], rounds: int, threads: int) -> None:
    sides = []
    for name in names:
        side = Side(name, threads)
        if side.answer.startswith("ready"):
            sides.append(side)
        else:
            print(f"{name}: left out, {side.answer}")
    rates: dict[tuple[str, int], float] = {}
    for batch in batches:
        seconds: dict[str, list[float]] = {side.name: [] for side in sides}
        for turn in range(rounds + 1):
            for side in sides:
                taken = side.draw(batch)
                if turn:
                    seconds[side.name].append(taken)
        for name, taken in seconds.items():
            rates[name, batch] = batch * TOKENS / statistics.median(taken)
    for side in sides:
        side.end()
    # A token reads every weight of the blocks and the image head once, and costs two operations for each.
    weights = 12 * LAYERS * WIDTH**2 + IMAGE_VOCABULARY * WIDTH
    sizes = {"float32": 4 * weights, "bf16": 2 * weights, "int8": weights}
    bandwidths, operations = machine(threads, sizes)
    told = ", ".join(f"{bandwidths[name] / 1e9:.1f} GB/s {name}" for name in sizes)
    print(
        f"\n{threads} threads; reads arrays as large as the weights with {told}; {operations / 1e9:.0f} GFLOP/s float32"
    )
    print(f"{'tokens/s':<20}" + "".join(f"{f'batch {batch}':>22}" for batch in batches))
    for side in sides:
        cells = []
        for batch in batches:
            rate = rates[side.name, batch]
            ratio = f" ({rate / rates[PEER, batch]:.2f} ×)" if (PEER, batch) in rates else ""
            cells.append(f"{f'{rate:,.0f}{ratio}':>22}")
        needs = int(side.answer.split()[1])
        print(f"{side.name:<20}" + "".join(cells) + (f"   same bits from {needs} rows on" if needs > 1 else ""))
    for side in sides:
        precision = side.name.split()[-1]
        if side.name.startswith("ctranslate2") or side.name == PEER:
            continue
        if (side.name, 1) in rates:
            share = rates[side.name, 1] * sizes[precision] / bandwidths[precision]
            print(f"{side.name}, batch 1: {share:.0%} of what reading its weights alone allows")
        if precision == "float32" and (side.name, 32) in rates:
            print(f"{side.name}, batch 32: {rates[side.name, 32] * weights * 2 / operations:.0%} of the matrix rate")
    names = chosen()
    print(f"engine: {names['engine']}; int8: {names['int8']}; torch: {names['torch']}")
    found = {
        f"b{batch}_{key}": round(rates[name, batch] / rates[PEER, batch], 2)
        for key, name in names.items()
        for batch in batches
        if (name, batch) in rates and (PEER, batch) in rates
    }
    if batches == BATCHES:
        command = [sys.executable, __file__, "--stream", "--threads", str(threads), "--rounds", str(rounds)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        print(answer[-2])
        found |= json.loads(answer[-1])
    print(json.dumps({"threads": threads, "rounds": rounds, "engine": names["engine"]} | found))


def steps_alone(rounds: int, batches: list[int], names: list[str]) -> None:
    """Rows/s of 16 steps in a row, without choosing tokens: engines in turn in this process, one thread each."""
    import torch

    torch.set_num_threads(1)
    model = limner_model()
    steps = {name: make_step(model, name, 1) for name in names}
    context = next(iter(steps.values())).read(torch.randint(0, TEXT_VOCABULARY, (TEXT,)))
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    last: dict[str, torch.Tensor] = {}
    for batch in batches:
        seconds: dict[str, list[float]] = {name: [] for name in names}
        tokens = torch.randint(0, IMAGE_VOCABULARY, (GRID, batch))
        for turn in range(rounds + 1):
            for name, step in steps.items():
                state = step.begin([(context, batch)])
                step.advance(state, tokens[0], 0)
                begun = time.perf_counter()
                for position in range(1, GRID):
                    last[name] = step.advance(state, tokens[position], position)
                if turn:
                    seconds[name].append(time.perf_counter() - begun)
        for name, taken in seconds.items():
            found[name][f"b{batch}"] = round(batch * (GRID - 1) / statistics.median(taken))
    for name, rates in found.items():
        needs = steps[name].least
        off = float((last[name] - last[names[0]]).abs().max() / last[names[0]].std())
        cells = "".join(f"{rate:>10,}" for rate in rates.values())
        print(f"{name:<20}{cells}   same bits from {needs} rows on, {off:.1e} of the logits' spread from {names[0]}")
    print(json.dumps({"steps": found}))


def cold(rounds: int, threads: int) -> None:
    """Seconds until an engine's step stands, in fresh processes, its library's import and weights included: with its
    graph built and compiled, or read from disk."""
    code = f"""
import sys, time, pathlib, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
import sampling
from limner.engines.onnxruntime_step import ONNXRuntimeStep
from limner.engines.openvino_step import OpenVINOStep
torch.set_num_threads({threads})
where = dict(fingerprint="x", cache=pathlib.Path(sys.argv[3])) if len(sys.argv) > 3 else dict()
model, made = sampling.limner_model(), dict(openvino=OpenVINOStep, onnxruntime=ONNXRuntimeStep)[sys.argv[1]]
begun = time.perf_counter()
made(model, sys.argv[2], threads={threads}, **where).compiled(alone=True)
print(time.perf_counter() - begun)
"""
    found = {}
    sides = [name for name in SIDES if name in ("openvino float32", "openvino int8") or name.startswith("onnxruntime")]
    with tempfile.TemporaryDirectory() as folder:
        seconds: dict[tuple[str, str], list[float]] = {}
        for turn in range(rounds + 1):
            for name in sides:
                for how, where in {"made": [], "read": [folder]}.items():
                    command = [sys.executable, "-c", code, *name.split(), *where]
                    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                    if turn:
                        seconds.setdefault((name, how), []).append(float(answer))
    for name in sides:
        made, read = (round(statistics.median(seconds[name, how]), 3) for how in ("made", "read"))
        found[name] = {"made": made, "read": read}
        print(f"{name}: made in {made} s, read in {read} s")
    print(json.dumps({"cold": found}))


def streaming(rounds: int, threads: int) -> None:
    """Seconds of ``painter.stream`` and ``painter.generate`` for the same pictures, in turn, with the shipped painter.

    Without its CLIP: a stream ranks nothing, so nothing may be ranked in the other half either.
    """
    import numpy as np

    from limner.models.modelfolder import find_model
    from limner.painter import load_painter

    folder = find_model("storybook")
    painter = load_painter(dvae=folder / "dvae", dalle=folder / "dalle", threads=threads)
    captions = ["a red cube", "a cat wearing a red hat", "two blue balls", "a green cup left of a yellow house"]
    seconds: dict[str, list[float]] = {"stream": [], "generate": []}
    shown = []
    for turn in range(4 * rounds + 1):
        caption = captions[turn % len(captions)]
        begun = time.perf_counter()
        *early, last = painter.stream(caption, seed=turn)
        streamed = time.perf_counter() - begun
        begun = time.perf_counter()
        whole = painter.generate(caption, seed=turn, candidates=1)[0]
        generated = time.perf_counter() - begun
        assert last.drawn is not None
        assert np.array_equal(last.drawn.tokens, whole.tokens)
        if turn:
            seconds["stream"].append(streamed)
            seconds["generate"].append(generated)
            shown.append(len(early))
    stream, generate = (statistics.median(seconds[name]) for name in ("stream", "generate"))
    often = statistics.mean(shown)
    print(f"stream {stream:.3f} s, generate {generate:.3f} s a picture; {often:.1f} partial pictures shown")
    print(json.dumps({"stream": round(stream / generate, 3)}))


def quality(count: int, threads: int, names: list[str]) -> None:
    """Nats per image token of drawn scenes, by each side's step, token by token, and the difference to float32."""
    import numpy as np
    import torch

    from limner.painter import load_painter
    from limner.sampling.choose import log_probabilities
    from limner.storybook.deal import deal
    from limner.storybook.draw import draw

    torch.set_num_threads(threads)
    painter = load_painter(engine="torch")
    scenes = [deal(i, split="test") for i in range(count)]
    codes = torch.stack(
        [painter.studio.encode(draw(s.scene, size=painter.resolution, seed=s.draw_seed)) for s in scenes]
    )
    ids = painter.studio.ids([s.caption for s in scenes], cut=True)
    nats: dict[str, np.ndarray] = {}
    for name in names:
        try:
            step = make_step(painter.studio.model, name, threads)
        except ImportError:
            continue
        found = []
        for start in range(0, count, 32):
            rows, contexts = codes[start : start + 32], [step.read(row) for row in ids[start : start + 32]]
            state, logits = step.begin([(c, 1) for c in contexts]), torch.stack([c.logits for c in contexts])
            parts = []
            for i in range(rows.shape[1]):
                parts.append(-log_probabilities(logits, rows[:, i]))
                if i < rows.shape[1] - 1:
                    logits = step.advance(state, rows[:, i], i)
            found.append(torch.stack(parts, dim=1).mean(dim=1))
        nats[name] = torch.cat(found).numpy()
    reference = nats["torch float32"]
    print(f"{count} drawn scenes; noise of the mean: ± {reference.std() / count**0.5:.4f} nats")
    answer = {}
    for name, values in nats.items():
        difference = values - reference
        error = difference.std() / count**0.5
        print(f"{name:<20}{values.mean():>9.4f} nats/token{difference.mean():>+10.5f} ± {error:.5f}")
        answer[name] = round(float(values.mean()), 5)
    print(json.dumps({"nats_per_token": answer}))


def main() -> None:
    from limner.device import default_threads

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    parser.add_argument("--sides", help="by commas; all that this chip computes natively")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--scenes", type=int, default=256)
    asked = parser.parse_args()
    names = asked.sides.split(",") if asked.sides else [PEER, *(name for name in SIDES if name in chosen().values())]
    batches = [int(batch) for batch in asked.batches.split(",")]
    ours = [name for name in names if name in SIDES[2:]]
    if asked.side:
        serve_side(asked.side, asked.threads)
    elif asked.steps:
        steps_alone(asked.rounds, batches, ours)
    elif asked.cold:
        cold(asked.rounds, asked.threads)
    elif asked.stream:
        streaming(asked.rounds, asked.threads)
    elif asked.quality:
        quality(asked.scenes, asked.threads, list(dict.fromkeys(["torch float32", *ours])))
    else:
        compare(names, batches, asked.rounds, asked.threads)


if __name__ == "__main__":
    main()
