"""The request log: what was answered, and what was refused, as lines of JSON.

A row that was asked for alone is a line; of several in one request, a line holds the columns, which
takes half the time. `DayFile` appends them, in the server's own thread and before the answer is
sent. Whatever goes wrong there is counted, and the answer is given all the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from ..plumbing.errors import StageError
from .log_files import DISK, FULL, DayFile, tidy
from .redaction import LogSettings, Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Of a line's form: one row or refusal; several rows of one request.
VERSION, BATCH_VERSION = 1, 2
#: Of one line: readers pass over longer ones.
MOST_ROWS, MOST_BYTES = 1000, 2 * 2**20

#: Why records were dropped, beside :data:`FULL` and :data:`DISK`: JSON cannot say them.
UNWRITABLE = "unwritable"
_SCORE = "score_"  # before the name of a class
_log = logging.getLogger("serve")


class Answered(msgspec.Struct, frozen=True, gc=False):
    """One row and its answer; `score` is null for regression."""

    v: int
    id: str
    at: str
    model: str
    inputs: dict[str, Any]  # column → value
    score: float | dict[str, float] | None  # of the positive class, or class → score
    answer: Any


@dataclass(frozen=True, kw_only=True)
class AnsweredBatch:
    """Several rows of one request; every list has a value for each."""

    id: str  # of the request
    ids: list[str] | None  # of the rows; None: `<id>/<row>`, counted from 0
    at: str
    model: str
    inputs: dict[str, list[Any]]
    score: list[float] | dict[str, list[float]] | None
    answer: list[Any]


class Refused(msgspec.Struct, frozen=True, gc=False):
    """One request that was refused: the kind of reason, and no value of it."""

    v: int
    id: str
    at: str
    model: str
    refused: str
    column: str | None
    rows: int | None


class RequestLog:
    """The log of one server in a folder that others may write to as well.

    ``inputs`` and ``classes`` are the model's; None: it is a regression, or has no scores. Raises
    :class:`StageError` when the folder cannot be used; from then on it never fails.
    """

    def __init__(
        self,
        folder: Path,
        model: str,
        settings: LogSettings,
        *,
        inputs: Sequence[str],
        classes: Sequence[str] | None = None,
    ) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(f"{folder}: requests cannot be logged here: {error}") from error
        self.records = self.bytes = 0  # written
        self.last: float | None = None  # seconds since 1970, of the last record written
        self.dropped = Counter({FULL: 0, DISK: 0, UNWRITABLE: 0})
        self._folder, self._model, self._settings = folder, model, settings
        self._redact = Redaction(settings, folder, inputs)
        self._classes = {f"{_SCORE}{name}": name for name in classes or ()}
        self._file = DayFile(folder, settings.max_bytes)
        self._encoder = msgspec.json.Encoder()
        self._today = ""
        self._complaint: str | None = None

    def write_answers(
        self,
        request_id: str,
        ids: Sequence[str | int] | None,
        columns: Mapping[str, list[Any]],
        answers: Mapping[str, Any],
    ) -> None:
        """Log the rows of a request that was answered; ``answers`` is name → array, as served."""
        now = time.time()
        at, rows = write_time(now), len(answers["prediction"])
        try:
            name, names = self._redact.rename(request_id, ids, rows)
            batch = AnsweredBatch(
                id=name,
                ids=names,
                at=at,
                model=self._model,
                inputs=self._redact(columns),
                score=self._list_scores(answers),
                answer=answers["prediction"].tolist(),
            )
            batch = self._sample(batch)
            data = self._encode(batch)
        except (ValueError, TypeError, OverflowError, RecursionError):
            self._drop(UNWRITABLE, rows)
        else:
            self._append(now, at[:10], data, len(batch.answer))

    def write_refusal(
        self, request_id: str, reason: str, column: str | None = None, rows: int | None = None
    ) -> None:
        """Log that a request was refused."""
        now = time.time()
        at = write_time(now)
        try:
            name, _ = self._redact.rename(request_id, None, 0)
            if not self._redact.is_sampled(name):
                return
            record = Refused(VERSION, name, at, self._model, reason, column, rows)
            data = self._encoder.encode_lines([record])
        except ValueError:
            self._drop(UNWRITABLE, 1)
        else:
            self._append(now, at[:10], data, 1)

    def _sample(self, batch: AnsweredBatch) -> AnsweredBatch:
        if self._settings.sample >= 1:
            return batch
        names = enumerate(_name_rows(batch))
        return _take(batch, [row for row, name in names if self._redact.is_sampled(name)])

    def _list_scores(
        self, answers: Mapping[str, Any]
    ) -> list[float] | dict[str, list[float]] | None:
        if "score" in answers:
            scores: list[float] = answers["score"].tolist()
            return scores
        if not self._classes or not self._classes.keys() <= answers.keys():
            return None
        return {label: answers[name].tolist() for name, label in self._classes.items()}

    def _encode(self, batch: AnsweredBatch) -> bytes:
        """Return a batch in as many lines as it takes."""
        rows = len(batch.answer)
        if rows <= 1:
            return self._encoder.encode_lines(_split(batch))
        if rows <= MOST_ROWS:
            data = self._encode_batch(batch)
            if len(data) <= MOST_BYTES:
                return data
        halves = range(rows // 2), range(rows // 2, rows)
        return b"".join(self._encode(_take(batch, half)) for half in halves)

    def _encode_batch(self, batch: AnsweredBatch) -> bytes:
        """Return a batch in one line; nearly all of the time goes into writing numbers."""
        line: dict[str, Any] = {"v": BATCH_VERSION, "id": batch.id, "ids": batch.ids}
        if batch.ids is None:
            del line["ids"]
        line |= {"at": batch.at, "model": batch.model, "inputs": batch.inputs}
        line |= {"score": batch.score, "answer": batch.answer}
        try:
            data: bytes = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)  # twice as quick
        except TypeError:  # a whole number beyond 64 bits
            data = self._encoder.encode_lines([line])
        return data

    def _append(self, now: float, day: str, data: bytes, records: int) -> None:
        if not records:
            return
        reason = self._file.append(day, data)
        if day != self._today:
            self._today = day
            self._complaint = None
            self._tidy(day)
        if reason is not None:
            self._drop(reason, records)
            return
        self.records += records
        self.bytes += len(data)
        self.last = now

    def _drop(self, reason: str, records: int) -> None:
        """Count records that are lost; say so once a day for each reason in a row."""
        self.dropped[reason] += records
        if reason != self._complaint:
            self._complaint = reason
            _log.warning("the request log drops records: %s", reason)

    def _tidy(self, day: str) -> None:
        """Compress what is closed, beside the server's own thread; a kill leaves it for later."""
        arguments = (self._folder, day, self._settings.keep_days)
        threading.Thread(target=tidy, args=arguments, name="tidy", daemon=True).start()


def write_time(seconds: float) -> str:
    """Return a time in UTC, to the millisecond.

    >>> write_time(1795841400.1239)
    '2026-11-28T04:50:00.123Z'
    """
    whole = int(seconds)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{text}.{int((seconds - whole) * 1000):03}Z"


def _name_rows(batch: AnsweredBatch) -> list[str]:
    if batch.ids is not None:
        return batch.ids
    return [f"{batch.id}/{row}" for row in range(len(batch.answer))]


def _take(batch: AnsweredBatch, rows: Sequence[int]) -> AnsweredBatch:
    """Return these rows of a batch."""

    def take(values: list[Any]) -> list[Any]:
        return [values[row] for row in rows]

    score = batch.score
    if isinstance(score, dict):
        score = {label: take(scores) for label, scores in score.items()}
    elif score is not None:
        score = take(score)
    return replace(
        batch,
        ids=take(_name_rows(batch)),
        inputs={name: take(values) for name, values in batch.inputs.items()},
        score=score,
        answer=take(batch.answer),
    )


def _split(batch: AnsweredBatch) -> Iterator[Answered]:
    """Yield the rows of a batch one by one."""
    for row, (name, answer) in enumerate(zip(_name_rows(batch), batch.answer, strict=True)):
        score: Any = batch.score
        if isinstance(score, dict):
            score = {label: scores[row] for label, scores in score.items()}
        elif score is not None:
            score = score[row]
        yield Answered(
            v=VERSION,
            id=name,
            at=batch.at,
            model=batch.model,
            inputs={column: values[row] for column, values in batch.inputs.items()},
            score=score,
            answer=answer,
        )
