"""Learning-rate schedules, AdamW and Muon over named parameters, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from limner.device import working_precision
from limner.errors import RecipeError, TrainingError, expected
from limner.training.layerwise import layer_shares
from limner.training.muon import Float32Muon
from limner.training.parallel import fill, local
from limner.training.recipe import TrainingSettings

NOT_HIDDEN = ("head", "embedding", "input", "output", "visual.conv1")
"""Words in a linear layer's name that mark it as first or last: Muon is for the matrices between."""


def rate_share(settings: TrainingSettings, step: int) -> float:
    """The learning rate of update number ``step`` (0, 1, …) as a share of the highest one."""
    floor = settings.min_learning_rate
    if step < settings.warmup_steps:
        return (step + 1) / (settings.warmup_steps + 1)
    # A cosine or a line may end before the run does (OpenAI's dVAE: after 1.2 of 3 million updates).
    length = settings.decay_steps or max(1, settings.steps - settings.warmup_steps)
    done = min(1.0, (step - settings.warmup_steps) / length)
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "cosine":
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "linear":
        return floor + (1 - floor) * (1 - done)
    slope = settings.decay_steps or max(1, settings.steps // 5)
    left = min(1.0, max(0.0, (settings.steps - step) / slope))
    return floor + (1 - floor) * left


class Optimizer:
    """AdamW, or Muon for the hidden matrices and AdamW for the rest; states are kept by the parameter's name."""

    def __init__(self, model: nn.Module, settings: TrainingSettings) -> None:
        self.settings = settings
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise TrainingError("nothing to train: every parameter is frozen; unfreeze a part")
        hidden = hidden_matrices(model) & set(self.parameters) if settings.optimizer == "muon" else set()
        rest = [(name, p) for name, p in self.parameters.items() if name not in hidden]
        shares = layer_shares(model, settings.layer_decay)
        # Gains, biases and the temperature are not decayed (CLIP, section 2.5).
        groups = _grouped((p, settings.weight_decay if p.ndim >= 2 else 0.0, shares[name]) for name, p in rest)
        devices = {p.device.type for p in self.parameters.values()}
        self.parts: list[tuple[torch.optim.Optimizer, float]] = []
        if rest:
            adamw = torch.optim.AdamW(
                groups,
                lr=settings.learning_rate,
                betas=settings.betas,
                eps=settings.eps,
                fused=devices <= {"cpu", "cuda"},
            )
            self.parts.append((adamw, 1.0))
        self._views = {name: _as_matrix(p) for name, p in self.parameters.items() if name in hidden}
        if hidden:
            muon = _muon_for(next(iter(self._views.values())).device)(
                _grouped((view, settings.weight_decay, shares[name]) for name, view in self._views.items()),
                lr=settings.learning_rate,
                adjust_lr_fn="match_rms_adamw",
            )
            self.parts.append((muon, settings.muon_learning_rate))

    def step(self, share: float) -> None:
        """Update the weights at ``share`` of the highest learning rate."""
        for name, view in self._views.items():
            parameter = self.parameters[name]
            if view is not parameter:
                view.grad = None if parameter.grad is None else _flat(parameter.grad)
        for optimizer, factor in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * share * factor * group["share"]
            optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state(self) -> dict[str, torch.Tensor]:
        """Every state tensor as ``parameter's name/key``."""
        names: dict[torch.Tensor, str] = {p: name for name, p in (self.parameters | self._views).items()}
        return {
            f"{names[p]}/{key}": value
            for optimizer, _ in self.parts
            for p, state in optimizer.state.items()
            for key, value in state.items()
            if isinstance(value, torch.Tensor)
        }

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take up the states that ``state`` gave. Raises TrainingError where a parameter's is missing or misshapen."""
        by_name: dict[str, dict[str, torch.Tensor]] = {}
        for path, tensor in tensors.items():
            name, key = path.rsplit("/", 1)
            by_name.setdefault(name, {})[key] = tensor
        for optimizer, _ in self.parts:
            for group in optimizer.param_groups:
                for p in group["params"]:
                    name = next(n for n, q in (self.parameters | self._views).items() if q is p)
                    if name not in by_name:
                        if by_name:
                            raise TrainingError(expected("optimizer state", f"one for {name!r}", "none"))
                        continue
                    for key, tensor in by_name[name].items():
                        if key != "step" and tensor.shape != p.shape:
                            raise TrainingError(
                                expected(f"optimizer state of {name}", tuple(p.shape), tuple(tensor.shape))
                            )
                    optimizer.state[p] = {key: _like(p, tensor, key) for key, tensor in by_name[name].items()}


def _muon_for(device: torch.device) -> type[torch.optim.Muon]:
    return Float32Muon if working_precision(device, "bf16") == "float32" else torch.optim.Muon


def _grouped(parameters: Iterable[tuple[nn.Parameter, float, float]]) -> list[dict[str, Any]]:
    """(parameter, weight decay, share of the rate) as the groups that torch's optimizers take."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, weight_decay, share in parameters:
        groups.setdefault((weight_decay, share), []).append(parameter)
    return [{"params": found, "weight_decay": decay, "share": share} for (decay, share), found in groups.items()]


def freeze(model: nn.Module, beginnings: Sequence[str]) -> None:
    """Keep the weights whose names begin so as they are. Raises RecipeError where a beginning fits none."""
    for beginning in beginnings:
        frozen = [p for name, p in model.named_parameters() if name.startswith(beginning)]
        if not frozen:
            some = ", ".join(sorted({name.split(".")[0] for name, _ in model.named_parameters()}))
            raise RecipeError(f"training.freeze: no weight begins with {beginning!r}; the model has {some}")
        for parameter in frozen:
            parameter.requires_grad_(False)


def learning(model: nn.Module) -> nn.Module:
    """``model`` in train mode, but for frozen batch normalisation, whose statistics stay as they are."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(
            p.requires_grad for p in module.parameters()
        ):
            module.train(not list(module.parameters()))
    return model


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the matrices of linear layers, convolutions and attentions that are neither first nor last."""
    linear = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and not any(word in name.lower() for word in NOT_HIDDEN)
    }
    # Attention holds its three input matrices in one bare parameter, as torch.nn.MultiheadAttention does.
    return linear | {name for name, _ in model.named_parameters() if name.endswith("in_proj_weight")}


def _as_matrix(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself, or a view of a convolution's weights as a matrix (out, in · k · k) in the same memory."""
    if parameter.ndim == 2:
        return parameter
    # Convolutions lie in memory channels last, so that only this order of dimensions can be flattened without a copy.
    if not parameter.data.permute(0, 2, 3, 1).is_contiguous():
        parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(_flat(parameter.data))


def _flat(weights: torch.Tensor) -> torch.Tensor:
    return weights.permute(0, 2, 3, 1).reshape(weights.shape[0], -1)


def _like(parameter: torch.Tensor, tensor: torch.Tensor, key: str) -> torch.Tensor:
    """A state tensor where its parameter lies, sharded as it is; in its memory order too, for fused kernels walk both
    as they lie (channels last for convolutions).
    """
    if key == "step":
        return tensor.to(parameter.device)
    target = torch.empty_like(parameter, requires_grad=False)
    fill(target, tensor)
    return target


class Average:
    """An exponential moving average of parameters and of float buffers; decay 0 keeps the weights themselves.

    Batch normalisation's statistics are averaged along: those of the newest weights do not fit the average.
    The decay rises from 0.1 as (1 + n) / (10 + n) in n updates, so that a short run does not average its beginning in.
    """

    def __init__(self, model: nn.Module, decay: float, every: int = 1) -> None:
        self.decay, self.every, self.updates = decay, every, 0
        self._live = dict(_floats(model))
        self.tensors = {name: t.detach().clone() for name, t in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after update number ``step`` (1, 2, …)."""
        if step % self.every:
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) ** self.every if self.decay else 0.0
        mine = [local(tensor) for tensor in self.tensors.values()]
        torch._foreach_lerp_(mine, [local(live.detach()) for live in self._live.values()], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights with the average; a second call puts them back."""
        for name, live in self._live.items():
            mine, theirs = local(self.tensors[name]), local(live.detach())
            kept = theirs.clone()
            theirs.copy_(mine)
            mine.copy_(kept)


def _floats(model: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    persistent = model.state_dict(keep_vars=True)
    yield from ((name, b) for name, b in model.named_buffers() if b.is_floating_point() and name in persistent)
