"""What `mlgitops new` refuses: exit code 2, nothing written, and words that a person has read.

Every message stands in `tests/golden/new/refusals.txt`; `tests/golden/README.md` says how to write
it again.
"""

from __future__ import annotations

import ast
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from template.decisions import day, label, make_table

from mlgitops.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "new" / "refusals.txt"

#: Each message in the golden file follows a line with its name.
_TITLE = "# "


def rows(count: int, *columns: Callable[[int], object], header: str) -> str:
    """Return a CSV file's text: one function a column."""
    lines = [",".join(str(column(at)) for column in columns) for at in range(count)]
    return "\n".join([header, *lines, ""])


def number(at: int) -> int:
    """Return a number without order."""
    return at * 7919 % 101


def two(at: int) -> int:
    """Return one of two classes."""
    return number(at) % 2


def write_parquet(columns: dict[str, list[object]]) -> bytes:
    """Return a Parquet file with these columns."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


class Refused(NamedTuple):
    """A file and what was typed behind `new --data table.csv --target y`."""

    content: str | bytes
    words: tuple[str, ...] = ()


XY = rows(60, number, number, header="x,y")
CLASSES = rows(200, number, two, header="x,y")
FILES = {
    "an empty file": Refused(""),
    "a header alone": Refused("x,y\n"),
    "39 rows": Refused(rows(39, number, number, header="x,y")),
    "two columns of one name": Refused(rows(60, number, number, header="y,y ")),
    "a column without a name": Refused(rows(60, number, number, number, header="x,,y")),
    "a bell in a column's name": Refused(rows(60, number, number, header="x,y\x07")),
    "a cell too many": Refused(XY + "1,2,3\n"),
    "a cell too few": Refused(XY + "1\n"),
    "a quote that is never closed": Refused(XY + '"1,2\n'),
    "one column": Refused(rows(60, number, header="y")),
    "a web page": Refused("<html><body>\n" * 60),
    "another encoding": Refused(b"x,y\n1,\xe4\n"),
    "UTF-16 without a mark": Refused("x,y\n1,2\n".encode("utf-16-le")),
    "a mark of UTF-16 before half a character": Refused(b"\xff\xfex,y\n1"),
    "a row above the rows": Refused(
        "5.1,3.5,setosa\n" + rows(60, number, number, lambda _: "setosa", header="4,5,setosa")
    ),
    "a number above each column": Refused(rows(60, number, number, header="5.1,3")),
    "a workbook": Refused(b"PK\x03\x04...."),
    "an old workbook": Refused(b"\xd0\xcf\x11\xe0...."),
    "a broken Parquet file": Refused(b"PAR1...."),
    "lists in a Parquet file": Refused(write_parquet({"x": [[1], [2]] * 30, "y": [0, 1] * 30})),
    "a Parquet file of 39 rows": Refused(write_parquet({"x": [*range(39)], "y": [1] * 39})),
    "a Parquet file of one column": Refused(write_parquet({"y": [0, 1] * 30})),
    "an Arrow file": Refused(b"ARROW1.."),
    "a gzip archive": Refused(b"\x1f\x8b...."),
    "a database": Refused(b"SQLite format 3\0"),
    "a PDF": Refused(b"%PDF-1.7"),
    "zeros": Refused(b"x,y\n\0\0"),
}
COLUMNS = {
    "no such target": Refused(rows(60, number, number, header="x,price")),
    "a target spelt in another way": Refused(rows(60, number, two, header="x,target"), ("targte",)),
    "a target in small letters": Refused(rows(60, number, two, header="x,Y")),
    "a target that is constant": Refused(rows(60, number, lambda _: 1, header="x,y")),
    "a target without values": Refused(rows(60, number, lambda _: "", header="x,y")),
    "a target for half of the rows": Refused(
        rows(60, number, lambda at: at if at < 30 else "", header="x,y")
    ),
    "60 classes": Refused(rows(60, number, lambda at: f"t{at}", header="x,y")),
    "98 classes": Refused(make_table({"y": lambda at: f"c{at % 98}"})),
    "98 classes of numbers": Refused(
        rows(900, number, lambda at: at % 98, header="x,y"), ("--task", "multiclass")
    ),
    "two classes of several": Refused(CLASSES, ("--task", "multiclass")),
    "a binary target of many values": Refused(XY, ("--task", "binary")),
    "a regression of words": Refused(
        rows(60, number, lambda at: "ab"[two(at)], header="x,y"), ("--task", "regression")
    ),
    "a class of two rows": Refused(
        rows(60, number, lambda at: f"t{0 if at % 30 else 1}", header="x,y")
    ),
    "classes of two rows, as counts are": Refused(
        rows(200, number, lambda at: two(at) if at > 3 else 2 + at // 2, header="x,y")
    ),
    "no feature": Refused(rows(60, lambda _: 3, number, header="x,y")),
    "an id that names nothing": Refused(rows(60, lambda at: at % 9, two, header="id,y")),
    "an id that is the target": Refused(CLASSES, ("--id", "y")),
    "an id that repeats": Refused(CLASSES, ("--id", "x")),
    "an id that is missing": Refused(
        rows(60, number, lambda at: at or "", two, header="x,k,y"), ("--id", "k")
    ),
    "an id that is missing twice": Refused(
        rows(60, number, lambda at: at if at > 1 else "", two, header="x,k,y"), ("--id", "k")
    ),
}
CHOICES = {
    "the target is to be kept": Refused(CLASSES, ("--keep", "y")),
    "what is to be kept is constant": Refused(make_table({"c": lambda _: 1}), ("--keep", "c")),
    "what is to be kept is not there": Refused(CLASSES, ("--keep", "xs")),
    "no time": Refused(CLASSES, ("--split", "time")),
    "one day alone is no time": Refused(
        make_table({"day": lambda _: "2020-05-01"}), ("--split", "time")
    ),
    "text is no time": Refused(
        make_table({"c": lambda at: "abc"[at % 3]}), ("--split", "time", "--split-column", "c")
    ),
    "no groups": Refused(CLASSES, ("--split", "group")),
    "the target as group": Refused(CLASSES, ("--split", "group", "--split-column", "y")),
    "a class that came late": Refused(
        make_table({"day": day, "y": lambda at: 2 if at > 500 and at % 2 else label(at)}),
        ("--split", "time"),
    ),
    "one group": Refused(
        make_table({"shop": lambda _: "s"}), ("--split", "group", "--split-column", "shop")
    ),
    "a column to split by, and no split": Refused(CLASSES, ("--split-column", "x")),
    "a slug that hides a module": Refused(CLASSES, ("--slug", "json", "--owner", "@me")),
    "a folder that is a file": Refused(CLASSES, ("--directory", "table.csv")),
    "a folder that is taken": Refused(CLASSES, ("--directory", "..", "--slug", "taken")),
}
#: Without a table, or without one that is there.
WORDS = {
    "no such file": ("--data", "nowhere.csv", "--target", "y"),
    "a folder as table": ("--data", ".", "--target", "y"),
    "no target": ("--data", "."),
    "a target of no table": ("--target", "y"),
    "rows for git of no table": ("--golden", "synthetic"),
    "a split of no table": ("--split", "time", "--keep", "x"),
    "two bad answers": ("--task", "ranking", "--storage", "ftp"),
    "an answer to no question": ("--answer", "colour=red"),
    "an answer without a key": ("--answer", "owner"),
    "neither yes nor no": ("--answer", "fork_reports=perhaps"),
    "a bad slug and a bad owner": ("--slug", "json", "--owner", "@me"),
    "a storage without its address": ("--storage", "s3", "--storage-url", "gs://bucket"),
}
TABLES = {**FILES, **COLUMNS, **CHOICES}


def read_golden() -> dict[str, str]:
    """Return the accepted messages: name → text."""
    text = GOLDEN.read_text(encoding="utf-8") if GOLDEN.exists() else ""
    parts = re.split(rf"(?m)^{_TITLE}(.*)\n", text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def hold(name: str, message: str) -> None:
    """Hold a message against the accepted one, or accept it."""
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        accepted = {**read_golden(), name: message}
        kept = [key for key in (*TABLES, *WORDS) if key in accepted]
        text = "".join(f"{_TITLE}{key}\n{accepted[key]}" for key in kept)
        GOLDEN.write_text(text, encoding="utf-8")
    assert read_golden().get(name) == message


def refuse(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run `new` with these words and return what it says when it refuses."""
    assert run(["new", "--no-input", *words]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert printed.out == ""
    return re.sub(r"(?m)^ *(✓|✗).*\n", "", printed.err)  # the steps before it, with their time


def list_written(folder: Path) -> set[str]:
    """Return every path below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_used_is_refused(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2, the accepted message and no traceback, nothing written."""
    case = TABLES[name]
    content = case.content if isinstance(case.content, bytes) else case.content.encode()
    (tmp_path / "taken").mkdir()
    here = tmp_path / "here"
    here.mkdir()
    (here / "table.csv").write_bytes(content)
    monkeypatch.chdir(here)
    target, words = "y", list(case.words)
    if words and not words[0].startswith("-"):
        target = words.pop(0)
    message = refuse(["--data", "table.csv", "--target", target, *words], capsys)
    assert list_written(tmp_path) == {"taken", "here", "here/table.csv"}
    hold(name, message.replace(str(tmp_path), "FOLDER"))


@pytest.mark.parametrize("name", WORDS)
def test_an_answer_that_cannot_be_used_is_refused(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2, the accepted message and no traceback, nothing written."""
    monkeypatch.chdir(tmp_path)
    message = refuse(list(WORDS[name]), capsys)
    assert list_written(tmp_path) == set()
    hold(name, message)


def list_messages() -> Iterator[tuple[str, str]]:
    """Return where an error is raised while a project is made, and a pattern of what it says."""
    package = ROOT / "src" / "mlgitops"
    for path in (package / "commands" / "new.py", *(package / "project/generate").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "MlgitopsError":
                yield f"{path.name}:{node.lineno}", _make_pattern(node.args[0])


def _make_pattern(node: ast.expr) -> str:
    """Return a pattern that the text of an expression fits: `.*` for what is put in."""
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_make_pattern, node.values))
    return ".*"


#: What no table and no typed word leads to, tested elsewhere or by hand.
ELSEWHERE = {
    "Reading Parquet needs pyarrow",  # test_own_parquet.py
    "the input ended before every question was answered",  # test_asking.py
    "the project was not generated: ",  # a full disk
}


def test_every_refusal_has_been_read() -> None:
    """No error of `new` is left out of the golden file."""
    text = GOLDEN.read_text(encoding="utf-8")
    patterns = dict(list_messages())
    assert len(patterns) > 30
    unread = {
        name: pattern
        for name, pattern in patterns.items()
        if pattern != ".*" and not re.search(pattern, text)
    }
    assert {re.sub(r"\\(.)|\.\*", r"\1", pattern) for pattern in unread.values()} == ELSEWHERE


def test_the_golden_file_has_no_case_that_is_gone() -> None:
    """What stands there is what the tests show."""
    assert set(read_golden()) == {*TABLES, *WORDS}
