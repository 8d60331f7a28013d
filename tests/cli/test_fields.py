"""Recipe fields among the arguments."""

from __future__ import annotations

import pytest

from vicinal._checks import InputError
from vicinal.cli.fields import read_fields, take_fields

OPTIONS = {"--json": False, "--help": False, "-h": False, "--method": True, "--data-dir": True}


@pytest.mark.parametrize(
    ("argv", "rest", "fields"),
    [
        (["train", "r", "--epochs", "15"], ["train", "r"], {"epochs": "15"}),
        (["train", "--epochs", "15", "r"], ["train", "r"], {"epochs": "15"}),
        (["train", "r", "--epochs=15"], ["train", "r"], {"epochs": "15"}),
        (["train", "r", "--objective.eps", "8/255"], ["train", "r"], {"objective.eps": "8/255"}),
        (["train", "r", "--train-subset", "9"], ["train", "r"], {"train_subset": "9"}),
        (["train", "r", "--train_subset", "9"], ["train", "r"], {"train_subset": "9"}),
        (["train", "r", "--a.b", "-1"], ["train", "r"], {"a.b": "-1"}),
        (["train", "r", "--channels-last"], ["train", "r"], {"channels_last": "true"}),
        (["train", "r", "--nesterov", "--json"], ["train", "r", "--json"], {"nesterov": "true"}),
        (["train", "--method", "mixup", "r"], ["train", "--method", "mixup", "r"], {}),
        (["train", "--method=mixup", "--x", "1"], ["train", "--method=mixup"], {"x": "1"}),
        (["train", "--data-dir", "--odd"], ["train", "--data-dir", "--odd"], {}),
        (["train", "-h"], ["train", "-h"], {}),
        (["train", "--a", "1", "--a", "2"], ["train"], {"a": "2"}),
        (["train", "--a="], ["train"], {"a": ""}),
    ],
)
def test_fields_are_taken_out(argv: list[str], rest: list[str], fields: dict[str, str]) -> None:
    before = list(argv)
    assert take_fields(argv, options=OPTIONS) == (rest, fields)
    assert argv == before


def test_values_are_read_as_a_recipe_file_reads_them() -> None:
    assert read_fields({
        "a": "15",
        "b": "0.5",
        "c": "true",
        "d": "none",
        "e": "null",
        "f": "cosine",
        "g": "[0.5, 0.75]",
        "h": "8/255",
        "i": "{name: Smooth, eps: 0.1}",
    }) == {
        "a": 15,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": None,
        "f": "cosine",
        "g": [0.5, 0.75],
        "h": "8/255",
        "i": {"name": "Smooth", "eps": 0.1},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["[1", "!!python/name:os.system", "{a: "])
def test_a_value_that_cannot_be_read_names_its_field(text: str) -> None:
    with pytest.raises(InputError, match=r"`--model\.width` has a value that cannot be read"):
        read_fields({"model.width": text})
