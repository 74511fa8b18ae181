"""What a container asks of itself before it serves, as the generated project has it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from template.conftest import Generate

MODEL = b"a model"
DIGEST = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture(scope="module")
def project(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated project with the bytes of a model; only to be read."""
    folder = generate(tmp_path_factory.mktemp("admission"))
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.skops").write_bytes(MODEL)
    return folder


def admit(project: Path, *words: str, desired: str | None) -> tuple[int, str]:
    """Run the check as the init container does; return its exit code and what it said."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project / "src")}
    environment |= {} if desired is None else {"DESIRED_STATE": desired}
    command = [sys.executable, "-m", "flight_delays.plumbing.admission", *words]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_the_wanted_model_is_admitted(project: Path) -> None:
    """The sha256 of the overlay's model.yaml, with its comments, is that of the model."""
    text = (project / "deploy" / "staging" / "model.yaml").read_text("utf-8")
    assert text.count("sha256: null") == 1
    desired = text.replace("sha256: null", f'sha256: "{DIGEST}"')
    assert admit(project, "model", desired=desired) == (0, "")


@pytest.mark.parametrize(
    ("desired", "problem"),
    [
        (
            f'sha256: "{"0" * 64}"',
            f"the model 000000000000 is wanted, and this image holds {DIGEST[:12]}",
        ),
        (f"sha256: {'0' * 64}", "model.yaml names no `sha256`"),  # a number, without its quotes
        (f"sha256: {DIGEST[:12]}", f"the model {DIGEST[:12]} is wanted, and this image holds"),
        (f"sha256: {DIGEST.upper()}", "is wanted, and this image holds"),
        ("sha256: null", "model.yaml names no `sha256`"),
        ("model: flight-delays", "model.yaml names no `sha256`"),
        (f"sha256: [{DIGEST}]", "model.yaml names no `sha256`"),
        (f"- sha256: {DIGEST}", "model.yaml names no `sha256`"),
        ("filled in by the overlay", "model.yaml names no `sha256`"),
        ("", "model.yaml names no `sha256`"),
        (None, "model.yaml names no `sha256`"),
        ("sha256: {", "model.yaml cannot be read"),
    ],
)
def test_nothing_else_is_admitted(desired: str | None, problem: str, project: Path) -> None:
    """Another model, a part of a digest, and a state that names none: exit code 1, and why."""
    code, said = admit(project, "model", desired=desired)
    assert code == 1
    assert problem in said


def test_another_word_is_refused(project: Path) -> None:
    """A misspelt check does not count as one that passed."""
    code, said = admit(project, "models", desired=f"sha256: {DIGEST}")
    assert (code, "use: admission model" in said) == (1, True)


@pytest.mark.parametrize(
    ("outputs", "tolerance"),
    [
        ([], 0.0),
        ([{"name": "score", "data": []}], 0.0),  # an answer without it would be as good
        ([{"name": "score", "data": [1]}, {"name": "label", "data": []}], 0.0),
        ([{"name": "score", "data": [1]}], 0.5),
        ([{"name": "score", "data": [1]}], float("nan")),
    ],
)
def test_a_golden_prediction_that_asks_for_nothing_is_refused(
    outputs: list[dict[str, object]], tolerance: float, project: Path, tmp_path: Path
) -> None:
    """Before the server is asked: nothing that it says could be wrong."""
    shutil.copytree(project / "src", tmp_path / "src")
    golden = tmp_path / "reports" / "golden.json"
    golden.parent.mkdir()
    golden.write_text(json.dumps({"request": {}, "outputs": outputs, "tolerance": tolerance}))
    code, said = admit(tmp_path, "golden", "http://127.0.0.1:9", desired=None)
    assert (code, "asks for nothing" in said) == (1, True), said
