"""Shadow by replay: the same requests asked of the server in service and of a candidate.

Nobody's traffic is involved: the requests stand in a file, one a line, and may be hostile. What
the two servers answer is compared as the golden prediction is.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from mlgitops.delivery.golden import find_difference, index_outputs
from mlgitops.delivery.protocol import fetch_answer
from mlgitops.errors import MlgitopsError
from mlgitops.model.fields import Count, Name, Struct
from mlgitops.parsing import MAX_BYTES, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: A request is at most this many bytes, and a file holds at most so many of them.
MAX_LINE = 2**20
MAX_REQUESTS = 10_000
_OK = 200
_SHOWN = 200  # characters of a difference

Outputs: TypeAlias = "dict[str, list[Any]]"


class _Tensor(Struct, frozen=True, kw_only=True):
    name: Name
    shape: tuple[Count, ...]
    datatype: Name
    data: list[Any]
    parameters: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _Request(Struct, frozen=True, kw_only=True):
    """A request of the Open Inference Protocol, version 2, as JSON without binary parts."""

    inputs: tuple[_Tensor, ...]
    id: str | None = None
    parameters: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What two servers made of the same requests; the counts from `equal` on add up to them."""

    requests: int
    equal: int  # both answered, within the golden tolerance
    different: int  # both answered, and not the same
    refused: int  # neither answered
    live_failed: int  # only the candidate answered
    candidate_failed: int  # only the server in service answered
    live_ms: float | None  # median of what both answered; None where nothing was
    candidate_ms: float | None
    first: str | None  # the first request that is not equal, by its line, and why


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """Which two models were asked, and what came of it."""

    environment: str
    live: str  # sha256 of the model in service
    candidate: str  # sha256 of the model that was started beside
    revision: str  # commit of the candidate's code
    replay: Replay


@dataclass(frozen=True, kw_only=True)
class _Answer:
    outputs: Outputs | None  # None: it gave none
    problem: str
    milliseconds: float


def read_requests(file: Path) -> list[dict[str, Any]]:
    """Read the requests of a file of JSON Lines, at most 16 MiB, 10,000 lines, 1 MiB a line.

    Raises :class:`MlgitopsError` naming the first line that is no request of the protocol.
    """
    if not file.is_file():
        hint = "give a file with one request of the protocol a line"
        raise MlgitopsError("there is no such file", where=str(file), hint=hint)
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    if len(data) > MAX_BYTES or len(lines) > MAX_REQUESTS:
        raise MlgitopsError(
            f"more than {MAX_BYTES:,} bytes, or {MAX_REQUESTS:,} requests",
            where=str(file),
            hint=f"take a part of it: `head -n 1000 {file.name}`",
        )
    if not lines:
        raise MlgitopsError("it is empty: nothing would be asked", where=str(file))
    return [_parse_request(line, f"{file.name}:{n}") for n, line in enumerate(lines, start=1)]


def replay(
    requests: Sequence[dict[str, Any]], model: str, tolerance: float, *, live: int, candidate: int
) -> Replay:
    """Ask every request of the servers at the ports ``live`` and ``candidate``, and compare.

    One request at a time, the two in turn first, so that neither always has the warm caches.
    """
    pairs = []
    for index, request in enumerate(requests):
        ports = (live, candidate) if index % 2 == 0 else (candidate, live)
        answers = {port: _ask(port, model, request) for port in ports}
        pairs.append((answers[live], answers[candidate]))
    return _count(pairs, tolerance)


def _parse_request(line: bytes, where: str) -> dict[str, Any]:
    content = parse_json(line, where, limit=MAX_LINE)
    try:
        request = msgspec.convert(content, type=_Request)
    except msgspec.ValidationError as error:
        hint = "one request of the Open Inference Protocol a line"
        raise MlgitopsError(f"no request: {_plain(str(error))}", where=where, hint=hint) from error
    if not request.inputs:
        raise MlgitopsError("no request: `inputs` is empty", where=where)
    assert isinstance(content, dict)  # noqa: S101 - it was just converted
    return content


def _ask(port: int, model: str, request: dict[str, Any]) -> _Answer:
    outputs, start = None, time.perf_counter()
    try:
        status, content = fetch_answer(port, f"/v2/models/{model}/infer", request)
        problem = f"status {status}"
        if status == _OK:
            outputs = index_outputs(json.loads(content)["outputs"])
    except (OSError, http.client.HTTPException) as error:
        problem = f"no answer ({type(error).__name__})"
    except (ValueError, TypeError, KeyError, RecursionError):
        problem = "an answer that is not of the protocol"
    return _Answer(
        outputs=outputs, problem=problem, milliseconds=1000 * (time.perf_counter() - start)
    )


def _count(pairs: Sequence[tuple[_Answer, _Answer]], tolerance: float) -> Replay:
    counts = dict.fromkeys(("equal", "different", "refused", "live_failed", "candidate_failed"), 0)
    first = None
    for number, (live, candidate) in enumerate(pairs, start=1):
        kind, problem = _judge(live, candidate, tolerance)
        counts[kind] += 1
        if problem and first is None:
            first = f"line {number}: {_plain(problem)}"
    answered = [pair for pair in pairs if all(answer.outputs is not None for answer in pair)]
    live_ms, candidate_ms = (
        round(statistics.median(pair[side].milliseconds for pair in answered), 2)
        if answered
        else None
        for side in (0, 1)
    )
    return Replay(
        requests=len(pairs), **counts, live_ms=live_ms, candidate_ms=candidate_ms, first=first
    )


def _judge(live: _Answer, candidate: _Answer, tolerance: float) -> tuple[str, str | None]:
    """Return as what a request counts, and what is not equal about it."""
    if live.outputs is None and candidate.outputs is None:
        return "refused", f"in service {live.problem}, the candidate {candidate.problem}"
    if candidate.outputs is None:
        return "candidate_failed", f"the candidate: {candidate.problem}"
    if live.outputs is None:
        return "live_failed", f"in service: {live.problem}"
    difference = find_difference(live.outputs, candidate.outputs, tolerance)
    if difference is None and candidate.outputs.keys() != live.outputs.keys():
        difference = "the candidate answers with more outputs"
    return ("different", difference) if difference else ("equal", None)


def _plain(text: str) -> str:
    """Return what came from a file or a server without what a terminal would act on."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_SHOWN])
