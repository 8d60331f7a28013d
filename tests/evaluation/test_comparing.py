"""Comparisons: like with like, McNemar where images are the same, Holm over all tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from scipy.stats import binomtest, fisher_exact
from torch import Tensor

from vicinal._checks import InputError
from vicinal.evaluation.comparing import compared, holm
from vicinal.evaluation.packing import pack
from vicinal.records import Record


def _record(attack: str, right: Tensor, **more: Any) -> Record:
    n, correct = len(right), int(right.sum())
    found = {"attack": attack, "n": n, "correct": correct, "accuracy": correct / n}
    return {**found, "right": pack(right), "images": "ab", "dataset": "digits", **more}


def _right(n: int, share: float) -> Tensor:
    return torch.rand(n) < share


def test_each_is_held_against_the_first_image_by_image() -> None:
    first, better, same = _right(200, 0.5), _right(200, 0.8), torch.ones(200).bool()
    found = compared({
        "a": [_record("pgd", first), _record("clean", same)],
        "b": [_record("pgd", better), _record("clean", same)],
    })
    gained, lost = int((better & ~first).sum()), int((first & ~better).sum())
    exact = binomtest(min(gained, lost), gained + lost).pvalue
    reference, cell = found.rows["pgd"]
    assert reference is not None
    assert cell is not None
    assert (reference.p, reference.accuracy) == (None, float(first.double().mean()))
    assert cell.p == pytest.approx(2 * exact)  # Holm: the smaller of two
    assert cell.test == "McNemar"
    assert cell.differs
    clean = found.rows["clean"][1]
    assert clean is not None
    assert clean.p == 1.0
    assert json.loads(json.dumps(found.record))["names"] == ["a", "b"]


def test_without_a_verdict_for_every_image_it_is_fishers_test() -> None:
    records = [_record("pgd", _right(80, share)) for share in (0.3, 0.7)]
    del records[1]["right"]
    cell = compared({"a": records[:1], "b": records[1:]}).rows["pgd"][1]
    assert cell is not None
    assert cell.test == "Fisher"
    table = [[one["correct"], one["n"] - one["correct"]] for one in records]
    assert cell.p == pytest.approx(fisher_exact(table)[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": "cd"}, "other images"),
        ({"parameters": {"eps": 0.2}}, "other parameters"),
        ({"threat": "linf 0.2"}, "another threat model"),
        ({"attacks": ["x"]}, "a worst case of other attacks"),
        ({"source": "net"}, "another source"),
    ],
)
def test_what_is_unlike_is_marked_and_not_tested(change: dict[str, Any], words: str) -> None:
    like = {"parameters": {"eps": 0.1}, "threat": "linf 0.1", "attacks": ["y"], "source": "other"}
    right = _right(40, 0.5)
    clean = _record("clean", right)
    found = compared({
        "a": [clean, _record("pgd", right, **like)],
        "b": [clean, _record("pgd", ~right, **{**like, **change})],
    })
    cell = found.rows["pgd"][1]
    assert cell is not None
    assert (cell.p, cell.unlike) == (None, words)
    with pytest.raises(InputError, match=f"nothing here can be compared with a: pgd: {words}"):
        compared({
            "a": [_record("pgd", right, **like)],
            "b": [_record("pgd", ~right, **{**like, **change})],
        })


def test_another_number_of_images_is_unlike() -> None:
    clean = _record("clean", _right(40, 0.5))
    found = compared({
        "a": [clean, _record("pgd", _right(40, 0.5))],
        "b": [clean, _record("pgd", _right(20, 0.5)), _record("fgsm", _right(20, 0.5))],
    })
    cell = found.rows["pgd"][1]
    assert cell is not None
    assert cell.unlike == "20 images, not 40"
    assert found.rows["fgsm"][0] is None


@pytest.mark.parametrize("key", ["dataset", "split"])
def test_other_data_is_refused(key: str) -> None:
    right = _right(8, 0.5)
    sides = [[_record("clean", right, **{key: value})] for value in ("one", "other")]
    with pytest.raises(InputError, match=f"b was judged on other data than a: its {key} is 'other"):
        compared({"a": sides[0], "b": sides[1]})


def test_the_last_record_of_an_attack_counts() -> None:
    right = _right(8, 0.5)
    records = [_record("clean", ~right), _record("clean", right)]
    cell = compared({"a": records, "b": [_record("clean", right)]}).rows["clean"][1]
    assert cell is not None
    assert cell.p == 1.0


def test_too_little_to_compare_is_one_sentence() -> None:
    record = _record("clean", _right(8, 0.5))
    with pytest.raises(InputError, match="at least two"):
        compared({"a": [record]})
    with pytest.raises(InputError, match="b holds no evaluation"):
        compared({"a": [record], "b": []})
    with pytest.raises(InputError, match="no attack was run on both"):
        compared({"a": [record], "b": [{**record, "attack": "pgd"}]})


def test_holm_is_that_of_its_definition() -> None:
    chances = (torch.rand(12) / 50).tolist()
    order = sorted(chances)
    for one, corrected in zip(chances, holm(chances), strict=True):
        rank = order.index(one)
        by_hand = max((12 - k) * order[k] for k in range(rank + 1))
        assert corrected == pytest.approx(min(1.0, by_hand))
    assert holm([]) == []
