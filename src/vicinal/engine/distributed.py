r"""Several processes that train one model, each with its rows of every batch: torch's DDP.

A launcher starts the same program once per process (`torchrun --nproc-per-node 2 -m vicinal train
...`), and `joined` lets them find each other. What the objective draws is drawn for the whole batch
and cut by rank (`maths.share`), a rank's loss is weighted by its share of the rows, so the averaged
gradient is the mean's over the whole batch: for a net without batch statistics, partners from the
whole batch and no dropout, training is that of one process to rounding.

BatchNorm normalises by the own rows; before every step, and after an epoch's last, each process
takes over the running statistics of the first. `in_step` makes it normalise by all rows (CUDA).

In a loop of one's own:

    rng = shared_generator(0, scope="global")  # after torch.distributed.init_process_group
    risk = DistributedDataParallel(Risk(model, objectives.MixUp()))
    for x, y in loader:  # the own rows, in every process equally many
        loss = risk(x, y, rng)
        loss.backward()  # then the optimizer's step
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine.gathering import gather_rows
from vicinal.engine.risk import Loss, Risk
from vicinal.engine.seeding import derive, generator
from vicinal.maths.share import Scope, Share

__all__ = [
    "Processes",
    "in_step",
    "joined",
    "processes",
    "shared_generator",
    "unreduced",
]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes that train one model, seen from one of them; by default there is no other.

    Args:
        rank: This one, from 0.
        world: How many they are.

    Example:
        >>> Processes().first, Processes().total([2.0, 3.0])
        (True, [2.0, 3.0])
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    def generator(
        self, *keys: int | str, device: torch.device | str = "cpu", scope: Scope = "local"
    ) -> torch.Generator:
        """Make the generator of what all draw together.

        Args:
            *keys: What the draws are for.
            device: Where it draws.
            scope: "local" mixes with the own rows, "global" with those of all.

        Returns:
            A plain generator where there are no others, else this one's share.
        """
        if not self.several:
            return generator(*keys, device=device)
        gather = gather_rows if scope == "global" else None
        share = Share(device, rank=self.rank, world=self.world, scope=scope, gather=gather)
        share.manual_seed(derive(*keys))
        return share

    def keys(self, *keys: int | str) -> tuple[int | str, ...]:
        """Name draws that every process makes for itself, such as dropout's.

        Args:
            *keys: What the draws are for.

        Returns:
            The keys, and the rank where there are others.
        """
        return (*keys, "rank", self.rank) if self.several else keys

    def total(self, values: Sequence[float]) -> list[float]:
        """Add numbers up over all processes.

        Args:
            values: The own ones.

        Returns:
            Their sums.
        """
        if not self.several:
            return list(values)
        return [sum(column) for column in zip(*self.collect(list(values)), strict=True)]

    def collect(self, value: T) -> list[T]:
        """Hand a value to all processes.

        Args:
            value: The own one; what can be pickled.

        Returns:
            Everyone's, in the order of ranks.
        """
        if not self.several:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def led(self, work: Callable[[], T]) -> T:
        """Let the first process do something, and tell all what came out of it.

        Args:
            work: What only the first one calls, such as writing a file.

        Returns:
            What it returned, in every process.

        Raises:
            InputError: In every process, if it was raised in the first.
        """
        if not self.several:
            return work()
        told: list[Any] = [None, None]
        failure: InputError | None = None
        if self.first:
            try:
                told[0] = work()
            except InputError as error:
                failure, told[1] = error, str(error)
        dist.broadcast_object_list(told, src=0)
        if failure is not None:
            raise failure
        if told[1] is not None:
            raise InputError(told[1])
        return told[0]  # type: ignore[no-any-return]

    def align(self, tensors: Sequence[Tensor]) -> None:
        """Take over the first process's numbers.

        Args:
            tensors: Changed in place, in every process the same ones.
        """
        if self.several:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)

    def risk(self, model: Model, objective: Loss) -> nn.Module | None:
        """Join an objective with its model, so that a backward pass averages all gradients.

        Args:
            model: Its weights and buffers become the first process's.
            objective: The loss.

        Returns:
            A `Risk` in DistributedDataParallel; None where there are no others.
        """
        if not self.several:
            return None
        return nn.parallel.DistributedDataParallel(Risk(model, objective, guarded=True))


def unreduced(risk: nn.Module | None, *, last: bool) -> AbstractContextManager[object]:
    """Hold the averaging of gradients back, for all but the last of a step's micro-batches.

    Args:
        risk: What `Processes.risk` made.
        last: Whether this is the last one.

    Returns:
        The context for its forward and backward pass.
    """
    if last or not isinstance(risk, nn.parallel.DistributedDataParallel):
        return nullcontext()
    return risk.no_sync()


def processes() -> Processes:
    """Say which of the processes of torch's default group this one is.

    Returns:
        Rank and number; one alone where no group was made.

    Example:
        >>> processes()
        Processes(rank=0, world=1)
    """
    if not (dist.is_available() and dist.is_initialized()):
        return Processes()
    return Processes(rank=dist.get_rank(), world=dist.get_world_size())


def shared_generator(
    *keys: int | str, scope: Scope = "local", device: torch.device | str = "cpu"
) -> torch.Generator:
    """Make the generator to hand to an objective as `rng` in a DDP loop of one's own.

    Processes that have unequally many rows of a batch set its `counts`, one number for each, before
    every step.

    Args:
        *keys: What the draws are for, such as a seed and the number of an epoch; the same in every
            process.
        scope: Whether methods that mix find partners in the own rows ("local") or in those of all
            processes ("global").
        device: Where it draws.

    Returns:
        The generator: alike in every process, and drawing the own rows of the whole batch's draws.

    Example:
        >>> torch.equal(torch.rand(2, generator=shared_generator(0)),
        ...     torch.rand(2, generator=generator(0)))
        True
    """
    return processes().generator(*keys, device=device, scope=scope)


@contextmanager
def joined(device: str = "auto") -> Generator[str]:
    """Let the processes that a launcher such as torchrun started find each other, and part after.

    Without a launcher, or where a group stands already, nothing happens.

    Args:
        device: "cpu" for gloo; "cuda" for nccl, each process on the GPU of its local rank; "auto"
            is CUDA where there is a GPU for each process of this machine.

    Yields:
        Where this process computes: "cpu" or "cuda", or the word given where nothing happens.

    Raises:
        InputError: If there are fewer GPUs than processes, or another device is asked for.
    """
    named = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    if not named or int(os.environ["WORLD_SIZE"]) < 2 or dist.is_initialized():
        yield device
        return
    where = _device_of_all(device, here=int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if where == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if where == "cuda" else "gloo")
    try:
        yield where
    except BaseException:
        # The others may never come to part: the launcher ends them when this one has gone.
        raise
    else:
        part()


def part() -> None:
    """End the group when every process has come so far."""
    dist.barrier()
    # Garbage that still holds the group would keep its threads running into the interpreter's end,
    # where one that asks for Python ends the process with an error.
    gc.collect()
    dist.destroy_process_group()


def _device_of_all(device: str, *, here: int) -> str:
    found = torch.cuda.device_count()
    if device == "mps":
        raise InputError("`device` must be cpu or cuda for several processes; got 'mps'.")
    if device == "cuda" and found < here:
        raise InputError(
            f"`device` 'cuda' needs a GPU for each of the {here} processes here; torch finds "
            f"{found}. Fewer processes (--nproc-per-node), or --device cpu?"
        )
    return "cuda" if device != "cpu" and found >= here else "cpu"


def in_step(model: Model) -> Model:
    """Make every BatchNorm normalise by the rows of all processes (SyncBatchNorm); CUDA only.

    Args:
        model: The model, on its device.

    Returns:
        The model, its BatchNorm layers replaced.

    Raises:
        InputError: If it lives on another device than CUDA.
    """
    where = next(model.parameters()).device
    if where.type != "cuda":
        raise InputError(
            f"`sync_batchnorm` needs CUDA, as torch's SyncBatchNorm does; the model is on "
            f"{where.type}. Leave it off, or take a net with GroupNorm?"
        )
    found: Model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return found
