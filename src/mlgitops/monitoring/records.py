"""Lines of a request log to records: strict, within caps, whoever wrote them. Pure.

In: whole lines of JSON, as a :class:`Chunk`. Out: a :class:`Line` for each row and refusal, also
where a line holds a :class:`Batch`; what is neither is counted with its reason and position, and
never raises.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from itertools import chain, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias, TypeGuard, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlgitops.monitoring.problems import Problems

#: The longest line that is read, in bytes: a row of some thousand columns.
LONGEST_LINE = 2 * 2**20
#: Of lines that hold several rows, and the most that one holds.
BATCH_VERSION, MOST_ROWS = 2, 1000
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
    tag_field="v",
    tag=1,
):
    """One row that was answered, or one request that was refused."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    at: str  # UTC, such as 2030-01-31T12:00:00.000Z
    model: str  # sha256 of the model file
    inputs: _Inputs | UnsetType = UNSET
    score: float | dict[str, float | None] | UnsetType | None = UNSET
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


class Batch(
    msgspec.Struct,
    Generic[_Inputs],
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    gc=False,
    tag_field="v",
    tag=BATCH_VERSION,
):
    """Several rows of one request; each list has a value for each of them."""

    id: Annotated[str, Meta(min_length=1, max_length=180)]  # of the request
    ids: list[Annotated[str, Meta(min_length=1, max_length=200)]] | UnsetType = UNSET
    at: str
    model: str
    inputs: _Inputs  # column → list
    score: list[float | None] | dict[str, list[float | None]] | None
    answer: Annotated[list[Scalar], Meta(min_length=1, max_length=MOST_ROWS)]

    @property
    def row_ids(self) -> list[str]:
        """Return the id of each row: its own, or the request's and its position."""
        if self.ids is not UNSET:
            return self.ids
        return [f"{self.id}/{row}" for row in range(len(self.answer))]

    @property
    def is_even(self) -> bool:
        """Tell whether all lists have a value for each row."""
        scores = self.score.values() if isinstance(self.score, dict) else [self.score]
        inputs: Any = self.inputs
        columns = [getattr(inputs, name) for name in inputs.__struct_fields__]
        lists = (self.ids, *scores, *columns)
        rows = len(self.answer)
        return all(values is None or values is UNSET or len(values) == rows for values in lists)


class RecordReader:
    """Reads lines whose inputs have the named columns; other columns are passed over.

    The inputs of a line are the attributes `c0`, `c1`, … in the order of ``columns``.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        names = {f"c{number}": name for number, name in enumerate(columns)}
        row = _make_type(names, Scalar | UnsetType)
        lists = _make_type(names, list[Scalar] | UnsetType)
        self._inputs = row
        kinds: Any = Line[row] | Batch[lists]  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Line[Any] | Batch[Any]] = msgspec.json.Decoder(kinds)

    def read(self, chunk: Chunk, problems: Problems) -> Iterator[Line[Any]]:
        """Yield the rows and refusals of ``chunk``; what is none is added to ``problems``."""
        return self.split(self.decode(chunk, problems))

    def split(self, records: Iterable[Line[Any] | Batch[Any]]) -> Iterator[Line[Any]]:
        """Yield the rows that lines hold, each when it is asked for: a thousand fit into 2 KB."""
        for record in records:
            if isinstance(record, Line):
                yield record
            else:
                yield from _split(record, self._inputs)

    def decode(self, chunk: Chunk, problems: Problems) -> Sequence[Line[Any] | Batch[Any]]:
        """Return the records of ``chunk`` as its lines have them; what is none is a problem."""
        try:
            records = self._decoder.decode_lines(chunk.data)
        except (ValueError, RecursionError):  # somewhere in it: msgspec's errors are ValueErrors
            return self._read_one_by_one(chunk, problems)
        if len(records) != chunk.data.count(b"\n") + 1:  # several in one line, or one in several
            return self._read_one_by_one(chunk, problems)
        if _are_answers(records, chunk.days) or all(
            find_fault(record, chunk.days) is None for record in records
        ):
            return records
        return self._read_one_by_one(chunk, problems)

    def _read_one_by_one(
        self, chunk: Chunk, problems: Problems
    ) -> Sequence[Line[Any] | Batch[Any]]:
        records: list[Line[Any] | Batch[Any]] = []
        for number, text in enumerate(chunk.data.split(b"\n"), start=chunk.first_line):
            if not text.strip():
                continue
            record, fault = self._read_line(text, chunk.days)
            if record is None or fault is not None:
                problems.add(fault or _NO_JSON, f"{chunk.where}:{number}")
            else:
                records.append(record)
        return records

    def _read_line(
        self, text: bytes, days: tuple[str, str]
    ) -> tuple[Line[Any] | Batch[Any] | None, str | None]:
        try:
            record = self._decoder.decode(text)
        except msgspec.ValidationError as error:
            return None, _name_fault(str(error))
        except (ValueError, RecursionError):
            return None, _NO_JSON
        return record, find_fault(record, days)


def _make_type(names: Mapping[str, str], kind: Any) -> Any:  # noqa: ANN401 - types
    """Return a record type with an optional field of this type for each name."""
    fields = [(field, kind, UNSET) for field in names]
    return msgspec.defstruct("Inputs", fields, rename={**names}, frozen=True, gc=False)


def _split(batch: Batch[Any], inputs: Callable[..., Any]) -> Iterator[Line[Any]]:
    """Yield the rows of a batch, whose inputs ``inputs`` makes of their values."""
    rows = len(batch.answer)
    fields = [getattr(batch.inputs, name) for name in batch.inputs.__struct_fields__]
    columns = [repeat(UNSET, rows) if values is UNSET else values for values in fields]
    cells = zip(
        batch.row_ids,
        map(inputs, *columns) if columns else repeat(inputs(), rows),
        _split_scores(batch),
        batch.answer,
        strict=True,
    )
    for row_id, row_inputs, score, answer in cells:
        yield Line(
            id=row_id,
            at=batch.at,
            model=batch.model,
            inputs=row_inputs,
            score=score,
            answer=answer,
        )


def _split_scores(batch: Batch[Any]) -> Iterable[Any]:
    if isinstance(batch.score, dict):
        names, columns = batch.score.keys(), batch.score.values()
        cells = zip(*columns, strict=True) if columns else repeat((), len(batch.answer))
        return (dict(zip(names, scores, strict=True)) for scores in cells)
    return repeat(None, len(batch.answer)) if batch.score is None else batch.score


def _are_answers(
    lines: Sequence[Line[Any] | Batch[Any]], days: tuple[str, str]
) -> TypeGuard[list[Line[Any]]]:
    """Tell quickly whether all lines are single answers without a fault, as nearly always."""
    if Batch in set(map(type, lines)):
        return False
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


def find_fault(line: Line[Any] | Batch[Any], days: tuple[str, str]) -> str | None:
    """Say why a decoded line is no record; None when it is."""
    if _TIME.fullmatch(line.at) is None or not is_day(line.at[:10]):
        return "its time is none"
    if not days[0] <= line.at[:10] <= days[1]:
        return "it is of another day than its file, or than was asked for"
    if not _is_digest(line.model):
        return "its model is no sha256"
    if isinstance(line, Batch):
        return None if line.is_even else "its lists are not of the same length"
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
    match = re.search(
        r"at `\$\.(v|ids|id|at|model|inputs|score|answer|refused|column|rows)", message
    )
    if match:
        return f"its `{match[1]}` is not as a record has it"
    if "missing required field" in message:
        return "a field is missing"
    if "unknown field" in message:
        return "it holds a field that no record has"
    return "it is no record"
