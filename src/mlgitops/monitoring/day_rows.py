"""The rows that one model answered on one day: counted, and a few bytes kept of each. Pure.

What needs no label is counted at once. Of each row are kept a hash of its id, its scores, its
answer and its groups, until the labels of the day are joined.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET, UnsetType

from mlgitops.monitoring.plan import BINS, spell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlgitops.monitoring.plan import Column, Plan
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Line

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int16]

_MOST_SPELLINGS = 100_000  # of the values of a column: what a forged log makes us remember
_MISSING, _NEW, _DROPPED = -1, -2, -3  # codes beside those of a column's levels
SCORE_BINS = 20


class Coder:
    """Values to the positions of closed levels; missing, new and dropped have their own codes."""

    def __init__(self, levels: Sequence[str]) -> None:
        self._codes = {level: code for code, level in enumerate(levels)}
        self._spelled: dict[object, int] = {None: _MISSING, UNSET: _DROPPED}

    def code(self, values: Sequence[object]) -> Codes:
        """Return the code of each value."""
        spelled = self._spelled
        if bool in set(map(type, values)):  # a dictionary takes True for 1
            values = [spell(value) if isinstance(value, bool) else value for value in values]
        try:
            return np.array([spelled[value] for value in values], dtype=np.int16)
        except KeyError:
            codes = {value: self._find(value) for value in set(values)}
        return np.array([codes[value] for value in values], dtype=np.int16)

    def _find(self, value: object) -> int:
        code = self._spelled.get(value)
        if code is None:
            code = self._codes.get(spell(value), _NEW)
            if len(self._spelled) < _MOST_SPELLINGS:
                self._spelled[value] = code
        return code


@dataclass(kw_only=True)
class ColumnCounts:
    """What is counted of one column."""

    logged: int = 0  # rows in which the log has the column
    missing: int = 0
    new: int = 0
    bins: NDArray[np.int64]  # of levels, or of ranges


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What is kept of each row, in the order of the log."""

    ids: NDArray[np.int64]  # hashes, of this process only
    scores: Floats  # rows by classes; binary: by 1; of numbers: by 0; NaN: none
    answers: Floats  # the position of a class, or the number
    groups: Codes  # rows by the columns that slices are of


class DayRows:
    """All rows of one model on one day."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.rows = 0
        self.columns = {
            column.name: ColumnCounts(bins=np.zeros(_count_bins(column), dtype=np.int64))
            for column in plan.columns
        }
        self._coders = {column.name: Coder(column.levels) for column in plan.columns}
        self._classes = Coder(plan.classes)
        self._ids = array("q")
        self._sliced = list(dict.fromkeys(name for key in plan.slices for name in key.by))
        self._chunks: list[tuple[Floats, Floats, Codes]] = []

    def add(self, lines: Sequence[Line[Any]], problems: Problems, where: str) -> None:
        """Count answered rows; those whose score or answer no model gives are left out."""
        scores, answers = self._read_answers(lines)
        good = np.isfinite(answers) & (answers >= self._least)
        # NaN is no score: some models give none, and their answers count all the same.
        good &= (((scores >= 0) & (scores <= 1)) | np.isnan(scores)).all(axis=1)
        if not good.all():
            problems.add("its score or answer is none of this model", where, int((~good).sum()))
            lines = [line for line, is_good in zip(lines, good, strict=True) if is_good]
            scores, answers = scores[good], answers[good]
        self.rows += len(lines)
        self._ids.extend(map(hash, map(attrgetter("id"), lines)))
        inputs = list(map(attrgetter("inputs"), lines))
        groups = np.empty((len(lines), len(self._sliced)), dtype=np.int16)
        for number, column in enumerate(self._plan.columns):
            codes = self._count(column, list(map(attrgetter(f"c{number}"), inputs)))
            if column.name in self._sliced:
                groups[:, self._sliced.index(column.name)] = codes
        self._chunks.append((scores, answers, groups))

    @property
    def sliced(self) -> list[str]:
        """Return the columns that :attr:`Kept.groups` has, in order."""
        return self._sliced

    def keep(self) -> Kept:
        """Return what is kept of each row, in one piece; nothing can be added any more."""
        chunks, self._chunks = self._chunks, []
        kept = Kept(
            ids=np.frombuffer(self._ids, dtype=np.int64),
            scores=np.concatenate([chunk[0] for chunk in chunks]),
            answers=np.concatenate([chunk[1] for chunk in chunks]),
            groups=np.concatenate([chunk[2] for chunk in chunks]),
        )
        chunks.clear()
        return kept

    @property
    def _least(self) -> float:
        return -np.inf if self._plan.task == "regression" else 0

    def _read_answers(self, lines: Sequence[Line[Any]]) -> tuple[Floats, Floats]:
        answers, scores = [line.answer for line in lines], [line.score for line in lines]
        if self._plan.task == "regression":
            return np.empty((len(lines), 0)), to_floats(answers)
        codes = self._classes.code(answers).astype(np.float64)
        if self._plan.task == "binary":
            return to_floats(scores)[:, None], codes
        by_class = [_spread(score, self._plan.classes) for score in scores]
        return np.array(by_class, dtype=np.float64).reshape(-1, len(self._plan.classes)), codes

    def _count(self, column: Column, values: list[object]) -> Codes:
        """Count the values of a column; return their codes where its levels are listed."""
        counts = self.columns[column.name]
        if column.levels:
            codes = self._coders[column.name].code(values)
            counts.logged += int((codes != _DROPPED).sum())
            counts.missing += int((codes == _MISSING).sum())
            counts.new += int((codes == _NEW).sum())
            counts.bins += np.bincount(codes[codes >= 0], minlength=len(counts.bins))
            return codes
        kinds = set(map(type, values))
        counts.logged += len(values) - (values.count(UNSET) if UnsetType in kinds else 0)
        counts.missing += values.count(None) if type(None) in kinds else 0
        if column.edges:
            numbers = to_floats(values)
            positions = np.searchsorted(column.edges, numbers, side="right")
            if np.isnan(numbers).any():
                positions = positions[~np.isnan(numbers)]
            counts.bins += np.bincount(positions, minlength=BINS)
        return np.full(len(values), _NEW, dtype=np.int16)


def _count_bins(column: Column) -> int:
    return len(column.levels) or (BINS if column.edges else 0)


def _spread(score: object, classes: Sequence[str]) -> list[float]:
    """Return the score of each class; NaN where it is not given."""
    if not isinstance(score, dict):
        return [np.nan] * len(classes)
    spelled = {spell(name): value for name, value in score.items()}
    return [spelled.get(name, np.nan) for name in classes]


def to_floats(values: Sequence[object]) -> Floats:
    """Return numbers as they are, and NaN for everything else.

    >>> to_floats([1, 2.5, None, "3"]).tolist()
    [1.0, 2.5, nan, nan]
    """
    kinds = set(map(type, values))
    if not kinds <= {float, int, type(None)}:
        values = [value if type(value) in {float, int} else None for value in values]
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        return np.array([_to_float(value) for value in values], dtype=np.float64)


def _to_float(value: Any) -> float:  # noqa: ANN401 - a number or None
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.nan


class Refusals:
    """The requests of one model and day that were refused, by reason and column."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.by_column: Counter[tuple[str, str]] = Counter()

    def add(self, line: Line[Any], columns: frozenset[str]) -> None:
        """Count a refusal; a column that is no input of the model is not named."""
        reason = str(line.refused)
        self.requests[reason] += 1
        if isinstance(line.column, str) and line.column in columns:
            self.by_column[reason, line.column] += 1
