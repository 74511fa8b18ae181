"""`mlgitops update`: a newer version of imported tables, by real git, real DVC, a real forge."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from forked import CONTEXT
from git_project import git
from imported_project import (
    FILES,
    TABLE,
    ImportedProject,
    make_imported,
    write_contract,
    write_table,
)
from real_dvc import push_data
from shared import make_once

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.proposals.proposal import find_default
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.project.checkout import check_out
from mlgitops.updating.making import take
from mlgitops.updating.plan import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Forge

pytestmark = pytest.mark.usefixtures("author")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return source and project; only to be copied."""
    return make_once(tmp_path_factory, "imported_project", make_imported)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> ImportedProject:
    """Return a copy of them with an origin."""
    return ImportedProject(made, tmp_path / "copy")


@pytest.fixture
def origin(project: ImportedProject) -> Path:
    """Return the repository that the forge serves."""
    return project.origin


def update(
    project: ImportedProject, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, Any]:
    """Run the command; return what it says that it did."""
    capsys.readouterr()
    code = run(["update", *words, "--json", "--directory", str(project.root)])
    said = capsys.readouterr()
    assert code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document


def refuse(project: ImportedProject, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command, which is to end with 2 and to send nothing; return what it says."""
    capsys.readouterr()
    assert run(["update", *words, "--directory", str(project.root)]) == 2
    assert project.list_branches() == {}
    return capsys.readouterr().err


def test_a_newer_tag_becomes_one_pull_request(
    project: ImportedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table and contract move to one commit, the model is trained on it, and nothing is doubled."""
    assert update(project, capsys)["step"] == "nothing"
    project.source.release("v1.9.0", write_table(120))
    wide = "{dtype: float64, in_range: {min_value: 0, max_value: 24}}"
    newest = project.source.release(
        "v1.10.0", write_table(150, more="wind"), write_contract(wide, "  wind: {dtype: float64}\n")
    )
    project.source.release("v1.11.0-rc1", write_table(10))
    before = git(project.root, "status", "--porcelain"), git(project.root, "rev-parse", "HEAD")
    trial = update(project, capsys, "--dry-run")
    assert (trial["step"], trial["branch"], project.list_branches()) == ("update", None, {})
    done = update(project, capsys)
    assert done["title"] == f"Take features v1.10.0 at {newest[:12]}"
    (branch, tip), *others = project.list_branches().items()
    assert (others, done["branch"], done["commit"]) == ([], branch, tip)
    assert re.fullmatch(r"mlgitops/update/[0-9a-f]{12}", branch)
    for name in FILES:
        pointer = project.show(branch, name)
        assert f"rev_lock: {newest}" in pointer
        assert "rev: v1.10.0" in pointer
    changed = git(project.origin, "diff", "--name-only", "main", branch).splitlines()
    results = ["dvc.lock", "reports/cost.json", "reports/metrics.json", "reports/update.json"]
    assert changed == sorted([*FILES, *results])
    (table,) = (it for it in done["report"]["files"] if it["path"] == TABLE)
    assert (table["before"]["rows"], table["now"]["rows"]) == (100, 150)
    pull = forge.state.pulls[done["pull_request"]]
    assert "from `v1.0.0`" in pull.body
    assert ", 2 commits." in pull.body
    assert f"| `{TABLE}` | 100 | 150 | 3 | 4 |" in pull.body
    assert f"New in `{TABLE}`: `wind`." in pull.body
    assert "* `hour`: in\\_range" in pull.body
    again = update(project, capsys)
    assert (again["step"], again["pull_request"]) == ("go on", done["pull_request"])
    assert again["body"] == done["body"]
    assert (len(forge.state.pulls), project.list_branches()) == (1, {branch: tip})
    assert (
        git(project.root, "status", "--porcelain"),
        git(project.root, "rev-parse", "HEAD"),
    ) == before


def test_what_the_project_does_not_take_is_not_proposed(
    project: ImportedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column that the contract needs is gone: a person mends that. Nor is a moved tag taken."""
    project.source.release("v1.1.0", write_table(110), "columns:\n  id: {dtype: str}\n")
    said = refuse(project, capsys)
    assert "the column `hour` is not in the imported contract" in said
    assert "take it by hand" in said
    project.source.git("tag", "--force", "v1.0.0")
    assert "the tag v1.0.0 was moved" in refuse(project, capsys)
    said = refuse(project, capsys, "--to=--upload-pack=false")
    assert "the source has no branch or tag of this name" in said


def test_one_is_open_at_a_time(
    project: ImportedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newer one waits for it; one that was closed comes again only where somebody names it."""
    project.source.release("v1.1.0", write_table(90))
    first = update(project, capsys)
    assert "has 10 fewer rows than before.**" in first["body"]
    project.source.release("v1.2.0", write_table(120))
    waiting = update(project, capsys, "--to", "v1.2.0")
    assert (waiting["step"], waiting["branch"]) == ("go on", first["branch"])
    assert waiting["why"] == (
        f"an update is open: branch {first['branch']}; what is newer waits for it"
    )
    assert [it["revision"] for it in waiting["taken"]] == ["v1.1.0"]
    forge.state.pulls[first["pull_request"]].state = "closed"
    trial = update(project, capsys, "--to", "v1.1.0", "--dry-run")
    assert (trial["step"], trial["taken"][0]["revision"]) == ("update", "v1.1.0")
    project.source.git("tag", "--delete", "v1.2.0")
    closed = update(project, capsys)
    assert (closed["step"], len(forge.state.pulls)) == ("nothing", 1)
    assert closed["why"].endswith("closed by somebody: `--to REV` proposes it again")
    again = update(project, capsys, "--to", "v1.1.0")
    assert (again["branch"], again["pull_request"]) == (f"{first['branch']}-2", 2)
    assert [it.state for it in forge.state.pulls.values()] == ["closed", "open"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_one_that_was_closed_and_deleted_does_not_come_again(
    project: ImportedProject, forge: Forge, capsys: pytest.CaptureFixture[str], *, is_kept: bool
) -> None:
    """GitHub keeps its commit, which says what it took; where nobody has it, a person decides."""
    project.source.release("v1.1.0", write_table(90))
    first = update(project, capsys)
    forge.state.pulls[first["pull_request"]].state = "closed"
    commit = first["commit"] if is_kept else "f" * 40
    forge.state.pulls[first["pull_request"]].head = (first["branch"], commit)
    git(project.origin, "update-ref", "-d", f"refs/heads/{first['branch']}")
    assert update(project, capsys)["why"].endswith(
        "closed by somebody: `--to REV` proposes it again"
    )
    project.source.release("v1.2.0", write_table(120))
    newer = update(project, capsys, "--dry-run")
    assert newer["step"] == ("update" if is_kept else "nothing")


def test_of_two_that_start_from_the_same_versions_one_is_refused(
    project: ImportedProject,
    forge: Forge,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both looked before either pushed, and each takes another version."""
    project.source.release("v1.1.0", write_table(90))
    other = project.root.with_name("other")
    git(project.root.parent, "clone", "--quiet", str(project.origin), str(other))
    first = check_out

    def take_another(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function
        monkeypatch.setattr("mlgitops.updating.turn.check_out", first)
        project.source.release("v1.2.0", write_table(120))
        assert run(["update", "--directory", str(other)]) == 0
        return first(*args, **options)

    monkeypatch.setattr("mlgitops.updating.turn.check_out", take_another)
    assert run(["update", "--to", "v1.1.0", "--directory", str(project.root)]) == 2
    said = capsys.readouterr().err
    assert "another update was quicker" in said
    assert "run the same command again: it goes on with that branch" in said
    done = update(project, capsys)
    assert (done["step"], [it["revision"] for it in done["taken"]]) == ("go on", ["v1.2.0"])
    assert (len(project.list_branches()), len(forge.state.pulls)) == (1, 1)


def test_a_branch_is_followed_to_its_tip(
    project: ImportedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through a clone, as from any address; `rev` stays. No table moves without its contract."""
    source = project.source
    store = source.root.parent / "store"
    source.put(".dvc/config", f"[core]\n    remote = s\n['remote \"s\"']\n    url = {store}\n")
    for name in FILES:
        document = yaml.safe_load((project.root / name).read_text())
        document["deps"][0]["repo"] |= {"url": source.root.as_uri(), "rev": "main"}
        (project.root / name).write_text(yaml.safe_dump(document))
    project.commit("Follow main")
    tip = source.release(None, write_table(130))
    push_data(source.root)
    assert "and its contract of" in refuse(project, capsys, f"{TABLE}.dvc")
    done = update(project, capsys)
    assert done["title"] == f"Take features main at {tip[:12]}"
    repo = yaml.safe_load(project.show(done["branch"], f"{TABLE}.dvc"))["deps"][0]["repo"]
    assert (repo["rev"], repo["rev_lock"]) == ("main", tip)
    (table,) = (it for it in done["report"]["files"] if it["path"] == TABLE)
    assert (table.get("before"), table["now"]["rows"]) == (None, 130)  # the old one had no storage


def test_a_source_that_moves_on_meanwhile(project: ImportedProject) -> None:
    """Between the look and the taking a tag was moved: what was looked at is not there."""
    project.source.release("v1.1.0", write_table(110))
    console = Console(quiet=True)
    with Repository(project.root) as repository:
        folder = Folder(repository, project.root)
        _, tip = find_default(repository)
        plan = make_plan(folder, tip, (), None, console)
        project.source.release(None, write_table(50))
        project.source.git("tag", "--force", "v1.1.0")
        with (
            check_out(project.root, repository, "", tip, console=console) as clean,
            pytest.raises(MlgitopsError, match="the source moved on: "),
        ):
            take(plan, clean, console)


class Killer:
    """Ends this process when it starts a program with these words, or asks the API after that."""

    def __init__(self, words: set[str], *, then_asks: bool) -> None:
        self._words, self._then_asks, self._is_started = words, then_asks, False

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        """Take an event of Python's audit."""
        if event == "subprocess.Popen" and isinstance(args[1], list):
            names = {str(word).rpartition("/")[2] for word in args[1]}
            self._is_started = self._is_started or names >= self._words
            if self._is_started and not self._then_asks:
                os.kill(os.getpid(), signal.SIGKILL)
        if event == "socket.connect" and self._is_started:
            os.kill(os.getpid(), signal.SIGKILL)


def work(project: Path, environ: dict[str, str], words: set[str], *, then_asks: bool) -> None:
    """Update in this process, which is to be killed."""
    os.environ.clear()
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.addaudithook(Killer(words, then_asks=then_asks))
    sys.exit(run(["update", "--directory", str(project)]))


@pytest.mark.slow
def test_kills_open_no_second_one(
    project: ImportedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before DVC takes it, before the push, and after it: each next run goes on."""
    project.source.release("v1.1.0", write_table(110))
    kills: list[tuple[set[str], bool, int]] = [
        ({"dvc", "update"}, False, 0),
        ({"git", "push"}, False, 0),
        ({"git", "push"}, True, 1),
    ]
    for words, then_asks, branches in kills:
        keywords = {"then_asks": then_asks}
        given = (project.root, dict(os.environ), words)
        process = CONTEXT.Process(target=work, args=given, kwargs=keywords)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert (len(project.list_branches()), len(forge.state.pulls)) == (branches, 0)
    project.source.release("v1.2.0", write_table(120))
    done = update(project, capsys)
    assert (done["step"], done["pull_request"]) == ("go on", 1)
    assert [it["revision"] for it in done["taken"]] == ["v1.1.0"]
    assert done["commit"] == project.list_branches()[done["branch"]]
    assert (len(project.list_branches()), len(forge.state.pulls)) == (1, 1)


class CountingKiller:
    """Ends this process at the start of its n-th program, or question to the API."""

    def __init__(self, left: int) -> None:
        self._left = left

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        """Take an event of Python's audit."""
        del args
        if event in ("subprocess.Popen", "socket.connect"):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def work_until(project: Path, environ: dict[str, str], left: int) -> None:
    """Update in this process, which may be killed."""
    os.environ.clear()
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.addaudithook(CountingKiller(left))
    sys.exit(run(["update", "--directory", str(project)]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_wherever_runs_are_killed_one_is_open(
    project: ImportedProject, forge: Forge, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Two machines in turn, the source goes on meanwhile; then the next run ends what was begun."""
    dice = random.Random(seed)  # noqa: S311 - the same for the same seed
    other = project.root.with_name("other")
    git(project.root.parent, "clone", "--quiet", str(project.origin), str(other))
    for number in range(4):
        project.source.release(f"v1.{number + 1}.0", write_table(110 + number))
        given = (dice.choice((project.root, other)), dict(os.environ), dice.randrange(1, 100))
        process = CONTEXT.Process(target=work_until, args=given)
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        assert len(project.list_branches()) <= 1
        assert len(forge.state.pulls) <= len(project.list_branches())
    done = update(project, capsys)
    assert (done["step"] in ("go on", "update"), done["pull_request"]) == (True, 1)
    assert project.list_branches() == {done["branch"]: done["commit"]}
    assert [it.state for it in forge.state.pulls.values()] == ["open"]
