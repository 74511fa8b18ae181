"""Lines of a request log to records: strict, within caps, whoever wrote them. Pure.

In: whole lines of JSON, as a :class:`Chunk`. Out: :class:`Line` of each that is a record of
version 1; every other one is counted with its reason and position, and never raises.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.monitoring.problems import Problems

#: The longest line that is read, in bytes: a row of some thousand columns.
LONGEST_LINE = 2 * 2**20
Scalar: TypeAlias = str | float | int | bool | None
_Inputs = TypeVar("_Inputs")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z")
_NO_JSON = "it is no JSON"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Whole lines of one file, the number of the first, and the days that they may be of."""

    where: str
    first_line: int
    data: bytes
    days: tuple[str, str] = ("", "9999")  # the first and the last


class Line(
    msgspec.Struct,
    Generic[_Inputs],
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    gc=False,
):
    """One row that was answered, or one request that was refused."""

    v: Literal[1]
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    at: str  # UTC, such as 2030-01-31T12:00:00.000Z
    model: str  # sha256 of the model file
    inputs: _Inputs | UnsetType = UNSET
    score: float | dict[str, float] | UnsetType | None = UNSET
    answer: Scalar | UnsetType = UNSET
    refused: (
        Literal["json", "protocol", "column", "contract", "scoring", "too_large"] | UnsetType
    ) = UNSET
    column: str | UnsetType | None = UNSET
    rows: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET

    @property
    def is_answer(self) -> bool:
        """Tell whether a row was answered, rather than a request refused."""
        return self.refused is UNSET


class RecordReader:
    """Reads lines whose inputs have the named columns; other columns are passed over.

    The inputs of a line are the attributes `c0`, `c1`, … in the order of ``columns``.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        fields = [(f"c{number}", Scalar | UnsetType, UNSET) for number in range(len(columns))]
        rename = {f"c{number}": name for number, name in enumerate(columns)}
        inputs: Any = msgspec.defstruct("Inputs", fields, rename=rename, frozen=True, gc=False)
        self._decoder: msgspec.json.Decoder[Line[Any]] = msgspec.json.Decoder(Line[inputs])

    def read(self, chunk: Chunk, problems: Problems) -> list[Line[Any]]:
        """Return the records of ``chunk``; what is none is added to ``problems``."""
        try:
            lines: list[Line[Any]] = self._decoder.decode_lines(chunk.data)
        except (ValueError, RecursionError):  # somewhere in it: msgspec's errors are ValueErrors
            return self._read_one_by_one(chunk, problems)
        if len(lines) != chunk.data.count(b"\n") + 1:  # several in one line, or one in several
            return self._read_one_by_one(chunk, problems)
        if _are_answers(lines, chunk.days):
            return lines
        if all(find_fault(line, chunk.days) is None for line in lines):
            return lines
        return self._read_one_by_one(chunk, problems)

    def _read_one_by_one(self, chunk: Chunk, problems: Problems) -> list[Line[Any]]:
        lines = []
        for number, text in enumerate(chunk.data.split(b"\n"), start=chunk.first_line):
            if not text.strip():
                continue
            line, fault = self._read_line(text, chunk.days)
            if line is None or fault is not None:
                problems.add(fault or _NO_JSON, f"{chunk.where}:{number}")
            else:
                lines.append(line)
        return lines

    def _read_line(self, text: bytes, days: tuple[str, str]) -> tuple[Line[Any] | None, str | None]:
        try:
            line = self._decoder.decode(text)
        except msgspec.ValidationError as error:
            return None, _name_fault(str(error))
        except (ValueError, RecursionError):
            return None, _NO_JSON
        return line, find_fault(line, days)


def _are_answers(lines: Sequence[Line[Any]], days: tuple[str, str]) -> bool:
    """Tell quickly whether all lines are answers without a fault, as nearly always."""
    if not all(map(_TIME.fullmatch, map(attrgetter("at"), lines))):
        return False
    present = {line.at[:10] for line in lines}
    if not all(days[0] <= day <= days[1] and is_day(day) for day in present):
        return False
    set_fields = map(attrgetter("inputs", "score", "answer"), lines)
    return (
        all(map(_is_digest, set(map(attrgetter("model"), lines))))
        and set(map(attrgetter("refused"), lines)) <= {UNSET}
        and UnsetType not in set(map(type, chain.from_iterable(set_fields)))
    )


def find_fault(line: Line[Any], days: tuple[str, str]) -> str | None:
    """Say why a decoded line is no record; None when it is."""
    if _TIME.fullmatch(line.at) is None or not is_day(line.at[:10]):
        return "its time is none"
    if not days[0] <= line.at[:10] <= days[1]:
        return "it is of another day than its file, or than was asked for"
    if not _is_digest(line.model):
        return "its model is no sha256"
    answers = (line.inputs is UNSET, line.score is UNSET, line.answer is UNSET)
    if any(answers) if line.is_answer else not all(answers):
        return "it is neither an answer nor a refusal"
    return None


@functools.lru_cache(maxsize=4096)
def is_day(text: str) -> bool:
    """Tell whether ``text`` is a date, such as 2030-01-31."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@functools.lru_cache(maxsize=4096)
def _is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def _name_fault(message: str) -> str:
    """Return which field is wrong, without what stands in it."""
    match = re.search(r"at `\$\.(v|id|at|model|inputs|score|answer|refused|column|rows)", message)
    if match:
        return f"its `{match[1]}` is not as a record has it"
    if "missing required field" in message:
        return "a field is missing"
    if "unknown field" in message:
        return "it holds a field that no record has"
    return "it is no record"
