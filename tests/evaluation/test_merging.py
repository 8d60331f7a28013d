from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from vicinal.evaluation import Results, merged
from vicinal.evaluation.results import Verdicts
from vicinal.evaluation.threat import About, Threat
from vicinal.maths.share import own_rows

N, BATCH = 23, 5


def verdicts(*, clean: bool) -> Verdicts:
    """Every image's verdict is its own, so that one at the wrong place is seen."""
    return Verdicts(
        correct=torch.arange(N) % 3 == 0,
        norms=torch.arange(float(N)),
        forward=7 * N,
        backward=2 * N,
        seconds=1.0,
        logits=torch.arange(4.0 * N).view(N, 4) if clean else None,
        classes=torch.arange(N) if clean else None,
    )


def part(whole: Verdicts, rows: list[slice], seconds: float) -> Verdicts:
    index = torch.cat([torch.arange(N)[part] for part in rows])
    taken: dict[str, Any] = {
        field.name: None if (value := getattr(whole, field.name)) is None else value[index]
        for field in dataclasses.fields(Verdicts)
        if field.name not in {"forward", "backward", "seconds"}
    }
    n = len(index)
    return Verdicts(**taken, forward=7 * n, backward=2 * n, seconds=seconds)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_parts_of_every_batch_become_the_whole(world: int) -> None:
    whole = {"clean": verdicts(clean=True), "pgd": verdicts(clean=False)}
    rows: list[list[slice]] = [[] for _ in range(world)]
    for start in range(0, N, BATCH):
        n = min(BATCH, N - start)
        for rank in range(world):
            own = own_rows(n, rank=rank, world=world)
            rows[rank].append(slice(start + own.start, start + own.stop))
    parts = [
        Results(verdicts={name: part(one, rows[rank], rank + 1.0) for name, one in whole.items()})
        for rank in range(world)
    ]
    found = merged(parts, rows)
    assert list(found) == ["clean", "pgd"]
    for name, expected in whole.items():
        for field in dataclasses.fields(Verdicts):
            value, wanted = (getattr(v, field.name) for v in (found.verdicts[name], expected))
            if isinstance(wanted, torch.Tensor):
                assert torch.equal(value, wanted), field.name
            elif field.name == "seconds":
                assert value == world  # the slowest part's
            else:
                assert value == wanted, field.name


def test_what_is_said_of_an_attack_stays_and_its_counts_are_added_up() -> None:
    threat = Threat(norm="linf", eps=0.1)
    told = About(threat=threat, access="", parameters={"class": "AutoAttack"})
    whole = verdicts(clean=False)
    halves = [[slice(0, 9)], [slice(9, N)]]
    counts = [{"clean": 2, "a": 1}, {"a": 3, "b": 1}]
    parts = [
        dataclasses.replace(part(whole, rows, 1.0), about=told, broken_by=count)
        for rows, count in zip(halves, counts, strict=True)
    ]
    found = merged([Results(verdicts={"auto": one}, threat=threat) for one in parts], halves)
    assert found.verdicts["auto"].broken_by == {"clean": 2, "a": 4, "b": 1}
    assert found.verdicts["auto"].about == told
    assert found.threat == threat
