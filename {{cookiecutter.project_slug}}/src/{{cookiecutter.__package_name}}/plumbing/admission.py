"""What a container asks of itself before it may serve: the desired model, the answers of training.

`admission model` compares the image's model with the sha256 in DESIRED_STATE, which holds the environment's
model.yaml; `admission golden` asks the running server for the golden prediction. A cluster runs both, so that
whoever brings a change there, nothing else comes into service. Light: a probe runs it often.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from .. import MODEL_NAME
from . import paths
from .errors import StageError, run_stage

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = f"http://127.0.0.1:8080/v2/models/{MODEL_NAME}"
SECONDS = 8.0  # for the answer; the probe itself ends a little later
LARGEST_TOLERANCE = 1e-3


def check_model(desired: str, model: Path) -> None:
    """Raise StageError unless ``model`` is the file whose sha256 the text ``desired`` names."""
    import yaml

    try:
        content = yaml.safe_load(desired)
    except yaml.YAMLError as error:
        raise StageError(f"model.yaml cannot be read: {error}") from error
    wanted = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(wanted, str):
        raise StageError("model.yaml names no `sha256`: nothing says which model is wanted here")
    with model.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != wanted:
        raise StageError(f"the model {wanted[:12]} is wanted, and this image holds {digest[:12]}")


def check_golden(address: str, golden: dict[str, Any]) -> None:
    """Raise StageError unless the model at ``address`` gives the answers known from training."""
    tolerance = float(golden["tolerance"])
    expected = {output["name"]: output["data"] for output in golden["outputs"]}
    is_empty = not expected or not all(expected.values())
    if is_empty or not 0 <= tolerance <= LARGEST_TOLERANCE:
        raise StageError(f"{paths.GOLDEN} asks for nothing: commit what the stage evaluate writes")
    answered = _ask(address, golden["request"])
    for name, values in expected.items():
        answers = answered.get(name, [])
        if len(answers) != len(values) or not all(
            _is_same(value, answer, tolerance)
            for value, answer in zip(values, answers, strict=True)
        ):
            raise StageError(f"the golden prediction differs: {name} is {answers}, not {values}")


def _ask(address: str, body: dict[str, Any]) -> dict[str, list[Any]]:
    request = urllib.request.Request(  # noqa: S310 - an address of this container
        f"{address}/infer", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - same
            content = json.load(response)
        return {output["name"]: list(output["data"]) for output in content["outputs"]}
    except (OSError, HTTPException, ValueError, TypeError, KeyError) as error:
        raise StageError(f"the golden prediction got no usable answer: {error}") from error


def _is_same(expected: Any, answer: Any, tolerance: float) -> bool:  # noqa: ANN401 - JSON
    if isinstance(expected, int | float) and isinstance(answer, int | float):
        return math.isclose(expected, answer, rel_tol=tolerance, abs_tol=tolerance)
    return bool(expected == answer)


def main(words: list[str] | None = None) -> None:
    """Run the check that is named first; exit code 1 and a sentence when it fails."""
    match sys.argv[1:] if words is None else words:
        case ["model"]:
            check_model(os.environ.get("DESIRED_STATE", ""), paths.MODEL)
        case ["golden", *address]:
            check_golden(
                "".join(address) or ADDRESS, json.loads(paths.GOLDEN.read_text(encoding="utf-8"))
            )
        case _:
            raise StageError("use: admission model, or admission golden [ADDRESS OF THE MODEL]")


if __name__ == "__main__":
    run_stage(main)
