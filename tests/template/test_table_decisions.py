"""What `mlgitops new --data` decides about small tables, each of them odd in one way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml
from template.decision_cases import CASES, MOVED, late, some
from template.decisions import GOLDEN, Case, day, decide, label, make_table, scatter

from mlgitops.project.generate.choices import Choices
from mlgitops.project.generate.column_types import infer_table
from mlgitops.project.generate.table import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_decided_about_a_table(case: Case, tmp_path: Path) -> None:
    """Split, cluster, features, rules for cells, and the sentences about them."""
    facts = decide(case, tmp_path)
    assert (facts.split.method, facts.split.column) == case.split
    assert facts.split.cluster == case.cluster
    assert {*facts.numeric, *facts.categorical} == {"x", *case.features}, facts.notes
    assert case.slices is None or facts.slices == case.slices
    assert dict(facts.rules) == (case.rule or {})
    for part in case.says:
        assert any(part in note for note in facts.notes), (part, facts.notes)
    share = facts.split.test_rows / facts.rows
    assert 0.2 < share < 0.4


@pytest.mark.parametrize("name", ["ISO date", "one row a day", "tail numbers and days"])
def test_chance_moves_no_column(name: str, tmp_path: Path) -> None:
    """Columns that are drawn alike in every part of a dated table are not marked."""
    facts = decide(CASES[name], tmp_path)
    assert not facts.drift
    assert "moved between" not in (tmp_path / "set" / "contract.yaml").read_text(encoding="utf-8")


def test_the_contract_marks_what_moved_and_limits_gaps(tmp_path: Path) -> None:
    """A column that moved says so beside its name; one with gaps may have twice as many."""
    columns = {**MOVED["a number moves with time"].columns, "g": lambda at: at % 97 or ""}
    facts = decide(Case(columns), tmp_path)
    text = (tmp_path / "set" / "contract.yaml").read_text(encoding="utf-8")
    assert "\n  price: # moved between train and test rows (PSI " in text
    assert "\n  x:\n" in text
    assert yaml.safe_load(text)["metadata"]["missing"] == {"g": 0.05}
    assert facts.as_dict()["drift"].keys() == {"price"}


#: Tables whose decisions mislead most easily: what `new` says of them, and asks, is read by people.
TOLD = {
    "dated": {
        "year": lambda at: day(at).year,
        "month": lambda at: day(at).month,
        "day": lambda at: day(at).day,
        "dep_delay": late,
        "tailnum": lambda at: f"N{at * 7 % 89}",
        "carrier": lambda at: "ABC"[at % 3],
    },
    "question_marks": {
        "age_of_account": some("?"),
        "income": some("-", 15, lambda at: f"€{at * 7919 % 10007 + 1000:,}.50"),
        "rate": some("n/a", 20, lambda at: f"{at * 7 % 83 / 10}%"),
        "since": lambda at: f"{day(at):%d/%m/%Y}" if at else "",
        "country": lambda at: ("NA", "DE", "FR", "IT", "ES", "SE")[at % 6],
        "job": lambda at: "?" if at % 9 == 0 else "abc"[at % 3],
    },
    "mortgage": {
        "black": lambda at: at % 2,
        "hispan": lambda at: at // 2 % 2,
        "male": lambda at: at // 3 % 2 if at % 41 else "",
        "married": lambda at: at // 5 % 2,
        "loanamt": lambda at: at % 97,
        "zip": lambda at: f"0{at % 40:04d}",
        "approved_by": lambda at: "ab"[label(at)],
    },
    "visits": {
        "patient": lambda at: f"p{at % 120}",
        "age": lambda at: 20 + at % 50,
        "y": lambda at: int(scatter(at) * 5 + scatter(at, 6007) * 4),
    },
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_asked_and_said(name: str, tmp_path: Path) -> None:
    """Questions and sentences are as a person has read them; `tests/golden/README.md` says how."""
    asked: list[str] = []

    def ask(question: str, default: bool) -> bool:
        asked.append(f"? {question} [{'yes' if default else 'no'}]")
        return default

    facts = decide(Case(TOLD[name], choices=Choices(ask=ask)), tmp_path)
    text = "\n".join([*asked, *(f"- {note}" for note in facts.notes), ""])
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_a_code_keeps_its_zeros(tmp_path: Path) -> None:
    """A postcode is a category, which the contract lists as text."""
    facts = decide(CASES["postcodes stay as they are"], tmp_path)
    assert facts.categorical == ("zip",)
    contract = yaml.safe_load((tmp_path / "set" / "contract.yaml").read_text(encoding="utf-8"))
    assert contract["columns"]["zip"]["isin"][0] == "01000"


def test_utf_16_is_read(tmp_path: Path) -> None:
    """Excel's "Unicode text" is UTF-16 with tabs: read, and kept as UTF-8."""
    source = tmp_path / "table.csv"
    source.write_text(make_table({"größe": day}, separator="\t"), encoding="utf-16")
    table, facts = infer_table(read_table(source), target="y")
    assert facts.split.column == "größe"
    write_table(table, tmp_path / "kept.csv")
    assert (tmp_path / "kept.csv").read_text(encoding="utf-8").startswith("x,größe,y\n")
