"""What differs between two tables: rows, columns, missing values, distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgitops.comparison.tables.diff import MAX_LISTED, diff_tables
from mlgitops.statistics.drift import compute_psi, count_between, expect_psi, measure_drift
from mlgitops.tables.table import Table, read_table

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from mlgitops.model import ColumnChange, TableChange
    from mlgitops.statistics.drift import Drift

HEADER = ("id", "carrier", "distance", "late")
ROWS = [(f"f{at}", "AABBDD"[at % 6 : at % 6 + 2], str(at * 10), str(at % 2)) for at in range(400)]


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Table:
    """Make a table as its CSV file would read."""
    lines = [",".join(line) for line in [header, *rows]]
    return read_table(("\n".join(lines) + "\n").encode())


def diff(
    head: Sequence[Sequence[str]], *, header: Sequence[str] = HEADER, key: str | None = "id"
) -> TableChange:
    """Compare :data:`ROWS` with other rows."""
    return diff_tables(table(ROWS), table(head, header), key=key)


def column(change: TableChange, name: str) -> ColumnChange:
    """Return what changed in one column."""
    return next(found for found in change.columns if found.name == name)


def edit(rows: Sequence[tuple[str, ...]], at: int, **cells: str) -> list[tuple[str, ...]]:
    """Return the rows with some cells of one row replaced."""
    changed = dict(zip(HEADER, rows[at], strict=True)) | cells
    return [*rows[:at], tuple(changed.values()), *rows[at + 1 :]]


@pytest.mark.parametrize(
    ("head", "counts"),
    [
        (ROWS, (0, 0, 0)),
        (ROWS[::-1], (0, 0, 0)),
        ([*ROWS, ("new", "AA", "5", "1")], (1, 0, 0)),
        (ROWS[3:], (0, 3, 0)),
        (edit(ROWS, 7, distance="71"), (0, 0, 1)),
        (edit(edit(ROWS, 7, distance="71", late="0"), 9, late=""), (0, 0, 2)),
        ([*edit(ROWS[1:], 0, id="other")], (1, 2, 0)),
        ([(row[0], row[1], f"{row[2]}.0", row[3]) for row in ROWS], (0, 0, 0)),
        ([], (0, 400, 0)),
    ],
)
def test_rows_by_key(head: list[tuple[str, ...]], counts: tuple[int, int, int]) -> None:
    """Rows are added, removed and changed by key; order and the spelling of a number are not."""
    change = diff(head)
    assert (change.added, change.removed, change.changed) == counts
    assert (change.base_rows, change.head_rows) == (400, len(head))
    assert change.key == "id"


def test_changed_cells_are_counted_by_column() -> None:
    """Each column says in how many rows it differs, a cell that became missing too."""
    change = diff(edit(edit(ROWS, 7, distance="71", late=""), 9, late="0"))
    assert column(change, "distance").changed_rows == 1
    assert column(change, "late").changed_rows == 2
    assert {found.name for found in change.columns} == {"distance", "late"}


@pytest.mark.parametrize(
    ("head", "key", "counts", "remark"),
    [
        (edit(ROWS, 7, distance="71"), None, (1, 1), "no key column is known"),
        (edit(ROWS, 7, id="f6"), "id", (1, 1), "1 row repeats a key of `id` at head"),
        (ROWS + ROWS[:2], "id", (2, 0), "2 rows repeat a key of `id` at head"),
        (ROWS, "nothing", (0, 0), "the key `nothing` is no column at base"),
        (ROWS[::-1], "carrier", (0, 0), "repeat a key of `carrier` at base"),
    ],
)
def test_rows_without_a_key(
    head: list[tuple[str, ...]], key: str | None, counts: tuple[int, int], remark: str
) -> None:
    """Where no key tells rows apart, whole rows are compared, and the reason is said."""
    change = diff(head, key=key)
    assert (change.added, change.removed, change.changed) == (*counts, None)
    assert change.key is None
    assert change.remark is not None
    assert remark in change.remark


def test_columns_added_removed_and_retyped() -> None:
    """Columns that came, went or hold another kind of thing are listed first."""
    head = [(row[0], row[1], row[2] if row[2] != "10" else "ten", "x") for row in ROWS]
    change = diff(head, header=("id", "carrier", "distance", "weather"))
    kinds = {found.name: (found.base_kind, found.head_kind) for found in change.columns}
    assert kinds == {
        "distance": ("number", "text"),
        "late": ("number", None),
        "weather": (None, "text"),
    }
    assert column(change, "distance").changed_rows == 1
    assert change.changed == 1


def test_missing_values_are_told_as_shares() -> None:
    """The share of rows without a value stands there for both sides."""
    head = [(row[0], row[1], "" if at < 100 else row[2], row[3]) for at, row in enumerate(ROWS)]
    found = column(diff(head), "distance")
    assert (found.base_missing, found.head_missing) == (0.0, 0.25)


def test_new_and_gone_levels() -> None:
    """Levels that came and went are named, the most frequent first, and counted beyond five."""
    head = [(row[0], f"N{at % 9}" if at % 9 else "ZZ", *row[2:]) for at, row in enumerate(ROWS)]
    found = column(diff(head), "carrier")
    assert found.new_levels == ("N1", "N2", "N3", "ZZ", "N4")
    assert len(found.gone_levels) == 5
    assert found.more_levels == 4 + (len({row[1] for row in ROWS}) - 5)


def test_swapping_two_flips_of_sign_is_a_change() -> None:
    """Two numbers of a row that both change sign make another row."""
    base, head = table([("1", "-2")], ("x", "y")), table([("-1", "2")], ("x", "y"))
    change = diff_tables(base, head, key=None)
    assert (change.added, change.removed) == (1, 1)


def test_swapped_columns_are_a_change() -> None:
    """A row whose cells changed places is another row."""
    base, head = table([("1", "2")], ("x", "y")), table([("2", "1")], ("x", "y"))
    assert diff_tables(base, head, key=None).added == 1
    reordered = table([("2", "1")], ("y", "x"))
    assert diff_tables(base, reordered, key=None).added == 0


CELL = st.sampled_from(["", "a", "b", "1", "2", "2.0", "-1", "2013-01-01", "true", "NA"])
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(*[CELL] * width), max_size=12).map(
        lambda rows: [(f"k{at}", *row) for at, row in enumerate(rows)]
    )
)


def make(rows: list[tuple[str, ...]]) -> Table:
    """Make a table of keyed rows, of as many columns as they have."""
    names = ["id", *(f"c{at}" for at in range(len(rows[0]) - 1 if rows else 1))]
    return table(rows, names)


@given(TABLES, st.sampled_from(["id", None]), st.randoms(use_true_random=False))
def test_a_table_differs_in_nothing_from_itself(
    rows: list[tuple[str, ...]], key: str | None, dice: random.Random
) -> None:
    """The same rows in any order differ in nothing."""
    other = list(rows)
    dice.shuffle(other)
    change = diff_tables(make(rows), make(other) if rows else make([]), key=key)
    assert (change.added, change.removed, change.changed or 0) == (0, 0, 0)
    assert change.columns == ()


@given(TABLES, TABLES, st.sampled_from(["id", None]))
def test_swapping_sides_swaps_added_and_removed(
    one: list[tuple[str, ...]], two: list[tuple[str, ...]], key: str | None
) -> None:
    """Base against head is head against base with added and removed exchanged."""
    there = diff_tables(make(one), make(two), key=key)
    back = diff_tables(make(two), make(one), key=key)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)
    assert {c.name: c.changed_rows for c in there.columns if c.changed_rows} == {
        c.name: c.changed_rows for c in back.columns if c.changed_rows
    }


@given(TABLES, TABLES)
def test_counts_add_up(one: list[tuple[str, ...]], two: list[tuple[str, ...]]) -> None:
    """Head's rows are base's, without the removed and with the added ones."""
    for key in ("id", None):
        change = diff_tables(make(one), make(two), key=key)
        assert change.added is not None
        assert change.removed is not None
        assert len(one) - change.removed + change.added == len(two)


KEYED = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(*[st.sampled_from("xyz")] * 2))


@given(KEYED, KEYED, st.randoms(use_true_random=False))
def test_keyed_rows_are_those_of_a_dictionary(
    base: dict[str, tuple[str, str]], head: dict[str, tuple[str, str]], dice: random.Random
) -> None:
    """Wherever a key stands at head, its row is compared with the one of that key at base."""
    rows = [[(key, *cells) for key, cells in side.items()] for side in (base, head)]
    dice.shuffle(rows[1])
    names = ("id", "first", "second")
    change = diff_tables(table(rows[0], names), table(rows[1], names), key="id")
    assert (change.added, change.removed) == (len(head.keys() - base), len(base.keys() - head))
    both = base.keys() & head.keys()
    assert change.changed == sum(base[key] != head[key] for key in both)
    for position, name in enumerate(names[1:]):
        edited = sum(base[key][position] != head[key][position] for key in both)
        cells = [shown.changed_rows for shown in change.columns if shown.name == name]
        assert edited == (cells[0] if cells else 0)


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3), unique=True))
def test_rows_between_edges_are_those_of_a_search(values: list[int], edges: list[int]) -> None:
    """A value that is an edge belongs to the bin below it."""
    numbers, ranked = np.array(values, dtype=float), np.array(sorted(edges), dtype=float)
    expected = np.bincount(np.searchsorted(ranked, numbers), minlength=len(edges) + 1)
    assert count_between(numbers, ranked).tolist() == expected.tolist()


def drift_of(base: Sequence[object], head: Sequence[object]) -> Drift:
    """Return how a column of these values moved, as the diff of two tables has it."""
    one = table([(str(value), "0") for value in base], ("x", "y"))
    two = table([(str(value), "0") for value in head], ("x", "y"))
    return measure_drift(one.columns["x"], two.columns["x"])


def test_psi_is_the_symmetric_divergence() -> None:
    """PSI of two counts is the sum of both Kullback-Leibler divergences, as scipy has them."""
    base, head = np.array([50, 30, 20]), np.array([20, 30, 50])
    expected = stats.entropy(base, head) + stats.entropy(head, base)
    assert compute_psi(base, head) == pytest.approx(expected, rel=1e-12)


def test_psi_on_deciles_of_a_shifted_normal() -> None:
    """A normal moved by one standard deviation has the PSI of its deciles, and mean shift 1."""
    grid = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    found = drift_of(grid.tolist(), (grid + 1).tolist())
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    shares = np.diff(stats.norm.cdf(edges - 1), prepend=0, append=1)
    exact = float(np.sum((shares - 0.1) * np.log(shares / 0.1)))
    assert found.psi == pytest.approx(exact, rel=1e-3)
    assert found.mean_shift == pytest.approx(1.0, rel=1e-3)


def test_expected_psi_is_met_without_drift() -> None:
    """Over many pairs of samples of one distribution, PSI's mean is the expected one."""
    rng = np.random.default_rng(7)
    rows, bins = (2_000, 3_000), 10
    drawn = [
        compute_psi(*(rng.multinomial(size, np.full(bins, 1 / bins)) for size in rows))
        for _ in range(2_000)
    ]
    expected, likely = expect_psi(bins, *rows)
    assert np.mean(drawn) == pytest.approx(expected, rel=0.05)
    assert 0.03 < np.mean(np.array(drawn) > likely) < 0.08


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        (range(50), range(50, 100), "too few rows"),
        (["a"] * 30 + ["b"] * 10, ["a"] * 40, "too few rows"),
        ([""] * 30, [""] * 30, "no values"),
        ([1] * 300, ["x"] * 300, "number at base, text at head"),
        ([f"t{at}" for at in range(1_500)], [f"t{at}" for at in range(1_500)], "too many"),
        (["inf"] * 500, [1] * 500, "no values on one side"),
    ],
)
def test_no_psi_without_ground(base: Sequence[object], head: Sequence[object], reason: str) -> None:
    """Where PSI would say nothing, or only noise, there is none, and the reason is said."""
    found = drift_of(base, head)
    assert found.psi is None
    assert found.reason is not None
    assert reason in found.reason


@pytest.mark.parametrize(
    ("base", "head", "shifted"),
    [
        ([5] * 1_000, [5] * 1_000, False),  # constant
        ([5] * 1_000, [5] * 600 + [4] * 400, True),  # constant, and no longer
        ([0] * 900 + list(range(1, 101)), [0] * 500 + list(range(1, 501)), True),  # mostly zeros
        ([0, 1] * 1_000, [0, 1, 1, 1] * 500, True),
        (list(range(10_000)), list(range(10_000, 0, -1)), False),
        (["a", "b"] * 2_000, ["b", "a"] * 2_000, False),
        (["a", "b"] * 2_000, ["a", "c"] * 2_000, True),
        (["1e308", "-1e308"] * 1_000, ["1e308", "-1e308"] * 1_000, False),
    ],
)
def test_shift_of_awkward_columns(
    base: Sequence[object], head: Sequence[object], shifted: bool
) -> None:
    """Constants, ties and huge numbers give a finite PSI that says what is so."""
    found = drift_of(base, head)
    assert found.psi is not None
    assert (found.psi >= 0.1) is shifted


def test_one_odd_row_does_not_decide() -> None:
    """A level that a single row of 2,000 holds moves PSI by next to nothing."""
    found = drift_of(["a", "b"] * 1_000, ["a", "b"] * 999 + ["a", "odd"])
    assert found.psi is not None
    assert found.psi < 0.01
    assert found.new_levels == ("odd",)


def test_wide_tables_list_the_most_telling_columns() -> None:
    """Of very many changed columns some are listed and the others counted."""
    names = ["id", *(f"c{at}" for at in range(100))]
    one = table([["a", *["1"] * 100]], names)
    two = table([["a", *["2"] * 100]], names)
    change = diff_tables(one, two, key="id")
    assert len(change.columns) == MAX_LISTED
    assert change.omitted_columns == 100 - MAX_LISTED
