"""Every number of the shapes that public repositories have, against the real dvc's."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from git_project import GitRepository, git
from odd_shapes import ODD
from repository_shapes import SHAPES, Shape

if TYPE_CHECKING:
    from dvc_program import DvcProgram

ALL = {**SHAPES, **ODD}
PAGE = Path(__file__).parents[2] / "docs/reference/repositories.md"
#: (file, name) → value at base and at head; None where there is none.
Numbers = dict[str, tuple[Any, Any]]


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory, dvc: DvcProgram) -> dict[str, Path]:
    """Build each shape once, in two commits."""
    top = tmp_path_factory.mktemp("shapes")
    for name, shape in ALL.items():
        project = GitRepository(top / name)
        for step in (0, 1):
            shape.build(project, step, dvc)
            project.commit(f"step {step}")
    return {name: top / name for name in ALL}


def ask_dvc(dvc: DvcProgram, folder: Path, kind: str) -> Numbers:
    """Read the numbers of `dvc metrics diff` or `dvc params diff`; none where dvc refuses."""
    code, out = dvc.ask(folder, kind, "diff", "HEAD~1", "HEAD", "--all", "--json")
    answer = json.loads(out) if code == 0 and out else {}
    return {
        f"{path}:{name or PurePosixPath(path).stem}": (change.get("old"), change.get("new"))
        for path, changes in answer.items()
        for name, change in changes.items()
    }


def read_metrics(report: dict[str, Any]) -> Numbers:
    """Read the numbers of our report."""
    return {
        f"{metric['path']}:{metric['name']}": (metric.get("base"), metric.get("head"))
        for metric in report.get("metrics", [])
    }


def read_params(report: dict[str, Any]) -> Numbers:
    """Read the parameters that differ, a list as DVC prints it: in Python's words."""
    return {
        f"{param['path']}:{param['name']}": (
            _read_text(param.get("base")),
            _read_text(param.get("head")),
        )
        for param in report.get("params", [])
    }


def _read_text(text: str | None) -> Any:  # noqa: ANN401
    value = None if text is None else json.loads(text)
    return str(value) if isinstance(value, list) else value


def check_excused(root: Path, names: set[str], ours: Numbers, scratch: Path) -> None:
    """Hold the numbers that dvc does not show against the files of both commits."""
    for at, rev in enumerate(("HEAD~1", "HEAD") if names else ()):
        folder = scratch / rev
        git(root, "worktree", "add", "--quiet", "--detach", str(folder), rev)
        for name in names:
            number = ours.get(name, (None, None))[at]
            assert number is None or number == read_file(folder, name)


def read_file(folder: Path, key: str) -> Any:  # noqa: ANN401 - what YAML holds
    """Read one value of a file; a bare number has its file's name."""
    path, _, name = key.partition(":")
    text = (folder / path).read_text(encoding="utf-8-sig")
    value = tomllib.loads(text) if path.endswith(".toml") else yaml.safe_load(text)
    for step in name.split(".") if isinstance(value, dict) else ():
        value = value[step]
    if isinstance(value, date):
        return str(value)
    return float(value) if isinstance(value, (int, str)) else value


def differ(ours: Numbers, theirs: Numbers) -> set[str]:
    """List the names that are not in both with the same values."""
    return {name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)}


@pytest.mark.parametrize("name", ALL)
def test_every_number_is_that_of_dvc(
    name: str,
    repositories: dict[str, Path],
    dvc: DvcProgram,
    compare: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    """All metrics, and all parameters that changed: as dvc says, or with a listed reason."""
    shape = ALL[name]
    folder = repositories[name] / shape.folder
    outcome = compare(
        GitRepository(repositories[name]),
        *("--directory", str(folder), "--base", "HEAD~1", "--head", "HEAD", "--json"),
    )
    if shape.refusal is not None:
        assert outcome.code == 2
        assert shape.refusal in outcome.err
        return
    assert outcome.code == 0, outcome.err
    for text in shape.notices:
        assert any(text in notice for notice in outcome.report["notices"])
    theirs = ask_dvc(dvc, folder, "params")
    changed = {key: pair for key, pair in theirs.items() if pair[0] != pair[1]}
    metrics, params = read_metrics(outcome.report), read_params(outcome.report)
    answers = {
        "metrics": differ(metrics, ask_dvc(dvc, folder, "metrics")),
        "params": differ(params, changed),
    }
    for kind, names in answers.items():
        excused = {
            pattern: {key for key in names if fnmatchcase(key, pattern)}
            for difference in shape.differences
            for pattern in getattr(difference, kind)
        }
        assert names == set().union(*excused.values()), (kind, outcome.report[kind])
        assert all(excused.values()), "a reason that excuses nothing"
        check_excused(folder, names, {**metrics, **params}, tmp_path / kind)


def test_the_page_lists_every_shape() -> None:
    """docs/reference/repositories.md has a row for each: what is read, and what DVC does else."""
    tables = re.findall(r"\| --- \|\n((?:\| .*\n)+)", PAGE.read_text("utf-8"))
    expected = [
        [f"| {shape.title} | {shape.read} | {describe(shape)} |" for shape in shapes.values()]
        for shapes in (SHAPES, ODD)
    ]
    assert [table.splitlines() for table in tables] == expected


def describe(shape: Shape) -> str:
    """Say on which numbers the two differ."""
    return ". ".join(difference.reason for difference in shape.differences) or shape.dvc
