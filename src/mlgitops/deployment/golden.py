"""The golden prediction: rows whose answer is known from training, asked of a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlgitops.deployment.protocol import CheckFailedError, fetch_answer, find_difference
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from pathlib import Path

_OK = 200


def read_golden(file: Path) -> dict[str, Any]:
    """Return the request and the expected response; raises when they are not there."""
    if not file.is_file():
        raise MlgitopsError(
            "there is no golden prediction to check the server with",
            where=file.name,
            hint="commit reports/golden.json, which the stage evaluate writes",
        )
    content = parse_json(file.read_bytes(), file.name)
    if not isinstance(content, dict) or not {"request", "response"} <= content.keys():
        raise MlgitopsError("`request` and `response` were expected", where=file.name)
    return content


def check_golden(port: int, model: str, golden: dict[str, Any]) -> None:
    """Ask for the golden prediction; raises :class:`CheckFailedError` when it is another."""
    try:
        status, answer = fetch_answer(port, f"/v2/models/{model}/infer", golden["request"])
    except OSError as error:
        raise CheckFailedError(f"the golden prediction got no answer: {error}") from error
    if status != _OK:
        said = answer[:300].decode("utf-8", "replace")
        raise CheckFailedError(f"the golden prediction was answered with {status}: {said}")
    difference = find_difference(golden["response"], json.loads(answer))
    if difference:
        raise CheckFailedError(
            f"the golden prediction differs: {difference}",
            hint="the server computes something else than training did: compare the versions "
            "in requirements/serving.txt with those in model/model.json",
        )
