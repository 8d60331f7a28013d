r"""How a model is trained: a loop that one can read aloud, and what it needs around it.

    for epoch in the run:
        for x, y in the loader's epoch:
            loss = objective(model, x, y, rng=rng)
            loss.backward(), optimizer.step()
        yield a record, after writing it and a checkpoint down

The room knows no method by name: objective, loader and model arrive as arguments.

    >>> import torch
    >>> from vicinal.engine import SGD, Cyclic, train
    >>> class Batches:  # a loader: a length, and epochs drawn from a generator
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def epoch(self, rng):
    ...         for _ in range(4):
    ...             x = torch.rand(16, 1, 4, 4, generator=rng)
    ...             yield x, (x.mean(dim=(1, 2, 3)) > 0.5).long()
    >>> def cross_entropy(model, x, y, *, rng=None):
    ...     return torch.nn.functional.cross_entropy(model(x), y)
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    >>> rule = dict(optimizer=SGD(lr=0.5), schedule=Cyclic(peak=0.15), epochs=3, seed=0)
    >>> [record["epoch"] for record in train(net, cross_entropy, Batches(), **rule)]
    [1, 2, 3]

Switches, each off by default: `precision` and `channels_last`, averaged weights (`ema`), a batch in
parts (`accumulate`), compiled passes (`compile`), a judgement of every epoch (`validate`) and, of
the epochs, the best (`select="best"`) instead of the last.

With `run_dir` the run survives a kill at any moment: every draw of epoch e is a function of
(seed, e), so calling `train` again with the same arguments ends with the same weights, bit for
bit. A schedule is a pure function of progress (`Cyclic(peak=0.4).factor(3.0, 15)`), an optimizer a
value (`SGD(lr=0.1)`) until the run builds it. Files are written whole or not at all, and reading
one never runs code from it.
"""

from __future__ import annotations

from vicinal.engine.batches import counted
from vicinal.engine.checkpoint import load_weights, save_weights
from vicinal.engine.distributed import Processes, in_step, joined, processes, shared_generator
from vicinal.engine.optimizers import OPTIMIZERS, SGD, Adam, OptimizerSpec, build_optimizer
from vicinal.engine.precision import Precision, autocast, on_device, to_channels_last
from vicinal.engine.risk import Loss, Risk
from vicinal.engine.run_folder import CHECKPOINT, LAST, METRICS, WEIGHTS, RunFolder
from vicinal.engine.schedule import SCHEDULES, Constant, Cosine, Cyclic, Schedule, Step
from vicinal.engine.seeding import derive, deterministic, generator, isolated
from vicinal.engine.selection import SCORE, Validate
from vicinal.engine.switches import Select, Switches
from vicinal.engine.train import Diverged, Loader, train

__all__ = [
    # the loop
    "Diverged",
    "Loader",
    "Loss",
    "train",
    # switches of a run
    "SCORE",
    "Select",
    "Switches",
    "Validate",
    # optimizers
    "OPTIMIZERS",
    "Adam",
    "OptimizerSpec",
    "SGD",
    "build_optimizer",
    # schedules
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Cyclic",
    "Schedule",
    "Step",
    # number formats and layouts
    "Precision",
    "autocast",
    "on_device",
    "to_channels_last",
    # several processes
    "Processes",
    "Risk",
    "counted",
    "in_step",
    "joined",
    "processes",
    "shared_generator",
    # randomness
    "derive",
    "deterministic",
    "generator",
    "isolated",
    # files
    "CHECKPOINT",
    "LAST",
    "METRICS",
    "WEIGHTS",
    "RunFolder",
    "load_weights",
    "save_weights",
]
