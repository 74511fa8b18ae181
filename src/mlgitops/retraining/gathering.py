"""Log and labels to rows that a model may learn from, the newest of them held out. Reads disk.

A row is taken once, by the id of its request, and only with a label. What one day or one client
adds is capped; which rows stay is decided by a hash of the ids of the whole day, so that nobody
gains by being first, or by the names that it gives.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, structs

from mlgitops.errors import MlgitopsError
from mlgitops.monitoring.counted import binomial_tail
from mlgitops.monitoring.plan import spell
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlgitops.model.monitoring import RetrainSettings
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.records import Line
    from mlgitops.monitoring.sources import Part
    from mlgitops.retraining.recipe import Recipe

#: Rows with labels that are held at once: what they take fits into some gigabytes.
MOST_ROWS = 2_000_000
#: Rows of which every label is the model's answer, from which on it is asked whether that is so.
SUSPICIOUS_ROWS = 200
#: How much less often than on its test rows a model may be wrong in production, before it is asked.
_BETTER = 4
#: Of an exact test by chance: one of the reference, and three of production, come to under 1/1,000.
_CHANCE = 2e-4
_ROUNDED = 1e-3  # by which a rounded answer differs from it, as a share of it
_LONGEST_CELL = 1000  # characters


class LabelledRow(NamedTuple):
    """A row of production whose outcome is known."""

    id: str  # of the log
    day: str  # of the request, UTC
    cells: tuple[str, ...]  # as the raw table has them
    client: str
    agrees: bool  # whether the outcome is what the model answered
    model: str = ""  # sha256 of the one that answered


class Reference(NamedTuple):
    """How often the model in service was wrong on its own test rows."""

    model: str  # sha256
    rows: int
    errors: int


@dataclass(kw_only=True)
class Labelled:
    """All rows of a log that have a label, by day and id."""

    rows: list[LabelledRow] = field(default_factory=list)
    unlabelled: int = 0
    problems: Problems = field(default_factory=Problems)


@dataclass(kw_only=True)
class Chosen:
    """What becomes of labelled rows; each is counted once, by the day of its request."""

    new: list[LabelledRow]  # to learn from
    window: list[LabelledRow]  # to compare on
    taken: Counter[str]  # rows that the table has already
    over_day: Counter[str] = field(default_factory=Counter)
    over_client: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # they take no place in a cap


def read_labelled(
    parts: Sequence[Part], labels: LabelStore, recipe: Recipe, taken: Collection[str] = ()
) -> Labelled:
    """Read the rows of a log that have a label, each once.

    An id that was asked again with other inputs teaches nothing: of which of them its label came
    true is not known. ``taken``: ids of rows that the table has, which stay to be counted. Raises
    :class:`MlgitopsError` for more than :data:`MOST_ROWS` of them.
    """
    labelled, first, unclear = Labelled(), dict[str, LabelledRow](), set[str]()
    reader, stored = RecordReader(recipe.inputs), dict[str, dict[str, str | float]]()
    for part in parts:
        for chunk in part.read(labelled.problems):
            for line in reader.read(chunk, labelled.problems):
                day = line.at[:10]
                if day not in stored:
                    stored[day] = labels.read(day, labelled.problems)
                outcome = stored[day].get(line.id) if line.is_answer else None
                if outcome is None:
                    labelled.unlabelled += line.is_answer
                    continue
                row = _make_row(line, outcome, recipe)
                fault = "its id stands there twice" if row.id in first else _find_fault(line, row)
                before = first.setdefault(row.id, row)
                if recipe.pick_inputs(before.cells) != recipe.pick_inputs(row.cells):
                    unclear.add(row.id)
                if fault is not None:
                    labelled.problems.add(fault, f"{chunk.where}, {day}")
                    continue
                labelled.rows.append(row)
                _refuse_many(labelled.rows)
    unclear.difference_update(taken)
    labelled.rows = [row for row in labelled.rows if row.id not in unclear]
    labelled.rows.sort(key=attrgetter("day", "id"))
    return labelled


def _refuse_many(rows: Sequence[LabelledRow]) -> None:
    if len(rows) > MOST_ROWS:
        hint = "sample the log: `requests: {sample: 0.1}` in monitor.yaml"
        raise MlgitopsError(f"more than {MOST_ROWS:,} rows with labels", hint=hint)


def _make_row(line: Line[Any], outcome: str | float, recipe: Recipe) -> LabelledRow:
    client = "" if recipe.client is None else spell(getattr(line.inputs, f"c{recipe.client}"))
    agrees = is_answer(outcome, line.answer)
    cells = recipe.fill(line, outcome)
    return LabelledRow(line.id, line.at[:10], cells, client, agrees, line.model)


def is_answer(outcome: str | float, answer: object) -> bool:
    """Tell whether a label is what the model answered; a fraction also where it was rounded."""
    label, said = spell(outcome), spell(answer)
    if label == said or "." not in said:
        return label == said
    try:
        return math.isclose(float(label), float(said), rel_tol=_ROUNDED)
    except ValueError:
        return False


def _find_fault(line: Line[Any], row: LabelledRow) -> str | None:
    """Say why a row cannot stand in a table; None where it can."""
    inputs: Any = line.inputs
    if any(getattr(inputs, name) is UNSET for name in inputs.__struct_fields__):
        return "it lacks an input"
    if not all(cell.isprintable() for cell in row.cells):
        return "a value holds a character that no table should"
    if any(len(cell) > _LONGEST_CELL for cell in row.cells):
        return f"a value is longer than {_LONGEST_CELL:,} characters"
    return None


def refuse_own_answers(rows: Sequence[LabelledRow], reference: Reference | None = None) -> None:
    """Raise :class:`MlgitopsError` where labels look made from what the model answered.

    That is where all of them are its answers, and, with a ``reference``, where so many are as
    would be by chance once in 1,000 times at most if the model were wrong in production a fourth
    as often as on its test rows.
    """
    if len(rows) >= SUSPICIOUS_ROWS and all(row.agrees for row in rows):
        raise _refuse_answers(f"all {len(rows):,} labels are what the model answered")
    if reference is None:
        return
    answered = [row for row in rows if row.model == reference.model]
    agreeing = sum(row.agrees for row in answered)
    fewest = find_fewest_errors(reference) / _BETTER
    if answered and binomial_tail(agreeing, len(answered), 1 - fewest) < _CHANCE:
        was_right = 1 - reference.errors / reference.rows
        raise _refuse_answers(
            f"{agreeing:,} of {len(answered):,} labels are what the model answered, which was right"
            f" for {was_right:.1%} of its test rows"
        )


def find_fewest_errors(reference: Reference) -> float:
    """Return the share of errors that the test rows leave possible, from below.

    One-sided, exact: C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits
    illustrated in the case of the binomial, Biometrika 26 (1934), 404-413. 0 without an error.
    """
    low, high = 0.0, reference.errors / reference.rows
    for _ in range(50):
        middle = (low + high) / 2
        is_possible = binomial_tail(reference.errors, reference.rows, middle) >= _CHANCE
        low, high = (low, middle) if is_possible else (middle, high)
    return low


def _refuse_answers(problem: str) -> MlgitopsError:
    hint = "look at where they come from; if they are what came true: --labels-checked"
    return MlgitopsError(f"{problem}: are they made from its answers?", where="labels", hint=hint)


def choose_rows(
    rows: Sequence[LabelledRow],
    taken: Collection[str],
    settings: RetrainSettings,
    refused: Collection[str] = (),
    learned: Collection[str] = (),
) -> Chosen:
    """Hold out the newest days with labels, and take of the others what is new, within the caps.

    ``taken``: the ids of rows that the table has. They count towards what a day or a client adds.
    ``refused``: those of rows that the contract is known to refuse, which do not. ``learned``:
    those of the table of the model in service, on which it cannot be compared. A client has its
    share of the rows that are held out, too: else whoever asks most decides the comparison.
    """
    days = sorted({row.day for row in rows})
    window_days = set(days[-settings.window_days :])
    chosen = Chosen(new=[], window=[], taken=Counter())
    by_day: dict[str, list[LabelledRow]] = defaultdict(list)
    for row in rows:
        if _is_kept(row, window_days, taken, learned):
            chosen.taken[row.day] += 1
        else:
            by_day[row.day].append(row)
    older = [row for row in rows if row.day not in window_days]
    clients = Counter(row.client for row in older if row.id in taken)
    asking = Counter[str]()  # clients of the rows that are held out
    held_out = structs.replace(settings, rows_per_day=None)
    for day in sorted(by_day):
        if day in window_days:
            chosen.window += _choose_of_day(
                day, by_day[day], chosen, asking, held_out, refused=refused
            )
        else:
            chosen.new += _choose_of_day(
                day, by_day[day], chosen, clients, settings, refused=refused
            )
    return chosen


def _is_kept(
    row: LabelledRow,
    window_days: Collection[str],
    taken: Collection[str],
    learned: Collection[str],
) -> bool:
    """Tell whether a row can be neither learned from nor compared on: a model has seen it."""
    return row.id in taken or (row.day in window_days and row.id in learned)


def _choose_of_day(
    day: str,
    rows: Sequence[LabelledRow],
    chosen: Chosen,
    clients: Counter[str],
    settings: RetrainSettings,
    *,
    refused: Collection[str],
) -> list[LabelledRow]:
    """Return the rows of a day within the caps; count those that are left out.

    Their order rests on the ids of all of them: a client names its own, and could otherwise try
    names until all of them come first.
    """
    kept, added = list[LabelledRow](), chosen.taken[day]
    salt = hashlib.sha256("\n".join(sorted(row.id for row in rows)).encode()).digest()
    for row in sorted(rows, key=lambda row: hashlib.sha256(salt + row.id.encode()).digest()):
        if row.id in refused:
            chosen.refused[day] += 1
        elif (
            settings.rows_per_client is not None and clients[row.client] >= settings.rows_per_client
        ):
            chosen.over_client[day] += 1
        elif settings.rows_per_day is not None and added >= settings.rows_per_day:
            chosen.over_day[day] += 1
        else:
            clients[row.client] += 1
            added += 1
            kept.append(row)
    return sorted(kept, key=attrgetter("id"))
