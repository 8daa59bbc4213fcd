"""The training loop: batches in, updates out, and nothing lost on the way. It knows steps, not models.

On a CPU a run is a function of its recipe alone: batches come by number, random numbers are seeded by step, and a
checkpoint holds all the rest, so that a run that was killed and resumed ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from limner import device as devices
from limner import ranks
from limner.config import to_table
from limner.data.loader import Batch, Tensors, batches
from limner.data.pair import mixed
from limner.errors import RecipeError, TrainingError
from limner.files import make_folder
from limner.progress import Bar, progress, wanted
from limner.training import parallel
from limner.training.blockscale import CUTS, PAUSE, BlockScales
from limner.training.build import Built
from limner.training.checkpoint import load_checkpoint, save_checkpoint, steps
from limner.training.footprint import operations
from limner.training.journal import Journal
from limner.training.lora import add_low_rank, merged
from limner.training.optimizer import Average, Optimizer, freeze, learning, rate_share
from limner.training.powersgd import PART as COMPRESSION
from limner.training.powersgd import Compression
from limner.training.recipe import TrainingSettings
from limner.training.tally import Tally, opening_record
from limner.training.watch import find_unstable_layer

PATIENCE = 20
"""Updates in a row that may be skipped for a loss or gradient that is not finite."""


class Stopped(Exception):
    """A signal asked the run to end; its state is saved."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped at step {step}; the same command with --resume goes on")
        self.number, self.step = number, step


class Loop:
    """One run: what was ``built``, in the run folder ``run``, from its newest checkpoint to the end."""

    def __init__(self, built: Built, settings: TrainingSettings, run: Path, device: torch.device) -> None:
        self.objective, self.source, self.config = built.objective, built.source, built.config
        self.settings, self.run, self.device = settings, run, device
        model = self.objective.model.to(device)
        if ranks.world() == 1 and device.type in ("cpu", "cuda"):  # shards are plain rows
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(model, settings.freeze)
        if settings.lora:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(mixed(settings.seed, settings.lora))
                add_low_rank(model, settings.lora)
        learning(model)
        if settings.recompute:
            parallel.recompute_blocks(model)
        half = settings.precision == "float16"
        if not half and (settings.compile == "on" or (settings.compile == "auto" and device.type == "cuda")):
            for block in parallel.blocks(model):  # what repeats, so that compiling takes seconds and not minutes
                block.compile()
        replicated = bool(settings.powersgd) and ranks.world() > 1
        if replicated and self.objective.methods:
            raise RecipeError(f"training.powersgd: expected dvae or dalle, got {self.objective.kind}; leave it out")
        self.compression = Compression(model, settings.powersgd) if replicated else None
        self.model = model
        if self.compression is None:
            self.model = parallel.shard(model, device, settings.precision, self.objective.methods)
        self.scales = BlockScales(self.model) if half else None
        self.optimizer = Optimizer(self.model, settings)
        self.average = Average(self.model, settings.ema_decay, settings.ema_every)
        self.tally = Tally()
        self.bookmarks: dict[str, list[int]] = {}
        self.step = 0
        self.samples = make_folder(run / "samples")
        self._signal: int | None = None
        self._asked = 0.0
        self._agreed_to_leave = False

    # --- the run

    def fit(self, quiet: bool = False) -> None:
        """Train to the last step. Raises Stopped after a signal, DataError, TrainingError, FileError."""
        settings = self.settings
        self._resume()
        autocast = functools.partial(devices.autocast, self.device, settings.precision)
        done = self.step
        opening = opening_record(self.source, settings.bad_share)
        journal = Journal(self.run, self.step or -1) if ranks.is_first() else None
        if journal is not None and not self.step:
            journal.write(opening)
        supply = batches(
            self.source,
            self.objective.collate,
            batch=settings.batch // settings.accumulate,
            start=self.step * settings.accumulate,
            stop=settings.steps * settings.accumulate,
            workers=settings.workers,
            rank=ranks.rank(),
            world=ranks.world(),
            pin=self.device.type == "cuda",
        )
        with self._signals(), progress(self.objective.kind, settings.steps, done=done, quiet=quiet) as bar:
            clock = time.monotonic()
            since = self.step
            most = self._most_pictures() if wanted(quiet) else None
            try:
                while self.step < settings.steps:
                    self._update(supply, autocast)
                    if self._due(settings.journal_every):
                        now = time.monotonic()
                        rate = (self.step - since) * settings.batch / max(now - clock, 1e-9)
                        self._report(journal, bar, self.step - done, rate, now - clock, most)
                        done, since, clock = self.step, self.step, now
                    if settings.sample_every and self._due(settings.sample_every):
                        clock += self._show(journal)
                    leaving = self._agreed_to_leave if ranks.world() > 1 else self._signal is not None
                    if leaving or self._due(settings.checkpoint_every):
                        began = time.monotonic()
                        self.save()
                        clock += time.monotonic() - began
                    if leaving and self.step < settings.steps:
                        raise Stopped(self._signal or signal.SIGTERM, self.step)
            finally:
                if journal is not None:
                    journal.close()

    def _update(self, supply: Iterator[Batch], autocast: Any) -> None:
        step, settings = self.step, self.settings
        parts = list(itertools.islice(supply, settings.accumulate))
        for part in parts:
            self.tally.seen(len(part.positions), part.broken)
            self.bookmarks |= part.bookmarks
        self.tally.check(self.source.name, settings.bad_share)
        loss, measures = self.objective.backward(self.model, self._seeded(parts), step, autocast)
        parallel.average_statistics(self.model)
        if self.compression is None:
            parallel.average_whole_gradients(self.model)
        in_range = self.scales is None or self.scales.unscale()
        if self.compression is not None:  # without scales, which change: something waits for the next update
            self.compression.average()
        gradients = [p.grad for p in self.optimizer.parameters.values() if p.grad is not None]
        norm = parallel.total_norm(gradients)
        asked = loss.new_tensor(float(self._signal is not None))
        values = parallel.agreed({"loss": loss, "gradient_norm": norm, "asked": asked, **measures})
        self._agreed_to_leave = values.pop("asked") > 0
        if in_range and math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"]):
            if settings.clip_norm:
                parallel.clip(gradients, settings.clip_norm, norm)
            self.optimizer.step(rate_share(settings, step))
            self.average.update(step + 1)
            self.tally.add(values)
        else:
            self.tally.skip()
            if self.compression is not None:
                self.compression.forget()
            # A scale may need all its cuts before gradients fit.
            if self.tally.in_a_row >= (PATIENCE if in_range else CUTS * PAUSE):
                layer = find_unstable_layer(self.model, lambda: self._again(parts, autocast))
                raise TrainingError(
                    f"step {step}: {self.tally.in_a_row} updates in a row had a loss or gradient that is not finite, "
                    f"first in layer {layer}; lower training.learning_rate, or train in float32"
                )
        if self.scales is not None:
            self.scales.update()
        self.optimizer.zero_grad()
        self.step += 1

    def _again(self, parts: list[Batch], autocast: Any) -> None:
        self.objective.backward(self.model, self._seeded(parts), self.step, autocast)

    def _seeded(self, parts: Iterable[Batch]) -> Iterator[Tensors]:
        """The parts on the device. Noise is seeded by part: W processes draw what one draws in W parts."""
        for number, part in enumerate(parts):
            torch.manual_seed(mixed(self.settings.seed, self.step, number * ranks.world() + ranks.rank()))
            yield {name: t.to(self.device, non_blocking=True) for name, t in part.tensors.items()}

    # --- what is written

    def _due(self, every: int) -> bool:
        return self.step == self.settings.steps or bool(every and self.step % every == 0)

    def _report(
        self, journal: Journal | None, bar: Bar, steps: int, rate: float, seconds: float, most: float | None
    ) -> None:
        means = self.tally.means()
        if journal is None:
            return
        record: dict[str, Any] = {
            "step": self.step,
            **means,
            "learning_rate": self.settings.learning_rate * rate_share(self.settings, self.step - 1),
            "pictures": self.step * self.settings.batch,
            "skipped_steps": self.tally.skipped_steps,
            "rate": round(rate, 2),
            "seconds": round(seconds, 3),
        }
        record |= self.tally.broken_record()
        journal.write(record)
        bar.advance(
            steps,
            loss=means.get("loss", math.nan),
            rate=f"{rate:.0f} pictures/s",
            **({"of chip": f"{rate / most:.1%}"} if most else {}),
        )

    def _most_pictures(self) -> float:
        """Pictures/s at the rate that the chips' matrix products reach here, forward and backward."""
        chips = devices.matrix_rate(self.device, self.settings.precision) * ranks.world()
        return chips / (3 * operations(self.objective.kind, self.config))

    def _show(self, journal: Journal | None) -> float:
        """Samples with the averaged weights; returns the seconds that it took."""
        began = time.monotonic()
        with self._averaged() as model:
            torch.manual_seed(mixed(self.settings.seed, self.step, -1))
            measures = {} if model is None else self.objective.sample(model, self.samples, self.step)
        ranks.wait("samples: the first process draws them")
        if journal is not None and measures:
            journal.write({"step": self.step, **{f"sample_{k}": v for k, v in measures.items()}})
        return time.monotonic() - began

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[torch.nn.Module | None]:
        """The model with its averaged weights, in eval mode; a whole copy where it is sharded, None but in rank 0."""
        if ranks.world() > 1:
            weights = {**parallel.gathered(self.model.state_dict()), **parallel.gathered(self.average.tensors)}
            yield self.objective.whole(merged(weights)).to(self.device).eval() if ranks.is_first() else None
            return
        self.average.swap()
        self.model.eval()
        try:
            yield self.model
        finally:
            learning(self.model)
            self.average.swap()

    def save(self) -> None:
        """Write a checkpoint of this step."""
        facts = {
            "tally": vars(self.tally),
            "average_updates": self.average.updates,
            "config": to_table(self.config),
            "data": self.source.fingerprint,
            "bookmarks": parallel.joined(self.bookmarks),
            **({"scales": self.scales.state()} if self.scales is not None else {}),
            **({COMPRESSION: self.compression.facts()} if self.compression is not None else {}),
        }
        parts = {
            "weights": self.model.state_dict(),
            "average": self.average.tensors,
            "optimizer": self.optimizer.state(),
        }
        if self.compression is not None and (unsent := self.compression.tensors()):
            parts[COMPRESSION] = unsent
        save_checkpoint(self.run, self.step, parts, facts, self.settings.keep)

    def _resume(self) -> None:
        found = steps(self.run)
        if not found:
            return
        checkpoint = load_checkpoint(self.run, found[-1])
        if checkpoint.facts.get("data", self.source.fingerprint) != self.source.fingerprint:
            raise TrainingError(
                f"{self.source.name}: other samples than when the run began; put them back, or start a new run with "
                f"--init {self.run}"
            )
        checkpoint.fill_from("weights", self.model.state_dict())
        checkpoint.fill_from("average", self.average.tensors)
        self.optimizer.load_state(checkpoint.load("optimizer"))
        self.average.updates = checkpoint.facts["average_updates"]
        self.bookmarks = dict(checkpoint.facts.get("bookmarks", {}))
        if self.scales is not None:
            self.scales.load_state(checkpoint.facts.get("scales", {}))
        if self.compression is not None:
            self.compression.load(checkpoint)
        self.source.remember(self.bookmarks)
        self.tally = Tally(**checkpoint.facts["tally"])
        self.step = checkpoint.step

    # --- signals

    def _signals(self) -> _Signals:
        return _Signals(self._take)

    def _take(self, number: int) -> None:
        if number == signal.SIGINT and self._signal == signal.SIGINT and time.monotonic() - self._asked > 1:
            raise KeyboardInterrupt  # asked twice: leave at once, the last checkpoint stands
        self._signal, self._asked = number, time.monotonic()


class _Signals:
    """SIGINT and SIGTERM ask the loop to save and leave; before and after they do what they did."""

    def __init__(self, take: Any) -> None:
        self._take = take
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        import threading

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, lambda n, _frame: self._take(n))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
