"""The painter: captions become ranked pictures, and pictures are redrawn, finished, varied and told their likelihood.

painter = limner.load_painter()
painter.generate("two red cubes", count=4, candidates=64, seed=7)[0].save("cubes.png")
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from PIL import Image

from limner.device import pick_device, set_threads
from limner.engines.choice import choose_step
from limner.errors import InputError, ModelError, expected
from limner.models.dalle import DALLE
from limner.models.modelfolder import describe, find_model, fingerprint, read_folder
from limner.pictures.png import read_facts
from limner.progress import progress
from limner.sampling.choose import MASKS, uniforms
from limner.sampling.context import Step
from limner.sampling.drafts import Drafts
from limner.sampling.drawn import Captioned, Drawn, Partial
from limner.sampling.edit import Effort
from limner.sampling.engine_step import EngineStep
from limner.sampling.generate import Candidate, drawing
from limner.sampling.likelihood import log_likelihoods
from limner.sampling.linear import PRECISIONS
from limner.sampling.rank import Ranking
from limner.sampling.regions import pixel_mask, random_rectangle
from limner.sampling.retouch import Retouch, Retouched, Watch, retouch
from limner.sampling.settings import SamplingOptions, SamplingSettings, check_count, check_number, check_seed
from limner.sampling.step import TokenStep
from limner.sampling.studio import Studio

Source = str | Path | bytes | Image.Image
"""A picture: a path, a file's bytes or a PIL picture."""

Rank = str | Mapping[str, float] | Ranking
"""``"clip"``, ``"likelihood"``, or weights of both: ``{"clip": 1, "likelihood": 0.1}``."""


class Painter:
    """Draws with the models of ``studio``; made by ``load_painter``.

    Everywhere: ``temperature``, ``top_k``, ``top_p`` and ``guidance`` (``SamplingSettings``) are the model's own where
    they are not given; picture k of a seed is the same whatever it is drawn with; ``cut`` shortens a caption that is
    too long, else it is an InputError; the empty caption draws without one, and CLIP does not rank its pictures.
    """

    def __init__(self, studio: Studio, *, identity: str = "") -> None:
        self.studio, self.identity = studio, identity
        self.name, self.config, self.resolution = studio.name, studio.config, studio.resolution

    # Drawing

    def generate(
        self,
        caption: str,
        *,
        count: int = 1,
        candidates: int | None = None,
        seed: int = 0,
        rank: Rank | None = None,
        cut: bool = False,
        quiet: bool = True,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Drawn]:
        """Draw ``candidates`` pictures of ``caption`` and give the ``count`` best, best first.

        ``candidates`` None: 16, or as many as ``count`` where nothing can rank them; ``rank`` None: by CLIP, where
        there is one. Raises InputError, ModelError (ranking asked for, no CLIP there).
        """
        drafts = self.drafts(caption, count=count, candidates=candidates, seed=seed, rank=rank, cut=cut, **sampling)
        begun, before = time.monotonic(), 0
        with progress("drawing", drafts.total, quiet=quiet) as bar:
            for done in drafts:
                bar.advance(done - before, **{"pictures/s": done / (time.monotonic() - begun)})
                before = done
        return drafts.best()

    def drafts(
        self,
        caption: str,
        *,
        count: int = 1,
        candidates: int | None = None,
        seed: int = 0,
        rank: Rank | None = None,
        cut: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> Drafts[Drawn]:
        """What ``generate`` draws, batch by batch; the best so far can be taken at any time."""
        settings = self.studio.settings(sampling)
        ranking, candidates, choice = self._choice(rank, caption, count, candidates, usual=16)
        facts = self._facts("generate", settings) | choice
        return self._drafts(range(candidates), caption, count, check_seed(seed), settings, ranking, facts, cut)

    def stream(
        self,
        caption: str,
        *,
        seed: int = 0,
        index: int = 0,
        share: float = 0.08,
        cut: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> Iterator[Partial]:
        """Draw picture ``index`` of ``seed`` and show it at ends of rows, as often as ``share`` of the time allows.

        The last partial holds the picture, the same as ``generate`` draws. Raises InputError.
        """
        settings = self.studio.settings(sampling)
        check_number("share", share, low=0.0, high=1.0)
        context, empty = self.studio.contexts(caption, settings, cut=cut)
        candidate = Candidate(context, check_seed(seed), check_count("index", index, low=0))
        return self._partials(candidate, empty, settings, share, caption)

    def _partials(
        self, candidate: Candidate, empty: Any, settings: SamplingSettings, share: float, caption: str
    ) -> Iterator[Partial]:
        begun, shown, one = time.monotonic(), 0.0, 0.0
        columns, N = self.config.columns, self.config.layout.image
        for codes in drawing(self.studio.step, [candidate], settings, empty=empty):
            rows, rest = divmod(codes.done, columns)
            if share and rest == 0 and codes.done < N and shown + one <= share * (time.monotonic() - begun):
                before = time.monotonic()
                image = Image.fromarray(self.studio.unfinished(codes.codes[0], rows))
                one = time.monotonic() - before
                shown += one
                yield Partial(image, codes.done / N, None)
        facts = self._facts("generate", settings)
        grid = codes.codes[0].cpu().numpy()
        image = self.studio.decode(grid[None])[0]
        drawn = self._drawn(grid, image, caption, candidate.seed, candidate.number, None, facts)
        yield Partial(drawn.image, 1.0, drawn)

    def repeat(self, source: str | Path | Mapping[str, Any]) -> Drawn:
        """Draw the picture of a file again from its own metadata, or of such ``facts``: the same pixels.

        Raises InputError: no facts of limner's, another verb than generate, another model's picture; PictureError.
        """
        facts = source if isinstance(source, Mapping) else read_facts(source)
        name = "facts" if isinstance(source, Mapping) else str(source)
        missing = [key for key in ("caption", "seed", "index", "verb") if key not in facts]
        if missing:
            raise InputError(f"{name}: expected a picture that limner drew, its metadata has no {missing[0]!r}")
        if facts["verb"] != "generate":
            raise InputError(f"{name}: expected a picture drawn by generate, got one made by {facts['verb']}")
        if facts.get("model_id") not in (None, self.identity):
            raise InputError(
                f"{name}: expected a picture of {self.name} ({self.identity}), got one of {facts.get('model')} "
                f"({facts['model_id']}); load the model that drew it"
            )
        caption, seed = str(facts["caption"]), check_seed(facts["seed"])
        known = {key: facts[key] for key in ("temperature", "top_k", "top_p", "guidance") if key in facts}
        settings, ranking = SamplingSettings(**known), Ranking.of(facts["rank"]) if facts.get("rank") else None
        own = self._facts("generate", settings) | {key: facts.get(key) for key in ("candidates", "rank")}
        numbers = [check_count("index", facts["index"], low=0)]
        drafts = self._drafts(numbers, caption, 1, seed, settings, ranking, own, True)
        for _ in drafts:
            pass
        return drafts.best()[0]

    # Editing

    def edit(
        self,
        image: Source,
        caption: str,
        *,
        region: Sequence[int] | None = None,
        mask: Any = None,
        count: int = 1,
        candidates: int | None = None,
        seed: int = 0,
        particles: int = 16,
        sweeps: int = 0,
        seam: int | None = None,
        rank: Rank | None = None,
        cut: bool = False,
        watch: Watch | None = None,
        each: Callable[[list[Drawn]], None] | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Drawn]:
        """Redraw ``region`` (left, top, right, bottom) in pixels, or what is not black in ``mask``, for ``caption``.

        Kept parts count, those below and right of the region too (``sampling.edit``): more ``particles`` and ``sweeps``
        come nearer to the model's true conditional. Pixels outside come back untouched; inside, the drawing fades in
        over ``seam`` pixels (None: half a cell). Of ``candidates`` (None: 4, or ``count``) the ``count`` best stay;
        ``watch`` sees them grow, ``each`` gets the best so far after every batch. ``image`` has the painter's
        resolution (``fit``). Raises InputError, PictureError, ModelError.
        """
        studio = self.studio
        before = studio.pixels(image, exact=True)
        wanted = pixel_mask((self.resolution, self.resolution), studio.cell, region=region, mask=mask)
        seam = studio.cell // 2 if seam is None else check_count("seam", seam, low=0)
        settings, effort = studio.settings(sampling), Effort(particles, sweeps)
        ranking, candidates, choice = self._choice(rank, caption, count, candidates, usual=4)
        facts = self._facts("edit", settings) | asdict(effort) | choice
        facts["region"] = None if region is None else list(region)
        job = Retouch(before, wanted, caption, check_seed(seed), settings, effort, seam, ranking, cut)
        return self._retouched(job, range(candidates), count, facts, watch, each)

    def complete(
        self,
        image: Source,
        caption: str = "",
        *,
        rows: int | None = None,
        each: Callable[[list[Drawn]], None] | None = None,
        **options: Any,
    ) -> list[Drawn]:
        """Keep the upper ``rows`` of cells (None: half of them) and draw the rest; ``options`` as in ``edit``.

        Exact: nothing that is kept comes after what is drawn. Raises InputError, PictureError.
        """
        whole = self.config.rows
        rows = whole // 2 if rows is None else rows
        if whole < 2:
            raise InputError("rows: expected a painter of at least 2 rows of cells, to keep some and draw some")
        check_count("rows", rows, high=whole - 1)
        region = (0, rows * self.studio.cell, self.resolution, self.resolution)

        def named(drawn: list[Drawn]) -> list[Drawn]:
            return [replace(one, settings=one.settings | {"verb": "complete", "rows": rows}) for one in drawn]

        told = None if each is None else lambda drawn: each(named(drawn))
        return named(self.edit(image, caption, region=region, each=told, **options))

    def variations(
        self,
        image: Source,
        caption: str = "",
        *,
        count: int = 4,
        strength: float = 0.5,
        seed: int = 0,
        particles: int = 16,
        sweeps: int = 0,
        cut: bool = False,
        watch: Watch | None = None,
        each: Callable[[Drawn], None] | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Drawn]:
        """``count`` pictures like ``image``: in each, another rectangle of ``strength`` of the cells is drawn anew.

        ``watch`` sees them grow, ``each`` gets one as soon as it is finished. A picture of another size is cropped and
        resized. Raises InputError, PictureError.
        """
        check_count("count", count)
        check_number("strength", strength, low=0.0, high=1.0)
        settings, effort, cell = self.studio.settings(sampling), Effort(particles, sweeps), self.studio.cell
        before = self.studio.pixels(image)
        facts = self._facts("variations", settings) | asdict(effort) | {"strength": strength}
        luck = uniforms(check_seed(seed), range(count), 3, purpose=MASKS)
        drawn = []
        for number in range(count):
            cells = random_rectangle((self.config.columns, self.config.rows), strength, luck[number].tolist())
            left, top, right, bottom = (side * cell for side in cells)
            wanted = np.zeros((self.resolution, self.resolution), dtype=bool)
            wanted[top:bottom, left:right] = True
            job = Retouch(before, wanted, caption, seed, settings, effort, cell // 2, None, cut)
            drawn += self._retouched(job, [number], 1, facts | {"region": [left, top, right, bottom]}, watch)
            if each is not None:
                each(drawn[-1])
        return drawn

    # Likelihood

    def log_likelihood(self, image: Source | np.ndarray, caption: str, *, cut: bool = False) -> float:
        """log p(picture's codes | caption) in nats; ``image`` a picture, or codes (rows, columns).

        A picture of another size is cropped and resized. Raises InputError, PictureError.
        """
        codes = self.studio.codes_of(image)
        return float(log_likelihoods(self.studio.model, self.studio.ids([caption], cut), codes[None])[0])

    def best_caption(
        self, image: Source | np.ndarray, captions: Sequence[str], *, cut: bool = False
    ) -> list[Captioned]:
        """``captions`` by how likely they make the picture, best first. Raises InputError, PictureError."""
        if isinstance(captions, str) or not captions:
            raise InputError("captions: expected at least one, in a list")
        codes = self.studio.codes_of(image)
        ids = self.studio.ids(captions, cut)
        nats = log_likelihoods(self.studio.model, ids, codes.expand(len(captions), -1))
        chances = torch.softmax(nats, dim=0)
        rows = [Captioned(*row) for row in zip(captions, nats.tolist(), chances.tolist(), strict=True)]
        return sorted(rows, key=lambda row: -row.nats)

    # Codes and pixels

    def encode(self, image: Source) -> np.ndarray:
        """Codes int64 (rows, columns) of a picture, cropped and resized where its size is another."""
        codes = self.studio.codes_of(image).numpy()
        return codes.reshape(self.config.rows, self.config.columns)

    def decode(self, codes: np.ndarray) -> Image.Image:
        """The picture of codes (rows, columns). Raises InputError."""
        return Image.fromarray(self.studio.decode(self.studio.codes_of(codes)[None])[0])

    def fit(self, image: Source) -> Image.Image:
        """A picture cropped and resized to the painter's resolution. Raises PictureError."""
        return Image.fromarray(self.studio.pixels(image))

    # Parts of the above

    def _facts(self, verb: str, settings: SamplingSettings) -> dict[str, Any]:
        own = {"verb": verb, "model": self.name, "model_id": self.identity or None}
        return own | {"engine": self.studio.engine, "precision": self.studio.precision} | asdict(settings)

    def _choice(
        self, rank: Rank | None, caption: str, count: int, candidates: int | None, *, usual: int
    ) -> tuple[Ranking | None, int, dict[str, Any]]:
        """How many of how many candidates stay, by what, and that as facts; ``usual`` many where it is not said."""
        check_count("count", count)
        if candidates is not None:
            check_count("candidates", candidates)
        ranking = self.studio.ranking(rank, caption, count, candidates)
        candidates = candidates or (count if ranking is None else max(usual, count))
        if count > candidates:
            most = f"at most as many pictures as candidates ({candidates})"
            raise InputError(expected("count", most, count, "draw more candidates"))
        weights = None if ranking is None else {key: value for key, value in asdict(ranking).items() if value}
        return ranking, candidates, {"candidates": candidates, "rank": weights}

    def _drafts(
        self,
        numbers: Sequence[int],
        caption: str,
        count: int,
        seed: int,
        settings: SamplingSettings,
        ranking: Ranking | None,
        facts: dict[str, Any],
        cut: bool,
    ) -> Drafts[Drawn]:
        def make(score: float | None, number: int, codes: np.ndarray) -> Drawn:
            return self._drawn(codes, self.studio.decode(codes[None])[0], caption, seed, number, score, facts)

        known = {key: value for key, value in facts.items() if value is not None} | {"caption": caption, "seed": seed}
        return Drafts(
            self.studio, caption, numbers, count=count, seed=seed, settings=settings, ranking=ranking, make=make,
            facts=known, cut=cut,
        )  # fmt: skip

    def _retouched(
        self,
        job: Retouch,
        numbers: Sequence[int],
        count: int,
        facts: dict[str, Any],
        watch: Watch | None = None,
        each: Callable[[list[Drawn]], None] | None = None,
    ) -> list[Drawn]:
        def drawn(outcomes: list[Retouched], **other: Any) -> list[Drawn]:
            return [
                self._drawn(codes, image, job.caption, job.seed, number, score if job.ranking else None, facts | other)
                for score, number, codes, image in outcomes
            ]

        told = None if each is None else lambda done, best: each(drawn(best, candidates=done))
        return drawn(retouch(self.studio, job, numbers, count, watch, told))

    def _drawn(
        self,
        codes: np.ndarray,
        image: np.ndarray,
        caption: str,
        seed: int,
        index: int,
        score: float | None,
        facts: dict[str, Any],
    ) -> Drawn:
        grid = codes.reshape(self.config.rows, self.config.columns)
        return Drawn(Image.fromarray(image), score, seed, index, grid, caption, dict(facts))


def load_painter(
    name: str | Path = "storybook",
    *,
    dvae: str | Path | None = None,
    dalle: str | Path | None = None,
    clip: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Painter:
    """The painter called ``name``: a shipped name, a folder with ``dvae/``, ``dalle/`` and ``clip/``, or a hub id.

    ``dvae``, ``dalle`` and ``clip`` take a part from elsewhere; where dvae and dalle are both given, ``name`` need not
    exist. Without a CLIP the painter draws but doesn't rank. ``engine`` runs the token step: torch, openvino or
    onnxruntime (CPU), or auto (``engines.choice``); ``precision``: float32, bf16 (not onnxruntime), int8, or auto, bf16
    with OpenVINO where the chip computes it, else float32. Raises ModelError, InputError, MissingExtra.
    """
    if threads is not None:
        set_threads(threads)
    chosen = {"dvae": dvae, "dalle": dalle, "clip": clip}
    places = {part: find_model(place) for part, place in chosen.items() if place is not None}
    shown = Path(str(dalle)).name
    if not {"dvae", "dalle"} <= places.keys():
        folder = find_model(name)
        # A picture's metadata should not tell where somebody keeps models.
        shown = folder.resolve().name if Path(name).expanduser().is_dir() else str(name)
        places = {part: folder / part for part in chosen if (folder / part / "config.json").is_file()} | places
        missing = [part for part in ("dvae", "dalle") if part not in places]
        if missing:
            raise ModelError(
                f"{folder}: expected a painter's folder (dvae/, dalle/, clip/), {missing[0]}/ is missing; "
                f"give another folder, or the part ({missing[0]}=)"
            )
    parts = {part: read_folder(place) for part, place in places.items()}
    for part, loaded in parts.items():
        if loaded.kind != part:
            raise ModelError(f"{loaded.path}: expected a {part}, got a {loaded.kind}")
    hashes = [sorted(describe(places[part]).hashes.items()) for part in ("dvae", "dalle")]
    chip = pick_device(device)
    engine, precision = choose_step(engine, precision, chip, describe(places["dalle"]).parameters)
    make = (
        _torch_step if engine == "torch" else partial(_compiled_step, engine, fingerprint=fingerprint(places["dalle"]))
    )
    studio = Studio(
        parts["dvae"], parts["dalle"], parts.get("clip"), name=shown, device=chip, engine=engine, precision=precision,
        make_step=make,
    )  # fmt: skip
    return Painter(studio, identity=hashlib.sha256(repr(hashes).encode()).hexdigest()[:12])


def _torch_step(model: DALLE, precision: str) -> Step:
    if precision not in PRECISIONS:
        raise InputError(expected("precision", ", ".join(PRECISIONS), repr(precision)))
    return TokenStep(model, PRECISIONS[precision])


def _compiled_step(engine: str, model: DALLE, precision: str, fingerprint: str | None) -> Step:
    if engine == "openvino":
        from limner.engines.openvino_step import OpenVINOStep as Compiled
    else:
        from limner.engines.onnxruntime_step import ONNXRuntimeStep as Compiled  # type: ignore[assignment]
    return EngineStep(model, Compiled(model, precision, threads=torch.get_num_threads(), fingerprint=fingerprint))
