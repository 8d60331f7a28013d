"""Several gloo processes on this CPU train what one would; the group is made in a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import catalog
from engine import team_run
from engine.team_run import BATCH, EPOCHS, EQUAL, IMAGES, JUDGED, Outcome
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.engine import distributed
from vicinal.engine.distributed import Processes, joined, processes, shared_generator, unreduced
from vicinal.engine.seeding import generator
from vicinal.objectives import AWP

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason="this torch has no gloo"
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Every case, made by two processes in one go: starting them takes seconds."""
    return team_run.spawn(tmp_path_factory.mktemp("two"), list(team_run.CASES), world=2)


@pytest.mark.parametrize("case", EQUAL)
def test_two_processes_end_with_the_weights_of_one(case: str, two: list[Outcome]) -> None:
    alone = team_run.equal(case)
    for rank in (0, 1):
        found = two[rank][case]
        assert found["losses"] == pytest.approx(alone["losses"], rel=1e-5)
        for name, weight in alone["weights"].items():
            torch.testing.assert_close(found["weights"][name], weight, rtol=1e-4, atol=1e-6)
    first, second = (two[rank][case]["weights"] for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def alone() -> Outcome:
    return team_run.every_objective("")


@pytest.mark.parametrize(
    "n", range(len(catalog.OBJECTIVES)), ids=lambda n: catalog.OBJECTIVES[n].name
)
def test_every_objective_trains_in_two_processes_as_in_one(
    n: int, two: list[Outcome], alone: Outcome
) -> None:
    first, second = (found["catalog"]["weights"][n] for found in two)
    assert all(torch.equal(first[name], second[name]) for name in first)
    trained = (value for found in two for value in found["catalog"]["losses"][n])
    assert all(math.isfinite(loss) for loss in trained)
    # AWP moves the weights of each process against its own rows.
    if not isinstance(catalog.OBJECTIVES[n].instance, AWP):
        assert two[0]["catalog"]["losses"][n] == pytest.approx(alone["losses"][n], rel=1e-5)
        for name, weight in alone["weights"][n].items():
            torch.testing.assert_close(first[name], weight, rtol=1e-4, atol=1e-6)


def test_the_draws_do_matter_to_that() -> None:
    """Another seed gives weights that the tolerance above tells apart."""
    objective, changed = EQUAL["erm"]
    one = team_run.outcome(team_run.net(), objective, **changed)["weights"]
    other = team_run.outcome(team_run.net(), objective, seed=4)["weights"]
    pairs = [(one[name], other[name]) for name in one]
    assert not all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def test_three_processes_do_too(tmp_path: Path) -> None:
    cases = ["mixup", "manifold", "accumulated"]
    three = team_run.spawn(tmp_path, cases, world=3)
    for case in cases:
        alone = team_run.equal(case)["weights"]
        for found in three:
            for name, weight in alone.items():
                torch.testing.assert_close(
                    found[case]["weights"][name], weight, rtol=1e-4, atol=1e-6
                )


def assert_equal(found: Outcome, alone: Outcome) -> None:
    assert found["images"] == alone["images"]
    assert found["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(found["weights"][name], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("images", team_run.RESTS)
@pytest.mark.parametrize("name", list(team_run.RESTLESS))
def test_a_last_batch_too_small_to_be_cut_goes_whole_to_all(
    name: str, images: int, two: list[Outcome]
) -> None:
    objective, changed = team_run.RESTLESS[name]
    alone = team_run.outcome(team_run.net(), objective, images=images, **changed)
    assert alone["images"] == [images] * EPOCHS
    first, second = (found["rests"][f"{name}-{images}"] for found in two)
    assert first["images"] == second["images"] == alone["images"]
    assert all(torch.equal(first["weights"][n], second["weights"][n]) for n in first["weights"])
    if name != "mixup-local":  # whose other batches are mixed elsewise
        assert_equal(first, alone)


def test_such_a_batch_gives_the_batch_statistics_and_partners_of_one(two: list[Outcome]) -> None:
    alone = team_run.only_rest("")
    for found in two:
        assert_equal(found["only rest"], alone)


def test_two_processes_go_on_with_such_a_run_of_one(two: list[Outcome]) -> None:
    objective, changed = EQUAL["mixup"]
    alone = team_run.outcome(team_run.net(), objective, images=team_run.RESTS[1], **changed)
    last = {name: alone[name][1:] for name in ("images", "losses")}
    for found in two:
        assert_equal(found["resumed"], {**alone, **last})


def test_the_first_alone_fetches_a_data_set_and_all_hear_why_not(two: list[Outcome]) -> None:
    assert [found["fetched"]["asked"] for found in two] == [["mnist", "svhn"], []]
    for found in two:
        assert found["fetched"]["told"] == "MissingData: nobody can fetch mnist."
        assert found["fetched"]["found"] == ["svhn", "svhn"]


def test_with_batchnorm_all_weights_and_statistics_are_equal(two: list[Outcome]) -> None:
    first, second = (found["batchnorm"] for found in two)
    assert any("running_mean" in name for name in first["weights"])
    assert all(torch.equal(first["weights"][n], second["weights"][n]) for n in first["weights"])
    assert first["losses"] == second["losses"]


def test_every_image_is_seen_once_an_epoch(two: list[Outcome]) -> None:
    first, second = (found["batchnorm"]["seen"] for found in two)
    assert (len(first), len(second)) == (EPOCHS * 18, EPOCHS * 19)  # 5 5 5 3 and 5 5 5 4
    for epoch in range(EPOCHS):
        seen = first[18 * epoch : 18 * (epoch + 1)] + second[19 * epoch : 19 * (epoch + 1)]
        assert sorted(seen) == list(range(IMAGES))


@pytest.mark.parametrize("attack", ["clean", "restarts", "random target"])
def test_two_processes_give_the_verdicts_of_one_image_by_image(
    attack: str, two: list[Outcome]
) -> None:
    alone = team_run.judged("")["verdicts"][attack]
    assert 0 < int(alone["correct"].sum()) < JUDGED or attack == "clean"
    for found in (two[0]["judged"]["verdicts"][attack], two[1]["judged"]["verdicts"][attack]):
        assert torch.equal(found["correct"], alone["correct"])
        torch.testing.assert_close(found["norms"], alone["norms"], rtol=0, atol=1e-6)
        assert (found["forward"], found["backward"]) == (alone["forward"], alone["backward"])
        if attack == "clean":
            torch.testing.assert_close(found["logits"], alone["logits"])
            assert torch.equal(found["classes"], alone["classes"])


def test_each_process_attacks_its_own_images_only(two: list[Outcome]) -> None:
    seen = [found["judged"]["seen"] for found in two]
    assert sum(seen) == 2 * JUDGED
    assert abs(seen[0] - seen[1]) <= 2 * 5


def test_logits_that_break_in_one_process_stop_all_with_one_sentence(two: list[Outcome]) -> None:
    first, second = (found["broken"] for found in two)
    assert first == second
    assert first["kind"] == "Diverged"
    assert "diverged in epoch 1" in first["error"]
    assert first["calls"] == 3  # the step after the one that broke it


def test_rows_are_gathered_and_their_gradients_sent_back(two: list[Outcome]) -> None:
    first, second = (found["parts"] for found in two)
    rows = torch.arange(5.0, dtype=torch.float64).view(-1, 1)
    for found in (first, second):
        assert torch.equal(found["everyone"], rows)
        assert found["bytes"].tolist() == [0, 0, 1, 1, 1]
        assert found["bytes"].dtype == torch.uint8
    # Each process weighs row i by i + 10 rank, so row i gets 2 i + 10.
    assert torch.equal(torch.cat([first["gradient"], second["gradient"]]), 2 * rows + 10)


def test_the_first_leads_and_all_hear_of_it(two: list[Outcome]) -> None:
    for rank, found in enumerate(two):
        assert found["parts"]["led"] == 7
        assert found["parts"]["failed"] == "only the first process knows this."
        assert found["parts"]["total"] == [2.0, 1.0]
        assert found["parts"]["keys"] == (1, "model", "rank", rank)


def test_a_generator_of_ones_own_loop_mixes_with_partners_anywhere(two: list[Outcome]) -> None:
    s = torch.arange(4.0).view(-1, 1)
    mix = inputs.MixUp().draw(torch.zeros(4, 1, 1, 1), rng=generator(1))
    assert torch.equal(torch.cat([found["parts"]["mixture"] for found in two]), mix(s))


def test_a_loop_of_ones_own_in_two_processes_is_the_loop_in_one(two: list[Outcome]) -> None:
    alone = team_run.own_loop("")["weights"]
    for found in two:
        for name, weight in alone.items():
            torch.testing.assert_close(found["own loop"]["weights"][name], weight)


def test_what_cannot_be_done_is_refused_in_one_sentence(two: list[Outcome]) -> None:
    for found in two:
        assert found["parts"]["sync"].startswith("`sync_batchnorm` needs CUDA")
        assert found["parts"]["plain loader"].startswith("`loader` must have `sizes`")


def test_alone_nothing_is_different() -> None:
    team = processes()
    assert team == Processes(rank=0, world=1)
    assert team.first
    assert not team.several
    assert team.keys(1, "model", 2) == (1, "model", 2)
    assert team.collect("x") == ["x"]
    assert type(shared_generator(0, scope="global")) is torch.Generator
    draws = [torch.rand(3, generator=rng) for rng in (shared_generator(0, "a"), generator(0, "a"))]
    assert torch.equal(*draws)
    net = nn.Linear(1, 1)
    assert team.risk(net, team_run.EQUAL["erm"][0]) is None
    with unreduced(None, last=False):
        team.align(list(net.parameters()))


def test_without_a_launcher_nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("auto") as where:
        assert where == "auto"
    for name, value in {
        "WORLD_SIZE": "1",
        "RANK": "0",
        "MASTER_ADDR": "x",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with joined("cpu") as where:
        assert where == "cpu"


@pytest.mark.parametrize(
    ("device", "gpus", "processes", "where"),
    [("auto", 0, 2, "cpu"), ("auto", 2, 2, "cuda"), ("auto", 1, 2, "cpu"), ("cpu", 2, 2, "cpu")],
)
def test_a_gpu_for_each_process_or_none(
    device: str, gpus: int, processes: int, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert distributed._device_of_all(device, here=processes) == where


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_too_few_gpus_are_said(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"^`device` [^\n]*processes[^\n]*$"):
        distributed._device_of_all(device, here=2)


def test_a_batch_too_small_for_all_processes_is_refused() -> None:
    assert BATCH >= 4
    with pytest.raises(InputError, match="so 12; got 10"):
        team_run.loader(Processes(rank=0, world=6))
