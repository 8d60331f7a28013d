"""An evaluation in the fields of RobustBench's model files, beside those of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vicinal._checks import InputError
from vicinal.records import Record

__all__ = ["check_once", "robustbench"]


def robustbench(found: Sequence[Record], *, additional_data: bool = False) -> dict[str, Any]:
    """Write the records of an evaluation as RobustBench writes an entry of its leaderboard.

    Accuracies are in per cent, as text with two decimals, over the images that AutoAttack judged;
    RobustBench asks for all test images of CIFAR.

    Args:
        found: Records of `Results.records`, AutoAttack's standard version among them.
        additional_data: Whether the model was trained on more than the data set's own images.

    Returns:
        `clean_acc`, `autoattack_acc`, `eps`, `additional_data`, and `n_examples`, `dataset`,
        `architecture`, `norm` where they are known.

    Raises:
        InputError: If AutoAttack's standard version is not among them.

    Example:
        >>> parameters = {"class": "AutoAttack", "version": "standard", "norm": "linf"}
        >>> parameters |= {"eps": 8 / 255, "attacks": None}
        >>> record = {"attack": "autoattack", "accuracy": 0.5, "clean_accuracy": 0.75, "n": 4}
        >>> robustbench([{**record, "parameters": parameters}])["autoattack_acc"]
        '50.00'
    """
    record = next(one for one in found if one.get("parameters") == check_once(found))
    given = record["parameters"]
    known = {name: record[key] for name, key in _KNOWN.items() if key in record}
    return {
        "clean_acc": f"{100 * record['clean_accuracy']:.2f}",
        "autoattack_acc": f"{100 * record['accuracy']:.2f}",
        "eps": _radius(given["eps"]),
        "additional_data": additional_data,
        "norm": {"linf": "Linf", "l2": "L2"}[given["norm"]],
        **known,
    }


def check_once(found: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Check that AutoAttack's standard version is among attacks, once.

    Args:
        found: Records, or whatever has `parameters`.

    Returns:
        Its parameters.

    Raises:
        InputError: If it is not, or several times.
    """
    given: list[Mapping[str, Any]] = [
        record["parameters"] for record in found if _is_standard(record)
    ]
    if len(given) != 1:
        raise InputError(
            "a RobustBench entry must hold AutoAttack's standard version once; it is there "
            f"{len(given)} times. Add --attack 'autoattack(eps=8/255)', or --suite full?"
        )
    return given[0]


_KNOWN = {"n_examples": "n", "dataset": "dataset", "architecture": "model"}


def _is_standard(record: Mapping[str, Any]) -> bool:
    given = record.get("parameters") or {}
    plain = given.get("version") == "standard" and given.get("attacks") is None
    return given.get("class") == "AutoAttack" and plain


def _radius(eps: float) -> str:
    levels = eps * 255
    whole = eps < 1 and levels > 0.5 and abs(levels - round(levels)) < 1e-6
    return f"{round(levels)}/255" if whole else f"{eps:g}"
