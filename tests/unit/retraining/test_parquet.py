"""A Parquet table that becomes longer: columns, types and values stay, and each row fits them."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.retraining import parquet_program
from mlgitops.retraining.parquet import ParquetTable, open_table
from mlgitops.retraining.parquet_program import append
from mlgitops.retraining.recipe import Recipe
from mlgitops.retraining.table import COLUMNAR, read_taken, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: A column of each kind that a table for a model has, with a cell as a log writes it and its value.
CELLS: dict[str, tuple[pa.DataType, str, Any]] = {
    "name": (pa.string(), 'é, "x"', 'é, "x"'),
    "long": (pa.large_string(), "a", "a"),
    "view": (pa.string_view(), "a", "a"),
    "level": (pa.dictionary(pa.int8(), pa.string()), "new", "new"),
    "flag": (pa.bool_(), "True", True),
    "small": (pa.int8(), "-7", -7),
    "whole": (pa.int64(), "3.0", 3),
    "large": (pa.uint64(), str(2**64 - 1), 2**64 - 1),
    "number": (pa.float64(), "1e-07", 1e-07),
    "narrow": (pa.float32(), "0.5", 0.5),
    "price": (pa.decimal128(9, 2), "12.5", decimal.Decimal("12.50")),
    "day": (pa.date32(), "2026-05-06", dt.date(2026, 5, 6)),
    "local": (pa.timestamp("ms"), "2026-05-06", dt.datetime(2026, 5, 6)),  # noqa: DTZ001
    "moment": (
        pa.timestamp("us", tz="UTC"),
        "2026-05-06T07:08:09Z",
        dt.datetime(2026, 5, 6, 7, 8, 9, tzinfo=dt.UTC),
    ),
    "hour": (pa.time64("us"), "07:08:00", dt.time(7, 8)),
    "key": (pa.uuid(), str(uuid.UUID(int=7)), uuid.UUID(int=7)),
    "note": (pa.list_(pa.int8()), "", None),  # a column that nothing fills may be of any type
}


def make_new(
    folder: Path, rows: Sequence[Sequence[str]], capsys: pytest.CaptureFixture[str], *key: str
) -> dict[int, str]:
    """Make such a table of new rows, `new.parquet`; return the rows that it cannot hold."""
    names = pq.read_schema(folder / COLUMNAR).names
    write_rows(folder / "rows.csv", names, rows)
    words = [folder / COLUMNAR, folder / "rows.csv", folder / "new.parquet"]
    capsys.readouterr()
    parquet_program.main(["make", *map(str, words), *key])
    return {int(at): reason for at, reason in json.loads(capsys.readouterr().out).items()}


def make_recipe(names: Sequence[str]) -> Recipe:
    """Make the recipe of a table without ids."""
    target, parts = 0, (None,) * len(names)
    return Recipe(
        header=tuple(names), inputs=(), parts=parts, target=target, id_column=None,
        spellings={}, whole=frozenset(),
    )  # fmt: skip


def make_table(folder: Path, columns: dict[str, Any], **options: Any) -> Path:  # noqa: ANN401
    """Write the table of a project."""
    path = folder / COLUMNAR
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_each_type_takes_what_a_log_writes_and_stays(tmp_path: Path) -> None:
    """Old values, schema and compression are what they were; an empty cell is missing."""
    columns = {name: pa.nulls(3, kind) for name, (kind, _, _) in CELLS.items()}
    columns["level"] = pa.array(["old", None, "old"]).cast(CELLS["level"][0])
    path = make_table(tmp_path, columns, compression="gzip", row_group_size=2)
    before = pq.read_table(path)
    table = ParquetTable(tmp_path)
    rows = [[cell for _, cell, _ in CELLS.values()], [""] * len(CELLS)]
    assert table.write_like(tmp_path / "other", make_recipe(list(CELLS)), rows) == {}
    table.append(rows)
    after = pq.read_table(path)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.slice(0, 3).equals(before)
    assert after.slice(3, 1).to_pylist() == [{name: it[2] for name, it in CELLS.items()}]
    assert set(after.slice(4, 1).to_pylist()[0].values()) == {None}
    assert pq.read_metadata(path).row_group(0).column(0).compression == "GZIP"
    assert pq.read_table(tmp_path / "other" / COLUMNAR).equals(after.slice(3))
    assert table.count_rows() == 5
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("flag", "yes"),
        ("small", "128"),
        ("whole", "3.5"),
        ("whole", "1e300"),
        ("whole", "1_0"),
        ("whole", "٣"),  # Python's int() takes it
        ("number", "nan"),
        ("number", "1e400"),
        ("narrow", "1e39"),
        ("price", "1.234"),
        ("price", "1e999"),
        ("day", "2026-05-06T07:00:00Z"),
        ("day", "6 May"),
        ("local", "2026-05-06T07:08:09.0001"),
        ("local", "1612110900123"),  # milliseconds since 1970, and to Python a day of 1612
        ("moment", "2026-05-06T07:08:09.123456789Z"),
        ("day", "2026-W19-3"),
        ("hour", "20260506"),
        ("key", "7"),
        ("note", "[1]"),
    ],
)
def test_a_row_that_a_column_cannot_hold_is_named(
    tmp_path: Path, name: str, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others would be held; with it nothing is written, neither beside the table nor to it."""
    path = make_table(tmp_path, {name: pa.nulls(1, CELLS[name][0])})
    before = path.read_bytes()
    misfits = make_new(tmp_path, [[""], [cell]], capsys)
    kind = pq.read_schema(path).field(name).type
    assert misfits == {1: f"{name}: {kind} cannot hold it"}
    assert not (tmp_path / "new.parquet").exists()
    with pytest.raises(SystemExit, match=f"{name}: .* cannot hold it"):
        append(path, str(tmp_path / "rows.csv"))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_column_that_may_not_be_empty_is_filled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its schema says, Arrow itself does not ask."""
    schema = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    path = tmp_path / COLUMNAR
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}, schema=schema), path)
    assert make_new(tmp_path, [["1"], [""]], capsys) == {1: "x: it is empty"}


@pytest.mark.parametrize(
    ("kind", "fitting", "misfit"),
    [(pa.int64(), "17", "017"), (pa.string(), "017", ""), (pa.float64(), "1.5", "17")],
)
def test_an_id_is_held_as_the_log_has_it(
    tmp_path: Path,
    kind: pa.DataType,
    fitting: str,
    misfit: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else its row would be new at each retraining."""
    path = make_table(tmp_path, {" id ": pa.nulls(1, kind), "x": [1]})
    rows = [[fitting, "1"], [misfit, "1"]]
    assert list(make_new(tmp_path, rows, capsys, "id")) == [1]
    write_rows(tmp_path / "rows.csv", [" id ", "x"], rows[:1])
    append(path, str(tmp_path / "rows.csv"))
    assert read_taken(tmp_path, ParquetTable(tmp_path), ["id"]) == {"", fitting}


@settings(max_examples=25)
@given(
    before=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.integers(-9, 9) | st.none())
    ),
    after=st.lists(st.tuples(st.sampled_from(["a", "b,c", "é"]), st.integers(-9, 9))),
    cells=st.integers(1, 5),
)
def test_in_whatever_parts_each_row_stands_there_once_and_in_order(
    before: Sequence[tuple[str, int | None]],
    after: Sequence[tuple[str, int]],
    cells: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Old rows first; a part may have one row."""
    folder = tmp_path_factory.mktemp("table")
    schema = pa.schema([("name", pa.string()), ("x", pa.int32())])
    lists = {"name": [row[0] for row in before], "x": [row[1] for row in before]}
    pq.write_table(pa.table(lists, schema=schema), folder / "table.parquet", row_group_size=2)
    write_rows(folder / "rows.csv", ["name", "x"], [[name, str(x)] for name, x in after])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_program, "_PART_CELLS", cells)
        append(folder / "table.parquet", str(folder / "rows.csv"))
    written = pq.read_table(folder / "table.parquet").to_pylist()
    assert [(row["name"], row["x"]) for row in written] == [*before, *after]


def test_a_table_that_could_not_be_written_is_the_old_one(tmp_path: Path) -> None:
    """Where the new rows end in the middle, nothing of the new one is left."""
    path = make_table(tmp_path, {"x": [1]})
    before = path.read_bytes()
    (tmp_path / "rows.csv").write_bytes(b'x\n2\n"3')
    with pytest.raises(Exception, match="unexpected end of data"):
        append(path, str(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").write_text("y\n2\n")
    with pytest.raises(SystemExit, match="not those of the table"):
        append(path, str(tmp_path / "rows.csv"))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_whenever_it_is_killed_the_table_is_whole(tmp_path: Path) -> None:
    """The old one, or the new one; what is run next has each row once."""
    path = make_table(tmp_path, {"x": np.random.default_rng(1).integers(0, 2**60, 400_000)})
    before, old = path.read_bytes(), pq.read_table(path)["x"].to_pylist()
    write_rows(tmp_path / "rows.csv", ["x"], [["1"], ["2"]])
    files = path, tmp_path / "rows.csv"
    words = [sys.executable, "-I", parquet_program.__file__, "append", *map(str, files)]
    for written in (0, 1, 100_000, 1_000_000):
        with subprocess.Popen(words) as process:
            while process.poll() is None:
                if find_unfinished(path) >= written:
                    process.kill()
        assert process.returncode in (0, -signal.SIGKILL)
        if process.returncode == 0 or path.read_bytes() != before:  # it came too late
            assert pq.read_table(path)["x"].to_pylist() == [*old, 1, 2]
        path.write_bytes(before)
        for part in path.parent.glob(f".{path.name}.*"):
            part.unlink()
    append(path, str(tmp_path / "rows.csv"))
    assert pq.read_table(path)["x"].to_pylist() == [*old, 1, 2]


def find_unfinished(path: Path) -> int:
    """Return the bytes of the newest file that is to take the place of a table, else -1."""
    sizes = [-1]
    for part in path.parent.glob(f".{path.name}.*"):
        with suppress(FileNotFoundError):
            sizes.append(part.stat().st_size)
    return sizes[-1]


def test_bytes_that_a_cache_shares_stay_as_they_are(tmp_path: Path) -> None:
    """DVC may link the table to its cache: the object there is the old table's."""
    path = make_table(tmp_path, {"x": [1]})
    os.link(path, tmp_path / "cached")
    before = path.read_bytes()
    ParquetTable(tmp_path).append([["2"]])
    assert (tmp_path / "cached").read_bytes() == before
    assert pq.read_table(path)["x"].to_pylist() == [1, 2]


def test_a_table_elsewhere_is_read_by_the_python_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of the model in service; the first Python on PATH may have no pyarrow."""
    fetched, project, other = tmp_path / "fetched", tmp_path / "project", tmp_path / "bin"
    make_table(fetched, {"id": ["a", "b"]})
    (fetched / f"{COLUMNAR}.dvc").touch()
    own = f'touch "{tmp_path}/asked"; exec "{sys.executable}" "$@"'
    programs = {project / ".venv/bin": own, other: "exit 9"}
    for folder, command in programs.items():
        folder.mkdir(parents=True)
        (folder / "python").write_text(f"#!/bin/sh\n{command}\n")
        (folder / "python").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}{os.pathsep}{os.environ['PATH']}")
    assert open_table(fetched, project).read_ids("id") == {"a", "b"}
    assert (tmp_path / "asked").is_file()


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    """By file, and what to do."""
    path = make_table(tmp_path, {"x": [1]})
    table = ParquetTable(tmp_path)
    with pytest.raises(MlgitopsError, match="no column 'id'"):
        table.read_ids("id")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(MlgitopsError, match="cannot be read as Parquet") as raised:
        table.count_rows()
    assert "pyarrow must be in requirements/pipeline.txt" in str(raised.value.hint)
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), path)
    with pytest.raises(MlgitopsError, match="several columns have one name"):
        table.read_header()
