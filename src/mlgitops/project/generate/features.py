"""What may the model see? Every column that is no feature has a reason, and a way back.

Pure but for the questions: columns, split and choices in, :class:`Features` out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.project.generate.columns import Column, Kind
from mlgitops.project.generate.later import find_later
from mlgitops.project.generate.leaks import Grade, find_leak
from mlgitops.project.generate.protected import find_attribute, is_proxy
from mlgitops.project.generate.split import names_thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlgitops.project.generate.choices import Choices
    from mlgitops.project.generate.leaks import Leak
    from mlgitops.project.generate.split import Rows, Split

_BREAK = r"[ _.-]"
_ROWS = "row|record|item|sample|case|obs|observation|data|df|original"
_DOCUMENTS = "order|loan|invoice|transaction|trans|booking|ticket|claim|policy|contract|record|row"
#: Names of columns that name a row. `AMOUNT_PAID`, `bid` and `price_index` are amounts.
KEY_NAME = re.compile(
    rf"(?i:(?:.*{_BREAK})?(?:(?:{_DOCUMENTS})?id|key|uuid|guid|row|number|no|nr))"
    rf"|(?i:(?:(?:{_ROWS}){_BREAK}?)?index)"
    r"|.*[a-z0-9]I[dD]"
)

_ID_NAME = re.compile(rf"(?i:(?:.*{_BREAK})?id)|.*[a-z0-9]I[dD]")
#: From this share of different values on, what is named as an id is one, a few rows twice.
_ALMOST_UNIQUE = 0.9

#: So many columns at least, and half of all, say much of a target that is easy to tell.
_FEWEST_EASY = 3

#: Columns of predictions.csv: a slice of such a name would be there twice.
_RESERVED = {"id", "target", "prediction", "score"}

#: A group with fewer rows than this says nothing about the model.
MIN_SLICE_ROWS = 50
_SLICE_LEVELS = range(2, 11)
_MOST_SLICES = 2
_MOST_PROTECTED_SLICES = 4
_TWO = 2
_IS_KNOWN = "Is it known when the prediction is made?"


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the model sees, what not, and by what groups it is measured."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    left_out: dict[str, str]  # column → why it is no feature
    slices: tuple[str, ...]  # columns whose groups are compared
    notes: tuple[str, ...]  # what the person should know, one sentence each


def choose_features(rows: Rows, split: Split, choices: Choices, task: str) -> Features:
    """Return the features; what speaks against a column leaves it out unless it is to be kept.

    Raises :class:`MlgitopsError` when a column to keep cannot be one, or when none is left.
    """
    reasons = {name: _find_reason(column, rows.key) for name, column in rows.columns.items()}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    _check_kept(left_out, choices, rows)
    protected = {
        name: attribute
        for name, column in rows.columns.items()
        if name not in left_out and (attribute := find_attribute(column))
    }
    possible = [name for name in rows.columns if name not in left_out | split.left_out]
    suspects, notes = _judge_leaks(rows, possible, choices, task)
    unsuspected = [name for name in possible if name not in suspects]
    later, said = _judge_later(rows, split, unsuspected, choices)
    doubts = _ask_protected(protected, choices) | split.left_out | suspects | later
    left_out |= {name: reason for name, reason in doubts.items() if name not in choices.keep}
    used = [column for name, column in rows.columns.items() if name not in left_out]
    if not used:
        raise MlgitopsError(
            "no column is left to learn from",
            where=rows.table.name,
            hint="; ".join(f"{name}: {why}" for name, why in left_out.items()),
        )
    return Features(
        numeric=tuple(column.name for column in used if column.kind is Kind.NUMBER),
        categorical=tuple(column.name for column in used if column.kind is Kind.CATEGORY),
        left_out={name: left_out[name] for name in rows.columns if name in left_out},
        slices=_find_slices(rows.columns, protected, used),
        notes=(*notes, *said, *_explain_protected(protected, used), *_explain_proxies(used)),
    )


def _find_reason(column: Column, key: str | None) -> str | None:
    """Return why the column can be no feature as it is, or None."""
    if column.name == key:
        return "it names the row"
    if column.kind is Kind.EMPTY:
        return "it has no value at all"
    if column.distinct == 1 and not column.missing:
        return "it is the same in every row"
    if column.kind is Kind.DATE:
        return "it is a date: what matters of it, such as the month, can be a column of its own"
    if column.kind is Kind.TEXT:
        return f"it is text with {column.distinct} different values: too many to be categories"
    every = _count_identified(column)
    return f"it is another for {every} row, as an identifier is" if every else None


def _count_identified(column: Column) -> str | None:
    """Say whether a number names every row, or almost every one; None for any other number."""
    if column.kind is not Kind.NUMBER or not column.whole:
        return None
    named = KEY_NAME.fullmatch(column.name) or names_thing(column.name) or counts_rows(column)
    if named and column.distinct == column.filled:
        return "every"
    is_almost = column.distinct >= _ALMOST_UNIQUE * column.filled
    return "almost every" if is_almost and _ID_NAME.fullmatch(column.name) else None


def counts_rows(column: Column) -> bool:
    """Tell whether the column holds each whole number from 0 or 1 on once, in the table's order."""
    steps = range(int(column.low), int(column.low) + column.distinct) if column.whole else ()
    first_two = column.low in (0, 1) and column.filled == column.distinct and not column.missing
    return (
        first_two
        and len(steps) > 0
        and all(float(value) == step for value, step in zip(column.counts, steps, strict=True))
    )


def _check_kept(left_out: Mapping[str, str], choices: Choices, rows: Rows) -> None:
    for name in choices.keep:
        if name == rows.target.name:
            raise MlgitopsError(f"{name!r} is the target: it cannot be a feature, too")
        if name in left_out:
            raise MlgitopsError(
                f"{name!r} cannot be kept as a feature: {left_out[name]}", where=rows.table.name
            )


def _judge_leaks(
    rows: Rows, names: Iterable[str], choices: Choices, task: str
) -> tuple[dict[str, str], list[str]]:
    """Return the columns that say too much of the target → why, and what to say of others."""
    cells, target = rows.table.columns, rows.target.name
    suspects: dict[str, str] = {}
    leaks = {
        name: find_leak(cells[name], rows.columns[name], cells[target], rows.target, task)
        for name in names
    }
    easy = _find_easy(leaks)
    notes = _explain_easy(easy, leaks, choices)
    for name, leak in leaks.items():
        if name in choices.keep or name in easy or leak.grade is Grade.NONE:
            continue
        if leak.grade is Grade.LEFT_OUT:
            suspects[name] = (
                f"it alone gives {target!r} away, as if it had been written down afterwards"
            )
        elif leak.grade is Grade.MENTIONED:
            notes.append(f"{name!r} alone reaches {leak.reach}: is it known in time? It is kept.")
        elif not choices.ask(_ask_leak(name, leak.reach), False):
            suspects[name] = (
                f"it alone reaches {leak.reach}, which is much: move it to the features (--keep) "
                "if it is known when the prediction is made"
            )
    return suspects, notes


def _find_easy(leaks: Mapping[str, Leak]) -> list[str]:
    """Return the columns that say much of the target, if these are half of all; else none.

    So many have not all been written down afterwards: such a target is easy to tell.
    """
    possible = [leak for leak in leaks.values() if leak.grade is not Grade.LEFT_OUT]
    strong = [name for name, leak in leaks.items() if leak.grade is Grade.ASKED]
    return strong if len(strong) >= max(_FEWEST_EASY, len(possible) / _TWO) else []


def _explain_easy(easy: Iterable[str], leaks: Mapping[str, Leak], choices: Choices) -> list[str]:
    kept = [f"{name!r} ({leaks[name].reach})" for name in easy if name not in choices.keep]
    note = (
        f"{', '.join(kept)} each say much alone. So many of {len(leaks)} columns do where a target "
        "is easy to tell: they are kept. Leave out what is not known in time."
    )
    return [note] if kept else []


def _judge_later(
    rows: Rows, split: Split, names: Iterable[str], choices: Choices
) -> tuple[dict[str, str], list[str]]:
    """Return the columns that are written after the row's moment → why, and what to say of others.

    Where every row has the later date, the row may be of that one: the column is kept.
    """
    reasons: dict[str, str] = {}
    notes: list[str] = []
    for later in find_later(rows, split, [name for name in names if name not in choices.keep]):
        if not later.is_open:
            notes.append(f"{later.name!r} {later.why}: is it known in time? It is kept.")
        elif not choices.ask(f"{later.name!r} {later.why}. {_IS_KNOWN}", False):
            reasons[later.name] = (
                f"it {later.why}: move it to the features (--keep) if it is known when the "
                "prediction is made"
            )
    return reasons, notes


def _ask_leak(name: str, reach: str) -> str:
    return f"{name!r} alone reaches {reach}. {_IS_KNOWN}"


def _ask_protected(protected: Mapping[str, str], choices: Choices) -> dict[str, str]:
    """Return the protected attributes that are kept from the model → why."""
    asked = {name: attribute for name, attribute in protected.items() if name not in choices.keep}
    if not asked:
        return {}
    listed = ", ".join(f"{name!r} ({attribute})" for name, attribute in asked.items())
    several = len(asked) > 1
    form, them = ("protected attributes", "them") if several else ("a protected attribute", "it")
    question = f"{listed} may be {form} of people. May the model decide by {them}?"
    if choices.ask(question, False):
        return {}
    return {
        name: f"it may be a protected attribute ({attribute}), which the model does not see by "
        "default (--keep lets it)"
        for name, attribute in asked.items()
    }


def _find_slices(
    columns: Mapping[str, Column], protected: Mapping[str, str], used: Iterable[Column]
) -> tuple[str, ...]:
    """Return columns with groups large enough to compare: protected ones, else up to two others.

    Of every protected attribute one, before a second of any: `black` does not keep `male` out.
    """
    possible = [name for name in protected if _has_groups(columns[name])]
    attributes = [protected[name] for name in possible]
    rank = {name: attributes[:at].count(protected[name]) for at, name in enumerate(possible)}
    chosen = sorted(possible, key=lambda name: rank[name])[:_MOST_PROTECTED_SLICES]
    fit = [name for name in possible if name in chosen]
    others = [
        column.name
        for column in used
        if column.kind is Kind.CATEGORY and column.name not in protected and _has_groups(column)
    ]
    return (*fit, *others[: max(0, _MOST_SLICES - len(fit))])


def _has_groups(column: Column) -> bool:
    """Tell whether the column has a few groups of which two at least are large."""
    few = column.distinct in _SLICE_LEVELS
    if column.kind is Kind.NUMBER:
        few = column.distinct == _TWO
    return (
        few
        and column.kind in (Kind.CATEGORY, Kind.NUMBER)
        and column.name not in _RESERVED
        and sorted(column.counts.values())[-2] >= MIN_SLICE_ROWS
    )


def _explain_protected(protected: Mapping[str, str], used: Iterable[Column]) -> list[str]:
    seen = [column.name for column in used if column.name in protected]
    return [
        f"{name!r} may be a protected attribute ({protected[name]}), and the model sees it."
        for name in seen
    ]


def _explain_proxies(used: Iterable[Column]) -> list[str]:
    return [
        f"{column.name!r} may stand in for a protected attribute (a proxy): it is kept."
        for column in used
        if is_proxy(column)
    ]
