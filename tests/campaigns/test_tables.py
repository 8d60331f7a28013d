"""Which tables there are."""

from __future__ import annotations

import pytest

from vicinal._checks import InputError
from vicinal.campaigns import paper_tables
from vicinal.campaigns.tables import cells_of, names
from vicinal.recipes import tables


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'alps/tabel-5'.*Did you mean alps/table-5"):
        cells_of("alps/tabel-5", scale="full")


def test_every_table_has_a_subject() -> None:
    assert len(names()) == 38
    assert all(names().values())


def test_the_papers_tables_are_named_as_the_papers_print_them() -> None:
    wanted = {
        "bat/section-5.2.1",
        *(f"bat/table-{n}" for n in range(1, 10)),
        *(f"avmixup/table-{n}" for n in range(1, 7)),
        *(f"m-tlat/table-{n}" for n in range(1, 4)),
        *(f"m-tlat/table-{n}{part}" for n in (1, 2) for part in "abc"),
    }
    assert set(paper_tables.SUBJECTS) == wanted
    assert set(tables()) == {"ALPS", "BAT", "AVmixup", "M-TLAT"}


@pytest.mark.parametrize("name", names())
def test_every_table_has_cells_at_every_scale_and_each_cell_says_its_table(name: str) -> None:
    for scale in ("smoke", "full"):
        found = cells_of(name, scale=scale)
        assert found
        assert {cell.table for cell in found} == {name}
