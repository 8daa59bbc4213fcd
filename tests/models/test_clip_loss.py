"""The contrastive losses: tiles against whole matrices, duplicates, ranks, memory, the clamp."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from limner.models.clip import tiles
from limner.models.clip.config import CLIPConfig, TextConfig, ViTConfig
from limner.models.clip.loss import clamp_temperature, contrastive_loss, same_but_not_self, sigmoid_loss
from limner.models.clip.model import CLIP


def features(n: int, noise: float = 0.5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    a = F.normalize(torch.randn(n, 16, dtype=dtype), dim=-1)
    b = F.normalize(a + noise * torch.randn(n, 16, dtype=dtype), dim=-1)
    return a.requires_grad_(), b.requires_grad_()


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_ROWS", 7)
    monkeypatch.setattr(tiles, "_COLUMNS", 11)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("grouped", [False, True])
def test_tiles_equal_the_whole(scale: float, grouped: bool) -> None:
    a, b = features(50)
    groups = torch.arange(50) // 3 if grouped else None
    s = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    plain, tiled = (contrastive_loss(a, b, s, groups=groups, tiled=t) for t in (False, True))
    assert float((plain - tiled).detach().abs()) < 1e-9
    for left, right in zip(*(torch.autograd.grad(3 * x, (a, b, s)) for x in (plain, tiled)), strict=True):
        torch.testing.assert_close(left, right, atol=1e-9, rtol=0)


@pytest.mark.usefixtures("small_tiles")
def test_tiles_stay_exact_where_one_shift_cannot_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    # One row lies far below the others: exp(S - c) underflows there, so each row takes its own maximum.
    a, b = features(30)
    with torch.no_grad():
        a[:15] *= 12.0
        a[15:] *= 0.01
    s = torch.tensor(90.0, dtype=torch.float64, requires_grad=True)
    plain, tiled = (contrastive_loss(a, b, s, tiled=t) for t in (False, True))
    assert float((plain - tiled).detach().abs()) < 1e-8
    for left, right in zip(*(torch.autograd.grad(x, (a, b, s)) for x in (plain, tiled)), strict=True):
        torch.testing.assert_close(left, right, atol=1e-8, rtol=1e-9)


@pytest.mark.usefixtures("small_tiles")
def test_gradients_in_bf16_stay_near_where_the_model_is_sure() -> None:
    a, b = features(40, noise=0.05, dtype=torch.float32)
    s = torch.tensor(20.0, requires_grad=True)
    exact = torch.autograd.grad(contrastive_loss(a, b, s, tiled=False), (a, b))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = torch.autograd.grad(contrastive_loss(a, b, s, tiled=True), (a, b))
    for left, right in zip(exact, rough, strict=True):
        assert float((left - right).norm() / left.norm()) < 0.05


def test_duplicates_are_no_negatives() -> None:
    a, b = features(6)
    groups = torch.tensor([0, 0, 1, 2, 3, 4])
    s = torch.tensor(10.0, dtype=torch.float64)
    logits = s * a @ b.T
    kept = torch.ones(6, 6, dtype=torch.bool)
    kept[0, 1] = kept[1, 0] = False
    rows = -torch.log(torch.stack([logits[i, i].exp() / logits[i][kept[i]].exp().sum() for i in range(6)])).mean()
    columns = -torch.log(torch.stack([logits[i, i].exp() / logits[:, i][kept[:, i]].exp().sum() for i in range(6)]))
    torch.testing.assert_close(contrastive_loss(a, b, s, groups=groups), 0.5 * (rows + columns.mean()))
    assert int(same_but_not_self(groups, groups).sum()) == 2


@pytest.mark.usefixtures("small_tiles")
def test_sigmoid_loss_equals_its_formula() -> None:
    a, b = features(40)
    s = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-10.0, dtype=torch.float64, requires_grad=True)
    sign = 2 * torch.eye(40, dtype=torch.float64) - 1
    plain = -F.logsigmoid(sign * (s * a @ b.T + bias)).sum() / 40
    tiled = sigmoid_loss(a, b, s, bias)
    torch.testing.assert_close(plain, tiled)
    for left, right in zip(*(torch.autograd.grad(x, (a, b, s, bias)) for x in (plain, tiled)), strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)


def test_memory_is_linear_in_the_batch() -> None:
    # A process of its own: the peak is the process's. 8,192 pairs plain would take 268 MB for one matrix alone.
    program = """
        import resource, torch
        from limner.models.clip.loss import contrastive_loss
        a = torch.nn.functional.normalize(torch.randn(8192, 32), dim=-1).requires_grad_()
        b = torch.nn.functional.normalize(torch.randn(8192, 32), dim=-1).requires_grad_()
        contrastive_loss(a[:300], b[:300], torch.tensor(14.0), tiled=True).backward()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        contrastive_loss(a, b, torch.tensor(14.0)).backward()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=True
    )
    assert int(done.stdout) < 60_000


def test_two_ranks_equal_one_process(tmp_path) -> None:
    program = """
        import os, sys, torch, torch.distributed as dist
        from limner.models.clip.loss import contrastive_loss, sigmoid_loss
        rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
        torch.manual_seed(0)
        a = torch.nn.functional.normalize(torch.randn(12, 8, dtype=torch.float64), dim=-1)
        b = torch.nn.functional.normalize(torch.randn(12, 8, dtype=torch.float64), dim=-1)
        groups, s, bias = torch.arange(12) // 2, torch.tensor(9.0, dtype=torch.float64), torch.tensor(-2.0)
        mine = slice(rank * 6, rank * 6 + 6)
        x, y = a[mine].clone().requires_grad_(), b[mine].clone().requires_grad_()
        losses = contrastive_loss(x, y, s, groups=groups[mine]), sigmoid_loss(x, y, s, bias)
        sum(losses).backward()
        values = torch.stack([v.detach() for v in losses])
        dist.all_reduce(values)
        parts = [torch.zeros_like(x) for _ in range(4)]
        dist.all_gather(parts[:2], x.grad); dist.all_gather(parts[2:], y.grad)
        if rank == 0:
            torch.save([values / 2, torch.cat(parts[:2]) / 2, torch.cat(parts[2:]) / 2], sys.argv[2])
        dist.barrier()
        os._exit(0)  # gloo's threads may abort the usual way out
    """
    file = tmp_path / "ranks.py"
    file.write_text(textwrap.dedent(program))
    out = tmp_path / "out.pt"
    command = [sys.executable, str(file), str(tmp_path / "meet"), str(out)]
    processes = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}) for rank in range(2)
    ]
    assert [p.wait(timeout=120) for p in processes] == [0, 0]
    values, grad_a, grad_b = torch.load(out, weights_only=True)
    torch.manual_seed(0)
    a = F.normalize(torch.randn(12, 8, dtype=torch.float64), dim=-1).requires_grad_()
    b = F.normalize(torch.randn(12, 8, dtype=torch.float64), dim=-1).requires_grad_()
    s = torch.tensor(9.0, dtype=torch.float64)
    whole = contrastive_loss(a, b, s, groups=torch.arange(12) // 2), sigmoid_loss(a, b, s, torch.tensor(-2.0))
    torch.testing.assert_close(values, torch.stack([v.detach() for v in whole]))
    # Data-parallel training takes the mean of the ranks' gradients.
    expected = torch.autograd.grad(sum(whole), (a, b))
    torch.testing.assert_close(grad_a, expected[0])
    torch.testing.assert_close(grad_b, expected[1])


def test_temperature_is_clamped_at_100() -> None:
    text = TextConfig(vocabulary=8, context=4, width=8, layers=1, heads=1)
    model = CLIP(CLIPConfig(4, 8, ViTConfig(layers=1, width=8, patch=8, heads=1), text))
    assert float(model.logit_scale.detach().exp()) == pytest.approx(1 / 0.07)
    with torch.no_grad():
        model.logit_scale.fill_(7.0)
    clamp_temperature(model)
    assert float(model.logit_scale.detach()) == pytest.approx(math.log(100.0))
