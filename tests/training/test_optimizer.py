"""Schedules by their values, AdamW and Muon by what they move, the average by its definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from limner.errors import RecipeError, TrainingError
from limner.training.muon import Float32Muon
from limner.training.optimizer import Average, Optimizer, freeze, hidden_matrices, rate_share
from limner.training.recipe import TrainingSettings

SETTINGS = TrainingSettings(steps=100, batch=1, learning_rate=0.1, warmup_steps=10, min_learning_rate=0.1)


@pytest.mark.parametrize(
    ("schedule", "at", "share"),
    [
        ("constant", 99, 1.0),
        ("cosine", 10, 1.0),
        ("cosine", 55, 0.55),
        ("linear", 55, 0.55),
        ("trapezoid", 80, 1.0),
        ("trapezoid", 90, 0.55),
    ],
)
def test_schedules(schedule: str, at: int, share: float) -> None:
    settings = replace(SETTINGS, schedule=schedule)  # type: ignore[arg-type]
    assert rate_share(settings, at) == pytest.approx(share)
    assert 0 < rate_share(settings, 0) < rate_share(settings, 9) < 1


def test_rates_never_rise_after_the_warmup() -> None:
    for schedule in ("constant", "cosine", "linear", "trapezoid"):
        settings = replace(SETTINGS, schedule=schedule)  # type: ignore[arg-type]
        rates = [rate_share(settings, step) for step in range(10, 100)]
        assert rates == sorted(rates, reverse=True)
        assert min(rates) >= 0.1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 8)
        self.inner = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.inner(self.embedding(ids))))


def trained(settings: TrainingSettings, steps: int, resume_at: int | None = None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = Net()
    optimizer = Optimizer(net, settings)
    for step in range(steps):
        if step == resume_at:
            state = {name: t.clone() for name, t in optimizer.state().items()}
            optimizer = Optimizer(net, settings)
            optimizer.load_state(state)
        torch.manual_seed(step)
        ids = torch.randint(5, (16,))
        nn.functional.cross_entropy(net(ids), (ids + 1) % 5).backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
    return net.state_dict()


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_saved_states_go_on_to_the_bit(kind: str) -> None:
    settings = replace(SETTINGS, optimizer=kind, learning_rate=0.02)  # type: ignore[arg-type]
    whole, parts = trained(settings, 6), trained(settings, 6, resume_at=3)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_muon_is_for_the_matrices_between() -> None:
    net = Net()
    assert hidden_matrices(net) == {"inner.weight"}
    parts = [o for o, _ in Optimizer(net, replace(SETTINGS, optimizer="muon")).parts]
    assert [isinstance(o, torch.optim.Muon) for o in parts] == [False, True]
    assert isinstance(parts[0], torch.optim.AdamW)


def test_decay_spares_gains_and_biases() -> None:
    net = Net()
    optimizer = Optimizer(net, replace(SETTINGS, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step(1.0)
    for name, p in net.named_parameters():
        if p.ndim < 2:
            assert torch.equal(p, before[name]), name
        else:
            assert torch.allclose(p, before[name] * 0.95), name


def test_a_frozen_model_is_refused() -> None:
    with pytest.raises(TrainingError, match="nothing to train"):
        Optimizer(Net().requires_grad_(False), SETTINGS)


def test_the_average_is_its_definition() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(net, decay=0.9)
    expected, statistic = net[0].weight.detach().clone(), net[1].running_mean.clone()
    for step in range(1, 31):
        with torch.no_grad():
            net[0].weight.add_(1.0)
            net[1].running_mean.add_(1.0)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net[0].weight
        statistic = decay * statistic + (1 - decay) * net[1].running_mean
    assert torch.allclose(average.tensors["0.weight"], expected, rtol=1e-5)
    assert torch.allclose(average.tensors["1.running_mean"], statistic, rtol=1e-5)  # those of the averaged weights
    live = net[0].weight.detach().clone()
    average.swap()
    assert torch.allclose(net[0].weight, expected, rtol=1e-5)
    average.swap()
    assert torch.equal(net[0].weight, live)


def test_a_cosine_may_end_before_the_run() -> None:
    settings = TrainingSettings(
        steps=300, batch=1, learning_rate=1.0, schedule="cosine", decay_steps=100, min_learning_rate=0.1
    )
    assert rate_share(settings, 0) == 1.0
    assert rate_share(settings, 50) == pytest.approx(0.55)
    assert rate_share(settings, 100) == rate_share(settings, 299) == pytest.approx(0.1)


def test_frozen_parts_stay_and_misspelt_ones_are_named() -> None:
    net = Net()
    freeze(net, ["inner"])
    assert set(Optimizer(net, SETTINGS).parameters) == {"embedding.weight", "head.weight", "head.bias"}
    with pytest.raises(RecipeError, match="no weight begins with 'iner'; the model has embedding, head, inner"):
        freeze(net, ["iner"])


def test_muon_in_float32_is_pytorchs_but_for_rounding() -> None:
    torch.manual_seed(0)
    settings = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    one = [nn.Parameter(torch.randn(24, 40)), nn.Parameter(torch.randn(40, 24))]
    two = [nn.Parameter(p.detach().clone()) for p in one]
    before = [p.detach().clone() for p in one]
    plain, ours = torch.optim.Muon(one, **settings), Float32Muon(two, **settings)
    for _ in range(3):
        for p, q in zip(one, two, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        plain.step()
        ours.step()
    for p, q, start in zip(one, two, before, strict=True):
        assert (p - q).norm() < 0.02 * (p - start).norm()  # bf16 rounds to 8 bits
        assert plain.state[p].keys() == ours.state[q].keys()
