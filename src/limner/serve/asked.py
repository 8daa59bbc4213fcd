"""The fields of the Images API as one checked value: OpenAI's, and limner's own that come through ``extra_body``."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from limner.painter import Painter
from limner.sampling.settings import MAX_SEED, SamplingSettings
from limner.serve.answers import Refusal
from limner.serve.desk import Sketch
from limner.serve.fields import Fields
from limner.serve.settings import Limits

SIZES = (256, 512, 1024)
ALIASES = ("dall-e-", "gpt-image-", "chatgpt-image-")
UNUSED = (
    "quality", "style", "background", "moderation", "output_format", "output_compression", "user",
    "safety_identifier", "complexity", "frame_count", "frame_duration_ms", "svg", "input_fidelity", "markup",
)  # fmt: skip
"""Fields of OpenAI's that are taken and reported, and change nothing."""


@dataclass(frozen=True)
class Asked:
    """What all three ways of drawing have in common. ``size``: side of the answer's pictures in pixels."""

    prompt: str
    count: int
    candidates: int | None
    seed: int
    settings: SamplingSettings
    size: int
    as_url: bool
    stream: bool
    partials: int
    cut: bool
    ignored: list[str]

    def sketch(self, rows: int) -> Sketch:
        """As the desk draws it, with a model of ``rows`` rows of cells."""
        candidates = self.candidates or (self.count if self.stream else max(16, self.count))
        parts = self.partials if self.stream and rows > 1 else 0
        shown = sorted({max(1, rows * (k + 1) // (parts + 1)) for k in range(parts)})
        return Sketch(self.prompt, self.count, candidates, self.seed, self.settings, tuple(shown), self.cut)


def read_asked(fields: Fields, painter: Painter, limits: Limits, *, prompt: str | None = None) -> Asked:
    """The common fields; ``prompt`` is the default where one need not be given. Raises Refusal."""
    check_model(fields, painter.name)
    text = fields.text("prompt", prompt, most=limits.prompt, blank=prompt is not None)
    count = fields.whole("n", 1, 1, limits.count) or 1
    candidates = fields.whole("candidates", None, 1, limits.candidates)
    if candidates is not None and candidates < count:
        message = f"candidates: expected at least n ({count}), got {candidates}"
        raise Refusal(400, message, param="candidates", code="invalid_value")
    seed = fields.whole("seed", None, 0, MAX_SEED)
    options = {
        "temperature": fields.number("temperature", 0, 100),
        "guidance": fields.number("guidance", 0, 100),
        "top_k": fields.whole("top_k", None, 1, 10**6),
        "top_p": fields.number("top_p", 0, 1),
    }
    return Asked(
        prompt=text,
        count=count,
        candidates=candidates,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        settings=painter.studio.settings(options),  # type: ignore[arg-type]
        size=_size(fields, painter.resolution),
        as_url=fields.choice("response_format", "b64_json", ("b64_json", "url")) == "url",
        stream=fields.flag("stream"),
        partials=fields.whole("partial_images", 0, 0, 16) or 0,
        cut=fields.flag("cut"),
        ignored=fields.ignore(UNUSED),
    )


def check_model(fields: Fields, name: str, aliases: tuple[str, ...] = ALIASES) -> None:
    """Refuse other models than ``name``; OpenAI's names mean the one that is here. Raises Refusal (404)."""
    model = fields.text("model", name, most=200)
    if model != name and not model.startswith(aliases):
        raise Refusal(
            404, f"model: expected {name!r} (GET /v1/models), got {model[:60]!r}", param="model", code="model_not_found"
        )


def _size(fields: Fields, own: int) -> int:
    choices = {"auto": own, f"{own}x{own}": own} | {f"{side}x{side}": side for side in SIZES}
    return choices[fields.choice("size", "auto", choices)]
