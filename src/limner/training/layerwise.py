"""Learning rates that fall from the top of a model to its bottom: what lies deep was learned well and moves least."""

from __future__ import annotations

from torch import nn

from limner.training.parallel import blocks

TOWERS = ("visual", "encoder", "decoder")
"""First words of names that mark a tower of its own; the rest is one more."""
FIRST = ("embedding", "positions", "ln_pre", "input", "visual.conv", "visual.bn")
"""Words in the names of weights that come before a tower's blocks; what is neither here nor in a block comes after."""


def layer_shares(model: nn.Module, decay: float) -> dict[str, float]:
    """For each weight of ``model`` its share of the learning rate, by name.

    Above a tower's blocks it is 1, in the last block ``decay``, in the one before that ``decay``², and so on down to
    the embeddings (as in BEiT, arXiv 2106.08254).
    """
    repeating = {id(block) for block in blocks(model)}
    names = [name for name, module in model.named_modules() if id(module) in repeating]
    towers: dict[str, list[str]] = {}
    for name in names:
        towers.setdefault(_tower(name), []).append(name)
    shares = {}
    for name, _ in model.named_parameters():
        stack = towers.get(_tower(name), [])
        inside = [depth for depth, block in enumerate(stack, 1) if name.startswith(f"{block}.")]
        if inside:
            depth = inside[0]
        else:
            first = any(word in name for word in FIRST) and "attnpool" not in name
            depth = 0 if first else len(stack) + 1
        shares[name] = decay ** (len(stack) + 1 - depth)
    return shares


def _tower(name: str) -> str:
    first = name.split(".")[0]
    return first if first in TOWERS else ""
