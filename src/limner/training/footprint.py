"""What an update of the weights takes, found by running it on tensors without data.

A step of the recipe's model goes through torch's fake tensors: every operator is dispatched as in a real one,
casts and kept activations included, but nothing is computed or allocated. What is alive is counted at every operator.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from limner.models.blockwise import at_once
from limner.models.modelfolder import classes
from limner.models.patterns import own_biases
from limner.training import parallel
from limner.training.lora import add_low_rank
from limner.training.optimizer import freeze, hidden_matrices
from limner.training.phases import Alive, Phase, Phases, deeper, depths, most, wider
from limner.training.recipe import Recipe

SOME = 8
"""Pictures that are traced at most where all go at once."""
MANY = 64
"""Pictures that attention takes as a part, at most."""
SHALLOW = 12
"""Layers up to which a DALL·E is traced whole."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of what stays between updates, all in float32, and of the gradients at the end of one.

    largest: weights of the largest block; rest: weights outside blocks.
    """

    parameters: int
    weights: int
    gradients: int
    moments: int
    average: int
    largest: int
    rest: int


@dataclass(frozen=True)
class Footprint:
    """The most bytes that an update holds beside the weights.

    activations: beside the gradients too. together: of gradients and activations at one moment (gradients grow while
    activations go).
    """

    activations: int
    together: int


def sizes(recipe: Recipe) -> Sizes:
    """What the recipe's model and its optimiser keep."""
    settings = recipe.training
    with torch.device("meta"):
        model: nn.Module = classes(recipe.kind)[1](recipe.model)
    freeze(model, settings.freeze)
    if settings.lora:
        add_low_rank(model, settings.lora)
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    weights = _bytes([*model.parameters(), *model.buffers()])
    hidden = hidden_matrices(model) if settings.optimizer == "muon" else set()
    blocks = [_bytes(block.parameters()) for block in parallel.blocks(model)]
    return Sizes(
        parameters=sum(p.numel() for p in model.parameters()),
        weights=weights,
        gradients=_bytes(learnt.values()),
        moments=sum(_bytes([p]) * (1 if name in hidden else 2) for name, p in learnt.items()),
        # The loop keeps an average with decay 0 too: the weights themselves.
        average=_bytes([*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]),
        largest=max(blocks, default=0),
        rest=weights - sum(blocks),
    )


def footprints(recipe: Recipe, gathered: bool = False) -> Callable[[int, bool], Footprint]:
    """(pictures, recompute) → an update on one part of a batch, in one process that holds the whole model.

    gathered: blocks find their weights in bf16 already, as several GPUs gather them. DALL·E trains on stored tokens.
    What a picture takes is the same for each: many are reckoned from what fewer take, as a deep DALL·E is from shallow
    ones.
    """

    @functools.cache
    def trace(layers: int, pictures: int, recompute: bool) -> Phases:
        config = replace(recipe.model, layers=layers) if layers else recipe.model
        return _phases(replace(recipe, model=config), pictures, recompute, gathered)

    few, more = _some(recipe)
    shallow = _shallow(recipe.kind, recipe.model)

    def wide(layers: int, pictures: int, recompute: bool) -> Phases:
        if pictures <= few:
            return trace(layers, pictures, recompute)
        a, b = trace(layers, few, recompute), trace(layers, more, recompute)
        return wider(a, b, (pictures - few) / (more - few))

    def found(pictures: int, recompute: bool) -> Footprint:
        config = recipe.model
        if shallow is None:
            return _most(wide(0, pictures, recompute))
        a, b = (wide(layers, pictures, recompute) for layers in shallow)
        return _most(deeper(a, b, shallow[0], len(config.attention), config.layers))

    return found


def _some(recipe: Recipe) -> tuple[int, int]:
    """Two numbers of pictures that are traced, so many that attention goes in parts where it does with more."""
    if recipe.kind != "dalle":
        return SOME // 2, SOME
    layout, size = recipe.model.layout, 4 if recipe.training.precision == "float32" else 2
    keys = layout.text + min(layout.rows, layout.columns)
    part = min(at_once(recipe.model.heads, layout.image, keys, size), MANY)
    return 2 * part, 3 * part


def _shallow(kind: str, config: Any) -> tuple[int, int] | None:
    """Numbers of layers from which a deep DALL·E is reckoned; None for all others, which are traced as they are."""
    if kind != "dalle" or config.layers <= SHALLOW:
        return None
    return depths(config.pattern_names, len(config.attention))


def _most(phases: Phases) -> Footprint:
    held = most(phases)
    return Footprint(activations=round(held.activations), together=round(held.together))


def _traced(recipe: Recipe, batch: int, recompute: bool, gathered: bool) -> Footprint:
    return _most(_phases(recipe, batch, recompute, gathered))


def _phases(recipe: Recipe, batch: int, recompute: bool, gathered: bool) -> Phases:
    from torch._subclasses.fake_tensor import FakeTensorMode

    precise = recipe.training.precision == "float32"
    with own_biases(), FakeTensorMode(allow_non_fake_inputs=True), torch.random.fork_rng(devices=[]):
        model: nn.Module = classes(recipe.kind)[1](recipe.model)
        model.train()
        freeze(model, recipe.training.freeze)
        if recipe.training.lora:
            add_low_rank(model, recipe.training.lora)
        if gathered and not precise:
            for p in model.parameters():
                p.data = p.data.to(torch.bfloat16) if p.ndim else p.data
        if recompute:
            parallel.recompute_blocks(model)
        loss = step(recipe, batch)
        alive = Alive()
        alive.follow(parallel.blocks(model))
        for tensor in [*model.parameters(), *model.buffers()]:
            alive.ignore(tensor)

        def arrived(p: Tensor) -> None:
            assert p.grad is not None
            alive.gradients += p.grad.untyped_storage().nbytes()

        for p in model.parameters():
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(arrived)
        with _no_collector(), alive:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
                value = loss(model)
            alive.phase = Phase("loss")
            value.backward()
    return alive.phases


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Python's search for cycles takes a fifth of a trace and finds none."""
    worked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if worked:
            gc.enable()


def _bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def step(recipe: Recipe, batch: int) -> Callable[[nn.Module], Tensor]:
    """The loss of ``batch`` black pictures with empty captions, as the recipe's objective takes it."""
    config = recipe.model
    if recipe.kind == "dalle":
        from limner.models.crossentropy import linear_cross_entropy
        from limner.models.dalle.loss import image_loss

        text = torch.zeros(batch, config.text_length, dtype=torch.long)
        codes = torch.zeros(batch, config.layout.image, dtype=torch.long)

        def read(model: Any, hidden: Tensor, text: Tensor, image: Tensor) -> Tensor:
            last = config.text_length - 1  # captions that fill their row: the most there can be
            words = linear_cross_entropy(hidden[:, :last].flatten(0, 1), model.text_head(), text[:, 1:].flatten())
            return words.mean() / 8 + 7 / 8 * image_loss(model, hidden[:, last:], image)

        return lambda model: model(text, codes, read=read)
    if recipe.kind == "clip":
        from limner.models.clip.loss import contrastive_loss
        from limner.models.clip.model import normalise

        pixels = torch.zeros(batch, 3, *config.size)
        ids = torch.zeros(batch, config.text.context, dtype=torch.long)

        def clip(model: Any) -> Tensor:
            images = nn.functional.normalize(model.encode_image(normalise(pixels, config)).float(), dim=-1)
            texts = nn.functional.normalize(model.encode_text(ids, cut=False).float(), dim=-1)
            with torch.autocast("cpu", enabled=False):
                return contrastive_loss(images, texts, model.logit_scale.float().exp())

        return clip
    from limner.models.dvae.loss import bound

    pictures = torch.zeros(batch, 3, config.resolution, config.resolution)
    likelihood = float(recipe.objective.get("likelihood", 1.0))

    def dvae(model: Any) -> Tensor:
        return bound(model, pictures, kl_weight=1.0, likelihood=likelihood).total

    return dvae


def operations(kind: str, config: Any) -> int:
    """Multiplications and additions of one sample's forward pass, counted by torch on tensors without data."""
    shallow = _shallow(kind, config)
    if shallow is None:
        return _operations(kind, config)
    low, high = (_operations(kind, replace(config, layers=layers)) for layers in shallow)
    return high + (high - low) * (config.layers - shallow[1]) // (shallow[1] - shallow[0])


def _operations(kind: str, config: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model: Any = classes(kind)[1](config)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if kind == "dalle":
                text = torch.zeros(1, config.text_length, dtype=torch.long)
                model(text, torch.zeros(1, config.layout.image, dtype=torch.long))
            elif kind == "clip":
                model.encode_image(torch.zeros(1, 3, *config.size))
                model.encode_text(torch.zeros(1, config.text.context, dtype=torch.long), cut=False)
            else:
                model(torch.zeros(1, 3, config.resolution, config.resolution))
    return int(counter.get_total_flops())
