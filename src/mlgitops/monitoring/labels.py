"""Outcomes that came later, matched with the log by id: what is new, corrected, late, or unknown.

Nothing counts that the log has no row of, that no outcome of the contract is, or that contradicts
itself within one file. In: ids and outcomes, parts of a log, a store. Reads and writes disk.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from mlgitops.environments import locked
from mlgitops.errors import MlgitopsError
from mlgitops.monitoring.label_store import Label
from mlgitops.monitoring.plan import spell
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.plan import Plan
    from mlgitops.monitoring.sources import Part

#: Of one call: what its ids take fits into half a gigabyte.
MOST_LABELS = 2_000_000
_LONGEST_ID = 200  # characters
_DIGITS = 32  # of a hashed id, in hexadecimal
CONTRADICTORY = "its id has two outcomes in the same file"
REUSED = "its id was answered on another day, whose row has the label"
Outcome = str | float


@dataclass(frozen=True, kw_only=True)
class Given:
    """An id and an outcome as somebody gave them, and where: a file and a line or row."""

    position: str
    id: object
    outcome: object


@dataclass(kw_only=True)
class Taken:
    """What became of the labels that were given; each is counted once, the late ones again."""

    new: int = 0
    corrected: int = 0  # the row had another label before
    unchanged: int = 0  # the row had this label before, or it stands there twice
    unknown: int = 0  # the log has no such row
    late: int = 0  # of the new and corrected: later than monitor.yaml says
    days: list[str] = field(default_factory=list)  # whose labels changed
    problems: Problems = field(default_factory=Problems)


def take_labels(
    given: Iterable[Given],
    parts: Sequence[Part],
    store: LabelStore,
    plan: Plan,
    *,
    now: dt.datetime,
    late_days: int,
    salt: bytes | None = None,
) -> Taken:
    """Match labels with the rows of a log and add them to ``store``.

    ``salt`` is that of a log whose ids are hashed; the store then has hashed ids as well. Taking
    the same ones again changes nothing. Raises :class:`MlgitopsError` for more than
    :data:`MOST_LABELS` at once.
    """
    taken = Taken()
    outcomes = _collect(given, plan, taken, salt)
    days = _find_days(outcomes, parts, taken.problems) if outcomes else {}
    taken.unknown = len(outcomes) - len(days)
    by_day: dict[str, dict[str, Outcome]] = defaultdict(dict)
    for row_id, day in days.items():
        by_day[day][row_id] = outcomes[row_id]
    store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(store.folder / "lock"):
        for day in sorted(by_day):
            _add_day(day, by_day[day], store, taken, now=now, late_days=late_days)
    return taken


def _collect(
    given: Iterable[Given], plan: Plan, taken: Taken, salt: bytes | None
) -> dict[str, Outcome]:
    """Return the outcome of each id; without those that contradict themselves."""
    outcomes: dict[str, Outcome] = {}
    contradictory: dict[str, str] = {}
    for label in given:
        row_id, outcome = _read_id(label.id, salt), read_outcome(label.outcome, plan)
        if row_id is None:
            taken.problems.add("its id is none", label.position)
        elif outcome is None:
            kind = "number" if plan.task == "regression" else "class of contract.yaml"
            taken.problems.add(f"its outcome is no {kind}", label.position)
        elif row_id not in outcomes:
            outcomes[row_id] = outcome
            _refuse_many(len(outcomes), label.position)
        elif outcomes[row_id] == outcome:
            taken.unchanged += 1
        else:
            contradictory.setdefault(row_id, label.position)
    for row_id, position in contradictory.items():
        del outcomes[row_id]
        taken.problems.add(CONTRADICTORY, position)
    return outcomes


def _refuse_many(count: int, position: str) -> None:
    if count > MOST_LABELS:
        problem = f"more than {MOST_LABELS:,} labels at once"
        raise MlgitopsError(problem, where=position, hint="give them in several files")


def _read_id(value: object, salt: bytes | None) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value) if isinstance(value, str) or abs(value) < 2**64 else ""
    if not (0 < len(text) <= _LONGEST_ID and text.isprintable()):
        return None
    return text if salt is None else hash_id(text, salt)


def hash_id(row_id: str, salt: bytes) -> str:
    """Return what a generated server logs of an id that is hashed (its `serving/redaction.py`)."""
    message = msgspec.json.encode(row_id)
    return hmac.new(salt, message, hashlib.sha256).hexdigest()[:_DIGITS]


def read_outcome(value: object, plan: Plan) -> Outcome | None:
    """Return an outcome in its one spelling; None when it is no class, or no number."""
    if not isinstance(value, (str, int, float, bool)) or len(str(value)[:201]) > _LONGEST_ID:
        return None
    if plan.task != "regression":
        spelled = spell(value)
        return spelled if spelled in plan.classes else None
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _find_days(
    outcomes: Mapping[str, Outcome], parts: Sequence[Part], problems: Problems
) -> dict[str, str]:
    """Return the day of the request of each id that the log has; the first, if it has several."""
    reader, days = RecordReader([]), dict[str, str]()
    for part in parts:
        for chunk in part.read(problems):
            for line in reader.read(chunk, problems):
                if line.is_answer and line.id in outcomes:
                    day = line.at[:10]
                    if days.setdefault(line.id, day) != day:
                        problems.add(REUSED, f"{chunk.where}, {day}")
    return days


def _add_day(
    day: str,
    outcomes: Mapping[str, Outcome],
    store: LabelStore,
    taken: Taken,
    *,
    now: dt.datetime,
    late_days: int,
) -> None:
    before = store.read(day, taken.problems)
    changed = {
        row_id: outcome for row_id, outcome in outcomes.items() if before.get(row_id) != outcome
    }
    taken.unchanged += len(outcomes) - len(changed)
    if not changed:
        return
    corrected = sum(row_id in before for row_id in changed)
    taken.corrected += corrected
    taken.new += len(changed) - corrected
    if now.date() - dt.date.fromisoformat(day) > dt.timedelta(days=late_days):
        taken.late += len(changed)
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = (Label(id=row_id, outcome=changed[row_id], at=at) for row_id in sorted(changed))
    store.append(day, labels)
    taken.days.append(day)
