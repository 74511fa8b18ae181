"""The golden prediction: rows whose answer is known from training, asked of a server."""

from __future__ import annotations

import http.client
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.protocol import CheckFailedError, fetch
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OK = 200
#: The file may ask for less precision than this, but not for none.
_LARGEST_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A request of the Open Inference Protocol, and what the model answered in training."""

    request: dict[str, Any]
    outputs: dict[str, list[Any]]  # name of an output → its values
    tolerance: float  # largest difference, absolute and relative, that is the same answer


def read_golden(file: Path) -> Golden:
    """Read reports/golden.json; raises :class:`MlgitopsError` when it is missing or malformed."""
    if not file.is_file():
        raise MlgitopsError(
            "there is no golden prediction to check the server with",
            where=file.name,
            hint="commit reports/golden.json, which the stage evaluate writes",
        )
    return parse_golden(file.read_bytes(), file.name)


def parse_golden(data: bytes, where: str) -> Golden:
    """Read the bytes of that file; raises :class:`MlgitopsError` when they are malformed."""
    content: Any = parse_json(data, where)
    try:
        request, tolerance = content["request"], content.get("tolerance", 1e-6)
        outputs = index_outputs(content["outputs"])
    except (TypeError, KeyError, AttributeError) as error:
        problem = "`request` and a list `outputs` were expected"
        raise MlgitopsError(problem, where=where) from error
    if not isinstance(tolerance, float | int) or not 0 <= tolerance <= _LARGEST_TOLERANCE:
        problem = f"`tolerance` must be from 0 to {_LARGEST_TOLERANCE}"
        raise MlgitopsError(problem, where=where)
    if not outputs or not all(outputs.values()):
        raise MlgitopsError("`outputs` is empty: nothing would be checked", where=where)
    return Golden(request=request, outputs=outputs, tolerance=tolerance)


def check_golden(
    port: int, model: str, golden: Golden, *, headers: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Ask for the golden prediction; return the answer's headers, names in small letters.

    ``headers`` go with the request. Raises :class:`CheckFailedError` for another prediction.
    """
    try:
        path = f"/v2/models/{model}/infer"
        status, answer, answered_headers = fetch(port, path, golden.request, headers=headers)
        content = json.loads(answer) if status == _OK else None
        answered = index_outputs(content["outputs"]) if content else {}
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise CheckFailedError(f"the golden prediction got no usable answer: {error}") from error
    if status != _OK:
        said = answer[:300].decode("utf-8", "replace")
        raise CheckFailedError(f"the golden prediction was answered with {status}: {said}")
    difference = find_difference(golden.outputs, answered, golden.tolerance)
    if difference:
        raise CheckFailedError(
            f"the golden prediction differs: {difference}",
            hint="the server computes something else than training did: compare the versions "
            "in requirements/serving.txt with those in model/model.json",
        )
    return answered_headers


def find_difference(
    expected: dict[str, list[Any]], answered: dict[str, list[Any]], tolerance: float
) -> str | None:
    """Return where the answer differs beyond ``tolerance``, or None.

    >>> find_difference({"score": [0.25, 0.5]}, {"score": [0.25, 0.75]}, 1e-6)
    'score[1] is 0.75, not 0.5'
    """
    for name, values in expected.items():
        answers = answered.get(name)
        if answers is None or len(answers) != len(values):
            count = "missing" if answers is None else f"{len(answers)} values, not {len(values)}"
            return f"{name}: {count}"
        for index, (value, answer) in enumerate(zip(values, answers, strict=True)):
            if not _is_same(value, answer, tolerance):
                return f"{name}[{index}] is {answer!r:.60}, not {value!r:.60}"
    return None


def index_outputs(outputs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of each output by its name, as an answer of the protocol lists them."""
    return {output["name"]: list(output["data"]) for output in outputs}


def _is_same(expected: Any, answer: Any, tolerance: float) -> bool:  # noqa: ANN401 - JSON
    numbers = (int, float)
    if isinstance(expected, numbers) and isinstance(answer, numbers):
        return math.isclose(expected, answer, rel_tol=tolerance, abs_tol=tolerance)
    return bool(expected == answer)
