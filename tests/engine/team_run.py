"""Runs of a second that one process or several can make; as a script, one of several.

`python team_run.py RANK WORLD FOLDER CASE...` makes the cases one after the other in one group of
gloo processes and saves what came out as FOLDER/<case>-<rank>.pt. The group meets in a file, so no
port is taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from torch import Tensor, nn

import catalog
import vicinal
from vicinal import attacks, data, inputs, labels, models, objectives
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine import SGD, Cyclic, Loss, Risk, processes, train
from vicinal.engine.distributed import Processes, in_step, part, shared_generator
from vicinal.engine.gathering import gather_rows
from vicinal.maths.share import own_rows
from vicinal.recipes import together
from vicinal.recipes.fetching import or_download

IMAGES, BATCH, EPOCHS = 37, 10, 2
"""The last batch has 7 images: of two processes one has 3 of them, the other 4."""

Outcome = dict[str, Any]

PGD = inputs.PGD(eps=0.1, step_size=0.05, steps=2)
EQUAL: dict[str, tuple[Loss, dict[str, Any]]] = {
    "erm": (objectives.ERM(), {}),
    "mixup": (objectives.MixUp(alpha=1.0), {"mix_scope": "global"}),
    "mixup-per-sample": (objectives.MixUp(per_sample=True), {"mix_scope": "global"}),
    "cutmix": (objectives.CutMix(), {"mix_scope": "global"}),
    "alps": (objectives.ALPS(), {"mix_scope": "global"}),
    "manifold": (objectives.ManifoldMixUp(layers=("input", "0")), {"mix_scope": "global"}),
    "noise": (objectives.GaussianVicinity(sigma=0.1), {}),
    "pgd": (objectives.Vicinal(inputs=PGD, labels=labels.Keep()), {}),
    "accumulated": (objectives.ERM(), {"accumulate": 2, "ema": 0.9}),
}
"""Trainings that must not depend on the number of processes, but for rounding."""


def split(images: int = IMAGES) -> data.Split:
    """Every image has its own label modulo ten, and a first pixel that tells which it is."""
    rng = torch.Generator().manual_seed(5)
    x = torch.randint(0, 256, (images, 1, 8, 8), dtype=torch.uint8, generator=rng)
    x[:, 0, 0, 0] = torch.arange(images)
    return data.Split(x=x, y=torch.arange(images) % 10)


def loader(team: Processes, *, augmented: bool = True, images: int = IMAGES) -> data.Loader:
    return data.Loader(
        split(images),
        batch_size=BATCH,
        pad=1 if augmented else 0,
        flip=augmented,
        rank=team.rank,
        world=team.world,
    )


def net(norm_layer: Literal["batch", "group"] = "group") -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found: nn.Module = models.digits_net(num_classes=10, norm_layer=norm_layer, width=8)
        if norm_layer == "group":
            found = nn.Sequential(nn.Identity(), found)  # a layer to mix behind
    return found


def outcome(
    model: nn.Module,
    objective: Loss,
    *,
    augmented: bool = True,
    images: int = IMAGES,
    **changed: Any,
) -> Outcome:
    """Train; tell the records and the weights."""
    arguments: dict[str, Any] = {
        "optimizer": SGD(lr=0.1),
        "schedule": Cyclic(peak=0.4),
        "epochs": EPOCHS,
        "seed": 3,
        **changed,
    }
    shared = loader(processes(), augmented=augmented, images=images)
    found = list(train(model, objective, shared, **arguments))
    return {
        "losses": [r["loss"] for r in found],
        "images": [round(r["images_per_second"] * r["seconds"]) for r in found],
        "weights": model.state_dict(),
    }


def equal(case: str) -> Outcome:
    objective, changed = EQUAL[case]
    return outcome(net(), objective, **changed)


RESTS = (32, 33)
"""Numbers of images that leave a last batch of 2 or 3: no two rows for each of two processes."""

RESTLESS: dict[str, tuple[Loss, dict[str, Any]]] = {
    **{name: EQUAL[name] for name in ("erm", "mixup", "pgd", "accumulated")},
    "mixup-local": (objectives.MixUp(per_sample=True), {"mix_scope": "local"}),
}


def with_rests(case: str) -> Outcome:
    """Train where the last batch is too small to be cut; the epoch before it is cut as ever."""
    del case
    return {
        f"{name}-{images}": outcome(net(), objective, images=images, **changed)
        for name, (objective, changed) in RESTLESS.items()
        for images in RESTS
    }


def only_rest(case: str) -> Outcome:
    """Train with batch statistics, partners "local", on one batch that is not cut."""
    del case
    return outcome(net("batch"), objectives.MixUp(per_sample=True), images=3)


def resumed(case: str) -> Outcome:
    """Let the first process train an epoch as if alone; then all go on in that folder."""
    del case
    team, trained = processes(), {"images": RESTS[1], **EQUAL["mixup"][1]}

    def begun() -> str:
        folder = tempfile.mkdtemp()
        alone = mock.patch.object(sys.modules["vicinal.engine.train"], "processes", Processes)
        with alone, mock.patch(f"{__name__}.processes", Processes):
            outcome(net(), EQUAL["mixup"][0], run_dir=Path(folder), max_seconds=0.0, **trained)
        return folder

    folder = Path(team.led(begun))
    found = outcome(net(), EQUAL["mixup"][0], run_dir=folder, **trained)
    team.collect(None)  # nobody reads there any more
    team.led(lambda: shutil.rmtree(folder))
    return found


def fetched(case: str) -> Outcome:
    """Ask for a set that only a download, which takes its time, brings."""
    del case
    asked: list[str] = []
    folder = Path(processes().led(tempfile.mkdtemp))

    def download(name: str, where: Path) -> Path:
        asked.append(name)
        if name == "mnist":
            raise data.MissingData("nobody can fetch mnist.")
        time.sleep(0.5)
        (where / "here").touch()
        return where

    def load(name: str, *, data_dir: Path) -> str:
        if not (data_dir / "here").is_file():
            raise data.MissingData(f"no {name}")
        return name

    def wanted(name: str) -> str:
        return or_download(
            lambda: load(name, data_dir=folder), dataset=name, data_dir=folder, download=True
        )

    with mock.patch.multiple(data, download=download, load=load):
        told = _refused(lambda: wanted("mnist"))
        found = [wanted("svhn"), wanted("svhn")]
    processes().collect(None)
    processes().led(lambda: shutil.rmtree(folder))
    return {"told": told, "found": found, "asked": asked}


def small_net() -> nn.Module:
    """The least net with everything that the catalog's objectives ask for: a layer named 2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = (nn.Flatten(), nn.Linear(8 * 36, 10))
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), *head)


def every_objective(case: str) -> Outcome:
    """Train an epoch with each objective of the catalog, partners from the whole batch."""
    del case
    rule: dict[str, Any] = {"optimizer": SGD(lr=0.02), "epochs": 1, "mix_scope": "global"}
    found = [outcome(small_net(), entry.instance, **rule) for entry in catalog.OBJECTIVES]
    return {key: [one[key] for one in found] for key in ("losses", "weights")}


def with_batch_statistics(case: str) -> Outcome:
    """Train a net with BatchNorm and dropout, and write down which images each process saw."""
    del case
    seen: list[int] = []

    def spied(model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        seen.extend((x[:, 0, 0, 0] * 255).round().int().tolist())
        return objectives.MixUp()(model, x, y, rng=rng)

    model = nn.Sequential(nn.Dropout(0.2), net("batch"))
    found = outcome(model, spied, augmented=False, accumulate=2, mix_scope="global")
    return {**found, "seen": seen}


def own_loop(case: str) -> Outcome:
    """Write the loop that the documents show, with equally many rows in every process."""
    del case
    team, model = processes(), small_net()
    risk: nn.Module = Risk(model, objectives.MixUp())
    if team.several:
        risk = nn.parallel.DistributedDataParallel(risk)
    rng = shared_generator(0, scope="global")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = split().x[:36].float() / 255, split().y[:36]
    for step in range(3):
        rows = own_rows(12, rank=team.rank, world=team.world)
        own = slice(12 * step + rows.start, 12 * step + rows.stop)
        optimizer.zero_grad()
        risk(x[own], y[own], rng).backward()
        optimizer.step()
    return {"weights": model.state_dict()}


def broken_in_one(case: str) -> Outcome:
    """Let the last process's logits break in the second step of the first epoch."""
    del case
    calls, team = [0], processes()

    class Breaking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor) -> Tensor:
            calls[0] += 1
            z: Tensor = self.net(x)
            return z * torch.nan if calls[0] == 2 and team.rank == team.world - 1 else z

    try:
        outcome(Breaking(), objectives.MixUp(), mix_scope="global")
    except InputError as error:
        return {"error": str(error), "kind": type(error).__name__, "calls": calls[0]}
    return {}


JUDGED, JUDGED_BATCH = 101, 25
"""Evaluated images: the last batch has one, so that one of two processes has none of it."""


def judged(case: str) -> Outcome:
    """Judge a net, clean and under attacks with random starts."""
    del case
    rng, team = torch.Generator().manual_seed(6), processes()
    x = torch.randint(0, 256, (JUDGED, 1, 8, 8), dtype=torch.uint8, generator=rng)
    model = net().eval()
    with torch.no_grad():
        y = model(x.float() / 255).argmax(dim=1)  # right on all clean images
    shared = data.Loader(
        data.Split(x=x, y=y), batch_size=JUDGED_BATCH, rank=team.rank, world=team.world
    )
    named = {
        "restarts": attacks.PGD(eps=0.1, step_size=0.02, steps=2, restarts=2),
        "random target": attacks.PGD(eps=0.2, step_size=0.1, steps=3, target="random"),
    }
    seen: list[int] = []
    found = together.evaluate(
        model, shared, attacks=named, keys=(1, "evaluation"), report=lambda _, n: seen.append(n)
    )
    told = ("correct", "norms", "forward", "backward", "logits", "classes")
    verdicts = {
        name: {key: getattr(verdict, key) for key in told}
        for name, verdict in found.verdicts.items()
    }
    return {"verdicts": verdicts, "seen": sum(seen)}


def _refused(call: Callable[[], object]) -> str:
    try:
        call()
    except InputError as error:
        missing = isinstance(error, data.MissingData)
        return f"MissingData: {error}" if missing else str(error)
    return ""


def _fail_in_first() -> None:
    raise InputError("only the first process knows this.")


def parts(case: str) -> Outcome:
    """Try the parts one by one: gathering with gradients, leading, adding up, refusing."""
    del case
    team = processes()
    counts = [2 + rank for rank in range(team.world)]
    start = sum(counts[: team.rank])
    own = torch.arange(start, start + counts[team.rank], dtype=torch.float64).view(-1, 1)
    own.requires_grad_(True)
    everyone = gather_rows(own, counts)
    weight = torch.arange(len(everyone), dtype=torch.float64).view(-1, 1) + 10 * team.rank
    (everyone * weight).sum().backward()  # type: ignore[no-untyped-call]
    rng = shared_generator(1, scope="global")
    return {
        "everyone": everyone.detach(),
        "gradient": own.grad,
        "bytes": gather_rows(torch.full((counts[team.rank],), team.rank).byte(), counts),
        "led": team.led(lambda: team.rank + 7),
        "failed": _refused(lambda: team.led(_fail_in_first)),
        "total": team.total([1.0, float(team.rank)]),
        "keys": team.keys(1, "model"),
        "mixture": inputs.MixUp().draw(torch.zeros(2, 1, 1, 1), rng=rng)(
            torch.tensor([[2.0 * team.rank], [2.0 * team.rank + 1]])
        ),
        "sync": _refused(lambda: in_step(net("batch"))),
        "plain loader": _refused(lambda: list(_plain_training())),
    }


def _plain_training() -> Any:
    class Plain:
        def __len__(self) -> int:
            return 1

        def epoch(self, rng: torch.Generator) -> Any:
            yield torch.rand(4, 1, 8, 8, generator=rng), torch.arange(4)

    return train(net(), objectives.ERM(), Plain(), optimizer=SGD(), schedule=Cyclic(), epochs=1)


CASES: dict[str, Callable[[str], Outcome]] = {
    **dict.fromkeys(EQUAL, equal),
    "rests": with_rests,
    "only rest": only_rest,
    "resumed": resumed,
    "fetched": fetched,
    "batchnorm": with_batch_statistics,
    "catalog": every_objective,
    "broken": broken_in_one,
    "own loop": own_loop,
    "judged": judged,
    "parts": parts,
}


def spawn(folder: Path, cases: list[str], *, world: int, limit: float = 150) -> list[Outcome]:
    """Make cases in several processes; return case to outcome for each, in the order of ranks."""
    command = [sys.executable, __file__]
    paths = (Path(vicinal.__file__).parents[1], Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    started = [
        subprocess.Popen(
            [*command, str(rank), str(world), str(folder), *cases],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        said = [process.communicate(timeout=limit)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    if any(process.returncode for process in started):
        raise RuntimeError("\n".join(said))
    return [
        {case: torch.load(folder / f"{case}-{rank}.pt") for case in cases} for rank in range(world)
    ]


def _main(rank: int, world: int, folder: Path, cases: list[str]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=60),
    )
    for case in cases:
        torch.save(CASES[case](case), folder / f"{case}-{rank}.pt")
    part()


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
