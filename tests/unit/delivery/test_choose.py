"""Which entries of the ledger a question is about; a stop ends what served."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlgitops.delivery.audit.choose import choose_entries, list_periods
from mlgitops.model.ledger import Event, LedgerEntry, chain_entry

NOW = datetime(2030, 6, 1, tzinfo=UTC)


def make_entries(*events: Event) -> list[LedgerEntry]:
    """Return entries of one model, one a day from the first of January 2030 on."""
    entries: list[LedgerEntry] = []
    for day, event in enumerate(events, start=1):
        entry = LedgerEntry(
            seq=1,
            environment="staging",
            event=event,
            model="flights",
            version="v1.0.0",
            sha256="a" * 64,
            commit="b" * 40,
            revision="c" * 40,
            previous=None,
            at=f"2030-01-{day:02}T12:00:00Z",
        )
        entries.append(chain_entry(entry, entries))
    return entries


STOPPED = make_entries(Event.SWITCHED, Event.CONDEMNED, Event.STOPPED)
AGAIN = make_entries(Event.SWITCHED, Event.STOPPED, Event.CONDEMNED, Event.SWITCHED)


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        (None, []),
        ("2030-01-02", [1]),
        ("2030-01-03", [1]),
        ("2030-01-03T12:00:00Z", []),
        ("2030-01-04", []),
        ("a" * 64, [1]),
    ],
)
def test_nothing_serves_after_a_stop(asked: str | None, numbers: list[int]) -> None:
    """At its very moment, and on the days after it; the model that served is known by its hash."""
    assert [entry.seq for entry in choose_entries(STOPPED, asked, NOW)] == numbers


def test_periods_end_with_a_stop() -> None:
    """A model that was stopped and asked for again served twice, and not in between."""
    periods = list_periods(AGAIN, AGAIN[0])
    assert [(period.seq, period.until) for period in periods] == [
        (1, "2030-01-02T12:00:00Z"),
        (4, None),
    ]
    assert choose_entries(AGAIN, None, NOW) == [AGAIN[3]]
    assert choose_entries(AGAIN, "2030-01-03", NOW) == []
