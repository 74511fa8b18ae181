"""What the table is about: the task, the key, the features, and what is left out and why.

In: a checked table and the target's name. Out: :class:`Facts`. No I/O.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.project.generate.choices import Choices
from mlgitops.project.generate.columns import Column, Kind, describe_column
from mlgitops.project.generate.drift import find_drift
from mlgitops.project.generate.features import KEY_NAME, choose_features, counts_rows
from mlgitops.project.generate.moments import find_incomplete
from mlgitops.project.generate.split import TEST_SHARE, Rows, choose_split, names_thing
from mlgitops.project.generate.table import MIN_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlgitops.project.generate.split import Split
    from mlgitops.project.generate.table import Table

#: Whole numbers with up to so many values are taken for classes, others for quantities.
MAX_NUMBER_CLASSES = 10
MAX_CLASSES = 50
_TWO = 2  # classes of a binary target
_HALF = 0.5  # of the rows, as the test: more leave too little to learn from

#: A class with fewer rows than this cannot be on both sides of a split.
MIN_CLASS_ROWS = 5

#: With fewer test rows of either class, or of one of several, noise hides what a change does.
FEW_POSITIVES = 20
FEW_OF_A_CLASS = 5

#: The column that the ingest stage makes where no column names the rows.
MADE_KEY = "id"

_YES = {"1", "1.0", "yes", "y", "true", "t", "positive", "pos", "ja", "oui", "si", "sí"}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was inferred; every part of it stands in a file that the person edits."""

    name: str  # of the file
    task: str  # binary, regression or multiclass
    target: Column
    positive: str | None  # binary: the value that counts as positive, as written
    key: str | None  # the column that names a row; None: one is made from the row's content
    columns: dict[str, Column]  # every column but the target, in the table's order
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    left_out: dict[str, str]  # column → why it is no feature
    dates: tuple[str, ...]
    slices: tuple[str, ...]  # columns whose groups are compared
    rows: int
    split: Split
    sides: tuple[Mapping[str, int], Mapping[str, int]]  # target → rows, of train and of test
    drift: Mapping[str, float]  # column that moved from the train to the test rows → PSI
    rules: Mapping[str, dict[str, Any]]  # column → how the ingest stage reads or makes it
    notes: tuple[str, ...]  # what the person should know, one sentence each

    @property
    def has_number_classes(self) -> bool:
        """Return whether the classes are whole numbers, kept as such."""
        return self.target.kind is Kind.NUMBER and self.target.whole

    def label(self, value: str) -> int | str:
        """Return a class as the pipeline reads it."""
        return int(float(value)) if self.has_number_classes else value

    @property
    def classes(self) -> list[int | str]:
        """Return the classes of a classification in their own order."""
        labels = [self.label(value) for value in self.target.counts]
        return sorted(labels, key=lambda label: (str(type(label)), label))

    def as_dict(self) -> dict[str, Any]:
        """Return what a script would want to know."""
        return {
            "task": self.task,
            "target": self.target.name,
            "positive": self.positive,
            "id": self.key,
            "rows": self.rows,
            "features": {"numeric": list(self.numeric), "categorical": list(self.categorical)},
            "left_out": self.left_out,
            "dates": list(self.dates),
            "slices": list(self.slices),
            "split": self.split.as_dict(),
            "drift": {name: round(psi, 3) for name, psi in self.drift.items()},
            "cells": dict(self.rules),
            "notes": list(self.notes),
        }


def infer_table(
    table: Table,
    *,
    target: str,
    key: str | None = None,
    task: str | None = None,
    choices: Choices | None = None,
) -> tuple[Table, Facts]:
    """Return the table as the project will keep it, and what it is about.

    Rows without a target are left out. Without ``choices`` every default is taken. Raises
    :class:`MlgitopsError` when a named column does not exist, the target is constant or missing,
    the chosen split is not possible, or nothing is left to learn from.
    """
    choices = choices or Choices()
    _check_columns(table, (target, key, choices.split_column, *choices.keep))
    table, notes = _drop_unlabelled(table, target)
    columns = {name: describe_column(name, cells) for name, cells in table.columns.items()}
    target_column = columns.pop(target)
    task, why = _find_task(target_column, task or _ask_task(target_column, choices))
    if key:
        _check_key(columns, key, target)
    chosen = key or _find_key(columns, table)
    rows = Rows(
        table=table,
        columns=columns,
        target=target_column,
        key=chosen,
        classes=task != "regression",
    )
    split = choose_split(rows, choices)
    features = choose_features(rows, split, choices, task)
    facts = Facts(
        name=table.name,
        task=task,
        target=target_column,
        positive=_find_positive(target_column) if task == "binary" else None,
        key=chosen,
        columns=columns,
        numeric=features.numeric,
        categorical=features.categorical,
        left_out=features.left_out,
        dates=tuple(name for name, column in columns.items() if column.kind is Kind.DATE),
        slices=features.slices,
        rows=table.rows,
        split=split,
        sides=rows.count_sides(split.is_test),
        drift=find_drift(rows, split, (*features.numeric, *features.categorical)),
        rules=table.rules | split.rules,
        notes=(),
    )
    said = (*table.notes, *notes, why, *split.why, *_explain(facts), *features.notes)
    return table, replace(facts, notes=(*said, *_explain_rare(facts)))


def _check_columns(table: Table, names: Sequence[str | None]) -> None:
    for name in names:
        if name is not None and name not in table.columns:
            _refuse_column(table, name)


def _refuse_column(table: Table, name: str) -> None:
    near = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.5)
    near = near or [column for column in table.columns if column.lower() == name.lower()]
    listed = ", ".join(list(table.columns)[:20])
    raise MlgitopsError(
        f"there is no column {name!r}",
        where=table.name,
        hint=f"did you mean {near[0]!r}?" if near else f"the columns are: {listed}",
    )


def _drop_unlabelled(table: Table, target: str) -> tuple[Table, list[str]]:
    """Leave out the rows whose target is missing: nothing can be learned or measured there."""
    keep = [bool(cell) for cell in table.columns[target]]
    missing = keep.count(False)
    if not missing:
        return table, []
    if table.rows - missing < MIN_ROWS:
        raise MlgitopsError(
            f"{target!r} is missing in {missing} of {table.rows} rows",
            where=table.name,
            hint=f"{MIN_ROWS} rows with a target are the least",
        )
    note = f"{missing} rows without a value of {target!r} were left out."
    return table.keep_rows(keep), [note]


def _find_task(target: Column, asked: str | None) -> tuple[str, str]:
    """Return the task and the sentence that explains it."""
    name, values = target.name, target.distinct
    if values == 1:
        raise MlgitopsError(
            f"{name!r} is the same in every row: there is nothing to predict",
            hint="name another column with --target",
        )
    task = asked or _guess_task(target)
    number = target.kind is Kind.NUMBER
    _check_task(target, task)
    kind = "whole" if target.whole else "decimal"
    seen = f"{values} different {kind} numbers" if number else f"{values} different values"
    change = "" if asked else " Use --task to say otherwise."
    if number and task == "multiclass" and not asked:
        change = " If they are counts or ratings, --task regression keeps their order."
    return task, f"{name!r} has {seen}: the task is {task}.{change}"


def _check_task(target: Column, task: str) -> None:
    """Refuse a task that the target's values do not fit."""
    name, values = target.name, target.distinct
    if task == "binary" and values != _TWO:
        raise MlgitopsError(
            f"{name!r} has {values} values, a binary target two",
            hint="leave --task out, or make two classes of it in the file",
        )
    if task == "multiclass" and not _TWO < values <= MAX_CLASSES:
        raise MlgitopsError(
            f"{name!r} has {values} values; classes can be 3 to {MAX_CLASSES}",
            hint=_advise_classes(target),
        )
    if task == "regression" and target.kind is not Kind.NUMBER:
        raise MlgitopsError(
            f"{name!r} is not a number, so it cannot be a regression's target",
            hint="leave --task out, or write it as a number in the file",
        )
    if task != "regression":
        _check_classes(target)


def _advise_classes(target: Column) -> str:
    """Return what to do about a target of too many values for classes, or of two."""
    if target.distinct == _TWO:
        return "two classes are --task binary"
    if target.kind is Kind.NUMBER:
        return "if it is an amount, say --task regression"
    return (
        "join rare values into one, such as 'other', or predict a coarser column (a group of them)"
    )


def _ask_task(target: Column, choices: Choices) -> str | None:
    """Return the answer where a target of few whole numbers may be an amount as well; else None."""
    if target.distinct <= _TWO or target.kind is not Kind.NUMBER:
        return None
    question = (
        f"{target.name!r} has the whole numbers from {target.low:g} to {target.high:g}. Are they "
        "an amount, a count or a rating, whose order matters, and no names of classes?"
    )
    is_open = _guess_task(target) == "multiclass"
    return "regression" if is_open and choices.ask(question, False) else None


def _guess_task(target: Column) -> str:
    if target.distinct == _TWO:
        return "binary"
    if target.kind is Kind.NUMBER:
        few = target.whole and target.distinct <= MAX_NUMBER_CLASSES
        return "multiclass" if few else "regression"
    return "multiclass"


def _check_classes(target: Column) -> None:
    rare = {value: rows for value, rows in target.counts.items() if rows < MIN_CLASS_ROWS}
    if rare:
        listed = ", ".join(f"{value!r} ({rows})" for value, rows in list(rare.items())[:10])
        counts = "; if they are counts or ratings, --task regression keeps their order"
        raise MlgitopsError(
            f"classes of {target.name!r} with fewer than {MIN_CLASS_ROWS} rows: {listed}",
            hint="join them with others or leave their rows out"
            + (counts if target.kind is Kind.NUMBER and target.distinct > _TWO else ""),
        )


def _check_key(columns: dict[str, Column], key: str, target: str) -> None:
    if key == target:
        raise MlgitopsError(f"{key!r} cannot be both target and id")
    column = columns[key]
    if column.missing or column.distinct != column.filled:
        worst, rows = next(iter(column.counts.items()), ("", 0))
        none = "1 row has none" if column.missing == 1 else f"{column.missing} rows have none"
        detail = none if column.missing else f"{worst!r} stands in {rows} rows"
        raise MlgitopsError(
            f"{key!r} does not name each row: {detail}",
            hint="choose a unique --id, or none: one is then made from the row's content",
        )


def _find_key(columns: dict[str, Column], table: Table) -> str | None:
    """Return the column that is unique and looks most like a key, the first of equals, or None."""
    unique = [
        name
        for name, column in columns.items()
        if not column.missing
        and column.distinct == table.rows
        and (column.kind is Kind.TEXT or (column.kind is Kind.NUMBER and column.whole))
    ]
    for looks in (KEY_NAME.fullmatch, names_thing, lambda name: counts_rows(columns[name])):
        key = next(filter(looks, unique), None)
        if key is not None:
            return key
    if MADE_KEY in table.columns:
        raise MlgitopsError(
            f"there is a column {MADE_KEY!r} that does not name each row",
            where=table.name,
            hint="in the file's first line, call it by whom the rows are about, as 'person_id' "
            "does: rows of one then stay together, and 'id' will name the rows",
        )
    return None


def _find_positive(target: Column) -> str:
    """Return the value that says yes, else the rarer one."""
    said = [value for value in target.counts if value.lower() in _YES]
    return said[0] if len(said) == 1 else list(target.counts)[-1]


def _explain_rare(facts: Facts) -> list[str]:
    """Return a warning where the test has too few rows of a class to judge by."""
    least = FEW_POSITIVES if facts.task == "binary" else FEW_OF_A_CLASS
    rare = {name: facts.sides[1].get(name, 0) for name in facts.target.counts}
    few = [f"{name!r} ({rows})" for name, rows in rare.items() if rows < least]
    if facts.task == "regression" or not few:
        return []
    note = (
        f"The test has fewer than {least} rows of {', '.join(few[:5])}: a verdict will hardly tell"
    )
    advice = " ".join(_advise_split(facts, least))
    return [f"{note} a better model from a worse one. More of them help most. {advice}".strip()]


def _advise_split(facts: Facts, least: int) -> Iterator[str]:
    """Yield sentences about splits that would measure more, or other, rows of the rarest class.

    Another seed draws other test rows; the latest rows are always the same.
    """
    name, rows = min(facts.target.counts.items(), key=lambda item: item[1])
    half, usual = rows * _HALF, rows * TEST_SHARE
    if half >= least:
        yield f"With split.test_fraction: {_HALF} about {half:.0f} of {name!r} would be tested."
    if facts.split.method != "time":
        draw = "groups" if facts.split.method == "group" else "rows"
        yield f"Other seeds (split.seed: 1, 2, 3) draw other {draw}: believe what all of them say."
    elif usual >= least:
        yield f"At random it would be about {usual:.0f}, but not the latest."


def _explain(facts: Facts) -> list[str]:
    """Return what the person should look at in the files."""
    notes = [f"{name!r} is no feature: {reason}." for name, reason in facts.left_out.items()]
    if facts.positive is not None:
        notes.append(f"{facts.positive!r} counts as positive (params.yaml, data.positive).")
    if facts.key is None:
        notes.append("No column names the rows: ids will be made from each row's content.")
    if facts.drift:
        listed = ", ".join(f"{name!r} (PSI {psi:.2f})" for name, psi in _most_moved(facts))
        more = f" and {len(facts.drift) - 5} more" if len(facts.drift) > 5 else ""  # noqa: PLR2004
        notes.append(
            f"{listed}{more} moved from the train to the later test rows: look whether that goes on"
            " (contract.yaml marks them)."
        )
    notes += [
        f"{name!r} is missing in {facts.columns[name].missing} of {facts.rows} rows, so the rows "
        "cannot be split by it."
        for name in find_incomplete(facts.columns)
    ]
    return notes


def _most_moved(facts: Facts) -> list[tuple[str, float]]:
    return sorted(facts.drift.items(), key=lambda item: -item[1])[:5]
