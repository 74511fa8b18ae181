"""A log and its labels to facts of each day and model, in one pass and bounded memory.

The names of facts, beside the judged metrics of policy.yaml and the metrics of its slices:

* `rows`: answered, of each day; `repeated`: those whose id came before on that day;
  `labels`: those that have a label
* `unreadable`: lines of the log that nobody can use, of all of that day; `unreadable_labels`: the
  same of its labels; `damaged`: files of either that could not be read to their end; of no model
* `refused.<reason>`: requests, of those and the answered rows; the same of a column
* `missing`, `new_level`, `histogram`: of each column of the model's inputs
* `answer`, `score`, `score_histogram`: what the model said, by class
* `calibration`: mean score less the share that came true; of numbers: mean error
* `confusion`: rows by target and answer
* `estimated.<metric>`: what the metric would be if every score were the true probability

In: parts of a log, a store of labels, a plan. Out: facts, and what could not be used. Reads disk.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from multiprocessing import get_context
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from mlgitops.model.monitoring import DAMAGED, NO_MODEL, UNREADABLE, UNREADABLE_LABELS
from mlgitops.monitoring.day_rows import Coder, DayRows, Refusals
from mlgitops.monitoring.figures import Key, measure_day
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.plan import Plan
    from mlgitops.monitoring.records import Batch, Chunk, Line
    from mlgitops.monitoring.sources import Part

#: Different models of one day; more are a forged log.
MOST_MODELS = 20
_GROUP = 10_000  # rows that are looked at together
_MOST_WORKERS = 2
_FEW_PARTS = 4  # so few are not worth the start of other processes


@dataclass(kw_only=True)
class Measured:
    """The facts of a log, sorted as they came, and what could not be used of it."""

    facts: list[DayFact] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)


def measure_log(
    parts: Sequence[Part],
    labels: LabelStore,
    plan: Plan,
    *,
    workers: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Measured:
    """Measure each part, in up to ``workers`` processes (None: two, where it is worth it).

    ``report`` is called with how many parts are done, and of how many.
    """
    if workers is None:
        workers = min(_MOST_WORKERS, os.cpu_count() or 1) if len(parts) > _FEW_PARTS else 1
    work = partial(measure_part, labels=labels, plan=plan)
    measured = Measured()
    if workers == 1:
        _gather(measured, map(work, parts), len(parts), report)
        return measured
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        _gather(measured, pool.map(work, parts), len(parts), report)
    return measured


def _gather(
    measured: Measured,
    results: Any,  # noqa: ANN401 - of `map`, here or in a pool
    count: int,
    report: Callable[[int, int], None] | None,
) -> None:
    for done, result in enumerate(results, start=1):
        measured.facts.extend(result.facts)
        measured.problems.merge(result.problems)
        if report is not None:
            report(done, count)


def describe_doubts(facts: Iterable[DayFact]) -> list[str]:
    """Say which rows are counted, and count less than others: they repeat an id, or lack a score.

    A model that never gives a score lacks none.
    """
    repeated, unscored = Counter[str](), Counter[str]()
    answered, scored = dict[tuple[str, str], int](), dict[tuple[str, str], int]()
    for fact in facts:
        if fact.name == "repeated":
            repeated[fact.day] += int(fact.numerator)
        elif fact.name == "rows":
            answered[fact.day, fact.model] = fact.rows
        elif fact.name == "score":
            scored[fact.day, fact.model] = fact.rows
    for (day, model), rows in scored.items():
        unscored[day] += answered.get((day, model), rows) - rows
    twice = "repeat an id of their day: they were asked again, or a file of the log is there twice"
    without = "have no score: what is measured of scores is of the others"
    return [*_count_doubts(repeated, twice), *_count_doubts(unscored, without)]


def _count_doubts(counts: Counter[str], doubt: str) -> list[str]:
    days = sorted(day for day, count in counts.items() if count)
    period = days[0] if len(days) == 1 else f"{len(days)} days from {days[0]}" if days else ""
    return [f"{counts.total():,} rows of {period} {doubt}"] if days else []


def measure_part(part: Part, *, labels: LabelStore, plan: Plan) -> Measured:
    """Measure one part of a log; all rows of a day must be in it."""
    measured = Measured()
    reader = RecordReader([column.name for column in plan.columns])
    tally, losses = _Tally(plan), _Losses(measured.problems)
    for chunk in part.read(measured.problems):
        losses.add_passed_over()
        records = reader.decode(chunk, measured.problems)
        losses.add_chunk(chunk, records)
        count = 0
        for group in _cut(reader.split(records)):
            tally.add(group, measured.problems, chunk.where)
            count += len(group)
        losses.add_rows(count)
    losses.end(part.last_day)
    outcomes: dict[str, Mapping[str, float]] = {}
    for (day, model), (rows, refusals) in sorted(tally.days.items()):
        if day not in outcomes:
            own = Problems()
            outcomes = {day: read_outcomes(labels, day, plan, own)}
            losses.add_labels(day, len(outcomes[day]), own)
        key = Key(day=day, model=model)
        measured.facts.extend(measure_day(key, rows, refusals, outcomes[day], plan))
    measured.facts.extend(losses.list_facts())
    return measured


def _cut(rows: Iterator[Line[Any]]) -> Iterator[list[Line[Any]]]:
    """Yield rows in groups that take a few megabytes."""
    while group := list(islice(rows, _GROUP)):
        yield group


class _Losses:
    """The lines of a part by day, and those of them that are of no use.

    A line that nobody can read says no day. Where its file says none either, it counts for the day
    of the record before it, else of the first one after it, else for the last day of the part.
    A row of no use is the part of a line that it is of the rows of its chunk: a line of a thousand
    rows is lost as often as one of a single row, and what is lost is never more than all.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen = self._seen_files = 0  # of the problems, that were counted
        self._day = ""
        self._first_day: str | None = None
        self._read = Counter[str]()  # lines of the last chunk that are records
        self._lines, self._damaged = Counter[str](), Counter[str]()
        self._lost: dict[str, float] = defaultdict(float)
        self._labels: dict[str, tuple[int, int]] = {}

    def add_passed_over(self) -> None:
        """Count what the source gave out as no line, since what was counted before."""
        lost = self._take_over()
        self._lines[self._day] += lost
        self._lost[self._day] += lost

    def add_chunk(self, chunk: Chunk, records: Sequence[Line[Any] | Batch[Any]]) -> None:
        """Count the lines of a chunk that was read, and those that are no records."""
        first, last = chunk.days
        if first == last:
            self._read = Counter({first: len(records)})
            self._day = first
        else:
            self._read = Counter(record.at[:10] for record in records)
            self._day = records[-1].at[:10] if records else self._day
        if self._first_day is None and self._day:
            self._first_day = self._day if first == last else records[0].at[:10]
        self._lines.update(self._read)
        self.add_passed_over()

    def add_rows(self, rows: int) -> None:
        """Count those of the chunk's ``rows`` that were of no use, now that they were looked at."""
        if lost := self._take_over():
            for day, lines in self._read.items():
                self._lost[day] += lines * lost / rows

    def add_labels(self, day: str, usable: int, problems: Problems) -> None:
        """Count the labels of a day."""
        self._labels[day] = (problems.lines, problems.lines + usable)
        self._damaged[day] += problems.damaged
        self._problems.merge(problems)

    def end(self, last_day: str) -> None:
        """Count the rest of what the source gave out, and give a day to what has none."""
        self.add_passed_over()
        day = self._first_day or last_day
        self._lines[day] += self._lines.pop("", 0)
        self._lost[day] += self._lost.pop("", 0)
        self._damaged[day] += self._damaged.pop("", 0)

    def list_facts(self) -> Iterator[DayFact]:
        """Yield what was lost of each day: of its lines also where none was."""
        labels = {day: lost for day, (lost, _) in self._labels.items()}
        for day in sorted({*self._lines, *self._damaged, *labels}):
            key = Key(day=day, model=NO_MODEL)
            if lines := self._lines[day]:
                yield key.fact(UNREADABLE, (self._lost[day], lines), lines)
            if self._damaged[day]:
                yield key.fact(DAMAGED, (self._damaged[day], 1), self._damaged[day])
            if labels.get(day):
                lost, given = self._labels[day]
                yield key.fact(UNREADABLE_LABELS, (lost, given), given)

    def _take_over(self) -> int:
        """Take over what was said since the last time; return how many lines or rows were lost."""
        lost = self._problems.lines - self._seen
        self._damaged[self._day] += self._problems.damaged - self._seen_files
        self._seen, self._seen_files = self._problems.lines, self._problems.damaged
        return lost


class _Tally:
    """The rows and refusals of each day and model."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._columns = frozenset(column.name for column in plan.columns)
        self._models: dict[str, set[str]] = defaultdict(set)
        self.days: dict[tuple[str, str], tuple[DayRows, Refusals]] = {}

    def add(self, lines: Sequence[Line[Any]], problems: Problems, where: str) -> None:
        models = set(map(attrgetter("model"), lines))
        if len(models) == 1 and len({line.at[:10] for line in lines}) == 1:
            self._add_group((lines[0].at[:10], lines[0].model), lines, problems, where)
            return
        for key, group in groupby(lines, key=_find_key):
            self._add_group(key, list(group), problems, where)

    def _add_group(
        self, key: tuple[str, str], lines: Sequence[Line[Any]], problems: Problems, where: str
    ) -> None:
        counted = self._find(*key)
        if counted is None:
            problems.add(f"over {MOST_MODELS} models answered on its day", where, len(lines))
            return
        rows, refusals = counted
        answers = lines
        if set(map(attrgetter("refused"), lines)) != {UNSET}:
            answers = [line for line in lines if line.is_answer]
            for line in lines:
                if not line.is_answer:
                    refusals.add(line, self._columns)
        if answers:
            rows.add(answers, problems, where)

    def _find(self, day: str, model: str) -> tuple[DayRows, Refusals] | None:
        if (day, model) not in self.days:
            if len(self._models[day]) >= MOST_MODELS:
                return None
            self._models[day].add(model)
            self.days[day, model] = DayRows(self._plan), Refusals()
        return self.days[day, model]


def _find_key(line: Line[Any]) -> tuple[str, str]:
    return line.at[:10], line.model


def read_outcomes(
    labels: LabelStore, day: str, plan: Plan, problems: Problems
) -> Mapping[str, float]:
    """Return the label of each id of ``day``: the position of its class, or the number."""
    outcomes = labels.read(day, problems)
    if plan.task == "regression":
        numbers = {id_: value for id_, value in outcomes.items() if isinstance(value, float)}
        problems.add("its outcome is no number", f"labels/{day}", len(outcomes) - len(numbers))
        return numbers
    codes = Coder(plan.classes).code(list(outcomes.values())).tolist()
    classes = {id_: float(code) for id_, code in zip(outcomes, codes, strict=True) if code >= 0}
    problems.add("its outcome is no class", f"labels/{day}", len(outcomes) - len(classes))
    return classes
