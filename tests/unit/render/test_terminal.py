"""The terminal's tables: exact text at several widths, and names that are never lost."""

from __future__ import annotations

import os
import re
from io import StringIO
from pathlib import Path

import pytest
from builders import make_change, make_report
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mlgitops.console import Console
from mlgitops.model import (
    DataChange,
    DataVersion,
    ParamChange,
    Policy,
    Report,
    Rule,
    StageChange,
    StageState,
)
from mlgitops.render.numbers import DASH
from mlgitops.render.terminal import find_width, render_terminal
from mlgitops.render.terminal_table import TerminalTable, lay_out

GOLDEN = Path(__file__).parents[2] / "golden"
CHURN, FRAUD = "models/churn/metrics.json", "models/fraud/metrics.json"
COLUMNS = '["age", "income", "region", "tenure", "contract", "payment"]'


def make_several() -> Report:
    """Make the report of two models side by side: long values, and names of both."""
    policy = {
        "test.roc_auc": Rule(max_worsening=0.01),
        "test.accuracy": Rule(min_value=0.8, max_worsening=0.02),
        "test.false_negative_rate": Rule(greater_is_better=False, max_worsening=0.01),
    }
    churn, trees = "churn/params.yaml", "sklearn.ensemble.HistGradientBoostingClassifier"
    return make_report(
        make_change("test.roc_auc", 0.91, 0.93, path=CHURN, interval=(0.012, 0.028)),
        make_change("test.accuracy", 0.85, 0.79, path=CHURN),
        make_change("accuracy", 0.81, 0.82, path=CHURN),
        make_change("accuracy", 0.71, 0.78, path=FRAUD),
        make_change("validation.macro_average.f1_score", 0.71, 0.78, path=FRAUD),
        policy=Policy(metrics=policy),
        params=(
            ParamChange(path=churn, name="train.estimator", base=trees, head="lightgbm.Classifier"),
            ParamChange(path=churn, name="train.columns", base=COLUMNS, head='["age", "income"]'),
            ParamChange(path=churn, name="seed", base="1", head="2"),
            ParamChange(path="fraud/params.yaml", name="seed", base=None, head="2"),
        ),
        data=(
            DataChange(
                path="data/raw/customers.csv",
                base=DataVersion(hash=f"md5:{'01' * 16}", size=123_456),
                head=DataVersion(hash=f"md5:{'a1' * 16}", size=123_999),
            ),
        ),
        stages=(
            StageChange(
                name="models/churn/dvc.yaml:train",
                state=StageState.RAN,
                seconds=12.2,
                causes=("params.yaml:train.estimator", "data/raw/customers.csv", "src/train.py"),
            ),
            StageChange(name="evaluate@fraud", state=StageState.RAN, causes=tuple("abcdefg")),
        ),
    )


def render(report: Report) -> str:
    """Render as into a pipe."""
    out = StringIO()
    render_terminal(report, Console(out=out, err=StringIO()))
    return out.getvalue()


@pytest.mark.parametrize("columns", ["60", "80", "100", "200", None])
def test_each_width_has_the_accepted_text(
    columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe is as wide as COLUMNS says, else 120; the text was read and accepted by eye."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    text = render(make_several())
    golden = GOLDEN / f"terminal_{columns or 'pipe'}.txt"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert max(map(cell_len, text.splitlines())) <= int(columns or 120)


@pytest.mark.parametrize(
    ("text", "width"),
    [("72", 72), (None, 120), ("", 120), ("0", 120), ("-5", 120), ("wide", 120), ("9" * 9, 120)],
)
def test_a_width_that_is_none_is_120(text: str | None, width: int) -> None:
    """COLUMNS counts when it is a number of columns."""
    assert find_width({} if text is None else {"COLUMNS": text}) == width


def test_a_file_is_shown_only_where_names_repeat() -> None:
    """Parameters of one file say nothing of it."""
    params = tuple(ParamChange(path="p.yaml", name=name, base="1", head="2") for name in "ab")
    shown = render(make_report(params=params, policy=Policy()))
    assert "p.yaml" not in shown
    assert "   base  head\na  1     2\nb  1     2\n" in shown


def test_what_is_not_listed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond forty and causes beyond five are told."""
    monkeypatch.setenv("COLUMNS", "100")
    params = tuple(
        ParamChange(path="p.yaml", name=f"p{at}", base="1", head="2") for at in range(43)
    )
    stage = StageChange(name="train", state=StageState.RAN, causes=tuple("abcdefg"))
    shown = render(make_report(params=params, stages=(stage,), policy=Policy()))
    assert "\n3 more; all of them: --json\n" in shown
    assert "train  ran          a, b, c, d, e and 2 more\n" in shown


WORDS = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=70)
NUMBERS = st.sampled_from([DASH, "0.7012", "\N{MINUS SIGN}12,345.6789"])
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@given(
    st.lists(st.tuples(WORDS, WORDS, NUMBERS, NUMBERS, TEXTS), min_size=1, max_size=4),
    st.integers(min_value=30, max_value=220),
    st.sampled_from([1, 2]),
)
def test_no_cell_is_lost_and_no_line_too_long(
    rows: list[tuple[str, ...]], window: int, labels: int
) -> None:
    """Whatever stands in a table, each row has all of its cells; numbers and names stay whole."""
    table = TerminalTable(
        head=["judged", "file", "base", "head", "result"],
        rows=rows,
        labels=labels,
        wraps=frozenset({1, 4}) if labels == 1 else frozenset({4}),
    )
    layout = lay_out(table, window)
    lines = [line for block in (layout.head, *layout.rows) for line in block]
    assert max(map(cell_len, lines)) <= window
    assert not [line for line in lines if line != line.rstrip()]
    for row, block in zip(rows, layout.rows, strict=True):
        letters = sorted("".join("".join(block).split()))
        wanted = sorted("".join("".join(row).split()))
        assert not [letter for letter in wanted if wanted.count(letter) > letters.count(letter)]
        for number in row[2:4]:
            assert re.search(rf"(^|\s){re.escape(number)}(\s|$)", "\n".join(block))
        if cell_len(row[0]) <= window:
            assert row[0] in "\n".join(block)


def test_wide_characters_keep_the_columns_straight() -> None:
    """A character of two columns counts as two."""
    table = TerminalTable(head=["", "base"], rows=[["精度", "0.7"], ["f1", "0.8"]])
    assert lay_out(table, 40).rows == [["精度  0.7"], ["f1    0.8"]]
