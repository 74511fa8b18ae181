"""A table that becomes longer: whole or not at all, with every byte that it had."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.retraining.table import (
    APPENDED,
    TABLE,
    CsvTable,
    append_ids,
    append_rows,
    read_ids,
    read_rows,
    read_taken,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


@pytest.mark.parametrize("before", [b"id,x\na,1\n", b"id,x\r\na,1\r\n", b"id,x\na,1"])
def test_the_old_table_keeps_every_byte(tmp_path: Path, before: bytes) -> None:
    """Line ends go on as they were, and a last line without one gets it."""
    path = tmp_path / "table.csv"
    path.write_bytes(before)
    append_rows(path, [("b", "2"), ("c,d", '"')])
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    assert path.read_bytes() == before.rstrip() + newline + newline.join(
        [b"b,2", b'"c,d",""""', b""]
    )
    assert len(read_rows(path)) == 1 + 3
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


@settings(max_examples=30)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Whatever its cells hold."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text("id,x\n")
    append_rows(path, rows)
    with path.open(newline="", encoding="utf-8") as stream:
        assert [tuple(row) for row in csv.reader(stream)][1:] == rows


def test_a_table_that_could_not_be_written_is_the_old_one(tmp_path: Path) -> None:
    """Where it ends in the middle, nothing of the new one is left."""
    path = tmp_path / "table.csv"
    path.write_text("id,x\na,1\n")

    def give() -> Iterator[tuple[str, str]]:
        yield ("b", "2")
        raise RuntimeError("the machine is gone")

    with pytest.raises(RuntimeError, match="is gone"):
        append_rows(path, give())
    assert path.read_text() == "id,x\na,1\n"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_bytes_that_a_cache_shares_stay_as_they_are(tmp_path: Path) -> None:
    """DVC may link the table to its cache: the object there is the old table's."""
    (tmp_path / "cached").write_text("id,x\na,1\n")
    os.link(tmp_path / "cached", tmp_path / "table.csv")
    append_rows(tmp_path / "table.csv", [("b", "2")])
    assert (tmp_path / "cached").read_text() == "id,x\na,1\n"
    assert len(read_rows(tmp_path / "table.csv")) == 1 + 2


def test_rows_are_known_by_the_tables_ids_or_by_a_file_beside_it(tmp_path: Path) -> None:
    """A project without an id keeps those of the requests, from the first retraining on."""
    (tmp_path / TABLE).parent.mkdir(parents=True)
    (tmp_path / TABLE).write_text("\ufeff id ,x\na,1\n b,2\n")
    table = CsvTable(tmp_path)
    assert (table.read_header(), table.count_rows()) == ((" id ", "x"), 2)
    assert read_taken(tmp_path, table, ["id"]) == {"a", "b", " b"}  # as a log may have it
    assert read_taken(tmp_path, table, []) == set()
    append_ids(tmp_path, ["r1"])
    append_ids(tmp_path, ["r2"])
    assert read_taken(tmp_path, table, []) == {"r1", "r2"}
    assert (tmp_path / APPENDED).read_text() == "id\nr1\nr2\n"
    assert read_taken(tmp_path, table, ["id"]) == {"a", "b", " b", "r1", "r2"}  # it names one since


def test_a_whole_number_that_was_written_as_a_float_is_the_same_id(tmp_path: Path) -> None:
    """Else a request whose row the model learned would be compared on, and learned once more."""
    (tmp_path / TABLE).parent.mkdir(parents=True)
    (tmp_path / TABLE).write_text("id\n17.0\n 18.0\nv1.0\n1.05\n")
    ids = read_taken(tmp_path, CsvTable(tmp_path), ["id"])
    assert ids == {"17.0", "17", " 18.0", "18.0", "18", "v1.0", "1.05"}


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    """By file and line."""
    (tmp_path / "a.csv").write_bytes(b"id\n\xff\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(MlgitopsError, match="no CSV in UTF-8"):
        read_ids(tmp_path / "a.csv", "id")
    with pytest.raises(MlgitopsError, match="no column 'id'"):
        read_ids(tmp_path / "b.csv", "id")
