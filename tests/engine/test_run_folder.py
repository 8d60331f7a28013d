from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vicinal
from engine.tiny_run import (
    EPOCHS,
    STEPS,
    noisy_cross_entropy,
    outcome,
    same_weights,
    tiny_net,
    tiny_run,
    weights_of,
)
from vicinal import records
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine import Adam, Cyclic, checkpoint
from vicinal.engine.optimizers import SGD, build_optimizer
from vicinal.engine.run_folder import CHECKPOINT, LAST, METRICS, WEIGHTS, RunFolder

FINISHED = sorted([CHECKPOINT, METRICS, WEIGHTS])
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_limits = pytest.mark.skipif(
    importlib.util.find_spec("resource") is None, reason="this system limits no file sizes"
)


def _start(mode: str, folder: Path) -> subprocess.Popen[str]:
    source = Path(vicinal.__path__[0]).parent
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("tiny_run.py")), mode, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def _result(mode: str, folder: Path) -> Any:
    process = _start(mode, folder)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(printed)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Any], list[str]]:
    """What a run in a process of its own ends with when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("reference")
    assert _result("run", folder) == [1, 2, 3]
    return outcome(folder)


def test_a_finished_run_holds_its_records_and_three_files(
    reference: tuple[bytes, list[Any], list[str]],
) -> None:
    _, lines, files = reference
    assert files == FINISHED
    assert [line["epoch"] for line in lines] == [1, 2, 3]


@needs_fork
@needs_limits
def test_a_run_killed_at_each_crash_point_ends_with_the_same_bits(tmp_path: Path) -> None:
    found = _result("crash", tmp_path)
    assert found["different"] == []
    assert found["points"] >= 3 * (3 + 5), "each epoch has three steps and writes two files"
    assert len(found["torn"]) == 6
    assert all(found["torn"].values()), found["torn"]


@needs_fork
@needs_limits
def test_averaged_and_best_weights_survive_every_other_crash_point_bit_for_bit(
    tmp_path: Path,
) -> None:
    found = _result("crash-on", tmp_path)
    assert found["different"] == []
    assert found["points"] >= 3 * (6 + 1 + 5), "two micro-batches a step, and a validation"
    names = {path.name for path in (tmp_path / "reference").iterdir()}
    assert names == {*FINISHED, LAST}


def test_a_run_killed_from_outside_at_random_moments_ends_with_the_same_bits(
    tmp_path: Path, reference: tuple[bytes, list[Any], list[str]]
) -> None:
    moments = random.Random(0)
    for appeared in (CHECKPOINT, METRICS):
        process = _start("slow", tmp_path)
        while not (tmp_path / appeared).exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.04))
        process.kill()
        process.communicate(timeout=60)
    _result("slow", tmp_path)
    weights, lines, files = outcome(tmp_path)
    assert weights == reference[0]
    assert lines == reference[1]
    assert files == FINISHED


@needs_limits
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, reference: tuple[bytes, list[Any], list[str]]
) -> None:
    found = _result("full", tmp_path)
    assert found["message"].startswith(f"could not write {tmp_path / CHECKPOINT}: ")
    assert "\n" not in found["message"]
    assert found["intact"]
    assert found["files"] == sorted([CHECKPOINT, METRICS])
    assert outcome(tmp_path) == reference


def _fails_in_step(step: int, error: BaseException) -> Callable[..., Tensor]:
    calls = iter(range(1, 10**6))

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        if next(calls) == step:
            raise error
        return noisy_cross_entropy(model, x, y, rng=rng)

    # The arguments of a run are compared on resume; this one stands for the objective it wraps.
    objective.__qualname__ = noisy_cross_entropy.__qualname__
    return objective


@pytest.mark.parametrize("step", [1, 2, 4, 5, 9])
def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_bits(tmp_path: Path, step: int) -> None:
    list(tiny_run(tmp_path / "whole"))
    model = tiny_net()
    interrupted = _fails_in_step(step, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        list(tiny_run(tmp_path / "cut", model=model, objective=interrupted))
    assert not model.training
    resumed = [line["epoch"] for line in tiny_run(tmp_path / "cut", model=tiny_net(seed=3))]
    assert resumed == list(range((step - 1) // STEPS + 1, EPOCHS + 1))
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("optimizer", [SGD(lr=0.2), Adam(lr=0.01)])
@pytest.mark.parametrize(
    "extra", [{"precision": "bf16"}, {"channels_last": True}, {"ema": 0.9, "accumulate": 2}]
)
def test_a_run_left_at_each_yield_resumes_to_the_same_bits(
    tmp_path: Path, optimizer: SGD | Adam, extra: dict[str, Any]
) -> None:
    list(tiny_run(tmp_path / "whole", optimizer=optimizer, **extra))
    for done in range(EPOCHS):
        steps = tiny_run(tmp_path / "cut", model=tiny_net(seed=done), optimizer=optimizer, **extra)
        assert next(steps)["epoch"] == done + 1
        assert isinstance(steps, Iterator)
        del steps
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_checkpoints_further_apart_lose_epochs_but_no_bits(tmp_path: Path) -> None:
    list(tiny_run(tmp_path / "whole"))
    interrupted = _fails_in_step(2 * STEPS + 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        list(tiny_run(tmp_path / "cut", objective=interrupted, checkpoint_every=3))
    resumed = tiny_run(tmp_path / "cut", model=tiny_net(seed=3), checkpoint_every=3)
    assert [line["epoch"] for line in resumed] == [1, 2, 3]
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_finished_run_yields_nothing_and_restores_the_finalweights_of(tmp_path: Path) -> None:
    model, again = tiny_net(), tiny_net(seed=4)
    list(tiny_run(tmp_path, model=model))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert list(tiny_run(tmp_path, model=again)) == []
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert after == before
    assert same_weights(weights_of(model), weights_of(again))
    assert not again.training


def test_a_call_that_is_out_of_time_ends_after_its_epoch_checkpointed(tmp_path: Path) -> None:
    list(tiny_run(tmp_path / "whole"))
    late: dict[str, Any] = {"max_seconds": 0.0, "checkpoint_every": 100}
    calls = [[r["epoch"] for r in tiny_run(tmp_path / "cut", **late)] for _ in range(4)]
    assert calls == [[1], [2], [3], []]
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("epochs", {"epochs": 4}),
        ("seed", {"seed": 2}),
        ("precision", {"precision": "bf16"}),
        ("optimizer", {"optimizer": SGD(lr=0.3)}),
        ("schedule", {"schedule": Cyclic(peak=0.5)}),
        ("objective", {"objective": lambda *_args, **_kwargs: None}),
    ],
)
def test_a_run_is_not_resumed_with_another_argument(
    tmp_path: Path, name: str, changed: dict[str, Any]
) -> None:
    list(tiny_run(tmp_path))
    before = outcome(tmp_path)
    with pytest.raises(InputError, match=f"^`{name}` must be as when the run in [^\n]*$"):
        list(tiny_run(tmp_path, **changed))
    assert outcome(tmp_path) == before


def _folder(path: Path, **changed: int | str) -> RunFolder:
    return RunFolder(path=path, arguments={"epochs": EPOCHS, "seed": 1, **changed})


def _parts() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    net = tiny_net()
    return net, build_optimizer(net.parameters(), SGD())


def test_the_first_checkpoint_holds_the_initial_weights(tmp_path: Path) -> None:
    assert _folder(tmp_path / "a" / "b").restore(*_parts()) == 0
    other = tiny_net(seed=9)
    optimizer = build_optimizer(other.parameters(), SGD())
    assert _folder(tmp_path / "a" / "b").restore(other, optimizer) == 0
    expected = tiny_net().state_dict()
    assert all(torch.equal(expected[k], v) for k, v in other.state_dict().items())


def test_records_of_epochs_that_the_checkpoint_does_not_know_are_dropped(tmp_path: Path) -> None:
    folder, parts = _folder(tmp_path), _parts()
    folder.restore(*parts)
    folder.keep({"kind": "epoch", "epoch": 1}, *parts, checkpointed=True)
    folder.keep({"kind": "epoch", "epoch": 2}, *parts, checkpointed=False)
    records.append(tmp_path / METRICS, {"kind": "note"})
    assert _folder(tmp_path).restore(*_parts()) == 1
    kept = [(r["kind"], r.get("epoch")) for r in records.read(tmp_path / METRICS)]
    assert kept == [("epoch", 1), ("note", None)]


def test_the_last_epoch_is_checkpointed_even_when_none_is_due(tmp_path: Path) -> None:
    folder, parts = _folder(tmp_path), _parts()
    folder.restore(*parts)
    folder.keep({"kind": "epoch", "epoch": EPOCHS}, *parts, checkpointed=False)
    assert _folder(tmp_path).restore(*_parts()) == EPOCHS


def test_what_else_has_a_state_is_kept_and_restored_with_the_checkpoint(tmp_path: Path) -> None:
    class Counter:
        seen = 0

        def state_dict(self) -> dict[str, int]:
            return {"seen": self.seen}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.seen = state["seen"]

    counter, parts = Counter(), _parts()
    folder = RunFolder(path=tmp_path, arguments={"epochs": EPOCHS}, also={"counter": counter})
    folder.restore(*parts)
    counter.seen = 7
    folder.keep({"kind": "epoch", "epoch": 1}, *parts, checkpointed=True)
    counter.seen = 9
    assert folder.restore(*_parts()) == 1
    assert counter.seen == 7


def test_finished_weights_are_written_once_and_the_last_beside_chosen_ones(tmp_path: Path) -> None:
    folder, one, other = _folder(tmp_path), weights_of(tiny_net()), weights_of(tiny_net(seed=1))
    folder.finish(one, one)
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
    before = (tmp_path / WEIGHTS).read_bytes()
    folder.finish(other, one)
    assert (tmp_path / WEIGHTS).read_bytes() == before
    (tmp_path / WEIGHTS).unlink()
    folder.finish(other, one)
    assert (tmp_path / LAST).read_bytes() == before
    assert (tmp_path / WEIGHTS).read_bytes() != before


@pytest.mark.parametrize("changed", [{"ema": 0.9}, {"accumulate": 2}, {"compile": "eager"}])
def test_a_run_without_a_switch_is_not_resumed_with_it_nor_the_other_way(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    (name,) = changed
    for place, (first, then) in enumerate([({}, changed), (changed, {})]):
        steps = tiny_run(tmp_path / str(place), **first)
        next(steps)
        del steps
        with pytest.raises(InputError, match=f"^`{name}` must be as when the run in [^\n]*$"):
            list(tiny_run(tmp_path / str(place), **then))


def test_a_checkpoint_of_before_the_switches_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Its arguments are those that were written then, to the letter."""
    list(tiny_run(tmp_path / "whole"))
    steps = tiny_run(tmp_path / "cut")
    next(steps)
    del steps
    state = checkpoint.load(tmp_path / "cut" / CHECKPOINT)
    state["arguments"] = {
        "epochs": EPOCHS,
        "seed": 1,
        "len(loader)": STEPS,
        "precision": "fp32",
        "objective": "<function noisy_cross_entropy>",
        "optimizer": "SGD(lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.0001)",
        "schedule": "Cyclic(peak=0.4)",
    }
    checkpoint.save(tmp_path / "cut" / CHECKPOINT, state)
    assert [line["epoch"] for line in tiny_run(tmp_path / "cut")] == [2, 3]
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_what_a_kill_left_is_swept_and_other_files_stay(tmp_path: Path) -> None:
    ours = [f".{name}.abc123.partial" for name in FINISHED]
    others = [".checkpoint.pt.swp", "notes.partial", ".other.x.partial"]
    for name in ours + others:
        (tmp_path / name).write_bytes(b"x")
    _folder(tmp_path).restore(*_parts())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, CHECKPOINT])


def test_lost_weights_of_a_finished_run_are_written_again(tmp_path: Path) -> None:
    list(tiny_run(tmp_path))
    before = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).unlink()
    assert list(tiny_run(tmp_path, model=tiny_net(seed=5))) == []
    assert (tmp_path / WEIGHTS).read_bytes() == before


def test_finished_weights_without_a_checkpoint_are_not_overwritten(tmp_path: Path) -> None:
    list(tiny_run(tmp_path))
    (tmp_path / CHECKPOINT).unlink()
    before = outcome(tmp_path)
    with pytest.raises(InputError, match=r"^[^\n]*delete weights.safetensors to train again\?$"):
        list(tiny_run(tmp_path))
    assert outcome(tmp_path) == before


@pytest.mark.parametrize(("name", "value"), [("epochs", 5), ("seed", 2), ("precision", "bf16")])
def test_a_changed_argument_is_one_sentence_naming_both_values(
    tmp_path: Path, name: str, value: int | str
) -> None:
    _folder(tmp_path).restore(*_parts())
    with pytest.raises(InputError, match=f"^`{name}` must be as when the run in [^\n]*$") as error:
        _folder(tmp_path, **{name: value}).restore(*_parts())
    assert f"got {value!r}" in str(error.value)


def test_another_model_or_other_frozen_parts_are_one_sentence(tmp_path: Path) -> None:
    _folder(tmp_path).restore(*_parts())
    other = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="does not fit the model"):
        _folder(tmp_path).restore(other, build_optimizer(other.parameters(), SGD()))
    net = tiny_net()
    optimizer = build_optimizer(list(net.parameters())[:-1], SGD())
    with pytest.raises(InputError, match=r"^[^\n]*does not fit the optimizer[^\n]*$"):
        _folder(tmp_path).restore(net, optimizer)


def test_a_damaged_checkpoint_is_one_sentence_and_stays_for_inspection(tmp_path: Path) -> None:
    _folder(tmp_path).restore(*_parts())
    damaged = (tmp_path / CHECKPOINT).read_bytes()[:-100]
    (tmp_path / CHECKPOINT).write_bytes(damaged)
    with pytest.raises(InputError, match=r"^[^\n]*delete it to start the run again\.$"):
        _folder(tmp_path).restore(*_parts())
    assert (tmp_path / CHECKPOINT).read_bytes() == damaged


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(InputError, match=r"^`run_dir` must be a folder[^\n]*$"):
        _folder(tmp_path / "run").restore(*_parts())
