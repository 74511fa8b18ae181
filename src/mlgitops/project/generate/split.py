"""Which rows are the test? By time where there is a time, by whole groups where rows share one.

Pure: columns and choices in, a :class:`Split` out. The rows are those that the split stage of the
project will choose (`split.py` of the template), so that the first policy can be met.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.project.generate.cells import MISSING
from mlgitops.project.generate.columns import Column, Kind
from mlgitops.project.generate.moments import Moments, find_moments, find_years, is_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.project.generate.choices import Choices
    from mlgitops.project.generate.table import Table

#: Share of the rows that are the test.
TEST_SHARE = 0.3

#: With fewer days or groups among the test rows, an interval by them says little.
MIN_CLUSTERS = 20

#: Rows that share a day or a group, on average, from which on they are not independent.
_REPEATS = 1.2

#: In a panel, whom the rows are about comes back that often on average. A column that says
#: something else would have so many pairs of rows of one value and year by chance alone.
_PANEL_REPEATS = 2
_CHANCE_PAIRS = 10

#: Seeds that are tried until every class of the test rows is among the train rows.
_SEEDS = range(20)

#: Why a column that the test rows were chosen or are counted by is no feature.
_NEW_TIME = "it says when the row was: later rows have values that none before had"
_NEW_ENTITY = "it says whom or what the row is about: a new one has a value that none before had"

#: What is wrong where every row has the same hash, or is of one group.
_EMPTY_SIDE = "one side has no rows"

_THINGS = (
    "customer|client|patient|subject|person|user|member|account|household|family|student|pupil|"
    "employee|driver|player|participant|respondent|donor|mother|device|machine|sensor|vehicle|"
    "engine|car|plane|aircraft|tail|property|applicant|borrower|case|kunde|patientin"
)
#: Words before a thing that make an amount of it: `income_per_customer`, `n_patient`.
_AMOUNTS = (
    "age|amount|average|avg|balance|budget|cost|count|distance|fee|in|income|max|mean|mileage|min|n|"
    "num|of|paid|per|price|profit|rate|revenue|salary|sales|score|size|spend|spending|sum|total|"
    "turnover|value|weight"
)
_NO_AMOUNT = rf"(?!(?:.*[ _.-])?(?:{_AMOUNTS})[ _.-])"
_ENTITY = re.compile(
    rf"(?i){_NO_AMOUNT}(?:.*[ _.-])?"
    rf"(?:{_THINGS})(?:[ _.-]?(?:id|no|nr|num|number|key|code|name))?"
)


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the test rows are chosen, by what rows belong together, and why."""

    method: str  # time, hash or group
    column: str | None  # what time and group read
    seed: int
    cluster: str | None  # the column whose equal values are not independent
    why: tuple[str, ...]  # sentences for the terminal and for params.yaml
    rules: dict[str, dict[str, Any]]  # columns that the ingest stage makes, for contract.yaml
    is_test: Sequence[bool] = field(repr=False)  # of each row
    left_out: dict[str, str]  # columns that are no features because of the split → why

    @property
    def test_rows(self) -> int:
        """Return the number of test rows."""
        return sum(self.is_test)

    def as_dict(self) -> dict[str, Any]:
        """Return what a script would want to know."""
        return {
            "method": self.method,
            "column": self.column,
            "seed": self.seed,
            "cluster": self.cluster,
            "test_rows": self.test_rows,
            "why": list(self.why),
        }


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the choice is made from."""

    table: Table
    columns: Mapping[str, Column]  # all but the target
    target: Column
    key: str | None
    classes: bool  # whether the target is one of several classes

    def count_sides(self, is_test: Sequence[bool]) -> tuple[Counter[str], Counter[str]]:
        """Return the target's values → rows, of the train and of the test rows."""
        sides: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for cell, test in zip(self.table.columns[self.target.name], is_test, strict=True):
            sides[test][cell] += 1
        return sides

    def find_flaw(self, is_test: Sequence[bool]) -> str | None:
        """Return why the model could not be measured on these test rows, or None."""
        sides = self.count_sides(is_test)
        if not sides[0] or not sides[1]:
            return _EMPTY_SIDE
        if not self.classes:
            return None
        unseen = sorted(set(sides[1]) - set(sides[0]))
        if unseen:
            return f"{self.target.name!r} is {unseen[0]!r} in test rows only"
        return "one side holds one class only" if min(map(len, sides)) < 2 else None  # noqa: PLR2004


def choose_split(rows: Rows, choices: Choices) -> Split:
    """Return the split that the person chose, or the one that the columns ask for.

    Raises :class:`MlgitopsError` when the chosen one is not possible.
    """
    ways = _find_ways(rows, choices)
    entity = _find_entity(rows, choices)
    if choices.split == "time":
        return _split_by_time(rows, _choose_way(ways, rows, choices), entity)
    if choices.split == "group":
        return _split_by_group(rows, _require_entity(entity, rows))
    if choices.split is None:
        split, notes = _propose(rows, choices, ways, entity)
        return split or _split_by_hash(rows, entity, notes)
    return _split_by_hash(rows, entity, [])


def _propose(
    rows: Rows, choices: Choices, ways: list[Moments], entity: str | None
) -> tuple[Split | None, list[str]]:
    """Return the split that the columns ask for and the person confirms, and what to say else."""
    notes: list[str] = []
    if ways:
        flaw = rows.find_flaw(_choose_latest(ways[0].days))
        if flaw:
            said = _join(ways[0].sources)
            notes.append(f"The rows are not split by {said}, because then {flaw}.")
        elif choices.ask(_ask_time(ways[0]), True):
            return _split_by_time(rows, ways[0], entity), notes
    if entity and choices.ask(_ask_group(entity, rows), True):
        return _split_by_group(rows, entity), notes
    return None, notes


def _ask_time(way: Moments) -> str:
    first, last = min(way.days), max(way.days)
    return (
        f"By {_join(way.sources)}, the rows run from {first} to {last}, and the latest "
        f"{TEST_SHARE:.0%} would be the test. Does the model predict later rows than it learned "
        "from?"
    )


def _ask_group(entity: str, rows: Rows) -> str:
    column = rows.columns[entity]
    return (
        f"Several rows have the same {entity!r} ({column.filled:,} rows, {column.distinct:,} "
        "different), and all rows of one would stay on one side. Will the model meet new ones?"
    )


def _find_ways(rows: Rows, choices: Choices) -> list[Moments]:
    columns = {name: column for name, column in rows.columns.items() if name != rows.key}
    ways = find_moments(columns, rows.table.columns)
    if choices.split != "time" or choices.split_column is None:
        return ways
    name = choices.split_column
    chosen = [way for way in ways if name in way.sources]
    return chosen or _order_by_number(rows, name)


def _order_by_number(rows: Rows, name: str) -> list[Moments]:
    """Return the column as an order of the rows, if it is numbers."""
    column = rows.columns.get(name)
    if column is None or column.kind is not Kind.NUMBER or column.missing:
        return []
    values = [float(cell) for cell in rows.table.columns[name]]
    ranks = {value: f"{rank:012d}" for rank, value in enumerate(sorted(set(values)))}
    return [Moments(sources=(name,), column=name, days=[ranks[value] for value in values])]


def _choose_way(ways: list[Moments], rows: Rows, choices: Choices) -> Moments:
    if ways:
        return ways[0]
    if choices.split_column is not None:
        raise MlgitopsError(
            f"{choices.split_column!r} does not say of every row when it was",
            where=rows.table.name,
            hint="--split-column takes a column of dates or numbers without missing values",
        )
    years = find_years(rows.columns)
    if years:
        return _order_by_number(rows, years[0])[0]
    raise MlgitopsError(
        "no column says of every row when it was",
        where=rows.table.name,
        hint="name one with --split-column, or take --split hash",
    )


def _find_entity(rows: Rows, choices: Choices) -> str | None:
    """Return the column that names whom or what several rows are about, or None."""
    if choices.split == "group" and choices.split_column is not None:
        return choices.split_column
    for name, column in rows.columns.items():
        several = column.distinct >= MIN_CLUSTERS and column.filled >= _REPEATS * column.distinct
        if names_thing(name) and several and _can_name(column) and name != rows.key:
            return name
    return _find_panel(rows)


def _can_name(column: Column) -> bool:
    """Tell whether the column can say of every row whom it is about; 64.5 is a height."""
    is_amount = column.kind is Kind.NUMBER and not column.whole
    return not column.missing and not is_amount and column.kind is not Kind.DATE


def _find_panel(rows: Rows) -> str | None:
    """Return the column that with the year names each row, as a firm's number does in a panel.

    Whatever it is called: rows of one value, each of another year, are no chance.
    """
    others = {name: column for name, column in rows.columns.items() if name != rows.key}
    for year in find_years(others, short=True):
        years = rows.table.columns[year]
        for name, column in others.items():
            if _can_name(column) and _is_panel(column, rows.table.columns[name], years):
                return name
    return None


def _is_panel(column: Column, cells: Sequence[str], years: Sequence[str]) -> bool:
    repeats, span = column.filled / max(column.distinct, 1), len(set(years))
    return (
        column.distinct >= MIN_CLUSTERS
        and repeats >= _PANEL_REPEATS
        and max(column.counts.values()) <= span
        and column.filled * (repeats - 1) / 2 / span >= _CHANCE_PAIRS
        and len(set(zip(cells, years, strict=True))) == len(cells)
    )


def names_thing(name: str) -> bool:
    """Tell whether a column of this name says whom or what a row is about, as `customer` does."""
    return any(map(_ENTITY.fullmatch, (name, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name))))


def _require_entity(entity: str | None, rows: Rows) -> str:
    if entity is None:
        raise MlgitopsError(
            "no column names whom or what several rows are about",
            where=rows.table.name,
            hint="name it with --split-column",
        )
    if entity == rows.target.name:
        raise MlgitopsError(f"{entity!r} is the target: rows cannot be grouped by it")
    return entity


def _split_by_time(rows: Rows, way: Moments, entity: str | None) -> Split:
    is_test = _choose_latest(way.days)
    flaw = rows.find_flaw(is_test)
    if flaw:
        raise MlgitopsError(
            f"the rows cannot be split by {_join(way.sources)}: {flaw}",
            where=rows.table.name,
            hint="take --split hash, or rows of a longer time",
        )
    why = [
        (
            f"Split by time: the test rows are the latest by {_join(way.sources)}, so that the "
            "model is measured on later rows than it learned from."
        )
    ]
    cluster, said = _choose_cluster(way, is_test, entity)
    return Split(
        method="time",
        column=way.column,
        seed=0,
        cluster=cluster,
        why=(*why, *said),
        rules={way.column: way.rule} if way.made else {},
        is_test=is_test,
        left_out=_leave_moments_out(rows, way, is_test) | _leave_cluster_out(cluster, rows, way),
    )


def _choose_cluster(
    way: Moments, is_test: Sequence[bool], entity: str | None
) -> tuple[str | None, list[str]]:
    """Return the column by which rows are not independent, and the sentence about it."""
    days = Counter(day for day, test in zip(way.days, is_test, strict=True) if test)
    repeated = days.total() >= _REPEATS * len(days)
    if repeated and len(days) >= MIN_CLUSTERS:
        return way.column, [
            (
                f"Rows of one {way.column!r} share what happened then: intervals count the "
                f"{len(days):,} of the test and not its {days.total():,} rows."
            )
        ]
    if entity is not None:
        return entity, [_say_entity(entity)]
    if repeated:
        return None, [
            (
                f"The test has {len(days)} different values of {way.column!r}, too few to count by:"
                " intervals take the rows for independent, so they may be too narrow."
            )
        ]
    return None, []


def _leave_moments_out(rows: Rows, way: Moments, is_test: Sequence[bool]) -> dict[str, str]:
    """Return the columns of the time that are new in most test rows, which no model can learn."""
    reasons: dict[str, str] = {}
    parts = [name for name in rows.columns if is_part(name) and name not in way.sources]
    for name in [*way.sources, *parts]:
        cells = rows.table.columns[name]
        trained = {cell for cell, test in zip(cells, is_test, strict=True) if not test}
        tested = [cell for cell, test in zip(cells, is_test, strict=True) if test]
        new = sum(cell not in trained for cell in tested)
        if rows.columns[name].kind is Kind.NUMBER and 2 * new >= len(tested):
            reasons[name] = _NEW_TIME
    return reasons


def _leave_cluster_out(
    cluster: str | None, rows: Rows, way: Moments | None = None
) -> dict[str, str]:
    """Return the column whose values are new in the test; a date is no feature in any split."""
    column = rows.columns.get(cluster) if cluster is not None else None
    if column is None or column.kind is Kind.DATE:
        return {}
    return {column.name: _NEW_TIME if way and column.name == way.column else _NEW_ENTITY}


def _split_by_group(rows: Rows, entity: str) -> Split:
    seed, is_test = _try_seeds(rows, rows.table.columns[entity])
    why = (
        (
            f"Split by group: all rows of one {entity!r} are on one side, so that the model is "
            "measured on new ones."
        ),
        _say_entity(entity),
    )
    return Split(
        method="group",
        column=entity,
        seed=seed,
        cluster=entity,
        why=why,
        rules={},
        is_test=is_test,
        left_out=_leave_cluster_out(entity, rows),
    )


def _split_by_hash(rows: Rows, entity: str | None, notes: list[str]) -> Split:
    seed, is_test = _try_seeds(rows, _find_keys(rows))
    why = [
        *notes,
        (
            "Split at random, by a hash of the id: the model is taken to meet rows like these, of "
            "the same time."
        ),
    ]
    if entity is not None:
        why.append(_say_entity(entity))
    return Split(
        method="hash",
        column=None,
        seed=seed,
        cluster=entity,
        why=tuple(why),
        rules={},
        is_test=is_test,
        left_out={},
    )


def _try_seeds(rows: Rows, keys: Sequence[str]) -> tuple[int, list[bool]]:
    """Return the first seed whose test rows can be measured on, and these."""
    flaw = None
    for seed in _SEEDS:
        is_test = choose_hashed(keys, seed)
        flaw = rows.find_flaw(is_test)
        if flaw is None:
            return seed, is_test
    raise MlgitopsError(
        f"no split into train and test rows is possible: {flaw}",
        where=rows.table.name,
        hint="rows of more groups, or ids that differ, make one possible"
        if flaw == _EMPTY_SIDE
        else "more rows of that class, or larger classes, make one possible",
    )


def _say_entity(entity: str) -> str:
    return f"Intervals count each {entity!r} once, whatever its number of rows."


def _choose_latest(days: Sequence[str]) -> list[bool]:
    first = sorted(days)[min(int(len(days) * (1 - TEST_SHARE)), len(days) - 1)]
    return [day >= first for day in days]


def choose_hashed(keys: Sequence[str], seed: int) -> list[bool]:
    """Tell which rows are the test: those whose key has a hash in the lowest part of all."""
    limit = int(TEST_SHARE * 2**64)
    digests = (hashlib.sha256(f"{seed}:{key}".encode()).digest() for key in keys)
    return [int.from_bytes(digest[:8], "big") < limit for digest in digests]


def _find_keys(rows: Rows) -> Sequence[str]:
    """Return what is hashed: the id, or what the ingest stage makes one from."""
    if rows.key is not None:
        return rows.table.columns[rows.key]
    lines = zip(*rows.table.raw.values(), strict=True)
    texts = ("\x1f".join("" if cell in MISSING else cell for cell in line) for line in lines)
    return [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]


def _join(names: Sequence[str]) -> str:
    """Return names in quotes, as a sentence lists them."""
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
