"""A training run of a second, with all that makes a resume hard, and ways of killing it.

Dropout and BatchNorm in the model, momentum in the optimizer, draws in loader and objective, a
schedule that moves. As a script (`python tiny_run.py MODE FOLDER`) it runs in a process of its own:
`run` trains, `crash` tries every crash point there is (`crash-on` with the switches that have a
state), `full` fills the disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vicinal._checks import InputError
from vicinal._typing import Batch, Model
from vicinal.engine import SGD, Cyclic, train
from vicinal.engine.train import Loss

EPOCHS, STEPS, BATCH = 3, 3, 6
Start = Callable[[Path], Iterator[dict[str, Any]]]
TIMES = ("seconds", "images_per_second")
"""The fields of a record that no two runs share."""


def tiny_net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16, 3),
        )


class TinyLoader:
    """Batches of noise; the last one has one image less."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def epoch(self, rng: torch.Generator) -> Iterator[Batch]:
        for step in range(self.steps):
            n = BATCH - (step == self.steps - 1)
            x = torch.rand(n, 1, 4, 4, generator=rng)
            yield x, torch.randint(3, (n,), generator=rng)


def noisy_cross_entropy(
    model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
) -> Tensor:
    sys.audit("tiny_run.step")
    return nn.functional.cross_entropy(model(x + 0.1 * torch.rand(x.shape, generator=rng)), y)


def slow_cross_entropy(
    model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
) -> Tensor:
    time.sleep(0.01)
    return noisy_cross_entropy(model, x, y, rng=rng)


def tiny_run(
    folder: Path | None,
    *,
    model: Model | None = None,
    objective: Loss = noisy_cross_entropy,
    **changed: Any,
) -> Iterator[dict[str, Any]]:
    """Train the tiny net; `changed` replaces arguments of `train`."""
    arguments: dict[str, Any] = {
        "optimizer": SGD(lr=0.2, momentum=0.9, nesterov=True),
        "schedule": Cyclic(peak=0.4),
        "epochs": EPOCHS,
        "seed": 1,
        "run_dir": folder,
        **changed,
    }
    net = tiny_net() if model is None else model
    return train(net, objective, TinyLoader(), **arguments)


def switched_on(folder: Path) -> Iterator[dict[str, Any]]:
    """Train with averaged weights, micro-batches, and the second epoch judged the best."""

    def validate(model: Model, epoch: int) -> dict[str, Any]:
        sys.audit("tiny_run.step")
        total = sum(float(weight.double().sum()) for weight in model.parameters())
        return {"score": 0.5 - 0.1 * abs(epoch - 2), "sum": total}

    return tiny_run(folder, ema=0.9, accumulate=2, validate=validate, select="best")


def outcome(folder: Path) -> tuple[bytes, list[dict[str, Any]], list[str]]:
    """Return a run's weights, its records without the times, and the names of its files."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        for field in TIMES:
            del record[field]
    weights = b"".join(path.read_bytes() for path in sorted(folder.glob("*.safetensors")))
    return weights, records, sorted(path.name for path in folder.iterdir())


class CountReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often a value is brought from a tensor to Python, where an accelerator waits."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads = 0

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.reads += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def _die_at(event: int, folder: Path) -> None:
    """Be killed just before the n-th step or operation on a file of the folder."""
    seen = 0

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        ours = any(isinstance(a, (str, os.PathLike)) and str(folder) in str(a) for a in arguments)
        if name == "tiny_run.step" or ours:
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _die_while_writing(name: str, fraction: float, folder: Path) -> None:
    """Be killed in the midst of the next write to a file of that name, by a limit on its size."""
    import resource  # not on every system

    size = (folder / name).stat().st_size
    limit = int(size * (1 + fraction)) if name == "metrics.jsonl" else int(size * fraction)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _in_a_fork(
    folder: Path,
    *,
    event: int = 0,
    write: tuple[str, float] | None = None,
    start: Start = tiny_run,
) -> bool:
    """Train in a fork of this process; tell whether it was killed."""
    child = os.fork()
    if child == 0:
        if event:
            _die_at(event, folder)
        for record in start(folder):
            if write and record["epoch"] == 1:
                _die_while_writing(*write, folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"the fork of event {event} failed")
    return os.WIFSIGNALED(status)


def _warm_up() -> None:
    """Load what torch loads late (a second), once for all forks; autograd must not run before."""
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    SGD().build([weight]).step()


def crash_everywhere(base: Path, start: Start = tiny_run, stride: int = 1) -> dict[str, Any]:
    """Kill one run at each crash point, and its resume too, then let it finish."""
    _warm_up()
    _in_a_fork(base / "reference", start=start)
    expected, different, event = outcome(base / "reference"), [], 1 - stride
    while True:
        event += stride
        folder = base / f"event{event}"
        if not _in_a_fork(folder, event=event, start=start):
            break
        _in_a_fork(folder, event=1 + 7 * event % 23, start=start)
        _in_a_fork(folder, start=start)
        if outcome(folder) != expected:
            different.append(folder.name)
    torn = _tear(base, expected) if start is tiny_run else {}
    return {"points": event - 1, "different": different, "torn": torn}


def _tear(base: Path, expected: object) -> dict[str, bool]:
    """Kill a run in the midst of a write; tell of each whether the resumed run came out right."""
    found = {}
    for name in ("metrics.jsonl", "checkpoint.pt"):
        for fraction in (0.1, 0.5, 0.9):
            folder = base / f"{name}-{fraction}"
            killed = _in_a_fork(folder, write=(name, fraction))
            _in_a_fork(folder)
            found[folder.name] = killed and outcome(folder) == expected
    return found


def fill_the_disk(folder: Path) -> dict[str, Any]:
    """After an epoch let no file grow beyond half a checkpoint; then make room and go on."""
    import resource  # not on every system

    steps, message = tiny_run(folder), ""
    next(steps)
    before = (folder / "checkpoint.pt").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, resource.RLIM_INFINITY))
    try:
        list(steps)
    except InputError as error:
        message = str(error)
    found = {
        "message": message,
        "intact": (folder / "checkpoint.pt").read_bytes() == before,
        "files": sorted(path.name for path in folder.iterdir()),
    }
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    list(tiny_run(folder))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    mode, where = sys.argv[1], Path(sys.argv[2])
    if mode == "run":
        print(json.dumps([record["epoch"] for record in tiny_run(where)]))
    elif mode == "slow":
        print(json.dumps([r["epoch"] for r in tiny_run(where, objective=slow_cross_entropy)]))
    elif mode == "crash-on":
        print(json.dumps(crash_everywhere(where, switched_on, stride=2)))
    else:
        print(json.dumps(crash_everywhere(where) if mode == "crash" else fill_the_disk(where)))
