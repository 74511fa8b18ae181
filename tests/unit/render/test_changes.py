"""What is said of changed tables and of costs, in a sentence and in cells."""

from __future__ import annotations

import pytest
from builders import make_change, make_report
from comments import situations
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.judgement.judge import judge_report
from mlgitops.model import ColumnChange, ParamChange, Policy, Rule, TableChange
from mlgitops.render.changes import (
    COLUMN_HEAD,
    COST_HEAD,
    column_cells,
    cost_cells,
    describe_cluster,
    describe_cost,
    describe_table,
    summarise_tables,
)
from mlgitops.render.numbers import DASH

MINUS = "\u2212"


def table(**facts: object) -> TableChange:
    """Make the change of a table of 100 rows."""
    known: dict[str, object] = {"path": "t.csv", "base_rows": 100, "head_rows": 100}
    return TableChange(**known | {"added": 0, "removed": 0, "changed": 0} | facts)  # type: ignore[arg-type]


def column(name: str = "x", **facts: object) -> ColumnChange:
    """Make the change of a column of numbers."""
    known: dict[str, object] = {"name": name, "base_kind": "number", "head_kind": "number"}
    known |= {"base_missing": 0.0, "head_missing": 0.0}
    return ColumnChange(**known | facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (table(), "the same 100 rows"),
        (table(head_rows=101, added=1), "100 → 101 rows (+1)"),
        (table(head_rows=1, removed=99), f"100 → 1 row ({MINUS}99)"),
        (table(changed=3), "100 rows (3 changed)"),
        (table(changed=3, columns=(column(changed_rows=3),)), "100 rows (3 changed in `x`)"),
        (
            table(changed=9, columns=tuple(column(n, changed_rows=1) for n in "abcde")),
            "100 rows (9 changed in `a`, `b`, `c` and 2 more)",
        ),
        (table(columns=(column(base_kind=None),)), "the same 100 rows; `x` is a new column"),
        (table(columns=(column(head_kind=None),)), "the same 100 rows; `x` is gone"),
        (
            table(columns=(column(head_kind="text"),)),
            "the same 100 rows; `x` holds text, was number",
        ),
        (table(columns=(column(psi=0.099),)), "the same 100 rows"),
        (table(columns=(column(psi=0.1),)), "the same 100 rows; `x` shifted (PSI 0.10)"),
        (
            table(columns=(column(psi=0.3, mean_shift=-0.5),)),
            f"the same 100 rows; `x` shifted far (PSI 0.30, mean {MINUS}0.50 sd)",
        ),
        (
            table(columns=(column(head_missing=0.25),)),
            "the same 100 rows; `x` is missing in 0% → 25% of rows",
        ),
        (
            table(columns=(column(new_levels=("a", "b"), gone_levels=("c",), more_levels=1_200),)),
            "the same 100 rows; `x` gained `a` and `b`, lost `c` (1,200 more)",
        ),
        (
            table(columns=tuple(column(name, psi=0.1) for name in "abcdefgh")),
            "the same 100 rows; "
            + "; ".join(f"`{name}` shifted (PSI 0.10)" for name in "abcde")
            + "; and 3 more",
        ),
    ],
)
def test_sentence(change: TableChange, text: str) -> None:
    """The sentence holds rows first, then what each column deserves, and no more."""
    assert describe_table(change) == f"`t.csv`: {text}"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (TableChange(path="t.csv", reason="no"), "`t.csv` was not compared: no"),
        (TableChange(path="t.csv", head_rows=1), "`t.csv` is new, 1 row"),
        (TableChange(path="t.csv", base_rows=1_000), "`t.csv` is gone, 1,000 rows"),
    ],
)
def test_tables_of_one_side(change: TableChange, text: str) -> None:
    """A table that is new, gone or unreadable is said as such."""
    assert describe_table(change) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (1e-9, "<0.1%"),
        (0.25, "25%"),
        (0.1234, "12.3%"),
        (0.99999, ">99.9%"),
        (1, "100%"),
    ],
)
def test_shares_never_look_like_none_or_all(share: float, text: str) -> None:
    """A single missing cell of a million is not shown as none, nor nearly all as all."""
    cells = column_cells(column(base_missing=share, head_missing=share))
    assert cells[2] == text


def test_summary_counts_rows() -> None:
    """The title of the fold says how many rows, of the first table that was compared."""
    report = make_report(tables=(TableChange(path="a", reason="no"), table(added=2, removed=1)))
    assert summarise_tables(report) == f"rows +2, {MINUS}1"
    assert summarise_tables(make_report(tables=(table(),))) == "the same rows"
    assert summarise_tables(make_report()) == ""


def test_costs_are_listed_as_one_asks_for_them() -> None:
    """Time, memory, size, latency; a change in percent, a budget with its mark."""
    report = situations()["data_changed"]
    assert describe_cost(report) == (
        "training 1 min 3 s (+53%), peak memory 514 MB, model 12.5 MB, 1 row 5.24 ms (+206%)"
    )
    assert cost_cells(report) == [
        ["training time", "41.2 s", "1 min 3 s", "+53%", DASH],
        ["peak memory", "512 MB", "514 MB", "within the noise of one run", DASH],
        ["model size", "12.5 MB", "12.5 MB", "unchanged", DASH],
        ["predicting 1 row", "1.71 ms", "5.24 ms", "+206%", "❌ at most 5"],
    ]


@pytest.mark.parametrize(
    ("name", "head", "text"),
    [
        ("cost.training_seconds", 12.9, "within the noise of one run"),
        ("cost.training_seconds", 7.1, "within the noise of one run"),
        ("cost.training_seconds", 13.0, "+30%"),
        ("cost.training_seconds", 10.0, "unchanged"),
        ("cost.latency_ms", 8.0, "within the noise of one run"),
        ("cost.peak_memory_mb", 10.7, "within the noise of one run"),
        ("cost.peak_memory_mb", 11.0, "+10%"),
        ("cost.model_size_mb", 10.4, "+4%"),  # a size has no noise
    ],
)
def test_what_another_run_may_differ_by_is_no_change(name: str, head: float, text: str) -> None:
    """Times and memory of one run each are told apart only beyond what runs differ by."""
    report = make_report(cost=(make_change(name, 10.0, head),))
    assert cost_cells(report)[0][3] == text
    assert ("(" in describe_cost(report)) is (text[0] in "+-")


def test_a_judged_cost_always_shows_its_change() -> None:
    """A budget's margin is held against the number itself, so noise hides none of it."""
    change = make_change("cost.training_seconds", 10.0, 12.0)
    policy = Policy(budgets={change.name: Rule(greater_is_better=False, max_worsening=1.0)})
    report = judge_report(make_report(cost=(change,)), policy)
    assert cost_cells(report)[0][3:] == ["+20%", "❌ may lose at most 1"]


def test_unknown_costs_stay_out_of_the_title() -> None:
    """A name that a forged report brings is shown in a cell only, where it is escaped."""
    report = make_report(cost=(make_change("<b>", 1.0, 2.0),))
    assert describe_cost(report) == ""
    assert cost_cells(report)[0][0] == "`<b>`"


NUMBERS = st.none() | st.floats(0, 1e12)


@given(NUMBERS, NUMBERS, st.none() | st.floats(-1e6, 1e6), st.none() | st.floats(0, 1))
def test_any_numbers_can_be_shown(
    base: float | None, psi: float | None, shift: float | None, share: float | None
) -> None:
    """Whatever the numbers, there is a cell for every head."""
    found = column(psi=psi, mean_shift=shift, base_missing=share)
    assert len(column_cells(found)) == len(COLUMN_HEAD)
    report = make_report(cost=(make_change("cost.peak_memory_mb", base, psi),))
    assert all(len(cells) == len(COST_HEAD) for cells in cost_cells(report))


@pytest.mark.parametrize(
    ("name", "base", "head", "is_told"),
    [
        ("compute.address", None, '"tcp://evil:1"', True),
        ("compute.address", '"tcp://ours:1"', '"tcp://evil:1"', True),
        ("compute.address", '"tcp://ours:1"', "null", False),
        ("compute.address", '"tcp://ours:1"', None, False),
        ("compute.backend", '"local"', '"dask"', False),
    ],
)
def test_another_address_that_tasks_go_to_is_told(
    name: str, base: str | None, head: str | None, is_told: bool
) -> None:
    """No number moves by it, and whoever listens there sees the data after the merge."""
    change = ParamChange(path="params.yaml", name=name, base=base, head=head)
    said = describe_cluster(make_report(make_change("test.auc", 0.5, 0.5), params=(change,)))
    assert [str(head) in text for text in said] == [True] * is_told
