from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.tables.predictions import read_predictions
from mlgitops.tables.predictions.checks import MAX_COLUMNS, MAX_TEXT

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"id,target,prediction,score,carrier\n"


def test_columns_get_their_roles() -> None:
    """The id, target, prediction, score and slice columns are told apart."""
    found = read_predictions(HEADER + b"7,1,0,0.25,UA\n8,0,0,1e-3,B6\n")
    assert found.rows == 2
    assert found.id.tolist() == [7, 8]
    assert found.target.tolist() == [1, 0]
    assert found.prediction.tolist() == [0, 0]
    assert found.scores[""].tolist() == [0.25, 0.001]
    assert found.columns["carrier"].tolist() == [b"UA", b"B6"]


def test_multiclass_scores_are_named_by_class() -> None:
    """A column `score_<class>` is the score of that class; names may hold spaces and accents."""
    header = "id,target,prediction,score_Adélie,score_Chin strap\n"
    found = read_predictions((header + 'a,Adélie,"Chin, strap",0.5,0.5\n').encode())
    assert found.target.tolist() == ["Adélie".encode()]
    assert found.prediction.tolist() == [b"Chin, strap"]
    assert set(found.scores) == {"Adélie", "Chin strap"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", "i"), ("-3", "i"), ("1.5", "f"), ("1e3", "f"), ("nan", "f"), ("inf", "f"),
        ("late", "S"), ("", "S"), ("2013-01-05", "S"), ("99999999999999999999", "f"),
    ],
)  # fmt: skip
def test_types_are_inferred(text: str, kind: str) -> None:
    """Whole numbers, numbers and texts are told apart."""
    found = read_predictions(f"id,target,prediction\nx,{text},1\n".encode())
    assert found.target.dtype.kind == kind


def test_letters_that_hold_the_byte_of_a_line_end_break_no_line() -> None:
    """Types are inferred from whole rows, whatever bytes the letters of a text are made of."""
    text = "".join(f"{at},Бахмут,{at}.5,0.25,Å\n" for at in range(9))
    found = read_predictions(f"id,city,target,prediction,team\n{text}".encode())
    assert (found.target.dtype.kind, found.prediction.dtype.kind) == ("f", "f")
    assert set(found.columns["city"].tolist()) == {"Бахмут".encode()}


@pytest.mark.parametrize("first", ["1", "1.5", "x"])
@pytest.mark.parametrize("last", ["2", "2.5", "a much longer text than any seen before"])
def test_a_column_is_widened_by_what_comes_late(first: str, last: str) -> None:
    """What comes after the sampled rows still counts: nothing is cut or refused."""
    rows = [f"{n},{first},1" for n in range(30_000)] + [f"99999,{last},1"]
    found = read_predictions(("id,target,prediction\n" + "\n".join(rows)).encode())
    value = found.target[-1]
    text = value.decode() if isinstance(value, bytes) else str(value.item())
    assert text in {last, f"{last}.0"}
    assert found.rows == 30_001


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lack the columns id, target, prediction"),
        (b"\n\n", "lack the columns"),
        (b"id,target\n1,2\n", "lack the column prediction"),
        (b"id,target,prediction\n", "have no rows"),
        (b"id,target,prediction\n\n \n", "have no rows"),
        (b"id,target,prediction,id\n1,1,1,1\n", "'id' stands twice in the header"),
        (b"\xff\xfe,\x00\n1\n", "not UTF-8"),
        (HEADER + b"1,1,0,high,UA\n", "score is not a number in row 1: 'high'"),
        (HEADER + b"1,1,0,,UA\n", "score is not a number in row 1: ''"),
        (HEADER + b"1,1,0,0.5,UA\n2,1,0,0.5\n", "not a table of 5 columns in row 2"),
        (HEADER + b"1,1,0,0.5,UA,9\n", "not a table of 5 columns"),
        (HEADER + b"1,1,0,0.5,U,A\n", "not a table of 5 columns"),
        (HEADER + b"1,1,0,0.5," + b"x" * 600 + b"\n", f"longer than {MAX_TEXT} bytes"),
        (b"id,target,prediction," + b",".join(b"c%d" % n for n in range(MAX_COLUMNS)), "columns;"),
        (b"PAR1" + b"\0" * 20, "Parquet file is damaged"),
    ],
)
def test_broken_files_are_refused_with_the_place(data: bytes, message: str) -> None:
    """Each mistake is a MlgitopsError that says what is wrong, and where."""
    with pytest.raises(MlgitopsError, match=r".") as error:
        read_predictions(data, where="reports/predictions.csv")
    assert message in error.value.what
    assert error.value.where == "reports/predictions.csv"


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.booleans())
def test_no_bytes_raise_anything_else(data: bytes, headed: bool) -> None:
    """Any bytes are read or refused; nothing else is ever raised."""
    try:
        found = read_predictions(HEADER + data if headed else data)
    except MlgitopsError:
        return
    assert found.rows > 0


def test_missing_and_oversized_files_are_refused(tmp_path: Path) -> None:
    """A path that is not there, is a folder, or is too large ends in a clear error."""
    with pytest.raises(MlgitopsError, match="No such file"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(MlgitopsError, match="Cannot read"):
        read_predictions(tmp_path)
    large = tmp_path / "large.csv"
    with large.open("wb") as stream:
        stream.truncate(5 * 2**30)
    with pytest.raises(MlgitopsError, match="too large"):
        read_predictions(large)


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.txt"])
def test_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    """Bytes and path give the same; a name never makes us decompress."""
    data = HEADER + b"1,1,0,0.5,UA\n2,0,1,0.75,B6\n"
    path = tmp_path / name
    path.write_bytes(data)
    one, other = read_predictions(path), read_predictions(data)
    assert one.id.tolist() == other.id.tolist()
    assert one.scores[""].tolist() == other.scores[""].tolist()


def write_parquet(columns: dict[str, object]) -> bytes:
    """Return a Parquet file of these columns."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


GOOD: dict[str, object] = {
    "id": pa.array(["a", "b", "c"]),
    "target": pa.array([True, False, True]),
    "prediction": pa.array([1, 0, 0], pa.int16()),
    "score": pa.array([0.5, 0.25, None], pa.float32()),
    "carrier": pa.array(["UA", None, "é"]).dictionary_encode(),
}


def test_parquet_gives_the_same_columns() -> None:
    """Booleans, whole numbers, floats, texts and dictionaries are read; a null is NaN or ''."""
    found = read_predictions(write_parquet(GOOD))
    assert found.id.tolist() == [b"a", b"b", b"c"]
    assert found.target.tolist() == [1, 0, 1]
    assert found.prediction.tolist() == [1, 0, 0]
    assert found.scores[""][:2].tolist() == [0.5, 0.25]
    assert np.isnan(found.scores[""][2])
    assert found.columns["carrier"].tolist() == [b"UA", b"", "é".encode()]


@pytest.mark.parametrize("kept", [4, 5, 12, 100, 0.5, 0.9, -8, -1])
def test_parquet_cut_short_is_refused(kept: float) -> None:
    """A Parquet file that ends early is refused, wherever it was cut."""
    data = write_parquet(GOOD)
    cut = data[: int(kept * len(data)) if isinstance(kept, float) else int(kept)]
    with pytest.raises(MlgitopsError, match="damaged"):
        read_predictions(cut, where="p.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": pa.array(["x", "y", "z"])}, "score is not a number in row 1: 'x'"),
        ({"target": pa.array([[1], [2], [3]])}, "holds list"),
        ({"target": pa.array([None] * 3)}, "holds null"),
        ({"carrier": pa.array(["x" * 999] * 3)}, "is longer than"),
    ],
)
def test_parquet_of_the_wrong_types_is_refused(change: dict[str, object], message: str) -> None:
    """A column that is neither number nor text is refused by name."""
    with pytest.raises(MlgitopsError, match=message):
        read_predictions(write_parquet(GOOD | change))


def test_parquet_without_columns_or_rows_is_refused() -> None:
    """The same checks hold as for CSV."""
    with pytest.raises(MlgitopsError, match="lack the column"):
        read_predictions(write_parquet({"id": [1]}))
    with pytest.raises(MlgitopsError, match="no rows"):
        read_predictions(write_parquet({"id": pa.array([], pa.int8()),
                                        "target": pa.array([], pa.int8()),
                                        "prediction": pa.array([], pa.int8())}))  # fmt: skip
