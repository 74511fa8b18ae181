"""The ledger's lines: what is read back, and the first line that does not follow is named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.model.ledger import (
    MAX_LEDGER_BYTES,
    Event,
    LedgerEntry,
    chain_entry,
    encode_entry,
    find_failure,
    find_live,
    parse_ledger,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WHERE = "staging.jsonl"
_DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
_TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=500)


@st.composite
def entries_in_order(draw: st.DrawFn) -> list[LedgerEntry]:
    """Draw entries of one environment, each after those before it."""
    entries: list[LedgerEntry] = []
    for _ in range(draw(st.integers(0, 6))):
        entry = LedgerEntry(
            seq=1,
            environment="staging",
            event=draw(st.sampled_from(Event)),
            model="flights",
            version=draw(_TEXTS),
            sha256=draw(_DIGESTS),
            commit=draw(_DIGESTS)[:40],
            revision=draw(_DIGESTS),
            previous=None,
            forced=draw(st.booleans()),
            reason=draw(_TEXTS),
            actor=draw(_TEXTS),
            at="2030-01-31T12:00:00.000001Z",
        )
        entries.append(chain_entry(entry, entries))
    return entries


def encode_all(entries: Sequence[LedgerEntry]) -> bytes:
    """Encode a whole file."""
    return b"".join(map(encode_entry, entries))


@given(entries_in_order())
def test_what_is_written_is_read_back(entries: list[LedgerEntry]) -> None:
    """Whatever the texts hold, a line is a line."""
    assert list(parse_ledger(encode_all(entries), "staging", WHERE)) == entries


@given(entries_in_order(), st.data())
def test_no_line_can_be_missing_or_moved(entries: list[LedgerEntry], data: st.DataObject) -> None:
    """A file without a line that others follow, or with two of them exchanged, is refused."""
    if len(entries) < 2:
        return
    index = data.draw(st.integers(0, len(entries) - 2))
    left_out = [entry for entry in entries if entry.seq != index + 1]
    exchanged = [*entries[:index], entries[index + 1], entries[index], *entries[index + 2 :]]
    for changed in (left_out, exchanged):
        with pytest.raises(MlgitopsError, match=f": the entry is number {index + 2}, not "):
            parse_ledger(encode_all(changed), "staging", WHERE)


def make_entries() -> list[LedgerEntry]:
    """Return a switch, a state given up, another switch, its failure, and that all was stopped."""
    entries: list[LedgerEntry] = []
    events = ("switched", "condemned", "switched", "condemned", "stopped")
    for digit, event in zip("abccc", events, strict=True):
        entry = LedgerEntry(
            seq=1,
            environment="staging",
            event=Event(event),
            model="flights",
            version="v1.0.0",
            sha256=digit * 64,
            commit=digit * 40,
            revision=digit * 40,
            previous=None,
            at="2030-01-31T12:00:00Z",
        )
        entries.append(chain_entry(entry, entries))
    return entries


def test_the_live_model_is_that_of_the_last_switch() -> None:
    """A desired state that was given up never served; what was stopped serves no more."""
    entries = make_entries()
    live = [find_live(entries[:count]) for count in range(6)]
    assert [entry and entry.sha256[0] for entry in live] == [None, "a", "a", "c", "c", None]
    before = [entry.previous and entry.previous[0] for entry in entries]
    assert before == [None, "a", "a", "c", "c"]
    again = chain_entry(entries[2], entries)
    assert (again.seq, again.previous) == (6, None)


def test_a_stop_is_no_service() -> None:
    """A model that was given up, and stopped afterwards, has failed all the same."""
    failure = find_failure({"c" * 40}, make_entries())
    assert failure is not None
    assert failure.seq == 4


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b'"event":"switched"', b'"event":"paused"', "Invalid enum value 'paused'"),
        (b'"seq":1', b'"seq":0', "Expected `int` >= 1"),
        (b'"seq":1', b'"seq":1,"seq":1', "the key 'seq' stands there twice"),
        (b'"seq":1', b'"seq":1,"approved":true', "unknown field `approved`"),
        (b'"environment":"staging"', b'"environment":"other"', "is of other, not of staging"),
        (b'"previous":null', b'"previous":"' + b"d" * 64 + b'"', "it was none"),
        (b"T12:00:00Z", b" yesterday", "matching regex"),
        (b'"model":"flights"', b'"model":"../flights"', "matching regex"),
        (b'"reason":null', b'"reason":"' + b"x" * 501 + b'"', "length <= 500"),
        (b'"reason":null', b'"reason":"' + b"x" * 17000 + b'"', "more than the 16,384 we read"),
        (b"\n", b"\n\n", "not JSON"),
    ],
)
def test_the_first_bad_line_is_named(before: bytes, after: bytes, reason: str) -> None:
    """One change anywhere in the first lines ends the reading."""
    data = encode_all(make_entries())
    assert before in data
    with pytest.raises(MlgitopsError, match=re.escape(reason)) as caught:
        parse_ledger(data.replace(before, after, 1), "staging", WHERE)
    assert str(caught.value).startswith(f"{WHERE}:")


def test_a_switch_that_names_another_predecessor_is_named() -> None:
    """The chain of models is part of what a line says."""
    entries = make_entries()
    entries[2] = msgspec.structs.replace(entries[2], previous="b" * 64)
    with pytest.raises(MlgitopsError, match=r": the entry says that b{12} served before, and it w"):
        parse_ledger(encode_all(entries), "staging", WHERE)


def test_a_line_that_is_cut_off_is_no_line() -> None:
    """What a crash of anything left behind is not read as an entry."""
    with pytest.raises(MlgitopsError, match=r": the last line is cut off\n"):
        parse_ledger(encode_all(make_entries())[:-1], "staging", WHERE)


def test_a_file_without_end_is_not_read() -> None:
    """There is a limit before anything is parsed."""
    with pytest.raises(MlgitopsError, match=r": 8,388,609 bytes are more than the 8,388,608 we re"):
        parse_ledger(b"\n" * (MAX_LEDGER_BYTES + 1), "staging", WHERE)
