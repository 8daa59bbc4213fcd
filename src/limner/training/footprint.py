"""What an update of the weights takes, found by running it on tensors without data.

A step of the recipe's model goes through torch's fake tensors: every operator is dispatched as in a real one,
casts and kept activations included, but nothing is computed or allocated. What is alive is counted at every operator.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from limner.models.modelfolder import classes
from limner.models.patterns import own_biases
from limner.training import parallel
from limner.training.lora import add_low_rank
from limner.training.optimizer import freeze, hidden_matrices
from limner.training.recipe import Recipe

SOME = 8
"""Pictures that are traced at most."""


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


class _Alive(TorchDispatchMode):
    """Counts bytes of storages from the operator that makes them to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.most = 0
        self.gradients = self.most_beside = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._take(leaf)
        self.most = max(self.most, self.bytes)
        self.most_beside = max(self.most_beside, self.bytes - self.gradients)
        return out

    def ignore(self, tensor: Tensor) -> None:
        """Count nothing for a tensor that was there before."""
        self._watch(tensor, 0)

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._watch(tensor, storage.nbytes())

    def _watch(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        self.bytes += size

        def gone(_reference: Any) -> None:
            self.bytes -= size
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, gone)


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
    What a picture takes is the same for each: above ``SOME`` it is reckoned from what fewer take.
    """

    @functools.cache
    def trace(pictures: int, recompute: bool) -> Footprint:
        return _traced(recipe, pictures, recompute, gathered)

    def found(pictures: int, recompute: bool) -> Footprint:
        if pictures <= SOME:
            return trace(pictures, recompute)
        a, b = trace(SOME // 2, recompute), trace(SOME, recompute)
        return _beyond(a, b, (pictures - SOME // 2) / (SOME - SOME // 2))

    return found


def _beyond(a: Footprint, b: Footprint, steps: float) -> Footprint:
    """What lies ``steps`` steps from ``a``, where one leads to ``b``."""
    reckoned = Footprint(*(round(x + steps * (y - x)) for x, y in zip(astuple(a), astuple(b), strict=True)))
    # Which moment holds most may change on the way: none holds less than its activations.
    return Footprint(reckoned.activations, max(reckoned.together, reckoned.activations))


def _traced(recipe: Recipe, batch: int, recompute: bool, gathered: bool) -> Footprint:
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
        alive = _Alive()
        for tensor in [*model.parameters(), *model.buffers()]:
            alive.ignore(tensor)

        def arrived(p: Tensor) -> None:
            assert p.grad is not None
            alive.gradients += p.grad.untyped_storage().nbytes()

        for p in model.parameters():
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(arrived)
        with alive:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
                value = loss(model)
            value.backward()
    return Footprint(activations=alive.most_beside, together=alive.most)


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
            return words / 8 + 7 / 8 * image_loss(model, hidden[:, last:], image)

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
