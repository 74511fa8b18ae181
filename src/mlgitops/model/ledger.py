"""What the ledger of deployments holds: each switch, each stop, and each desired state given up.

The order is that of ``seq``: times are for people to read and decide nothing. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.model.fields import Sha, Struct, Text
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_MENDED = "nobody edits it: see who did, `git log -p origin/deployments`, and restore the line"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$(?!\n)"
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class Event(StrEnum):
    """What happened to an environment."""

    SWITCHED = "switched"  # its users are answered by this model since then
    STOPPED = "stopped"  # somebody ended it: nobody is answered until the next switch
    CONDEMNED = "condemned"  # the desired state failed, and is not tried again until git changes


class LedgerEntry(Struct, frozen=True, kw_only=True):
    """One line of the ledger: what happened, by which commit."""

    seq: Annotated[int, Meta(ge=1)]  # without a gap within an environment
    environment: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
    event: Event
    model: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
    version: Text | None  # of the release; None when a commit was named without one
    sha256: _Sha256  # of the model file
    commit: Sha  # of the default branch, at which the environment's file asked for this
    revision: Sha  # whose dvc.lock names the model and whose code serves it
    previous: _Sha256 | None  # of the model that served before
    forced: bool = False  # deployed with --force: not merged, or not published
    reason: Text | None = None  # why a desired state was condemned, or why the old model came back
    actor: Text | None = None  # who, or which run, brought it about; their own word
    at: Annotated[str, Meta(pattern=_TIME)]  # UTC, such as 2030-01-31T12:00:00.000000Z


#: The largest file of one environment, in bytes: tens of thousands of entries.
MAX_LEDGER_BYTES = 8 * 2**20
_LONGEST_LINE = 16384  # bytes; the three texts of an entry have 500 characters each
_ENCODER = msgspec.json.Encoder(order="sorted")


def find_failure(revisions: Collection[str], entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """Return the entry by which the model of ``revisions`` was given up, if it served never since.

    Whichever commit asked for it: what failed once, asked for again, is the same model and code.
    """
    own = [it for it in entries if it.revision in revisions and it.event is not Event.STOPPED]
    newest = own[-1] if own else None
    return newest if newest is not None and newest.event is Event.CONDEMNED else None


def encode_entry(entry: LedgerEntry) -> bytes:
    """Encode ``entry`` as the line that stands for it, its end included."""
    return _ENCODER.encode(entry) + b"\n"


def parse_ledger(data: bytes, environment: str, where: str) -> tuple[LedgerEntry, ...]:
    """Read the entries of ``environment``; raises :class:`MlgitopsError` naming the first bad line.

    Each must follow from those before it: the next number, and the model that served.
    """
    if len(data) > MAX_LEDGER_BYTES:
        problem = f"{len(data):,} bytes are more than the {MAX_LEDGER_BYTES:,} we read"
        raise MlgitopsError(problem, where=where)
    entries: list[LedgerEntry] = []
    *lines, rest = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        entry = _parse_entry(line, f"{where}:{number}")
        contradiction = _find_contradiction(entry, environment, entries)
        if contradiction:
            raise MlgitopsError(contradiction, where=f"{where}:{number}", hint=_MENDED)
        entries.append(entry)
    if rest:
        raise MlgitopsError("the last line is cut off", where=where, hint=_MENDED)
    return tuple(entries)


def parse_lines(data: bytes, where: str) -> list[LedgerEntry]:
    """Read whole lines of a ledger by themselves, whatever stood before them."""
    return [_parse_entry(line, where) for line in data.split(b"\n")[:-1]]


def find_live(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """Find the switch to the model that serves; None where there was none, or it was stopped."""
    newest = next((it for it in reversed(entries) if it.event is not Event.CONDEMNED), None)
    return newest if newest is not None and newest.event is Event.SWITCHED else None


def chain_entry(entry: LedgerEntry, entries: Sequence[LedgerEntry]) -> LedgerEntry:
    """Return ``entry`` as the one after ``entries``: with its number, and who served before."""
    live = find_live(entries)
    previous = live.sha256 if live else None
    return msgspec.structs.replace(entry, seq=len(entries) + 1, previous=previous)


def _parse_entry(line: bytes, where: str) -> LedgerEntry:
    document = parse_json(line, where, limit=_LONGEST_LINE)  # a key twice, depth, size
    try:
        return msgspec.convert(document, LedgerEntry)
    except msgspec.ValidationError as error:
        raise MlgitopsError(f"no entry of a ledger: {error}", where=where, hint=_MENDED) from error


def _find_contradiction(
    entry: LedgerEntry, environment: str, entries: Sequence[LedgerEntry]
) -> str | None:
    """Say how ``entry`` does not follow from ``entries``; None when it does."""
    chained = chain_entry(entry, entries)
    if entry.environment != environment:
        return f"the entry is of {entry.environment}, not of {environment}"
    if entry.seq != chained.seq:
        return f"the entry is number {entry.seq}, not {chained.seq}: one is missing or was moved"
    if entry.previous != chained.previous:
        names = [sha256[:12] if sha256 else "none" for sha256 in (entry.previous, chained.previous)]
        return f"the entry says that {names[0]} served before, and it was {names[1]}"
    return None
