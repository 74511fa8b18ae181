"""`mlgitops new --data`: what is inferred, what is refused, what is written."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from template.tables import EXAMPLES, Example, make_dated

from mlgitops.cli import run
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.policy import parse_policy
from mlgitops.project.generate.column_types import Facts, infer_table
from mlgitops.project.generate.columns import Kind, describe_column
from mlgitops.project.generate.contract import widen_range
from mlgitops.project.generate.dataset import write_dataset
from mlgitops.project.generate.table import read_table
from mlgitops.project.generate.yaml_text import flow

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLED = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}" / "data" / "bundled"
SETS = {"binary": "flights", "regression": "wages", "multiclass": "penguins"}


def infer(folder: Path, text: str, **options: Any) -> Facts:  # noqa: ANN401 - of infer_table
    """Infer from a CSV file's text and write the data-set folder ``set``."""
    source = folder / "table.csv"
    source.write_text(text, encoding="utf-8", newline="")
    table, facts = infer_table(read_table(source), **options)
    (folder / "set").mkdir()
    write_dataset(folder / "set", table, facts)
    return facts


def load(folder: Path, name: str) -> Any:  # noqa: ANN401 - any YAML
    """Return a file of the written data-set folder."""
    return yaml.safe_load((folder / "set" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_tables_as_people_bring_them(make: Callable[[], Example], tmp_path: Path) -> None:
    """Task, features and what is left out are found, and everything odd is said."""
    example = make()
    facts = infer(tmp_path, example.text, target=example.target)
    assert facts.task == example.task
    assert set(facts.numeric) == example.numeric
    assert set(facts.categorical) == example.categorical
    assert set(facts.left_out) == example.left_out
    for part in example.notes:
        assert any(part in note for note in facts.notes), (part, facts.notes)


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_what_is_written_agrees_with_itself(make: Callable[[], Example], tmp_path: Path) -> None:
    """Contract, parameters, policy and table name the same columns; the shapes are the bundled."""
    example = make()
    facts = infer(tmp_path, example.text, target=example.target)
    contract, params = load(tmp_path, "contract.yaml"), load(tmp_path, "params.yaml")
    with (tmp_path / "set" / "data.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    made = [*facts.split.rules, *([] if facts.key else ["id"])]
    assert sorted(contract["columns"]) == sorted([*header, *made])
    assert params["data"]["target"] == example.target
    assert {*params["features"]["numeric"], *params["features"]["categorical"]} <= set(header)
    assert len(rows) == facts.rows
    bundled = yaml.safe_load((BUNDLED / SETS[facts.task] / "params.yaml").read_text("utf-8"))
    assert shape(params) == shape(bundled)
    policy = parse_policy((tmp_path / "set" / "policy.yaml").read_bytes(), where="policy.yaml")
    assert policy.metrics
    card = (tmp_path / "set" / "DATA_CARD.md").read_text(encoding="utf-8")
    assert "**TO FILL IN**" in card


def shape(document: object) -> object:
    """Return a document's keys, without its values."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    return None


def test_the_contract_holds_types_ranges_and_values(tmp_path: Path) -> None:
    """Numbers get a range with room, texts their values, gaps a `nullable`, dates a pattern."""
    infer(tmp_path, make_dated().text, target="delayed")
    columns = load(tmp_path, "contract.yaml")["columns"]
    assert columns["row"] == {"dtype": "str", "unique": True}
    assert columns["origin"] == {"dtype": "str", "isin": ["EWR", "JFK", "LGA"]}
    assert columns["date"]["str_matches"].startswith("^[0-9]{4}")
    assert columns["temp"]["nullable"] is True
    assert columns["temp"]["coerce"] is True
    assert columns["temp"]["in_range"]["max_value"] > 110
    assert columns["delayed"] == {"dtype": "str", "isin": ["no", "yes"]}
    text = (tmp_path / "set" / "params.yaml").read_text(encoding="utf-8")
    assert "  #   year: it is the same in every row\n" in text
    assert "\n  method: time # " in text
    assert "\n  column: date # " in text


def rows(count: int, *columns: Callable[[int], object], header: str) -> str:
    """Return a CSV file's text: one function a column."""
    lines = [",".join(str(column(at)) for column in columns) for at in range(count)]
    return "\n".join([header, *lines, ""])


def number(at: int) -> int:
    """Return a number without order."""
    return at * 7919 % 101


TASKS = [
    (lambda at: at % 2, None, "binary"),
    (lambda at: "ab"[at % 2], None, "binary"),
    (lambda at: at % 2 + 0.5, None, "binary"),
    (lambda at: "abc"[at % 3], None, "multiclass"),
    (lambda at: at % 10, None, "multiclass"),
    (lambda at: at % 11, None, "regression"),
    (lambda at: at % 3 + 0.5, None, "regression"),
    (number, None, "regression"),
    (lambda at: at % 10, "regression", "regression"),
    (lambda at: at % 12, "multiclass", "multiclass"),
    (number, "binary", "has 101 values, a binary target two"),
    (lambda at: at % 2, "multiclass", "classes can be 3 to 50"),
    (lambda at: "abc"[at % 3], "regression", "is not a number"),
]


@pytest.mark.parametrize(("target", "asked", "expected"), TASKS)
def test_the_task_follows_from_the_target(
    target: Callable[[int], object], asked: str | None, expected: str, tmp_path: Path
) -> None:
    """Two classes, a few, or a number; `--task` decides otherwise where that is possible."""
    source = tmp_path / "table.csv"
    text = rows(202, lambda at: at * 31 % 47, target, header="x,y")
    source.write_text(text, encoding="utf-8")
    table = read_table(source)
    if " " in expected:
        with pytest.raises(MlgitopsError, match=expected):
            infer_table(table, target="y", task=asked)
    else:
        _, facts = infer_table(table, target="y", task=asked)
        assert facts.task == expected


@pytest.mark.parametrize(
    ("column", "task_of", "reason"),
    [
        (lambda at: number(at) ** 3, number, "alone gives 'y' away"),
        (lambda at: -number(at), number, "alone gives 'y' away"),
        (lambda at: f"c{number(at)}", number, "alone gives 'y' away"),
        (lambda at: number(at) % 2 * 50 + at % 7, lambda at: number(at) % 2, "alone gives"),
        (lambda at: "xyz"[number(at) % 3], lambda at: number(at) % 3, "alone gives 'y' away"),
        (lambda at: f"t{at * 2 // 3}", number, "too many to be categories"),
        (lambda at: 5000 - at, number, "names the row"),
    ],
)
def test_columns_that_give_the_target_away_are_left_out(
    column: Callable[[int], object],
    task_of: Callable[[int], object],
    reason: str,
    tmp_path: Path,
) -> None:
    """A copy of the target, in other words or in another order, is no feature."""
    text = rows(1010, lambda at: at * 37 % 89, column, task_of, header="x,column id,y")
    facts = infer(tmp_path, text, target="y")
    assert reason in facts.left_out["column id"]
    assert facts.numeric == ("x",)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e4", ""], Kind.NUMBER),
        (["01", "02"] * 10, Kind.CATEGORY),
        (["inf", "1"] * 10, Kind.CATEGORY),
        (["1e999", "1"] * 10, Kind.CATEGORY),
        (["True", "False"] * 10, Kind.CATEGORY),
        (["2024-01-31", "2024-02-29"], Kind.DATE),
        (["2024-01-31", "2023-02-29"] * 9, Kind.CATEGORY),
        (["2024-01-31T00:00:00Z"], Kind.DATE),
        (["", ""], Kind.EMPTY),
        ([f"name {at}" for at in range(50)], Kind.TEXT),
    ],
)
def test_what_a_column_holds(cells: list[str], kind: Kind) -> None:
    """Codes keep their zeros, infinities are no numbers, days must exist."""
    assert describe_column("x", cells).kind is kind


@settings(max_examples=1000)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_range_holds_what_was_seen_and_more(one: float, other: float) -> None:
    """Every seen value fits, and what was never negative stays so."""
    low, high = sorted((one, other))
    found = widen_range(low, high)
    assert found["min_value"] <= low
    assert found["max_value"] >= high
    assert found["min_value"] >= 0 or low < 0
    assert math.isfinite(found["max_value"] - found["min_value"]) or abs(low) + abs(high) > 1e300


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_any_name_and_value_survives_yaml(names: list[str]) -> None:
    """A name is a key and a value a value, whatever stands in them."""
    text = "".join(f"{flow(name)}:\n  isin: {flow(names)}\n" for name in names)
    assert yaml.safe_load(text) == {name: {"isin": names} for name in names}


def test_a_project_from_a_table_says_what_it_did(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    """`--json` prints place, answers and what was inferred; the project holds the table."""
    example = make_dated()
    source = tmp_path / "late flights.csv"
    source.write_text(example.text, encoding="utf-8")
    words = ["new", "--no-input", "--json", "--data", str(source), "--target", "delayed"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        assert run([*words, "--directory", str(tmp_path / "out")]) == 0
    found = json.loads(capfd.readouterr().out)
    project = Path(found["project"])
    assert project == tmp_path / "out" / "late-flights"
    assert found["answers"]["project_name"] == "Late Flights"
    assert found["inferred"]["task"] == "binary"
    table = (project / "data" / "raw" / "table.csv").read_text(encoding="utf-8")
    header = next(csv.reader(io.StringIO(table)))
    assert header[0] == "row"
    assert "TO FILL IN" in (project / "data" / "DATA_CARD.md").read_text(encoding="utf-8")
    assert not (project / "data" / "bundled").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], "synthetic"), (["--golden", "synthetic"], "synthetic"), (["--golden", "real"], "real")],
)
def test_no_row_of_ones_own_table_goes_into_git_unless_asked(
    words: list[str], expected: str, tmp_path: Path, home: Path
) -> None:
    """The rows of reports/golden.json are made from the contract, or the person chose."""
    source = tmp_path / "late flights.csv"
    source.write_text(make_dated().text, encoding="utf-8")
    command = ["new", "--no-input", "--data", str(source), "--target", "delayed", *words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        assert run([*command, "--directory", str(tmp_path / "out")]) == 0
    project = tmp_path / "out" / "late-flights"
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    assert params["evaluate"]["golden"] == expected
    assert "golden.json" in (project / "data/DATA_CARD.md").read_text(encoding="utf-8")
    assert "golden.json" in (project / "README.md").read_text(encoding="utf-8")


def test_golden_describes_a_table_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled data is public: its params.yaml says `real`, and is edited there."""
    assert run(["new", "--no-input", "--golden", "synthetic"]) == 2
    assert "--golden: this describes a table of your own" in capsys.readouterr().err
