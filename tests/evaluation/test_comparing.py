"""Comparisons: like with like, McNemar where images are the same, Holm over all tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from scipy.stats import binomtest, fisher_exact
from torch import Tensor, nn

from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack
from vicinal.evaluation import evaluate
from vicinal.evaluation.comparing import compared, holm
from vicinal.evaluation.packing import pack
from vicinal.evaluation.threat import digest_of
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
    assert (cell.test, cell.caveat) == ("Fisher", "no verdict for every image; Fisher's test")
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
    alone = compared({
        "a": [_record("pgd", right, **like)],
        "b": [_record("pgd", ~right, **{**like, **change})],
    })
    assert alone.rows == {"pgd": found.rows["pgd"]}


PGD = {"class": "PGD", "eps": 0.1, "steps": 1}
TRANSFER = {"class": "Rounded", "attack": {"class": "Transfer", "source": "Net", "attack": PGD}}


def _evaluated(*of: Any, right: Tensor, old: bool) -> list[Record]:
    """Records of attacks, each a pair of parameters and source, and of their worst case."""
    found, digests = [_record("clean", torch.ones(len(right)).bool())], {}
    for name, (parameters, source) in zip("ab", of, strict=True):
        where = {} if source is None else {"source": source}
        found.append(_record(name, right, parameters=parameters, **where))
        digests[name] = digest_of(parameters, source=source)
    more = {"attacks": list(digests), **({} if old else {"digests": digests})}
    return [*found, _record("worst case", right, threat="linf 0.1", **more)]


@pytest.mark.parametrize("old", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(
    ("other", "like"),
    [
        ((PGD, None), True),
        (({**PGD, "steps": 40}, None), False),
        ((TRANSFER, "net"), True),
        ((TRANSFER, "another"), False),
    ],
)
def test_a_worst_case_is_held_against_one_of_the_same_attacks_only(
    old: tuple[bool, bool], other: Any, like: bool
) -> None:
    first = (TRANSFER, "net") if other[0] is TRANSFER else (PGD, None)
    right = _right(40, 0.5)
    found = compared({
        "a": _evaluated((PGD, None), first, right=right, old=old[0]),
        "b": _evaluated((PGD, None), other, right=~right, old=old[1]),
    })
    for name in ("b", "worst case"):
        cell = found.rows[name][1]
        assert cell is not None
        assert (cell.p is None, bool(cell.unlike)) == (not like, not like)
    worst = found.rows["worst case"][1]
    assert worst is not None
    assert worst.unlike == ("" if like else "other parameters or another source of b")


@pytest.mark.parametrize("change", ["steps", "source"])
def test_unlike_attacks_of_one_name_make_unlike_worst_cases(change: str) -> None:
    """One net, judged twice: no difference may be declared, whatever the numbers."""
    net, *sources = (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)) for _ in range(3))
    x, y = torch.rand(60, 1, 4, 4), torch.randint(2, (60,))
    sides = []
    for i in range(2):
        pgd = attacks.PGD(eps=0.2, step_size=0.02, steps=1 + 9 * i * (change == "steps"))
        transfer = attacks.Transfer(source=sources[i * (change == "source")], attack=pgd)
        named: dict[str, Attack] = {"pgd": pgd, "transfer": transfer, "fgsm": attacks.FGSM(eps=0.2)}
        found = evaluate(net, (x, y), attacks=named, rng=torch.Generator().manual_seed(0))
        sides.append([json.loads(json.dumps(record)) for record in found.records])
    rows = compared(dict(zip("ab", sides, strict=True))).rows
    cells = {name: row[1] for name, row in rows.items()}
    unlike = {name: cell.unlike for name, cell in cells.items() if cell is not None and cell.unlike}
    assert "fgsm" not in unlike
    if change == "steps":
        assert unlike["pgd"] == "other parameters"
        assert unlike["worst case"] == "other parameters or another source of pgd, transfer"
    else:
        assert unlike == {
            "transfer": "another source",
            "worst case": "other parameters or another source of transfer",
        }


def test_an_older_worst_case_is_of_the_attacks_that_stand_before_it() -> None:
    right = _right(40, 0.5)
    later = _record("a", right, parameters={**PGD, "steps": 40})
    one = _evaluated((PGD, None), (PGD, None), right=right, old=True)
    cell = compared({"a": one, "b": [*one, later]}).rows["worst case"][1]
    assert cell is not None
    assert (cell.p, cell.unlike) == (1.0, "")


@pytest.mark.parametrize("lost", ["own records", "parameters", "source", "attacks"])
def test_a_worst_case_of_unknown_attacks_is_not_compared(lost: str) -> None:
    right = _right(40, 0.5)
    sides = []
    for _ in "ab":
        records = _evaluated((TRANSFER, "net"), (PGD, None), right=right, old=True)
        if lost == "own records":
            records = [records[0], records[-1]]
        elif lost == "attacks":
            records[-1].pop("attacks")
        else:
            records[1].pop(lost)
        sides.append(records)
    cell = compared(dict(zip("ab", sides, strict=True))).rows["worst case"][1]
    assert cell is not None
    assert (cell.p, cell.unlike) == (None, "the attacks are not known")


def test_a_transfer_from_an_unnamed_net_is_unlike() -> None:
    right = _right(40, 0.5)
    clean, transfer = _record("clean", right), _record("transfer", right, parameters=TRANSFER)
    cell = compared({"a": [clean, transfer], "b": [clean, transfer]}).rows["transfer"][1]
    assert cell is not None
    assert (cell.p, cell.unlike) == (None, "the source is not known")


@pytest.mark.parametrize("without", [("a",), ("b",), ("a", "b")])
def test_images_that_are_not_known_are_not_tested_in_pairs(without: tuple[str, ...]) -> None:
    sides = {name: _record("clean", _right(80, share)) for name, share in (("a", 0.3), ("b", 0.7))}
    for name in without:
        del sides[name]["images"]
    cell = compared({name: [record] for name, record in sides.items()}).rows["clean"][1]
    assert cell is not None
    table = [[one["correct"], one["n"] - one["correct"]] for one in sides.values()]
    assert cell.test == "Fisher"
    assert cell.p == pytest.approx(fisher_exact(table)[1])
    assert cell.caveat == "which images they are is not known; Fisher's test"


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
    pgd = {**record, "attack": "pgd"}
    with pytest.raises(InputError, match="no attack was run on both"):
        compared({"a": [record], "b": [pgd]})
    assert compared({"a": [record], "b": [pgd], "c": [pgd]}).rows["pgd"][0] is None


def test_holm_is_that_of_its_definition() -> None:
    chances = (torch.rand(12) / 50).tolist()
    order = sorted(chances)
    for one, corrected in zip(chances, holm(chances), strict=True):
        rank = order.index(one)
        by_hand = max((12 - k) * order[k] for k in range(rank + 1))
        assert corrected == pytest.approx(min(1.0, by_hand))
    assert holm([]) == []


@pytest.mark.parametrize(
    ("change", "of_clean", "of_pgd"),
    [
        ({"seed": 1}, "", "seed 1, not 0"),
        ({"batch_size": 8}, "", "batch size 8, not 4"),
        ({"arithmetic": "bfloat16"}, *["arithmetic bfloat16, not float32"] * 2),
        ({"parameters": None}, "", "the parameters of one are not known, only its name"),
    ],
)
def test_what_was_drawn_or_computed_otherwise_is_told_and_tested(
    change: dict[str, Any], of_clean: str, of_pgd: str
) -> None:
    how = {"seed": 0, "batch_size": 4, "arithmetic": "float32"}
    right = _right(40, 0.5)
    one = [_record("clean", right, **how), _record("pgd", right, **how, parameters=PGD)]
    other = [{**one[0], **change}, {**one[1], **change}]
    other = [{k: v for k, v in record.items() if v is not None} for record in other]
    other[0].pop("parameters", None)
    rows = compared({"a": one, "b": other}).rows
    for name, words in (("clean", of_clean), ("pgd", of_pgd)):
        cell = rows[name][1]
        assert cell is not None
        assert (cell.p, cell.test, cell.caveat, cell.unlike) == (1.0, "McNemar", words, "")


def test_of_plain_functions_the_name_is_all_that_is_known() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    data = torch.rand(30, 1, 4, 4), torch.randint(2, (30,))
    sides = []
    for eps in (0.1, 0.2):
        attack = attacks.FGSM(eps=eps)
        named: dict[str, Attack] = {"mine": lambda *of, attack=attack, **more: attack(*of, **more)}
        sides.append(evaluate(net, data, attacks=named).records)
    cell = compared(dict(zip("ab", sides, strict=True))).rows["mine"][1]
    assert cell is not None
    assert cell.caveat == "what the attack does is not known, only its name"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights", "0d" * 32),
        ("model", "mine:soft"),
        ("train_seed", 1),
        ("method", "alps"),
        ("state", "17"),
    ],
)
def test_a_folder_of_two_models_is_refused(key: str, value: Any) -> None:
    one = {"model": "mine:plain", "weights": "ab" * 32, "train_seed": 0}
    one |= {"method": "erm", "state": "16"}
    clean, pgd = (_record(name, _right(40, 0.5), **one) for name in ("clean", "pgd"))
    mixed = [clean, pgd, {**clean, key: value}]
    for sides in ({"a": mixed, "b": [clean, pgd]}, {"b": [clean, pgd], "a": mixed}):
        with pytest.raises(InputError, match=f"a must hold the records of one .* their {key}: "):
            compared(sides)
    assert compared({"a": [clean, pgd, clean], "b": [{**clean, key: value}]}).rows["clean"]
