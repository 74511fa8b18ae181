"""The command that compares, a forge of origin, and a project to deploy."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from dvc_program import DvcProgram, start_dvc
from git_project import ENVIRON, find_tip
from integration.compared import Outcome
from integration.deploy_project import edit, make_deployable
from integration.setup_project import quiet
from mini_project import shared_store
from posting import REPOSITORY, serve_in_environment

from mlgitops.cli import run
from mlgitops.comparison import revisions as comparison
from mlgitops.delivery import LocalTarget
from mlgitops.delivery.processes import find_free_port
from mlgitops.model import Policy
from mlgitops.rehearsal.forge import Forge, State
from mlgitops.storage import prepare_storage
from mlgitops.verification.consistency import find_contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what names a repository on GitHub and opens it: where tests run may have that."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commits of commands be those of the author, too."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def forge(origin: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """Serve the API of ``origin``, which is the asking file's, and hand out a token for it."""
    made = Forge(State(repository=REPOSITORY), find_head=partial(find_tip, origin))
    with serve_in_environment(made, monkeypatch):
        yield made


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


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    return find_free_port()


@pytest.fixture(scope="session")
def deployable_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a trained and stored model, from which the others are copied."""
    return make_deployable(tmp_path_factory.mktemp("trained") / "project")


@pytest.fixture
def deployable(
    deployable_model: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return a project whose staging wants ``port``; what it started is ended afterwards."""
    monkeypatch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
    folder = tmp_path / "project"
    shutil.copytree(deployable_model, folder, symlinks=True)
    prepare_storage(folder, quiet())
    edit(folder, "deploy/staging/model.yaml", "port: 8081", f"port: {port}")
    yield folder
    LocalTarget(folder, quiet()).stop("staging")
