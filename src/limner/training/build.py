"""From a recipe to an objective: the model with its first weights, the tokenizer, the frozen dVAE, the crops."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from limner import ranks
from limner.config import from_table
from limner.data.crops import Crop
from limner.data.pair import Source
from limner.data.sources import DataOptions, open_data
from limner.errors import ModelError, RecipeError, TrainingError
from limner.files import sha256, whole_folder
from limner.models.modelfolder import CONFIG, WEIGHTS, Loaded, read_folder
from limner.models.names import part_folder
from limner.training.objective import Objective
from limner.training.recipe import RECIPE, Recipe
from limner.training.tokens import CAPTIONS, run_tokenizer

if TYPE_CHECKING:
    from limner.training.objective_dalle import Draw

OWN_DATA = ("source", "dvae", "init", "tokenizer", "tokenizer_captions")
"""What the recipe's table [data] says beside how sources are opened (``DataOptions``)."""


@dataclass(frozen=True)
class Built:
    """What a run works with; ``config`` is the model's as it came out (a small data set has a small vocabulary)."""

    objective: Objective
    source: Source
    config: Any


def build(recipe: Recipe, run: Path, draw: Draw | None = None) -> Built:
    """Everything that the recipe names, read and checked. Raises RecipeError, DataError, ModelError, TrainingError."""
    return {"dvae": _dvae, "dalle": _dalle, "clip": _clip}[recipe.kind](recipe, run, draw)


def _dvae(recipe: Recipe, run: Path, draw: Draw | None) -> Built:
    from limner.models.dvae.model import DVAE
    from limner.training.objective_dvae import DVAEObjective, DVAESettings

    config, settings = recipe.model, recipe.training
    source, fixed = sources(recipe, config.resolution)
    model = _first_weights(lambda: DVAE(config), recipe)
    objective = DVAEObjective(
        model,
        from_table(DVAESettings, recipe.objective, "objective"),
        Crop("dvae", config.resolution),
        settings.accumulate,
        settings.seed,
        fixed,
    )
    return Built(objective, source, config)


def _dalle(recipe: Recipe, run: Path, draw: Draw | None) -> Built:
    from limner.models.dalle.model import DALLE
    from limner.text.bytepairs import BytePairs
    from limner.training.objective_dalle import DALLECollate, DALLEObjective, DALLESettings, check_dvae

    settings = recipe.training
    dvae = _frozen_dvae(recipe, run)
    check_dvae(recipe.model, dvae, str(recipe.data.get("dvae")))
    size = dvae.config.resolution
    choices = from_table(DALLESettings, recipe.objective, "objective")
    source, fixed = sources(recipe, size, weights_hash(run / "dvae"))
    tokenizer = run_tokenizer(run, source, recipe.model.text_vocabulary, **_tokenizer(recipe))
    if not isinstance(tokenizer, BytePairs):
        raise ModelError("data.tokenizer: expected one of limner's for dalle, got CLIP's; leave it out to train one")
    config = replace(recipe.model, text_vocabulary=tokenizer.vocabulary)
    collate = DALLECollate(
        Crop("dalle", size),
        tokenizer,
        config.text_length,
        settings.seed,
        settings.caption_dropout,
        settings.bpe_dropout,
        choices.unseen,
        config.layout.image,
    )
    model = _first_weights(lambda: DALLE(config), recipe)
    return Built(DALLEObjective(model, dvae, collate, choices, fixed, draw), source, config)


def _clip(recipe: Recipe, run: Path, draw: Draw | None) -> Built:
    from limner.models.clip.model import CLIP
    from limner.training.objective_clip import CLIPCollate, CLIPObjective, CLIPSettings

    height, width = recipe.model.size
    if height != width:
        raise RecipeError(f"model.resolution: training expects square pictures, got {height} x {width}")
    source, fixed = sources(recipe, height)
    text = recipe.model.text
    tokenizer = run_tokenizer(run, source, text.vocabulary - 2, **_tokenizer(recipe))
    config = replace(recipe.model, text=replace(text, vocabulary=tokenizer.vocabulary + 2))
    model = _first_weights(lambda: CLIP(config), recipe)
    choices = from_table(CLIPSettings, recipe.objective, "objective")
    collate = CLIPCollate(Crop("clip", height), tokenizer, text.context, recipe.training.seed, choices.redraw)
    return Built(CLIPObjective(model, collate, choices, fixed), source, config)


def sources(recipe: Recipe, size: int, dvae: str = "") -> tuple[Source, Source | None]:
    """The recipe's data for training, and a part to look at; stored tokens must be those of ``dvae``.

    Raises RecipeError, DataError.
    """
    text = str(recipe.data.get("source", ""))
    if not text:
        raise RecipeError("data: expected --data (storybook, a folder or shards), or source in the recipe's [data]")
    known = {name: value for name, value in recipe.data.items() if name not in OWN_DATA}
    table = {"captions": recipe.kind != "dvae", **known, "size": size, "seed": recipe.training.seed}
    table |= {"codes": bool(dvae), "dvae": dvae}
    table["batch"] = recipe.training.batch // recipe.training.accumulate
    opened = open_data(text, from_table(DataOptions, table, "data"))
    return opened.train, opened.test


def _tokenizer(recipe: Recipe) -> dict[str, Any]:
    taken = recipe.data.get("tokenizer") or recipe.data.get("init")
    if taken and taken != "openai" and Path(taken).suffix != ".json":
        taken = str(part_folder(str(taken), recipe.kind))
    return {"taken_from": taken, "captions": int(recipe.data.get("tokenizer_captions", CAPTIONS))}


ADDED = "text_before."
"""The beginning of the names of weights that a model started from may lack."""

ENCODER = ("encoder.", "bottleneck.")
"""The beginnings of the names of weights that a dVAE started from one with another kind of encoder draws anew."""


def _first_weights(make: Callable[[], Any], recipe: Recipe) -> Any:
    """A model drawn from the recipe's seed, or started from ``data.init``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        model = make()
    if recipe.data.get("init"):
        name = str(recipe.data["init"])
        loaded = read_folder(part_folder(name, recipe.kind))
        if loaded.kind != recipe.kind:
            raise TrainingError(f"--init {name}: expected a {recipe.kind} model, got a {loaded.kind}")
        state = loaded.model.state_dict()
        own = model.state_dict()
        before: Any = loaded.model.config
        # What is mixed into embeddings may be added to a model that learned without it.
        state |= {name: value for name, value in own.items() if name.startswith(ADDED) and name not in state}
        if recipe.kind == "dvae" and before.encoder != model.config.encoder:
            # Another kind of encoder learns, from nothing, the codes that the decoder reads.
            state = {name: value for name, value in state.items() if not name.startswith(ENCODER)}
            state |= {name: value for name, value in own.items() if name.startswith(ENCODER)}
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise TrainingError(f"--init {name}: its sizes differ from the recipe's: {why}") from error
    return model


def _frozen_dvae(recipe: Recipe, run: Path) -> Any:
    """The dVAE that makes image tokens, from the run's own copy, so that a resumed run never gets another one."""
    from limner.training.export import export_run

    kept = run / "dvae"
    if not (kept / CONFIG).is_file() and ranks.is_first():
        name = recipe.data.get("dvae")
        if not name:
            raise RecipeError("data.dvae: DALL·E needs image tokens; name a dVAE (--dvae MODEL or RUN)")
        folder = part_folder(str(name), "dvae")
        if (folder / RECIPE).is_file():  # a run that is not finished: its weights so far
            export_run(folder, kept)
        else:
            _expect_dvae(read_folder(folder), str(name))
            with whole_folder(kept) as copy:
                shutil.copytree(folder, copy, dirs_exist_ok=True)
    ranks.wait(f"{kept}: the first process copies the dVAE")
    return _expect_dvae(read_folder(kept), str(kept)).model


def weights_hash(folder: Path) -> str:
    """The hash by which stored image tokens know their dVAE: that of its weights' file."""
    return sha256(folder / WEIGHTS)


def _expect_dvae(loaded: Loaded, name: str) -> Loaded:
    if loaded.kind != "dvae":
        raise ModelError(f"--dvae {name}: expected a dvae model, got a {loaded.kind}")
    return loaded
