"""The command that compares, and its reports held against themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dvc_program import DvcProgram, start_dvc
from integration.compared import Outcome

from mlgitops.cli import run
from mlgitops.comparison import revisions as comparison
from mlgitops.model import Policy
from mlgitops.verification.consistency import find_contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from git_project import GitRepository

    from mlgitops.model import Report


@pytest.fixture(autouse=True)
def _consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every report that `compare` makes here against itself: an honest one is consistent."""
    judge = comparison._judge

    def check(report: Report, policy: Any, *rest: Any, **named: Any) -> Report:  # noqa: ANN401
        judged = judge(report, policy, *rest, **named)
        applied = policy if isinstance(policy, Policy) else Policy()
        assert find_contradictions(judged, applied) == []
        return judged

    monkeypatch.setattr(comparison, "_judge", check)


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - a function
    """Return a function that runs the command in a folder."""

    def call(project: GitRepository, *arguments: str) -> Outcome:
        code = run(["compare", "--directory", str(project.root), *arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def dvc() -> Iterator[DvcProgram]:
    """Start the real dvc, once for all that ask it."""
    with start_dvc() as program:
        yield program
