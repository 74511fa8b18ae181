"""The documents of the Open Inference Protocol: bytes → rows, and answers → bytes.

Version 2 sends each column as a tensor, version 1 each row as an object. A column `id` that is
no input names the rows: it is not read, and returns with the answers. No I/O here.
"""

from __future__ import annotations

import json
import math
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

ID = "id"

#: Rows of a request; whatever is wrong with each of so many is named in seconds, not in minutes.
MAX_ROWS = 100_000

#: Characters of a row's id; of a request's own, room is left for the number of the row. Of a longer
#: one the log could hold only a part, which another may begin with as well.
MAX_ID, MAX_REQUEST_ID = 200, 180

#: numpy's kind of a value → the protocol's datatype.
_DATATYPES = {"b": "BOOL", "i": "INT64", "u": "UINT64", "f": "FP64"}

#: The protocol's datatypes of whole numbers, with the least and the greatest.
_WHOLE = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
#: Every datatype → the types of its values in JSON, beside null.
_TYPES: dict[str, tuple[type, ...]] = {
    "BOOL": (bool,),
    "BYTES": (str,),
    **dict.fromkeys(_WHOLE, (int,)),
    **dict.fromkeys(("FP16", "FP32", "FP64"), (int, float)),
}


#: Kinds of reasons for a refusal, as the log and the counters name them.
JSON, PROTOCOL, COLUMN, CONTRACT, SCORING, TOO_LARGE = REASONS = (
    "json",
    "protocol",
    "column",
    "contract",
    "scoring",
    "too_large",
)


class BadRequestError(Exception):
    """What is wrong with a request, for the person who sent it.

    ``reason`` is its kind, of :data:`REASONS`, and ``column`` the first one that is wrong.
    """

    def __init__(self, text: str, reason: str = PROTOCOL, column: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.column = column


class _Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]
    parameters: dict[str, Any] | None = None


class _RequestedOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    parameters: dict[str, Any] | None = None


class _InferenceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_RequestedOutput] | None = None


class _Instances(msgspec.Struct, frozen=True):
    instances: list[dict[str, Any]]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a request: column name → values as JSON has them, all of one length."""

    columns: dict[str, list[Any]]
    ids: list[str | int] | None  # of the rows, as the request names them
    request_id: str  # as the request names itself; else one that is made here
    outputs: list[str] | None = None  # that are asked for; None: all
    version: int = 2  # of the protocol

    def count(self) -> int:
        """Return how many rows there are."""
        return max(map(len, self.columns.values()), default=0)


_TENSORS = msgspec.json.Decoder(_InferenceRequest)
_OBJECTS = msgspec.json.Decoder(_Instances)


def parse_tensors(body: bytes, inputs: Collection[str]) -> Rows:
    """Return the rows of a request of version 2; ``inputs`` are the model's columns.

    Raises :class:`BadRequestError`, here and in :func:`parse_instances`.
    """
    request = _decode(_TENSORS, body)
    if len(request.id or "") > MAX_REQUEST_ID:
        raise BadRequestError(f"the request's id has more than {MAX_REQUEST_ID} characters")
    if body.count(b":") != _count_names(request):
        _read_pairs(body, _refuse_twice_in_tensor)
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise BadRequestError(f"column {tensor.name} is given twice")
        columns[tensor.name] = _read_data(tensor)
        _check_datatype(tensor.name, tensor.datatype, columns[tensor.name])
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise BadRequestError(f"the columns have different numbers of rows: {sorted(lengths)}")
    _refuse_many(max(lengths, default=0))
    return Rows(
        ids=_take_ids(columns, inputs),
        columns=columns,
        request_id=request.id or make_request_id(),
        outputs=_name_outputs(request.outputs) if request.outputs else None,
    )


def parse_instances(body: bytes, inputs: Collection[str]) -> Rows:
    """Return the rows of a request of version 1; a name that a row lacks is a missing value."""
    instances = _decode(_OBJECTS, body).instances
    _refuse_many(len(instances))
    _refuse_repeated(body, instances)
    names = dict.fromkeys(name for row in instances for name in row)
    for name in names:  # before there is a column for each: every row may have a name of its own
        if name != ID and name not in inputs:
            raise BadRequestError(f"column {name} is not an input; those are: {[*inputs]}", COLUMN)
    columns = {name: [row.get(name) for row in instances] for name in names}
    ids = _take_ids(columns, inputs)
    return Rows(ids=ids, columns=columns, request_id=make_request_id(), version=1)


def make_request_id() -> str:
    """Return an id for a request that has none."""
    return str(uuid.uuid4())


def parse_reference(body: bytes, inputs: Collection[str]) -> Rows:
    """Return the rows of a request, or of a golden prediction: a document with a `request`."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"it is not JSON: {error}") from error
    if isinstance(content, dict) and "request" in content:
        body = msgspec.json.encode(content["request"])
    return parse_tensors(body, inputs)


def render_answers(rows: Rows, answers: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    """Return the body of an answer; ``answers`` is name → one value for each row.

    ``facts`` are further members of the document, such as the model's name.
    """
    if rows.version == 1:
        columns = {name: values.tolist() for name, values in answers.items()}
        if rows.ids is not None:
            columns = {ID: rows.ids, **columns}
        cells = zip(*columns.values(), strict=True)
        predictions = [dict(zip(columns, row, strict=True)) for row in cells]
        return msgspec.json.encode({"predictions": predictions, **facts})
    outputs = [make_tensor(name, values) for name, values in answers.items()]
    if rows.ids is not None:
        outputs.insert(0, make_tensor(ID, np.array(rows.ids, dtype=_find_dtype(rows.ids))))
    if rows.outputs is not None:
        outputs = _select_outputs(outputs, rows.outputs)
    document = {**facts, "id": rows.request_id, "outputs": outputs}
    return msgspec.json.encode(document)


def make_tensor(name: str, values: Any) -> dict[str, Any]:  # noqa: ANN401 - an array
    """Return one value for each row as a tensor."""
    datatype = _DATATYPES.get(values.dtype.kind, "BYTES")
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values.tolist()}


def describe_tensor(name: str, dtype: Any) -> dict[str, Any]:  # noqa: ANN401 - numpy's
    """Return what the model's description says of a column: any number of rows."""
    datatype = _DATATYPES.get(np.dtype(dtype).kind, "BYTES")
    return {"name": name, "datatype": datatype, "shape": [-1]}


def _decode(decoder: Any, body: bytes) -> Any:  # noqa: ANN401 - msgspec's
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"the request is not as the protocol has it: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "; write null for a missing value" if b"NaN" in body else ""
        raise BadRequestError(f"the request is not JSON: {error}{hint}", JSON) from error


def _read_data(tensor: _Tensor) -> list[Any]:
    """Return one value for each row of a column; [[1], [2]] is two rows of one value each."""
    data, shape = tensor.data, tensor.shape
    if len(shape) == 2 and shape[1] == 1:  # noqa: PLR2004 - rows and one column
        data = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in data]
    elif len(shape) != 1:
        raise BadRequestError(f"column {tensor.name}: its shape is {shape}, not [rows]")
    if shape[0] != len(data):
        raise BadRequestError(f"column {tensor.name}: shape {shape}, and {len(data)} values")
    return data


def _check_datatype(name: str, datatype: str, data: Sequence[Any]) -> None:
    """Refuse what is not of the datatype that the request says; lists are refused elsewhere."""
    if datatype not in _TYPES:
        problem = f"column {name}: {datatype!r:.40} is none of {', '.join(_TYPES)}"
        raise BadRequestError(problem, PROTOCOL, name)
    allowed = {*_TYPES[datatype], type(None), list, dict}
    low, high = _WHOLE.get(datatype, (-math.inf, math.inf))
    if datatype not in _WHOLE and {*map(type, data)} <= allowed:
        return
    for row, value in enumerate(data, start=1):
        if type(value) not in allowed or (type(value) is int and not low <= value <= high):
            problem = f"column {name}, row {row}: {value!r:.60} is no {datatype}"
            raise BadRequestError(problem, PROTOCOL, name)


def _refuse_repeated(body: bytes, instances: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a name that is given twice: another reader may take the other of the two values."""
    if body.count(b":") == 1 + sum(map(len, instances)):
        return  # one for each name that was read, so that none was read over
    document = _read_pairs(body, list)
    _refuse_twice(document, "")
    for row, pairs in enumerate(dict(document)["instances"], start=1):
        _refuse_twice(pairs, f"row {row}: column ")


def _count_names(request: _InferenceRequest) -> int:
    """Return how many names a request has at least: there are more where one is given twice."""
    parts = [request, *request.inputs, *(request.outputs or ())]
    members = [getattr(part, name) for part in parts for name in part.__struct_fields__]
    given = sum(value is not None for value in members)
    return given + sum(len(part.parameters or ()) for part in parts)


def _read_pairs(body: bytes, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:  # noqa: ANN401 - JSON
    """Read what msgspec has read, each object as the pairs that stand there."""
    try:
        return json.loads(body, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:  # a limit that msgspec has not
        raise BadRequestError(f"the request is not JSON: {error}", JSON) from error


def _refuse_twice_in_tensor(pairs: list[tuple[str, Any]]) -> None:
    """Refuse a member given twice, of a tensor or of any other object of a request."""
    name = next((value for key, value in pairs if key == "name"), None)
    _refuse_twice(pairs, f"column {name}: " if isinstance(name, str) else "")


def _refuse_twice(pairs: Sequence[tuple[str, Any]], of: str) -> None:
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise BadRequestError(f"{of}{name} is given twice")


def _refuse_many(rows: int) -> None:
    if rows > MAX_ROWS:
        problem = f"{rows} rows are more than the {MAX_ROWS} of one request"
        raise BadRequestError(problem, TOO_LARGE)


def _name_outputs(outputs: Sequence[_RequestedOutput]) -> list[str]:
    """Return the names of outputs, each given once: an answer must not be a request's many times."""
    names = [output.name for output in outputs]
    repeated = next((name for name, times in Counter(names).items() if times > 1), None)
    if repeated is not None:
        raise BadRequestError(f"output {repeated} is asked for twice")
    return names


def _take_ids(columns: dict[str, list[Any]], inputs: Collection[str]) -> list[str | int] | None:
    """Take the rows' names out of the columns, where the request has some."""
    if ID in inputs or ID not in columns:
        return None
    ids = columns.pop(ID)
    for row, value in enumerate(ids, start=1):
        if type(value) not in (str, int):
            raise BadRequestError(f"column {ID}, row {row}: must be a text or a whole number")
        if not 0 < len(str(value)) <= MAX_ID:
            raise BadRequestError(f"column {ID}, row {row}: must have 1 to {MAX_ID} characters")
    return ids


def _find_dtype(ids: Sequence[str | int]) -> type:
    whole = all(type(value) is int and -(2**63) <= value < 2**63 for value in ids)
    return np.int64 if whole else object


def _select_outputs(outputs: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    by_name = {output["name"]: output for output in outputs}
    for name in names:
        if name not in by_name:
            raise BadRequestError(f"output {name} is none of {', '.join(by_name)}")
    return [by_name[name] for name in names]


def refuse_nested(columns: Mapping[str, list[Any]]) -> None:
    """Raise :class:`BadRequestError` for a value that is a list, an object, or no finite number."""
    for name, values in columns.items():
        for row, value in enumerate(values, start=1):
            if isinstance(value, list | dict):
                problem = f"column {name}, row {row}: is not one value: {value!r:.60}"
                raise BadRequestError(problem, CONTRACT, name)
            if isinstance(value, float) and not math.isfinite(value):
                problem = f"column {name}, row {row}: is no finite number"
                raise BadRequestError(problem, CONTRACT, name)
