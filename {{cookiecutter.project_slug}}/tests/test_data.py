from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import contract, ingest, validate
from {{ cookiecutter.__package_name }}.params import Params
from {{ cookiecutter.__package_name }}.plumbing import cells, paths, tables
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError


def test_data_keeps_the_contract(table: pd.DataFrame, schema: Any) -> None:  # noqa: ANN401
    """Every row of the project's data is as the contract says."""
    mistakes = contract.find_mistakes(table, schema)
    assert not mistakes, contract.render_mistakes(mistakes)


def test_every_feature_is_in_the_contract(schema: Any, params: Params) -> None:  # noqa: ANN401
    """The server can check each value that the model reads."""
    assert set(params.features.names) | {params.data.target} <= set(schema.columns)


def test_broken_value_is_named(table: pd.DataFrame, schema: Any, params: Params) -> None:  # noqa: ANN401
    """A value that is no number, or not allowed, is reported with its column, row and value."""
    column = find_checked(schema, params)
    broken = table.head(5).copy()
    broken[column] = broken[column].astype(object)
    broken.loc[broken.index[3], column] = "!much"
    mistakes = contract.find_mistakes(broken, schema)
    assert {(mistake.column, mistake.row) for mistake in mistakes} == {(column, 4)}
    assert "!much" in contract.render_mistakes(mistakes)


def find_checked(schema: Any, params: Params) -> str:  # noqa: ANN401 - pandera has no types
    """Return a column that the contract limits: to numbers, or to certain texts."""
    names = [*params.features.names, *schema.columns]
    blocks = ((name, schema.columns[name]) for name in names)
    return next(
        str(name) for name, block in blocks if block.coerce or (block.checks and is_text(block))
    )


def is_text(block: Any) -> bool:  # noqa: ANN401 - pandera has no types
    """Tell whether a column of the contract is text."""
    return str(block.dtype).startswith("str")


def test_repeated_id_is_named(table: pd.DataFrame, schema: Any, params: Params) -> None:  # noqa: ANN401
    """Two rows with one id are reported under the id's name."""
    name = params.data.id or "id"
    twice = pd.concat([table.head(1), table.head(2)])
    assert {mistake.column for mistake in contract.find_mistakes(twice, schema)} == {name}


def test_missing_and_unknown_columns_are_named(
    table: pd.DataFrame,
    schema: Any,  # noqa: ANN401
    params: Params,
) -> None:
    """A column that went missing, and one that nobody described, are both reported."""
    gone = params.features.names[0]
    changed = table.head(3).drop(columns=gone).assign(surprise=1)
    shown = contract.render_mistakes(contract.find_mistakes(changed, schema))
    assert f"column {gone}: is missing" in shown
    assert "column surprise: is not in the contract" in shown


def test_too_many_missing_values_are_named(tmp_path: Path) -> None:
    """A column with more gaps than its share is reported, and each check counts what it refuses."""
    path = tmp_path / "contract.yaml"
    path.write_text("metadata: {missing: {a: 0.5}}\ncolumns: {a: {}, b: {}}\n", encoding="utf-8")
    limits = contract.read_missing_limits(path)
    (mistake,) = contract.find_gaps({"a": 2, "b": 2}, 3, limits)
    assert (mistake.column, mistake.value, mistake.row) == ("a", "0.6667", None)
    assert contract.find_gaps({"a": 1}, 2, limits) == []
    refused = contract.count_refused([mistake, mistake])
    assert refused == {"a: at most 0.5 of the rows may lack a value": 2}
    for block, said in (("a: 2", "<= 1"), ("c: 0.1", "there is no column c")):
        text = f"columns:\n  a:\n    dtype: str\nmetadata:\n  missing:\n    {block}\n"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(StageError, match=f"metadata: missing: .*{said}"):
            contract.read_missing_limits(path)


def test_made_ids_are_unique_and_keep_to_their_row() -> None:
    """An id follows from the row's content, wherever it stands; equal rows are told apart."""
    rows = pd.DataFrame({"a": ["1", "2", "1"], "b": ["x", "y", "x"]})
    ids = ingest.add_id(rows)["id"]
    turned = ingest.add_id(rows.iloc[::-1])["id"]
    assert ids.is_unique
    assert ids[1] == turned[1]
    assert set(ids) == set(turned)


@pytest.mark.parametrize(("columns", "said"), [(["other"], "has no column"), ([], "has no rows")])
def test_unusable_tables_are_refused(columns: list[str], said: str, params: Params) -> None:
    """A table without rows, or without the target, ends the stage with a reason."""
    rows = pd.DataFrame({name: ["1"] for name in columns})
    with pytest.raises(StageError, match=said):
        ingest.prepare(rows, params.data)


def test_cells_are_read_by_the_rules_of_the_contract() -> None:
    """Numbers and dates get one form, what does not fit its rule stays, and days are made."""
    rows = pd.DataFrame(
        {
            "price": ["€1.234,50", "-", " 12 ", "much"],
            "land": ["NA", "DE", "", "?"],
            "seen": ["31.12.2020 9:05", "1.1.2021 10:00", "", "soon"],
        }
    )
    rules = {
        "price": cells.Rule(missing=["-"], remove="€", thousands=".", decimal=","),
        "land": cells.Rule(keep=["NA"], missing=["?"]),
        "seen": cells.Rule(format="%d.%m.%Y %H:%M"),
        "day": cells.Rule(date_of=["seen"]),
    }
    read = cells.apply_rules(rows, rules)
    assert read["price"].tolist() == ["1234.50", "", "12", "much"]
    assert read["land"].tolist() == ["NA", "DE", "", ""]
    assert read["seen"].tolist() == ["2020-12-31 09:05:00", "2021-01-01 10:00:00", "", "soon"]
    assert read["day"].tolist() == ["2020-12-31", "2021-01-01", "", "soon"]
    with pytest.raises(StageError, match="there is no column lost"):
        cells.apply_rules(rows, {"lost": cells.Rule(missing=["-"])})
    with pytest.raises(StageError, match="there is a column land already"):
        cells.apply_rules(rows, {"land": cells.Rule(date_of=["seen"])})


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({"date_of": ["a"], "epoch": "s"}, ["2020-01-01", ""]),
        ({"date_of": ["b"], "format": "%Y%m%d"}, ["2020-01-31", "2020-02-01"]),
        ({"date_of": ["c", "d"]}, ["2020-01", "2020-12"]),
    ],
)
def test_days_are_made_of_numbers(rule: dict[str, Any], days: list[str]) -> None:
    """Seconds since 1970, 20200131, and parts in columns of their own become ISO 8601."""
    rows = pd.DataFrame(
        {
            "a": ["1577836800", ""],
            "b": ["20200131", "20200201"],
            "c": ["2020", "2020.0"],
            "d": ["1", "12"],
        }
    )
    made = cells.apply_rules(rows, {"day": msgspec.convert(rule, cells.Rule)})
    assert made["day"].tolist() == days


@pytest.mark.parametrize(
    "text", ["metadata: {ingest: {a: {decimals: ','}}}", "metadata: {ingest: [a]}", "metadata: 3"]
)
def test_rules_that_cannot_be_read_are_refused(text: str, tmp_path: Path) -> None:
    """A misspelt rule is named, not left out."""
    (tmp_path / "contract.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StageError, match="metadata: ingest:"):
        cells.read_rules(tmp_path / "contract.yaml")


def test_own_id_is_not_replaced(params: Params) -> None:
    """A column named in data.id is taken as it is."""
    data = msgspec.structs.replace(params.data, id="key", target="y")
    rows = pd.DataFrame({"key": ["b", "a"], "y": ["0", "1"]})
    assert ingest.prepare(rows, data)["key"].tolist() == ["b", "a"]


PARAMS = """\
task: regression
seed: 0
data: {target: share}
features: {numeric: [number]}
split: {method: hash, test_fraction: 0.5}
train: {estimator: any}
evaluate: {}
explain: {}
"""
CONTRACT = """\
columns:
  id: {dtype: str, unique: true}
  number: {dtype: float64, nullable: true, unique: true}
  share: {dtype: float64, coerce: true, nullable: true}
  letter: {dtype: str, isin: [x, y]}
"""


def prepare_in_parts(cells_of_a_part: int, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, str]:
    """Ingest and check the table of the current folder; return the cells and what is said of them.

    A number is written as in its part: 1 among whole numbers is 1.0 among decimals.
    """
    monkeypatch.setattr(tables, "PART_CELLS", cells_of_a_part)
    ingest.main()
    report, _ = validate.check_table(paths.INTERIM, paths.CONTRACT)
    return paths.INTERIM.read_bytes(), str(report).replace(".0'", "'")


def test_a_table_in_parts_is_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, what is missing and every mistake are those of the whole, however it is cut."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{number},{number % 3},x" for number in range(40)]
    rows += ["0,0,x", "0,0,x", "1,,x", ",2.5,y", "5,much,x", "5,9,z", "5,9,z"]
    paths.RAW.parent.mkdir(parents=True)
    paths.RAW.write_text("\n".join(["number,share,letter", *rows]) + "\n", encoding="utf-8")
    paths.PARAMS.write_text(PARAMS, encoding="utf-8")
    paths.CONTRACT.write_text(CONTRACT, encoding="utf-8")
    whole, report = prepare_in_parts(1_000_000, monkeypatch)
    assert b"-3,0,0,x\n" in whole  # the third of three equal rows
    assert "'number: must be unique': 9" in report
    assert "'value': 'much', 'row': 45" in report
    assert "'missing': {'number': 1, 'share': 1}" in report
    for cells_of_a_part in (4, 20, 100):
        assert prepare_in_parts(cells_of_a_part, monkeypatch) == (whole, report)
