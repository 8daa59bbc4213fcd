"""Zero-shot heads: a row for each label, made of the label's name in many sentences (CLIP paper, section 3.1.4).

A head answers for features of pictures: which label (softmax), or each label by itself (several at once), or none of
them. What "none" means for a softmax CLIP is learned from pictures that show none of the labels (``calibrated``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limner.errors import InputError, ModelError
from limner.files import write_atomically
from limner.looking.embed import check_texts, embed_rows
from limner.looking.templates import choose_templates, fill
from limner.looking.towers import Tokens, Towers, unit

FORMAT = 1
NONE = "none of these"


@dataclass(frozen=True)
class Head:
    """``weights`` float32 (K, E), a row of unit length for each of ``labels``.

    ``scale`` and ``bias`` are the model's (bias None: a softmax CLIP). ``model``: the fingerprint of the CLIP that it
    belongs to. ``background`` float32 (E,): the templates around nothing in particular. After calibration ``none`` is
    the cosine below which no label fits, ``cutoffs`` (K,) the same for each label by itself.
    """

    labels: tuple[str, ...]
    weights: np.ndarray
    scale: float
    bias: float | None
    templates: tuple[str, ...]
    model: str
    background: np.ndarray
    none: float | None = None
    cutoffs: np.ndarray | None = None

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """Unit features (n, E) → cosines float32 (n, K), -1 … 1."""
        return np.asarray(features @ self.weights.T, np.float32)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """One label each: unit features (n, E) → (n, K), or (n, K + 1) after calibration, the last for "none".

        Rows add up to 1; a sigmoid CLIP (SigLIP) answers for each label by itself instead.
        """
        logits = self.scale * self.cosines(features).astype(np.float64)
        if self.bias is not None:
            return _sigmoid(logits + self.bias)
        if self.none is not None:
            logits = np.concatenate([logits, np.full((len(logits), 1), self.scale * self.none)], axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def each(self, features: np.ndarray) -> np.ndarray:
        """Each label by itself, several may hold: unit features (n, E) → probabilities (n, K).

        SigLIP's own sigmoid; for a softmax CLIP the label against its cutoff where calibrated, else against the
        templates without a label: one half where the picture is as near to either.
        """
        cosines = self.cosines(features).astype(np.float64)
        if self.bias is not None:
            return _sigmoid(self.scale * cosines + self.bias)
        against = self.cutoffs[None] if self.cutoffs is not None else (features @ self.background)[:, None]
        return _sigmoid(self.scale * (cosines - against))


def build_head(
    towers: Towers,
    tokenizer: Tokens,
    labels: Sequence[str] | Mapping[str, Sequence[str]],
    templates: str | Sequence[str] | None = None,
    *,
    model: str = "",
    cut: bool = False,
    each: Callable[[int], None] | None = None,
) -> Head:
    """A head for ``labels`` in one pass over all prompts; a mapping gives several names to a label.

    The features of all names in all templates are averaged at unit length, and the mean brought to unit length. The
    prompts of one template go through the text tower together: its beginning is theirs in common. Raises InputError:
    no labels, the same label twice, an empty one, a prompt above the context (with ``cut`` its beginning is taken).
    """
    names = check_labels(labels)
    chosen = choose_templates(templates)
    context = towers.config.text.context
    flat = [name for group in names.values() for name in group]
    owners = np.repeat(np.arange(len(names)), [len(group) for group in names.values()])
    total = np.zeros((len(names), towers.config.embedding), np.float32)
    background = np.zeros(towers.config.embedding, np.float32)
    for template in chosen:
        prompts = [fill(template, name) for name in flat] + [fill(template, "").replace("  ", " ").strip()]
        features = embed_rows(towers, _rows(tokenizer, prompts, flat, context, cut), each=each)
        np.add.at(total, owners, features[:-1])
        background += features[-1]
    return Head(
        labels=tuple(names),
        weights=unit(total),
        scale=towers.scale,
        bias=towers.bias,
        templates=chosen,
        model=model,
        background=unit(background),
    )


def check_labels(labels: Sequence[str] | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Labels and their names. Raises InputError."""
    if isinstance(labels, Mapping):
        table = {label: [names] if isinstance(names, str) else list(names) for label, names in labels.items()}
    else:
        check_texts(labels)
        seen: set[str] = set()
        for label in labels:
            if label in seen:
                raise InputError(f"labels: expected each once, got {label!r} twice; leave one out")
            seen.add(label)
        table = {label: [label] for label in labels}
    if not table:
        raise InputError("labels: expected at least one, got none; give --labels a,b or --labels-file")
    for label, names in table.items():
        check_texts(names)
        if not label.strip() or not names or not all(name.strip() for name in names):
            raise InputError("labels: expected names, got an empty one; leave it out")
    return table


def average(heads: Sequence[Head]) -> Head:
    """The mean of heads for the same labels and model: an ensemble in embedding space. Raises InputError."""
    if not heads:
        raise InputError("heads to average: expected at least one, got none")
    first = heads[0]
    for head in heads[1:]:
        if head.labels != first.labels or head.model != first.model:
            what = "labels" if head.labels != first.labels else "model"
            raise InputError(f"heads to average: expected the same {what} in all, got others; build them alike")
    return dataclasses.replace(
        first,
        weights=unit(np.mean([head.weights for head in heads], axis=0)),
        background=unit(np.mean([head.background for head in heads], axis=0)),
        templates=tuple(dict.fromkeys(t for head in heads for t in head.templates)),
        none=None,
        cutoffs=None,
    )


def calibrated(head: Head, features: np.ndarray, *, rate: float = 0.05) -> Head:
    """``head`` that knows "none of these", from unit ``features`` (n, E) of pictures that show none of its labels.

    The best cosine of a share of ``rate`` of them lies above the new ``none``, and each label's above its cutoff.
    Raises InputError.
    """
    if not 0 < rate < 1:
        raise InputError(f"none of these: expected a rate between 0 and 1, got {rate}")
    if not len(features):
        raise InputError("none of these: expected pictures that show none of the labels, got none")
    cosines = head.cosines(features)
    cutoffs = np.quantile(cosines, 1 - rate, axis=0).astype(np.float32)
    return dataclasses.replace(head, none=float(np.quantile(cosines.max(axis=1), 1 - rate)), cutoffs=cutoffs)


def save_head(head: Head, path: Path | str) -> tuple[Path, Path]:
    """Write ``PATH.safetensors`` (weights) and ``PATH.json`` (labels and the rest); returns both. Raises FileError."""
    from safetensors.numpy import save

    weights, facts = _files(path)
    tensors = {"weights": np.ascontiguousarray(head.weights), "background": np.ascontiguousarray(head.background)}
    if head.cutoffs is not None:
        tensors["cutoffs"] = np.ascontiguousarray(head.cutoffs)
    packed = save(tensors)
    table = {
        "limner_head": FORMAT,
        "labels": head.labels,
        "templates": head.templates,
        "scale": head.scale,
        "bias": head.bias,
        "none": head.none,
        "model": head.model,
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    write_atomically(weights, packed)
    write_atomically(facts, json.dumps(table, ensure_ascii=False, indent=2) + "\n")
    return weights, facts


def export_head(head: Head, path: Path | str) -> Path:
    """Write the head for other programs as NumPy's ``.npz``: logits are ``unit features @ weight.T + bias``.

    ``weight`` float32 (K, E) has the scale in it, ``bias`` (K,), ``labels`` (K,). Raises InputError, FileError.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: expected a file name ending in .npz")
    bias = np.full(len(head.labels), head.bias or 0.0, np.float32)
    weight = (head.scale * head.weights).astype(np.float32)
    return write_atomically(
        path, lambda file: np.savez(file, weight=weight, bias=bias, labels=np.array(head.labels, dtype=np.str_))
    )


def load_head(path: Path | str, *, model: str | None = None) -> Head:
    """Read what ``save_head`` wrote. Raises ModelError: missing, damaged, of another ``model`` than the one given."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    weights, facts = _files(path)
    try:
        packed, table = weights.read_bytes(), json.loads(facts.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a head ({weights.name} and {facts.name}), got {error}") from None
    if not isinstance(table, dict) or table.get("limner_head") != FORMAT:
        raise ModelError(f"{facts}: expected a head of limner's, format {FORMAT}, got something else")
    if hashlib.sha256(packed).hexdigest() != table.get("sha256"):
        raise ModelError(f"{weights}: expected the weights that {facts.name} belongs to, got others; build it again")
    try:
        tensors = load(packed)
        head = Head(
            labels=tuple(map(str, table["labels"])),
            weights=tensors["weights"],
            scale=float(table["scale"]),
            bias=_number(table["bias"]),
            templates=tuple(map(str, table["templates"])),
            model=str(table["model"]),
            background=tensors["background"],
            none=_number(table["none"]),
            cutoffs=tensors.get("cutoffs"),
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: expected a whole head, got {type(error).__name__} ({error}); build it again"
        ) from None
    shapes = [head.weights.shape[:1], head.background.shape, *([] if head.cutoffs is None else [head.cutoffs.shape])]
    if (
        head.weights.ndim != 2
        or shapes[:2] != [(len(head.labels),), head.weights.shape[1:]]
        or (head.cutoffs is not None and head.cutoffs.shape != (len(head.labels),))
    ):
        raise ModelError(f"{path}: expected a row for each of {len(head.labels)} labels, got {shapes}; build it again")
    if not all(np.isfinite(t).all() for t in tensors.values()):
        raise ModelError(f"{weights}: expected finite weights, got others; build it again")
    if model is not None and head.model != model:
        raise ModelError(f"{path}: expected a head of this model, got one of another; build it again with this --model")
    return head


def _rows(tokenizer: Tokens, prompts: list[str], names: list[str], context: int, cut: bool) -> np.ndarray:
    try:
        return tokenizer.clip_row(prompts, context, cut=cut)
    except InputError as error:
        # Said of the label rather than of the sentence around it.
        for prompt, name in zip(prompts, names):
            try:
                tokenizer.clip_row([prompt], context)
            except InputError:
                raise InputError(f"label {_short(name)!r} as {_short(prompt)!r}: {error}") from None
        raise


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _files(path: Path | str) -> tuple[Path, Path]:
    base = Path(path)
    if base.suffix in (".safetensors", ".json"):
        base = base.with_suffix("")
    return base.with_name(base.name + ".safetensors"), base.with_name(base.name + ".json")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700, 700))))
