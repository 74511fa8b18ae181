"""The generated pipeline as a reader meets it, and as DVC decides what to run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from template.conftest import Generate

BIN = Path(sys.executable).parent
MOST_LINES = 120
MOST_MODULES = 13

#: A pipeline of one stage that depends on the folder; its outputs are of no interest here.
ONE_STAGE = """
stages:
  count:
    cmd: python -c "import {package}.plumbing.paths; open('model/model.json', 'w').write('1')"
    deps:
      - src/{package}/plumbing
    params: [seed]
    outs: [model/model.json: {{cache: false}}]
"""


def run_dvc(project: Path, *words: str) -> str:
    """Run DVC as a person would, Python's byte code included, and return what it prints."""
    env = {**os.environ, "PYTHONPATH": "src", "PATH": f"{BIN}:{os.environ['PATH']}"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [BIN / "dvc", *words], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_person_sees_few_lines_and_modules(task: str, generate: Generate, tmp_path: Path) -> None:
    """The pipeline fits on a few screens, and so does the list of modules one edits."""
    project = generate(tmp_path, task=task)
    assert len((project / "dvc.yaml").read_text("utf-8").splitlines()) <= MOST_LINES
    package = project / "src" / project.name.replace("-", "_")
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    assert len(modules) <= MOST_MODULES, sorted(modules)
    folders = {path.name for path in package.iterdir() if path.is_dir()}
    assert folders == {"plumbing", "serving"}


def test_byte_code_beside_the_plumbing_runs_nothing_again(
    generate: Generate, tmp_path: Path
) -> None:
    """DVC takes the folder as unchanged after an import, and as changed after an edit."""
    project = generate(tmp_path, task="multiclass")
    folder = project / "src" / "penguins" / "plumbing"
    (project / "dvc.yaml").write_text(ONE_STAGE.format(package="penguins"), encoding="utf-8")
    (project / "model").mkdir(exist_ok=True)
    assert "Running stage 'count'" in run_dvc(project, "repro", "count")
    assert list(folder.rglob("*.pyc")), "the stage imported the folder's modules"
    assert "didn't change" in run_dvc(project, "repro", "count")
    imported = "import penguins.plumbing.errors, penguins.plumbing.documents"
    env = {**os.environ, "PYTHONPATH": "src"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-c", imported], cwd=project, env=env, check=True)
    assert len(list(folder.rglob("*.pyc"))) > 2
    assert "didn't change" in run_dvc(project, "repro", "count")
    with (folder / "card.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert "Running stage 'count'" in run_dvc(project, "repro", "count")
