"""Reading CSV tables: what each column holds, and every way in which a file is no table."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.tables import blocks, columns
from mlgitops.tables.digits import parse_plain
from mlgitops.tables.numbers import parse_days, parse_numbers
from mlgitops.tables.table import Table, read_table

if TYPE_CHECKING:
    from pathlib import Path


def texts(table: Table, name: str) -> list[str | None]:
    """Return a column's cells, None where missing, from its identities and levels."""
    column = table.columns[name]
    levels = column.levels or {}
    return [
        None if gone else levels[int(key)]
        for key, gone in zip(column.identity, column.missing, strict=True)
    ]


def numbers(*cells: str) -> list[float] | None:
    """Return what one column of these cells reads as; None when it is not all numbers."""
    body = "x,y\n" + "".join(f"{cell},1\n" for cell in cells)
    values = read_table(body.encode()).columns["x"].values
    return None if values is None else values.tolist()


@pytest.mark.parametrize(
    ("cells", "kind", "missing"),
    [
        (["1", "2.5", "-3"], "number", 0),
        (["1", "", "NA"], "number", 2),
        (["1e-5", "+2.", ".5"], "number", 0),
        (["inf", "1"], "number", 0),
        (["0", "1", "0"], "number", 0),
        (["True", "False", ""], "boolean", 1),
        (["yes", "no"], "boolean", 0),
        (["2013-01-31", "2012-02-29"], "date", 0),
        (["2013-01-31T06:00", "2012-02-29 07:00:00"], "date", 0),
        (["", "2013-01-31"], "date", 1),
        (["2013-02-30", "2013-01-01"], "text", 0),
        (["2013-01-31T06-B6507", "2013-01-31T06-AA1"], "text", 0),
        (["2013-01-31" + " " * 60], "text", 0),
        (["01067", "80331"], "text", 0),
        (["1_000", "2"], "text", 0),
        (["1", "two"], "text", 0),
        (["a", "None", "null"], "text", 2),
        (["", "NaN"], "empty", 2),
        (["infinite", "nine"], "text", 0),
        (["-", "+"], "text", 0),
        (["1-2", "3"], "text", 0),
        (["1.2.3", "4"], "text", 0),
        (["é", "ü"], "text", 0),
    ],
)
def test_kinds(cells: list[str], kind: str, missing: int) -> None:
    """A column is what all of its cells are; empty cells and the usual marks are missing."""
    body = "x,y\n" + "".join(f"{cell},1\n" for cell in cells)
    column = read_table(body.encode()).columns["x"]
    assert column.kind.value == kind
    assert int(column.missing.sum()) == missing


def test_kind_is_decided_by_every_block(tmp_path: Path) -> None:
    """A text far down, many blocks behind numbers and blanks, makes the column text."""
    rows = 700_000
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "1,,\n" * rows + "x,2013-01-01,7\n", newline="")
    table = read_table(path)
    kinds = [column.kind.value for column in table.columns.values()]
    assert kinds == ["text", "date", "number"]
    assert table.rows == rows + 1
    for column in table.columns.values():
        assert column.identity.size == column.missing.size == rows + 1
    values = table.columns["b"].values
    assert values is not None
    assert values.size == rows + 1


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=40))
def test_numbers_are_what_python_reads(values: list[float]) -> None:
    """Every float that Python writes is read back to the last bit."""
    assert numbers(*map(repr, values)) == values


@given(
    st.lists(
        st.decimals(
            min_value=-(10**12), max_value=10**12, allow_nan=False, places=5, allow_infinity=False
        ),
        min_size=1,
        max_size=40,
    )
)
def test_plain_decimals_are_read_exactly(values: list[object]) -> None:
    """The array route for plain decimals rounds as Python's own does."""
    cells = [f"{value:f}" for value in values]
    assert numbers(*cells) == [float(cell) for cell in cells]


DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\Z")


@given(
    st.lists(
        st.one_of(
            st.from_regex(r"\A[+-]?[0-9]{0,16}\.?[0-9]{0,9}\Z"),
            st.text("0123456789.+-e ", max_size=18),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_plain_decimals_are_told_from_all_else(cells: list[str]) -> None:
    """Up to fifteen digits with a sign and a dot are read as Python does; others are not read."""
    width = 8 * max(1, -(-max(map(len, cells)) // 8))
    padded = b"".join(cell.encode().ljust(width, b"\0") for cell in cells)
    words = np.frombuffer(padded, dtype="<u8").reshape(len(cells), -1)
    values, plain = parse_plain(words, np.array([len(cell) for cell in cells]))
    digits = [sum(sign.isdigit() for sign in cell) for cell in cells]
    assert plain.tolist() == [
        bool(DECIMAL.match(cell)) and count <= 15 and len(cell) <= 16
        for cell, count in zip(cells, digits, strict=True)
    ]
    read = [cell for cell, is_plain in zip(cells, plain, strict=True) if is_plain]
    assert values[plain].tolist() == [float(cell) for cell in read]


@pytest.mark.parametrize("slots", [1, 4, 2**16])
@given(rows=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=60))
def test_equal_cells_are_found_however_they_clash(slots: int, rows: list[int]) -> None:
    """Each row is led to the one row that stands for its identity, with slots for few and many."""
    identity = np.array(rows, dtype=np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SLOTS", slots)
        distinct = columns.find_distinct(identity)
    assert distinct is not None
    chosen, codes = distinct
    assert sorted(identity[chosen].tolist()) == sorted(set(rows))
    assert identity[chosen][codes].tolist() == rows


@pytest.mark.parametrize(("different", "kept"), [(1_000, True), (1_001, False)])
@pytest.mark.parametrize("repeated", [1, 4])
def test_levels_are_kept_up_to_a_thousand(different: int, kept: bool, repeated: int) -> None:
    """A thousand different texts are categories, however many marks of a missing value besides."""
    cells = [*(f"t{at}" for at in range(different)), *columns.MISSING, ""] * repeated
    column = read_table("".join(f"{cell},1\n" for cell in ["x", *cells]).encode()).columns["x"]
    assert (column.levels is not None) is kept
    assert len(column.levels or range(different)) == different
    assert int(column.missing.sum()) == 10 * repeated


def test_longest_cells_are_told_apart() -> None:
    """Texts that are equal in their first 64 bytes, or in length, are different cells."""
    words = ["a" * 64, "a" * 65, "a" * 64 + "b", "a" * 5_000, "a" * 4_999 + "b", "b" + "a" * 63]
    body = "x,y\n" + "".join(f"{word},1\n" for word in [*words, *words])
    identity = read_table(body.encode()).columns["x"].identity
    assert len(set(identity.tolist())) == len(words)
    assert identity[: len(words)].tolist() == identity[len(words) :].tolist()


def test_identity_depends_on_the_text_alone() -> None:
    """A text is the same cell whatever stands around it, in this file or another."""
    one = read_table(b"x,y\nlate,1\nearly,2\n").columns["x"].identity
    two = read_table(b'y;x\n"a much longer text; quoted";"late"\n"";early\n').columns["x"].identity
    assert one.tolist() == two.tolist()


CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12
).filter(
    lambda text: text not in {"NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT"}
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20))
def test_cells_are_those_of_the_csv_module(rows: list[tuple[str, str, str]]) -> None:
    """Quotes, separators and line breaks inside cells are read as Python's csv writes them."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerows([("x", "y", "z"), *rows])
    table = read_table(stream.getvalue().encode())
    assert table.rows == len(rows)
    for at, name in enumerate("xyz"):
        assert texts(table, name) == [row[at] or None for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_forms_of_one_table(separator: str, end: str) -> None:
    """Line ends, separators, a byte order mark and blank lines do not change the table."""
    lines = [["x", "y"], ["1", "a b"], [""], ["2", "c"], ["", ""], [""]]
    body = "\ufeff" + end.join(separator.join(line) for line in lines)
    table = read_table(body.encode())
    assert texts(table, "x") == ["1", "2", None]
    assert texts(table, "y") == ["a b", "c", None]


HOSTILE = [
    (b"", "empty"),
    (b"\n\n\n", "the file is empty"),
    (b" , \n", "header is empty"),
    (b"a,b\n1,2\n3\n", "row 2 has 1 cells, the header 2"),
    (b"a,b\n1,2,3\n", "row 1 has 3 cells"),
    (b"a,a\n1,2\n", "several columns are called 'a'"),
    (b"a,b\n1,\x00\n", "binary"),
    (b"a,b\n1,2\n\xe9,2\n", "line 3 is not UTF-8"),
    ("a,b\n1,2\n".encode("utf-16"), "binary|UTF-8"),
    (b"PAR1....", "Parquet"),
    (b"PK\x03\x04....", "zip archive"),
    (b"\x1f\x8b....", "gzip"),
    (b'a,b\n"1,2\n3,4\n', "no end"),
    (b'a,b\n1,2"3"\n', "quote inside a cell"),
    (b'"a,b\n1,2\n', "no end"),
    (b'"', "no end"),
    (b"x" * 201 + b",b\n1,2\n", "over 200 characters"),
    (b",".join(b"c%d" % at for at in range(2_001)) + b"\n", "2,001 columns"),
    (b"a,b\n" + b'"' + b"x\n" * 5_000_000, "no end"),
    (b'"' + b"x\n" * 5_000_000, "no end"),
    (b"a,b\n" + b"x" * 9_000_000, "no end"),
]


@pytest.mark.parametrize(("data", "message"), HOSTILE)
def test_what_is_no_table_is_refused(data: bytes, message: str) -> None:
    """Each way in which a file is no table is said in words, at once, and never a traceback."""
    with pytest.raises(MlgitopsError, match=message):
        read_table(data, where="head")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    """Whatever the bytes: a table whose columns are of one length, or a clear refusal."""
    try:
        table = read_table(data)
    except MlgitopsError:
        return
    assert {column.missing.size for column in table.columns.values()} == {table.rows}


@given(
    st.lists(st.sampled_from([b"a", b"1", b",", b'"', b"\n", b"\r\n", b"2013-01-01"]), max_size=60)
)
def test_any_csv_like_text_is_a_table_or_refused(parts: list[bytes]) -> None:
    """Quotes, separators and line ends in any order: a table or a clear refusal."""
    try:
        table = read_table(b"a,b\n" + b"".join(parts))
    except MlgitopsError:
        return
    assert {column.missing.size for column in table.columns.values()} == {table.rows}


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A path that cannot be opened is said, with the path."""
    with pytest.raises(MlgitopsError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_header_alone_is_a_table_without_rows() -> None:
    """A table of no rows has columns, and they are empty."""
    table = read_table(b"a,b\n")
    assert table.rows == 0
    assert [column.kind.value for column in table.columns.values()] == ["empty", "empty"]


def test_column_without_a_name_gets_its_place() -> None:
    """The index column that pandas writes without a name can be spoken of."""
    assert list(read_table(b",x\n0,5\n").columns) == ["column 1", "x"]


def test_too_many_cells_are_refused() -> None:
    """A small file of very many cells does not fill the memory."""
    with pytest.raises(MlgitopsError, match="over 1,000 cells"):
        read_table(b"a,b\n" + b",\n" * 501, max_cells=1_000)


def test_blocks_meet_at_rows() -> None:
    """A file is cut between rows, never inside of quotes, and nothing is lost."""
    body = b"a,b\n" + b'"x\ny",1\n' * 1_500_000
    parts = list(blocks.split_blocks(io.BytesIO(body), "t"))
    assert len(parts) > 1
    assert b"".join(parts) == body
    assert all(part.count(b'"') % 2 == 0 for part in parts)


def test_days_are_counted_from_1970() -> None:
    """Days are those of the calendar, also before 1970 and on leap days."""
    chars = np.frombuffer(b"1969-12-31" + b"2000-02-29", dtype=np.uint8).reshape(2, 10)
    lengths, missing = np.array([10, 10]), np.array([False, False])
    days = parse_days(chars, lengths, missing)
    assert days is not None
    assert days.tolist() == [-1.0, 11_016.0]


def test_missing_numbers_are_nan() -> None:
    """A missing cell among numbers is NaN, whatever its bytes."""
    chars = np.frombuffer(b"NA\0\0\0\0\0\0" + b"5\0\0\0\0\0\0\0", dtype=np.uint8).reshape(2, 8)
    values = parse_numbers(chars, np.array([2, 1]), np.array([True, False]))
    assert values is not None
    assert math.isnan(values[0])
    assert values[1] == 5
