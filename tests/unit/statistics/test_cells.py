"""Tests of ids and labels: when two cells are the same, in CSV and Parquet, at base and head."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.statistics.cells import align_columns
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.labels import code_labels
from mlgitops.statistics.matching import match_predictions
from mlgitops.tables.predictions import Predictions, read_predictions
from mlgitops.tables.predictions.cells import has_odd_numbers

CELLS = [b"7", b"7.0", b"07", b"007", b"-7", b"-07", b"+7", b"0", b"00", b"10", b"1", b"01", b"x",
         b"7.00", b"v1.0", b"v1", b"1.0", b"0.0", b"-1.0", b"a.0"]  # fmt: skip
_CELLS = st.sampled_from(CELLS)


def name_cell(cell: bytes) -> bytes:
    """Say what a cell is, by the rule: a whole number without its `.0`, or the text itself."""
    return cell[:-2] if re.fullmatch(rb"(0|-?[1-9]\d*)\.0", cell) else cell


def read(ids: list[bytes], filler: int = 0) -> Predictions:
    """Read a table of these ids, after ``filler`` rows of plain numbers."""
    rows = [b"%d,0,0" % at for at in range(10**6, 10**6 + filler)]
    rows += [b"%s,1,1" % cell for cell in ids]
    return read_predictions(b"id,target,prediction\n" + b"\n".join(rows) + b"\n")


@given(st.lists(_CELLS, min_size=1, unique=True), st.lists(_CELLS, min_size=1, unique=True),
       st.sampled_from([0, 300]))  # fmt: skip
def test_ids_match_exactly_where_the_rule_says(
    base: list[bytes], head: list[bytes], filler: int
) -> None:
    """Whatever else is in the columns, and wherever the odd cell stands."""
    pair = match_predictions(read(base, filler), read(head, filler))
    names = [[name_cell(cell) for cell in ids] for ids in (base, head)]
    single = [{name for name in ids if ids.count(name) == 1} for ids in names]
    assert pair.rows == filler + len(single[0] & single[1])


@pytest.mark.parametrize("quote", [b"", b'"'])
@pytest.mark.parametrize("column", [0, 1, 2, 3])
@pytest.mark.parametrize("filler", [0, 300, 400_000])
def test_a_leading_zero_is_seen_wherever_it_stands(quote: bytes, column: int, filler: int) -> None:
    """In the sample or far behind it, in quotes, in every column: the column is text then."""
    row = [b"5", b"1", b"1", b"2"]
    row[column] = quote + b"01" + quote
    rows = [b"%d,0,1,2" % at for at in range(10, 10 + filler)]
    text = b"id,target,prediction,shop\n" + b"\n".join([*rows, b",".join(row)]) + b"\n"
    table = read_predictions(text)
    columns = (table.id, table.target, table.prediction, table.columns["shop"])
    assert [item.dtype.kind == "S" for item in columns] == [at == column for at in range(4)]
    assert columns[column][-1] == b"01"


@given(st.lists(st.sampled_from(["0", "1", "7", "07", "+7", "-07", "0.5", "1e-05", "x 05", "0.05"]),
                min_size=1, max_size=9), st.sampled_from([1, 2, 3, 5, 2**21]))  # fmt: skip
def test_no_odd_number_is_overlooked_between_blocks(cells: list[str], block: int) -> None:
    """The scan tells odd numbers from others, however the file is cut."""
    import mlgitops.tables.predictions.cells as module

    text = ("id,a\n" + ",".join(cells) + "\n").encode()
    before = module._BLOCK
    try:
        module._BLOCK = max(block, module._OVERLAP)
        seen = has_odd_numbers(io.BytesIO(text))
    finally:
        module._BLOCK = before
    assert seen == (re.search(rb'[,\n\r" ](-?0[0-9]|\+[0-9])', text) is not None)


_LABELS: list[list[object]] = [[0, 1, 1], [b"0", b"1", b"1"], [0.0, 1.0, 1.0],
                               [b"0.0", b"1.0", b"1.0"], [b"0", b"1.0", b"1"]]  # fmt: skip
_BOOLEANS: list[list[object]] = [[b"False", b"True", b"True"], [b"false", b"true", b"true"]]


@pytest.mark.parametrize("columns", list(itertools.product(_LABELS, repeat=3)))
def test_a_label_is_the_same_however_it_is_written(columns: tuple[list[object], ...]) -> None:
    """Numbers, floats and texts of both code alike."""
    coded = code_labels(*map(np.array, columns))
    assert coded.names == ["0", "1"]
    for codes in (coded.target, coded.base, coded.head):
        assert codes.tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", ["i8", "f8", "S1"])
def test_no_row_has_no_classes(kind: str) -> None:
    """Where every id stands twice no row is matched: the reason is told, and nothing ends."""
    with pytest.raises(Undefined, match="no row of one side is matched"):
        code_labels(*[np.array([], dtype=kind)] * 3)


@pytest.mark.parametrize("boolean", _BOOLEANS)
@pytest.mark.parametrize("number", [_LABELS[0], _LABELS[2]])
def test_booleans_are_0_and_1_beside_0_and_1(boolean: list[object], number: list[object]) -> None:
    """Target 0/1 and prediction True/False, on one side or both."""
    for columns in ((number, boolean, boolean), (number, number, boolean)):
        coded = code_labels(*map(np.array, columns))
        assert (coded.names, coded.base.tolist()) == (["0", "1"], [0, 1, 1])


@pytest.mark.parametrize("number", [[0, 1, 2], [1, 2, 2], [0.5, 1, 1]])
def test_booleans_are_words_beside_other_numbers(number: list[object]) -> None:
    """Where there is a third number, True is not 1."""
    columns = align_columns([np.array(number), np.array(_BOOLEANS[0])])
    assert not (columns[0] == columns[1]).any()


def test_zeros_before_a_class_make_it_another() -> None:
    """`01` and `1` are two classes, at both sides."""
    text = b"id,target,prediction\na,01,01\nb,1,01\nc,1,1\n"
    table = read_predictions(text)
    assert code_labels(table.target, table.prediction, table.prediction).names == ["01", "1"]


def test_parquet_and_csv_agree() -> None:
    """The same values, typed in the one and written in the other, are the same."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for ids in ([7, 8, 9], [7.0, 8.0, 9.0], ["7", "8.0", "9"]):
        sink = io.BytesIO()
        table = {"id": ids, "target": [False, True, True], "prediction": [True, True, False]}
        pq.write_table(pa.table(table), sink)
        text = b"id,target,prediction\n7,False,True\n8,True,True\n9.0,True,False\n"
        pair = match_predictions(read_predictions(sink.getvalue()), read_predictions(text))
        assert (pair.rows, pair.notices) == (3, ())
        assert pair.coded.base.tolist() == pair.coded.head.tolist() == [1, 1, 0]


def test_what_ends_in_dot_zero_is_no_number_for_it() -> None:
    """Only a whole number loses its `.0`: versions and names are texts."""
    assert match_predictions(read([b"v1.0", b"a.0"]), read([b"v1", b"a"])).rows == 0


def test_numbers_that_64_bits_cannot_hold_stay_apart() -> None:
    """An id beyond the signed range is not the negative number of the same bits."""
    big, small = np.array([2**64 - 1], dtype=np.uint64), np.array([-1])
    one = np.array([1])
    base = Predictions(id=big, target=one, prediction=one)
    head = Predictions(id=small, target=one, prediction=one)
    assert match_predictions(base, head).rows == 0
