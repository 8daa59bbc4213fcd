"""Several processes as one: parameters, gradients and optimiser states sharded by PyTorch's ``fully_shard`` (FSDP2).

With one process (a laptop) every function here gives back what it got. Tensors of a sharded model are ``DTensor``s; the
loop works on their local shards, and only what must be known by all is exchanged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import nn

from limner import ranks
from limner.errors import TrainingError

PATIENCE = 600.0
"""Seconds that a process waits for the others before the run ends. One that dies ends it at once."""


@contextlib.contextmanager
def connected(device: torch.device, patience: float = PATIENCE) -> Iterator[None]:
    """The processes that ``torchrun`` started, joined; nothing for one process.

    A process that dies ends the run: the others leave with TrainingError that names it.
    """
    if ranks.world() == 1:
        yield
        return
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=_store(timedelta(seconds=patience)),
            rank=ranks.rank(),
            world_size=ranks.world(),
            timeout=timedelta(seconds=patience),
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"process {ranks.rank()} of {ranks.world()}: expected to meet the others at MASTER_ADDR:MASTER_PORT within "
            f"{patience:.0f} s, got {str(error).splitlines()[0][:160]!r}; start all processes with torchrun"
        ) from error
    try:
        yield
    except (RuntimeError, dist.DistBackendError) as error:
        if isinstance(error, TrainingError) or not _lost(error):
            raise
        raise TrainingError(
            f"process {ranks.rank()} of {ranks.world()}: {_missing()} no longer answers "
            f"({str(error).splitlines()[0][:160]}); the last checkpoint stands, --resume goes on"
        ) from error
    finally:
        with contextlib.suppress(Exception):
            dist.destroy_process_group()


def _store(patience: timedelta) -> Any:
    """Where the processes of this start find each other.

    torchrun's store outlives a restart, and with it the addresses of the processes before: whoever reads one of those
    calls a dead process. Each start therefore has names of its own.
    """
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=patience))
    store.set_timeout(patience)
    return dist.PrefixStore(f"limner/{ranks.world()}/{_restarts()}", store)


def _lost(error: BaseException) -> bool:
    words = ("connection", "peer", "timed out", "timeout", "nccl", "gloo", "broken pipe", "socket")
    return any(word in str(error).lower() for word in words)


def _missing() -> str:
    """Which processes are gone: those that do not sign a list within two seconds."""
    import torch.distributed as dist

    store = dist.distributed_c10d._get_default_store()
    me = "limner-left"
    gone = []
    try:
        store.set(f"{me}-{ranks.rank()}", "here")
        for other in range(ranks.world()):
            try:
                store.wait([f"{me}-{other}"], timedelta(seconds=2))
            except Exception:
                gone.append(other)
    except Exception:
        return "another process"
    return "process " + ", ".join(map(str, gone)) if gone else "another process"


def restarted() -> bool:
    """Whether ``torchrun --max-restarts`` has started this run again: it then goes on as with --resume."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def shard(model: nn.Module, device: torch.device, precision: str, methods: Sequence[str] = ()) -> nn.Module:
    """``model`` sharded over all processes: each block for itself, then the rest.

    precision: ``bf16`` gathers parameters in bf16 on a GPU; gradients are always summed in float32. methods: what is
    called beside ``forward``. Scalars (CLIP's temperature) stay whole in every process.
    """
    if ranks.world() == 1:
        return model
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (ranks.world(),))
    half = torch.bfloat16 if precision == "bf16" and device.type == "cuda" else None
    policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32, output_dtype=None)
    scalars = {p for p in model.parameters() if p.ndim == 0}
    for block in blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy, ignored_params=scalars)
    for name in methods:
        register_fsdp_forward_method(model, name)
    return model


def blocks(model: nn.Module) -> list[nn.Module]:
    """The modules that repeat: members of the model's outermost lists."""
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in model.modules():
        if isinstance(module, nn.ModuleList | nn.Sequential) and module not in inside:
            members = [m for m in module if any(True for _ in m.parameters())]
            found += members
            inside.update(m for member in members for m in member.modules())
    return found


def recompute_blocks(model: nn.Module) -> None:
    """Let each block keep its input only, and compute the rest again for its gradient (DALL·E paper, section 2.4)."""
    from functools import partial

    from torch.utils.checkpoint import checkpoint

    for block in blocks(model):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor, the same memory; the tensor itself where it is whole."""
    part: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # type: ignore[operator]
    return part


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole tensor, in every process; all of them have to ask."""
    whole: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[operator]
    return whole


def fill(target: torch.Tensor, whole: torch.Tensor) -> None:
    """Copy a whole tensor, known to every process, into ``target``: each takes its part."""
    with torch.no_grad():
        if hasattr(target, "device_mesh"):
            from torch.distributed.tensor import DTensor, distribute_tensor

            assert isinstance(target, DTensor)
            whole = whole.to(device=target.device, dtype=target.dtype)
            whole = distribute_tensor(whole, target.device_mesh, target.placements, src_data_rank=None)
            local(target).copy_(local(whole))
        else:
            target.copy_(whole)


def average_whole_gradients(model: nn.Module) -> None:
    """Gradients of parameters that are not sharded: their mean over the processes."""
    if ranks.world() == 1:
        return
    for parameter in model.parameters():
        if parameter.grad is not None and not hasattr(parameter, "device_mesh"):
            parameter.grad = ranks.mean(parameter.grad)


def average_statistics(model: nn.Module) -> None:
    """Running statistics of batch normalisation: their means over the processes, each of which saw a part of a batch.

    A checkpoint keeps one process's; were they different, a resumed run would not be the unbroken one.
    """
    if ranks.world() == 1:
        return
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    found = [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
    if found:
        together = ranks.mean(torch.cat([t.reshape(-1) for t in found]))
        for own, part in zip(found, together.split([t.numel() for t in found]), strict=True):
            own.copy_(part.view(own.shape))


def total_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """The length of all gradients together, over all processes."""
    if ranks.world() == 1:
        return torch.nn.utils.get_total_norm(gradients)
    sharded = [local(g) for g in gradients if hasattr(g, "device_mesh")]
    whole = [g for g in gradients if not hasattr(g, "device_mesh")]
    square = torch.nn.utils.get_total_norm([g for g in sharded if g.numel()]).square()
    square = ranks.mean(square) * ranks.world()
    if whole:
        square = square + torch.nn.utils.get_total_norm(whole).square()
    return square.sqrt()


def clip(gradients: Sequence[torch.Tensor], longest: float, norm: torch.Tensor) -> None:
    """Scale gradients of total length ``norm`` down to ``longest``, in place."""
    share = (longest / (norm + 1e-6)).clamp(max=1.0)
    parts = [local(g) for g in gradients]
    if parts:
        torch._foreach_mul_(parts, share)


def agreed(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Numbers as means over the processes, all in one exchange and one wait for the device."""
    first = next(iter(values.values()))
    kind = torch.float32 if first.device.type == "mps" else torch.float64  # Apple's GPUs have no doubles
    numbers = torch.stack([local(v.detach()).to(first.device, kind).reshape(()) for v in values.values()])
    return dict(zip(values, ranks.mean(numbers).tolist()))


def joined(table: dict[str, Any]) -> dict[str, Any]:
    """The tables of all processes in one; their keys differ."""
    if ranks.world() == 1:
        return dict(table)
    import torch.distributed as dist

    tables: list[Any] = [None] * ranks.world()
    dist.all_gather_object(tables, table)
    return {key: value for other in tables for key, value in other.items()}


def gathered(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Whole tensors on the CPU in the first process; empty in the others. One tensor at a time is whole elsewhere."""
    result = {}
    for name, tensor in tensors.items():
        whole = full(tensor.detach())
        if ranks.is_first():
            result[name] = whole.cpu()
    return result
