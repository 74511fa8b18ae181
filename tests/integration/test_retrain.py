"""`mlgitops retrain`: from the alert to a pull request, by real git, real DVC, a real training."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from git_project import git
from retrained_project import DAYS, LAST, ROWS, label, make_project, monitor, serve

from mlgitops.cli import run
from mlgitops.rehearsal.forge import Forge, Server, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "data/raw/table.csv"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project whose model got worse, with labels and facts; others are copied from it."""
    project = make_project(tmp_path_factory.mktemp("retrained") / "project")
    serve(project)
    label(project)
    assert monitor(project) == 1
    return project


@pytest.fixture
def project(watched: Path, tmp_path: Path) -> Path:
    """Copy the project, with its origin and its storage."""
    shutil.copytree(watched.parent, tmp_path / "copy", symlinks=True)
    folder = tmp_path / "copy" / "project"
    git(folder, "remote", "set-url", "origin", str(tmp_path / "copy" / "origin.git"))
    config = folder / ".dvc/config"
    config.write_text(config.read_text().replace(str(watched.parent), str(tmp_path / "copy")))
    (folder / ".dvc/config.local").unlink(missing_ok=True)
    git(folder, "commit", "--quiet", "--all", "--message", "Move the storage")
    git(folder, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def forge(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """Serve the API of origin's repository, and hand out a token for it."""
    origin = project.parent / "origin.git"

    def find_head(branch: str) -> str | None:
        words = ("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return git(origin, *words) or None

    made = Forge(State(repository="octo/demo"), find_head=find_head)
    with Server(made) as server:
        monkeypatch.setenv("GITHUB_TOKEN", "test-token-of-the-forge")
        monkeypatch.setenv("GITHUB_REPOSITORY", "octo/demo")
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        yield made


def retrain(project: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Retrain as of the last day; return what the command says that it did."""
    capsys.readouterr()
    options = ["--json", "--day", LAST.isoformat(), "--directory", str(project)]
    code = run(["retrain", "production", *words, *options])
    said = capsys.readouterr()
    assert code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document


def count_rows(project: Path, revision: str) -> int:
    """Count the rows of the table that a revision of origin names, as anybody can fetch it."""
    pointer = git(project.parent / "origin.git", "show", f"{revision}:{TABLE}.dvc")
    oid = pointer.partition("md5: ")[2].split()[0]
    stored = project.parent / "storage" / "files" / "md5" / oid[:2] / oid[2:]
    return len(stored.read_text().splitlines()) - 1


def test_an_alert_becomes_one_pull_request_with_a_longer_table_and_a_better_model(
    project: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its table has each labelled row before the window once; a second run changes nothing."""
    before = git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD")
    done = retrain(project, capsys)
    assert (done["step"], done["reason"]) == ("train", "performance")
    appended = (DAYS - 28) * ROWS
    assert done["title"] == f"Retrain on {appended:,} rows of production"
    assert count_rows(project, done["branch"]) == 400 + appended
    (brier,) = done["report"]["metrics"]
    assert brier["high"] < 0
    assert sum(day.get("held_out", 0) for day in done["report"]["days"]) == 28 * ROWS
    again = retrain(project, capsys)
    assert (again["step"], again["pull_request"]) == ("go on", done["pull_request"])
    (pull,) = forge.state.pulls.values()
    assert (pull.title, pull.base[0]) == (done["title"], "main")
    assert "test.brier" in pull.body
    assert "better" in pull.body
    assert (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD")) == before
