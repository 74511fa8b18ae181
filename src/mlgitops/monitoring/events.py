"""CloudEvents of KServe's logger to records: a request and its response, joined by their id.

The logger sends each as an event of its own (`logger: {mode: all}`), with the body in it:
https://kserve.github.io/website/docs/model-serving/predictive-inference/logger. In: files with one
event in JSON's form a line, as a receiver writes them. Reads disk.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.monitoring.history import shift_day
from mlgitops.monitoring.sources import read_file
from mlgitops.monitoring.table_rows import encode_rows, write_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
#: Requests that wait for their response, or the other way round: a forged log has only ones.
_MOST_WAITING = 10_000
_MOST_ROWS = 100_000  # of one request
_NO_EVENT = "it is no event of a request or a response"
_NO_PAIR = "its request and its response do not fit"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an event; others of its attributes are passed over."""

    id: str
    type: str
    time: str = ""
    data: Any = None
    data_base64: str | None = None


_DECODER = msgspec.json.Decoder(Event)


@dataclass(frozen=True, kw_only=True)
class EventPart:
    """Files of events, all answered by one model."""

    files: tuple[Path, ...]
    model: str
    since: str
    until: str

    @property
    def last_day(self) -> str:
        """Return the day before ``until``."""
        return shift_day(self.until, -1)

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield a chunk of records for each request that has its response."""
        waiting: dict[tuple[str, str], Event] = {}
        for path in self.files:
            for chunk in read_file(path, problems):
                lines = enumerate(chunk.data.split(b"\n"), start=chunk.first_line)
                for number, line in lines:
                    if line.strip():
                        position = f"{chunk.where}:{number}"
                        yield from self._join(line, position, waiting, problems)
        problems.add("its request or response is missing", "cloudevents", len(waiting))

    def _join(
        self, line: bytes, position: str, waiting: dict[tuple[str, str], Event], problems: Problems
    ) -> Iterator[Chunk]:
        event = _read_event(line)
        if event is None:
            problems.add(_NO_EVENT, position)
            return
        other = REQUEST if event.type == RESPONSE else RESPONSE
        partner = waiting.pop((event.id, other), None)
        if partner is None:
            waiting[event.id, event.type] = event
            if len(waiting) > _MOST_WAITING:
                waiting.pop(next(iter(waiting)))
                problems.add("its request or response is missing", position)
            return
        request, response = (event, partner) if event.type == REQUEST else (partner, event)
        try:
            rows = list(_make_rows(request, response, self.model))
        except (ValueError, TypeError, KeyError, AttributeError):
            problems.add(_NO_PAIR, position)
            return
        yield encode_rows(rows, f"{position}, row", 1, self.since, self.until)


def _read_event(line: bytes) -> Event | None:
    try:
        event = _DECODER.decode(line)
        if event.data_base64 is not None:
            data = msgspec.json.decode(base64.b64decode(event.data_base64, validate=True))
            event = msgspec.structs.replace(event, data=data, data_base64=None)
    except (ValueError, RecursionError, binascii.Error):
        return None
    return event if event.type in {REQUEST, RESPONSE} and event.id else None


def _make_rows(request: Event, response: Event, model: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each of a request of version 2; raises when the two do not fit."""
    inputs = _read_tensors(request.data["inputs"])
    outputs = _read_tensors(response.data["outputs"])
    own_ids = outputs.pop("id", None)
    if own_ids is not None:
        inputs.pop("id", None)
    count = len(outputs["prediction"])
    columns = [*inputs.values(), *outputs.values(), *([own_ids] if own_ids else [])]
    if count > _MOST_ROWS or any(len(column) != count for column in columns):
        raise ValueError(_NO_PAIR)
    request_id = str(response.data.get("id") or request.id)
    for number in range(count):
        yield {
            "id": str(own_ids[number]) if own_ids else f"{request_id}/{number}",
            "at": _read_time(request.time),
            "model": model,
            "inputs": {name: column[number] for name, column in inputs.items()},
            "score": _find_score(outputs, number),
            "answer": outputs["prediction"][number],
        }


def _read_tensors(tensors: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {str(tensor["name"]): list(tensor["data"]) for tensor in tensors}


def _find_score(outputs: Mapping[str, list[Any]], number: int) -> Any:  # noqa: ANN401 - a cell
    if "score" in outputs:
        return outputs["score"][number]
    prefix = "score_"
    scores = {
        name.removeprefix(prefix): column[number]
        for name, column in outputs.items()
        if name.startswith(prefix)
    }
    return scores or None


def _read_time(text: str) -> object:
    """Return an event's time, RFC 3339, as records have it."""
    import datetime as dt

    return write_time(dt.datetime.fromisoformat(text))
