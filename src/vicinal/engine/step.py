"""One step: a batch, cut into micro-batches where asked, moves the weights once.

`make_step` is all that a training run does with a batch. The objective is called once per
micro-batch, and `backward` follows it at once; passes that an objective makes for itself (an
attack's) go through the same model and leave no gradient behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Batch, Model
from vicinal.engine.distributed import Processes, unreduced
from vicinal.engine.ema import Average
from vicinal.engine.precision import autocast, on_device
from vicinal.engine.risk import Loss
from vicinal.engine.switches import Switches
from vicinal.maths.share import Share

__all__ = ["Work", "make_step", "micro_batches"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every step of a run works on.

    Args:
        model: The model whose weights move, as it was built.
        called: What the objective calls: the model, or its compiled twin.
        objective: The loss.
        optimizer: Built over the model's parameters.
        switches: How a step is computed.
        average: The averaged weights, where they are kept.
        team: The processes that train together.
        risk: Model and objective in DDP, where these are several; called in their place.
    """

    model: Model
    called: Model
    objective: Loss
    optimizer: torch.optim.Optimizer
    switches: Switches
    average: Average | None = None
    team: Processes = field(default_factory=Processes)
    risk: nn.Module | None = None

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device


def make_step(work: Work, x: Tensor, y: Tensor, *, rng: torch.Generator) -> Tensor:
    """Make one step of the optimizer.

    With `accumulate` = k the batch is cut into k micro-batches, each a call of the objective; their
    losses are weighted by their shares of the images, so that the gradient is that of the whole
    batch's mean. For a net without batch statistics and an objective without draws that is the
    plain step to rounding. Otherwise a micro-batch is what the objective sees as the batch:
    partners to mix with and draws are taken within it, and BatchNorm normalises by it and moves
    its running statistics k times. A batch of fewer than 2 k images is cut into fewer parts.

    Of several processes each weights its losses by its share of all the images, so that the
    gradient, averaged once per step, is that of the mean over them. Where each has all the images
    (`Share.whole`) the shares are equal and the average is each one's gradient.

    Args:
        work: What the step works on.
        x: Images (N, C, H, W); of several processes' the own ones.
        y: Classes (N,) or distributions (N, K).
        rng: Where the objective draws from.

    Returns:
        The mean loss of these images before the step, a scalar that stays on the device.
    """
    x = on_device(x, work.device, channels_last=work.switches.channels_last)
    y = on_device(y, work.device)
    work.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=work.device)
    rows = _rows(rng, len(x))
    # Two images at least, for partners and for batch statistics.
    k = max(1, min(work.switches.accumulate, min(rows) // 2))
    for i, (part_x, part_y) in enumerate(micro_batches(x, y, k)):
        if isinstance(rng, Share):
            rng.counts = [n // k + (i < n % k) for n in rows]
        with unreduced(work.risk, last=i == k - 1):
            loss = _scaled(_loss(work, part_x, part_y, rng), len(part_x) / len(x))
            # Gradients are averaged over the processes, each of which has a share of the rows.
            share = _scaled(loss, len(rows) * len(x) / sum(rows))
            share.backward()  # type: ignore[no-untyped-call]
        total += loss.detach().float()
    work.optimizer.step()
    if work.average is not None:
        work.average.update(work.model)
    return total


def _rows(rng: torch.Generator, n: int) -> list[int]:
    """Count the images that each process has of this batch; one alone has them all."""
    return (rng.sizes(n) if isinstance(rng, Share) else None) or [n]


def _scaled(loss: Tensor, factor: float) -> Tensor:
    return loss if factor == 1.0 else loss * factor


def _loss(work: Work, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
    with autocast(work.switches.precision, work.device):
        if work.risk is not None:
            loss: Tensor = work.risk(x, y, rng)
        else:
            loss = work.objective(work.called, x, y, rng=rng)
    if loss.ndim != 0:
        raise InputError(
            f"`objective` must return a scalar loss; got shape {tuple(loss.shape)}. Take its mean?"
        )
    return loss


def micro_batches(x: Tensor, y: Tensor, k: int) -> Iterator[Batch]:
    """Cut a batch into k parts whose sizes differ by at most one, in the order of the images.

    Args:
        x: Images (N, C, H, W).
        y: Classes (N,) or distributions (N, K).
        k: How many parts, at most as many as images.

    Yields:
        The parts, views of the batch.

    Example:
        >>> [len(x) for x, _ in micro_batches(torch.zeros(7, 1, 1, 1), torch.zeros(7), 3)]
        [3, 2, 2]
    """
    yield from zip(x.tensor_split(k), y.tensor_split(k), strict=True)
