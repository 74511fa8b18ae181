"""Projects from tables in Parquet: all is as from CSV, byte for byte."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib.util
import io
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from template.test_training import environment, run_tool

from mlgitops.cli import run
from mlgitops.errors import MlgitopsError
from mlgitops.project.generate import table as tables
from mlgitops.project.generate.parquet_table import read_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["environment"]  # a fixture

ROOT = Path(__file__).parents[2]

#: Every stage in one process, with pyarrow as the lock for Parquet has it.
RUN_STAGES = """
import importlib, sys
package, *folders = sys.argv[1:]
sys.path[:0] = ["src", *folders]
for stage in ("ingest", "validate", "split", "train", "evaluate", "explain", "plumbing.card"):
    importlib.import_module(f"{package}.{stage}").main()
"""


def make_rows(count: int) -> pd.DataFrame:
    """Return rows with every kind of column that CSV and Parquet can both hold."""
    drawn = random.Random(4)  # noqa: S311 - it need not be secret
    x = [drawn.gauss(0, 1) for _ in range(count)]
    rows = pd.DataFrame(
        {
            "when": [dt.date(2024, 1, 1) + dt.timedelta(days=at // 5) for at in range(count)],
            "x": [None if at % 11 == 0 else value for at, value in enumerate(x)],
            "small": pd.Series([round(value, 2) for value in x], dtype="float32"),
            "whole": pd.Series([at % 7 if at % 13 else None for at in range(count)], dtype="Int64"),
            "level": pd.Categorical([drawn.choice(["low", "mid", "high, so"]) for _ in x]),
            "flag": [value > 0.5 for value in x],
            "late": [int(value + drawn.gauss(0, 1) > 0) for value in x],
        }
    )
    return pd.concat([rows, rows.head(20)], ignore_index=True)  # twenty rows twice


def list_results(project: Path) -> dict[str, bytes]:
    """Return what a run gives users and the comparison, by the path of the file."""
    files = [project / "MODEL_CARD.md", project / "model" / "model.skops"]
    files += [path for path in (project / "reports").rglob("*") if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_parquet_makes_the_model_that_csv_makes(
    environment: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract, parameters, ids, split, model, predictions and card do not tell how it is kept."""
    monkeypatch.setenv("HOME", str(home))
    rows = make_rows(600)
    rows.to_csv(tmp_path / "rides.csv", index=False)
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "rides.parquet")
    results = {}
    spec = importlib.util.find_spec("pyarrow")
    assert spec
    assert spec.origin
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "pyarrow").symlink_to(Path(spec.origin).parent)
    for ending in ("csv", "parquet"):
        folder = tmp_path / ending
        words = ["new", "--no-input", "--data", str(tmp_path / f"rides.{ending}")]
        words += ["--target", "late", "--slug", "rides", "--directory", str(folder)]
        folder.mkdir()
        assert run(words) == 0
        project = folder / "rides"
        more = [str(tmp_path / "site")] if ending == "parquet" else []
        run_tool(environment, project, "python", "-c", RUN_STAGES, "rides", *more)
        results[ending] = list_results(project)
        interim = project / "data" / "interim" / f"table.{ending}"
        results[ending]["interim"] = str(read_cells(interim)).encode()
        results[ending]["params"] = (project / "params.yaml").read_bytes()
    assert results["csv"] == results["parquet"]
    assert len(results["csv"]) > 10
    raw = tmp_path / "parquet" / "rides" / "data" / "raw" / "table.parquet"
    assert pq.read_schema(raw).field("small").type == pa.float32()  # types stay
    assert not list((tmp_path / "parquet" / "rides").rglob("*table.csv"))


def read_cells(path: Path) -> list[list[str]]:
    """Return the cells of a file as text."""
    if path.suffix == ".parquet":
        return read_columns(path)[1]
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [rows[name].tolist() for name in rows]


def write(columns: dict[str, Any], path: Path) -> Path:
    """Write a Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


@given(
    numbers=st.lists(st.floats(allow_infinity=False) | st.none(), min_size=1),
    wide=st.sampled_from([pa.float64(), pa.float32()]),
)
def test_numbers_are_written_as_pandas_writes_them(
    numbers: Sequence[float | None], wide: pa.DataType, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The text of a number is the shortest that is read as the same number of its width."""
    limit = 3e38
    fitting = [value if value is None or abs(value) < limit else None for value in numbers]
    column = pa.array(fitting, wide)
    path = write({"a": column, "b": column}, tmp_path_factory.getbasetemp() / "numbers.parquet")
    text = io.StringIO(pd.DataFrame({"a": column.to_numpy(zero_copy_only=False)}).to_csv())
    written = pd.read_csv(text, dtype=str, keep_default_na=False)["a"].tolist()
    assert read_columns(path)[1] == [written, written]


def test_other_kinds_are_written_so_that_a_reader_knows_them(tmp_path: Path) -> None:
    """Dates and moments as ISO 8601, whole numbers with gaps without a point, gaps as nothing."""
    moment = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    columns = {
        "day": pa.array([dt.date(2024, 5, 6), None]),
        "moment": pa.array([moment, None], pa.timestamp("us", tz="UTC")),
        "local": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("ms")),
        "whole": pa.array([3, None], pa.int32()),
        "flag": pa.array([True, None]),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "word": pa.array(["a,b", None]).dictionary_encode(),
        "none": pa.nulls(2),
    }
    names, cells = read_columns(write(columns, tmp_path / "a.parquet"))
    assert names == [*columns]
    assert [column[1] for column in cells] == [""] * 8
    assert [column[0] for column in cells] == [
        "2024-05-06",
        "2024-05-06 07:08:09+00:00",
        "2024-05-06 07:08:09",
        "3",
        "True",
        "1.50",
        "a,b",
        "",
    ]


def load_stages_reader(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the template's own reader of Parquet, which is no template."""
    plumbing = ROOT / "{{cookiecutter.project_slug}}/src/{{cookiecutter.__package_name}}/plumbing"
    package = ModuleType("stages_plumbing")
    package.__path__ = [str(plumbing)]
    monkeypatch.setitem(sys.modules, "stages_plumbing", package)
    for name in ("errors", "parquet"):
        monkeypatch.delitem(sys.modules, f"stages_plumbing.{name}", raising=False)
    return importlib.import_module("stages_plumbing.parquet")


def test_new_and_the_stages_read_the_same_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of UUIDs, JSON and other types that pyarrow has as extensions."""
    reader = load_stages_reader(monkeypatch)
    moment = dt.datetime(2024, 5, 6)  # noqa: DTZ001 - local on purpose
    columns = {
        "uuid": pa.array([bytes(range(16)), None], pa.uuid()),
        "json": pa.array(["{}", None], pa.json_()),
        "flag": pa.array([1, None], pa.bool8()),
        "midnight": pa.array([moment, None], pa.timestamp("ns")),
        "tiny": pa.array([decimal.Decimal("0.0000001"), None]),
        "view": pa.array(["a", None], pa.string_view()),
        "time": pa.array([dt.time(1, 2), None], pa.time64("us")),
    }
    path = write(columns, tmp_path / "a.parquet")
    names, cells = read_columns(path)
    (part,) = reader.read_text_parts(path, rows=9)
    assert [part[name].tolist() for name in names] == cells
    whole = reader.read_table(path, text_columns=names)
    assert [whole[name].fillna("").tolist() for name in names] == cells
    assert [column[0] for column in cells[:3]] == [
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "{}",
        "True",
    ]


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(2), pa.large_binary(), pa.binary_view()])
def test_bytes_are_refused(
    kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their length: what Python writes for them is no text of theirs."""
    reader = load_stages_reader(monkeypatch)
    path = write({"x": [1, 2], "raw": pa.array([b"ab", None], kind)}, tmp_path / "a.parquet")
    with pytest.raises(MlgitopsError, match="column 'raw' holds"):
        read_columns(path)
    with pytest.raises(Exception, match="column raw holds") as raised:
        list(reader.read_text_parts(path, rows=9))
    assert type(raised.value).__name__ == "StageError"


def test_rows_that_are_left_out_leave_the_file(tmp_path: Path) -> None:
    """The project's table has the rows that are kept, with their types and clean names."""
    path = write({" x ": [*range(60)], "y": [1.5] * 60}, tmp_path / "a.parquet")
    table = tables.read_table(path).keep_rows([at % 2 == 0 for at in range(60)])
    assert (table.data_format, table.rows) == ("parquet", 30)
    tables.write_table(table, tmp_path / "b.parquet")
    written = pq.read_table(tmp_path / "b.parquet")
    assert written.to_pydict() == {"x": [*range(0, 60, 2)], "y": [1.5] * 30}


def test_without_pyarrow_the_hint_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet is an extra of the helper."""
    path = write({"x": [1], "y": [2]}, tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MlgitopsError, match="Reading Parquet needs pyarrow") as raised:
        read_columns(path)
    assert "mlgitops[parquet]" in str(raised.value.hint)


def test_parquet_is_suggested_for_a_large_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 100 MB a note says what is smaller, and not below."""
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "1,2\n3,4\n" * 40, encoding="utf-8")
    assert not [note for note in tables.read_table(path).notes if "Parquet" in note]
    monkeypatch.setattr(tables, "LARGE_CSV", 100)
    assert [note for note in tables.read_table(path).notes if "As Parquet" in note]
    assert path.stat().st_size > tables.LARGE_CSV
