"""Recipes: TOML files with the tables ``[model]``, ``[training]`` and ``[data]``, resolved to frozen values.

A recipe is named (one that comes with limner, in ``limner/recipes``) or a path. Nothing is inherited: each
says all of it but defaults, and a run keeps the resolved text beside its checkpoints.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from limner.config import from_table, to_table, with_overrides
from limner.errors import RecipeError, TrainingError, expected
from limner.models.modelfolder import classes, describe
from limner.models.names import part_folder

RECIPE = "recipe.toml"
"""The name of a run's recipe in its folder."""

KINDS = ("dvae", "dalle", "clip")


@dataclass(frozen=True)
class TrainingSettings:
    """How a run goes; the same fields for every objective.

    steps: updates of the weights. batch: pictures per update, of all processes together. accumulate: parts that a
    batch is computed in. learning_rate: the highest; reached after ``warmup_steps``, then by ``schedule`` down to
    ``min_learning_rate`` times it; ``decay_steps`` is the length of that slope (0: all steps, for a trapezoid the last
    fifth). optimizer ``muon``: hidden matrices by Muon at ``muon_learning_rate`` times the rate, the rest by AdamW.
    clip_norm: longest gradient (0: any). ema_decay: 0 keeps no average; updated every ``ema_every`` steps with
    decay to that power. precision: of the matrix products; a CPU without bf16 takes float32 in its place; ``float16``,
    for GPUs without bf16, with a gradient scale for every residual branch (DALL·E paper, section 2.4).
    caption_dropout: share of captions trained as empty (for guidance). bpe_dropout: share of merges left out.
    bad_share: of samples, before the run stops. Everything ``…_every`` counts steps; 0 is never. keep: checkpoints that
    stay. workers: processes that draw and decode ahead. threads: 0 is all cores. freeze: beginnings of names of weights
    that stay as they are. layer_decay: each block learns at this share of the rate of the one above it (1: all alike).
    interpolate: share of the trained weights in the model that is written, the rest is ``--init``'s (WiSE-FT, arXiv
    2109.01903). lora: rank of the products that hidden matrices learn beside themselves, all else frozen (0: none);
    the model that is written has them merged. powersgd: several processes hold the whole model each and exchange
    gradients as products of this rank (0: weights and gradients are sharded instead). recompute: blocks keep their
    input only and are computed again for the gradient. compile: ``auto`` is on CUDA alone.
    """

    steps: int
    batch: int
    learning_rate: float
    accumulate: int = 1
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine", "linear", "trapezoid"] = "cosine"
    min_learning_rate: float = 0.0
    decay_steps: int = 0
    optimizer: Literal["adamw", "muon"] = "adamw"
    muon_learning_rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    ema_every: int = 1
    precision: Literal["float32", "bf16", "float16"] = "bf16"
    seed: int = 0
    caption_dropout: float = 0.0
    bpe_dropout: float = 0.0
    bad_share: float = 0.5
    journal_every: int = 20
    sample_every: int = 0
    checkpoint_every: int = 500
    keep: int = 2
    workers: int = 1
    threads: int = 0
    freeze: tuple[str, ...] = ()
    layer_decay: float = 1.0
    interpolate: float = 1.0
    lora: int = 0
    powersgd: int = 0
    recompute: bool = False
    compile: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "keep", "ema_every"):
            if getattr(self, name) < 1:
                raise RecipeError(expected(f"training.{name}", "1 or more", getattr(self, name)))
        if self.batch % self.accumulate:
            raise RecipeError(
                expected("training.batch", f"a multiple of training.accumulate = {self.accumulate}", self.batch)
            )
        for name in ("ema_decay", "caption_dropout", "bpe_dropout", "bad_share", "min_learning_rate", "interpolate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RecipeError(expected(f"training.{name}", "0 to 1", getattr(self, name)))
        for name in (
            "lora",
            "powersgd",
            "warmup_steps",
            "workers",
            "threads",
            "journal_every",
            "sample_every",
            "checkpoint_every",
        ):
            if getattr(self, name) < 0:
                raise RecipeError(expected(f"training.{name}", "0 or more", getattr(self, name)))
        if not 0.0 < self.layer_decay <= 1.0:
            raise RecipeError(expected("training.layer_decay", "above 0, at most 1", self.layer_decay))
        if not self.learning_rate > 0:
            raise RecipeError(expected("training.learning_rate", "a rate above 0", self.learning_rate))


FREE = (
    "steps",
    "decay_steps",
    "journal_every",
    "sample_every",
    "checkpoint_every",
    "keep",
    "workers",
    "threads",
    "bad_share",
    "recompute",
    "interpolate",
)
"""Settings that may differ when a run is resumed: they change how long and how watched it is, not what it learns."""


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. ``model``: the kind's config; ``data``: the table ``[data]`` (source, dvae, vocabulary …)."""

    kind: str
    name: str
    model: Any
    training: TrainingSettings
    data: dict[str, Any] = field(default_factory=dict)
    objective: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The recipe as TOML, every default written out."""
        tables = {
            "": {"kind": self.kind, "name": self.name},
            "model": to_table(self.model),
            "training": asdict(self.training),
            "objective": self.objective,
            "data": self.data,
        }
        return "\n".join(_toml(name, table) for name, table in tables.items() if table)


def load_recipe(name: str | Path, overrides: Mapping[str, str] | None = None, kind: str | None = None) -> Recipe:
    """The recipe called ``name`` with ``{"training.steps": "200"}``-like overrides; ``kind`` must be its kind if given.

    A key without a dot ("steps") belongs to ``[training]``. Where nothing is said about the model, its sizes are
    those of the one that training starts from (``data.init``). Raises RecipeError, ModelError.
    """
    text, where = _read(name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where}: expected TOML, got something else: {error}") from error
    table = with_overrides(table, {k if "." in k else f"training.{k}": v for k, v in (overrides or {}).items()})
    unknown = sorted(set(table) - {"kind", "name", "model", "training", "objective", "data"})
    if unknown:
        raise RecipeError(expected(where, "the tables model, training, objective, data", f"[{unknown[0]}]"))
    found = table.get("kind", "")
    if found not in KINDS:
        raise RecipeError(expected(f"{where}: kind", f"one of {', '.join(KINDS)}", repr(found)))
    if kind is not None and kind != found:
        todo = f"limner train {found}, or choose another recipe"
        raise RecipeError(expected(where, f"a recipe of kind {kind}", found, todo))
    init = table.get("data", {}).get("init")
    if init and "model" not in table:
        table = _as_init(table, str(init), found)
    if found == "clip" and not init and "model" not in table:
        raise RecipeError(f"{where}: fine-tuning expects a model to start from; give --init MODEL")
    training = from_table(TrainingSettings, table.get("training", {}), f"{where}: training")
    if not init and training.interpolate < 1.0:
        got = f"{training.interpolate} and no --init"
        raise RecipeError(expected("training.interpolate", "1, or --init MODEL to interpolate with", got))
    return Recipe(
        kind=found,
        name=str(table.get("name", Path(name).stem)),
        model=from_table(classes(found)[0], table.get("model", {}), f"{where}: model"),
        training=training,
        data=dict(table.get("data", {})),
        objective=dict(table.get("objective", {})),
    )


def _as_init(table: dict[str, Any], init: str, kind: str) -> dict[str, Any]:
    """``table`` with the sizes of the model ``init`` and, for a CLIP with a bias, the loss that goes with it."""
    sizes = describe(part_folder(init, kind)).sizes
    objective = dict(table.get("objective", {}))
    if kind == "clip" and sizes.get("logit_bias") is not None:
        objective.setdefault("loss", "sigmoid")
    return {**table, "model": sizes, "objective": objective}


def read_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run folder. Raises TrainingError."""
    if not (run / RECIPE).is_file():
        raise TrainingError(f"{run}: expected a run folder with {RECIPE}, found none; limner train makes one")
    return load_recipe(run / RECIPE)


def names() -> tuple[str, ...]:
    """The recipes that come with limner."""
    folder = resources.files("limner").joinpath("recipes")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def _read(name: str | Path) -> tuple[str, str]:
    if Path(name).suffix == ".toml":
        try:
            return Path(name).read_text(encoding="utf-8"), str(name)
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(expected(str(name), "a readable recipe", error)) from error
    file = resources.files("limner").joinpath("recipes", f"{name}.toml")
    if str(name) not in names():
        raise RecipeError(expected("recipe", f"a path ending in .toml or one of {', '.join(names())}", repr(str(name))))
    return file.read_text(encoding="utf-8"), f"recipe {name}"


def _toml(name: str, table: Mapping[str, Any]) -> str:
    lines = [f"[{name}]"] if name else []
    nested = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            nested[f"{name}.{key}" if name else key] = value
        elif value is not None:  # TOML has no null: a setting left out is None again
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n" + "".join("\n" + _toml(key, value) for key, value in nested.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items() if item is not None) + "}"
    return repr(value)
