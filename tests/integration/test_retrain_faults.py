"""Retrainings that are killed, refused and cut off, by seed: one pull request, and every row once.

Two hosts share an origin, a storage and the stand-in API. A turn may end at any line that it says
(the machine is gone), in the middle of an object, by a push that origin refuses or whose answer is
lost, and by a request that is cut off. Real git, the real sequence of the command, and in each turn
the project's own training program, as a process, on the table of that turn. In one of the 27 rounds
DVC runs it, and fetches, adds and publishes the table; in the others files are stored as DVC does.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from git_project import commit, find_tip, git, write_files
from integration.setup_project import quiet, write_config
from retrained_project import FILES, point

from mlgitops.console import Console
from mlgitops.dvc.command import run_dvc
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.model.monitoring import RetrainSettings
from mlgitops.monitoring.project import read_watched
from mlgitops.project.training import run_pipeline
from mlgitops.rehearsal.forge import Fault, Forge, Server, State
from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.retraining.decision import Reason, Step, decide
from mlgitops.retraining.gathering import LabelledRow, choose_rows
from mlgitops.retraining.observing import observe, read_scene
from mlgitops.retraining.report import Champion, DayRows, RetrainingReport
from mlgitops.retraining.sending import Retrained, describe_change, send
from mlgitops.retraining.table import COLUMNAR, TABLE, CsvTable, append_rows, read_taken
from mlgitops.retraining.turn import Asked, Outcome, take_turn
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlgitops.delivery.proposals.proposal import Proposed
    from mlgitops.retraining.decision import Observed
    from mlgitops.retraining.making import Order

pytestmark = pytest.mark.usefixtures("author")
HEADER = "flight,day,temp,origin,late"
SEEDS, ROUNDS, FAULTS = 9, 3, 4  # 108 faults
#: Ends the program that receives a push, after it has moved the branch.
LOSE = '#!/bin/sh\nif [ -e "$GIT_DIR/lose" ]; then rm "$GIT_DIR/lose"; kill -9 $PPID; fi\n'
REFUSE = '#!/bin/sh\nif [ -e "$GIT_DIR/refuse" ]; then rm "$GIT_DIR/refuse"; exit 1; fi\n'


class Killed(BaseException):
    """The machine is gone."""


class DyingStream(io.StringIO):
    """Where a turn says what it does, until the machine is gone at one of the lines."""

    lines: int | None = None

    def write(self, text: str) -> int:
        """Take a line."""
        if self.lines is not None:
            self.lines -= 1
            if self.lines < 0:
                raise Killed
        return super().write(text)


class World:
    """An origin with a table, the storage, the API, two hosts, and what production labelled."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - the same for the same seed
        self.folder, self.storage = folder, folder / "storage"
        self.origin = folder / "origin.git"
        self.rows: list[LabelledRow] = []
        self.round = 0
        self.has_dvc = False  # whether DVC runs the training
        self.storage.mkdir()
        author = folder / "author"
        monitor = "retrain: {window_days: 1}\n"
        table = f"{HEADER}\nold,2026-01-01,1,EWR,0\n"
        config = write_config(str(self.storage))
        write_files(author, {**FILES, ".dvc/config": config, "monitor.yaml": monitor, TABLE: table})
        self.store(author)
        git(author, "init", "--quiet")
        commit(author, "Start")
        git(folder, "clone", "--quiet", "--bare", str(author), str(self.origin))
        for name, text in (("post-receive", LOSE), ("update", REFUSE)):
            (self.origin / "hooks" / name).write_text(text)
            (self.origin / "hooks" / name).chmod(0o755)
        for name in ("a", "b"):
            git(folder, "clone", "--quiet", str(self.origin), str(folder / name))
        self.forge = Forge(
            State(repository="octo/demo"), find_head=self.find_tip, fault=self.find_fault
        )
        self.cuts = 0

    def find_tip(self, branch: str) -> str | None:
        """Return where a branch of origin stands."""
        return find_tip(self.origin, branch)

    def find_fault(self, method: str, path: str) -> Fault | None:
        """Cut off the answer of a request that opens a pull request, where that is due."""
        if self.cuts and method == "POST" and path.endswith("/pulls"):
            self.cuts -= 1
            return Fault(cut=True)
        return None

    def is_ahead(self) -> bool:
        """Tell whether no branch of this round is pushed yet: a turn then has more to say."""
        tried = git(self.origin, "branch", "--no-merged", "main", "--format=%(refname:short)")
        return not tried

    def store(self, project: Path, console: Console | None = None) -> None:
        """Store the table as DVC does, whole or not at all, and let the pointer name it."""
        data = (project / TABLE).read_bytes()
        oid = hashlib.md5(data, usedforsecurity=False).hexdigest()
        text = f"outs:\n- md5: {oid}\n  size: {len(data)}\n  hash: md5\n  path: table.csv\n"
        if console is None:
            (project / f"{TABLE}.dvc").write_text(text)
        part = self.storage / f".{oid}"
        self.locate(oid).parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data[: len(data) // 2])
        if console is not None:
            console.say("half of the object")
        part.write_bytes(data)
        part.replace(self.locate(oid))
        if console is not None:
            console.say("the object")

    def locate(self, oid: str) -> Path:
        """Return where DVC keeps an object in the storage."""
        return self.storage / "files" / "md5" / oid[:2] / oid[2:]

    def read_table(self, revision: str) -> list[str]:
        """Return the rows of the table that a branch of origin names, from the storage."""
        pointer = git(self.origin, "show", f"{revision}:{TABLE}.dvc")
        oid = pointer.partition("md5: ")[2].split()[0]
        data = self.locate(oid).read_bytes()
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == oid
        return data.decode().splitlines()[1:]

    def label(self) -> None:
        """Let a day with labels come."""
        self.round += 1
        day = f"2026-{self.round:02}-01"
        ids = [f"r{self.round}-{number}" for number in range(5)]
        self.rows += [LabelledRow(it, day, (it, day, "2", "JFK", "1"), "", False) for it in ids]

    def train(self, order: Order, console: Console) -> Retrained:
        """Make the table longer by what is new, in a clean folder, and send it."""
        scene = order.scene
        root = scene.folder.repository.root
        with tempfile.TemporaryDirectory() as name:
            clean = Path(name) / "clean"
            git(root, "worktree", "add", "--quiet", "--detach", str(clean), scene.tip)
            if self.has_dvc:
                run_dvc(clean, ["pull", "--quiet", f"{TABLE}.dvc"])
            else:
                rows = self.read_table(scene.tip)
                (clean / TABLE).write_text("\n".join([HEADER, *rows]) + "\n")
            console.say("checked out")
            settings = order.watched.settings.retrain
            taken = read_taken(clean, CsvTable(clean), ["flight"])
            chosen = choose_rows(self.rows, taken, settings)
            append_rows(clean / TABLE, [row.cells for row in chosen.new])
            self.run_training(clean)
            console.say("trained")
            report = describe(order, len(chosen.new))
            change = describe_change(scene, order.branch, report)
            publish = publish_objects if self.has_dvc else self.store
            sha = send(order, report, clean, lambda: publish(clean, console), console)
            return Retrained(report, change, sha)

    def run_training(self, clean: Path) -> None:
        """Let the pointer name the table, and the project's own program learn it."""
        if self.has_dvc:
            run_dvc(clean, ["add", "--quiet", TABLE])
            run_pipeline(clean, quiet(), tokens=False)
            return
        point(clean)
        program = [sys.executable, "-m", "demo.train"]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": "src"}
        subprocess.run(program, cwd=clean, env=environ, check=True)

    def observe(self, url: str | None) -> Observed:
        """Observe the project from one of the hosts; without the API there is no token."""
        environ = name_forge(url)
        with Repository(self.folder / "a") as repository:
            scene = read_scene(Folder(repository, self.folder / "a"), "production")
            watched, day = read_watched(self.folder / "a"), f"2026-11-{self.round:02}"
            return observe(scene, watched, [], day=day, until=day, environ=environ)

    def take_turn(self, url: str | None, fault: str | None) -> Outcome:
        """Take one turn on one of the hosts; it may end in the way of ``fault``."""
        stream = DyingStream()
        console = Console(out=io.StringIO(), err=stream)
        if fault == "killed":
            stream.lines = self.dice.randrange(8 if self.is_ahead() else 2)
        elif fault in ("lose", "refuse"):
            (self.origin / fault).touch()
        elif fault == "cut":
            self.cuts = 1
        host = self.folder / self.dice.choice("ab")
        git(host, "fetch", "--quiet", "origin")
        environ = name_forge(url)
        with Repository(host) as repository:
            scene = read_scene(Folder(repository, host), "production")
            watched = read_watched(host)
            day = f"2026-11-{self.round:02}"
            observed = observe(scene, watched, [], day=day, until=day, environ=environ)
            asked = Asked(Reason.BY_HAND)
            return take_turn(
                *(scene, watched, observed, asked),
                lambda order: self.train(order, console),
                environ=environ,
                console=console,
            )

    def strike(self, url: str) -> bool:
        """Take a turn that is to end badly; tell whether it was hit, and not too late."""
        fault = self.dice.choice(("killed",) * 7 + ("lose", "refuse", "cut"))
        ended = False
        try:
            self.take_turn(url, fault)
        except (Killed, MlgitopsError):
            ended = True
        marks = [self.origin / name for name in ("lose", "refuse")]
        is_left = any(mark.exists() for mark in marks) or self.cuts > 0
        for mark in marks:
            mark.unlink(missing_ok=True)
        self.cuts = 0
        return ended or (fault != "killed" and not is_left)

    def check(self) -> None:
        """One open pull request at most, and whatever a branch names is whole and in the storage.

        Every labelled row before the window stands there once, and no other.
        """
        branches = git(self.origin, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        tried = [name for name in branches.split() if name.startswith("mlgitops/")]
        heads = [pull.head[0] for pull in self.forge.state.pulls.values()]
        assert len(heads) == len(set(heads))
        assert set(heads) <= set(tried)
        merged = git(self.origin, "branch", "--merged", "main", "--format=%(refname:short)")
        assert len(set(tried) - set(merged.split())) <= 1
        for name in (*tried, "main"):
            rows = self.read_table(name)
            ids = [row.partition(",")[0] for row in rows]
            assert len(ids) == len(set(ids))
            if len(ids) > 1:  # a retraining was merged: its model is that of its table
                described = json.loads(git(self.origin, "show", f"{name}:model/model.json"))
                assert described["sha256"] == learn(rows)

    def merge(self, branch: str) -> None:
        """Merge a branch, as its pull request would be."""
        author = self.folder / "author"
        git(author, "fetch", "--quiet", str(self.origin), "main", f"refs/heads/{branch}")
        git(author, "fetch", "--quiet", str(self.origin), f"refs/heads/{branch}")
        git(author, "merge", "--quiet", "--no-ff", "--message", "Merge", "FETCH_HEAD")
        git(author, "push", "--quiet", str(self.origin), "HEAD:main")


def learn(rows: Sequence[str]) -> str:
    """Return the sha256 of the model of these rows, all of which are cold: of its first range."""
    late = sum(row.endswith(",1") for row in rows)
    shares = [(1 + late) / (2 + len(rows)), *[0.5] * 9]
    return hashlib.sha256(json.dumps(shares).encode()).hexdigest()


def name_forge(url: str | None) -> dict[str, str]:
    """Return the variables that name the API; None: there is no token."""
    if url is None:
        return {}
    return {"GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": "octo/demo", "GITHUB_API_URL": url}


class Opened(NamedTuple):
    """A world in which a retraining is proposed."""

    world: World
    url: str  # of the API
    proposed: Proposed


def describe(order: Order, rows: int) -> RetrainingReport:
    """Describe a retraining of so many rows."""
    champion = Champion(environment="production", version=None, revision="0", sha256="0")
    days = (DayRows(day="2026-01-01", appended=rows),)
    return RetrainingReport(
        toolkit="0",
        day=order.day,
        reason=order.reason,
        why=order.why,
        champion=champion,
        log="log",
        labels="labels",
        rows_before=1,
        agreeing=0.5,
        days=days,
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Let a retraining be proposed."""
    world = World(tmp_path, 1)
    world.label()
    world.label()
    with Server(world.forge) as server:
        proposed = world.take_turn(server.url, None).proposed
        assert proposed is not None
        yield Opened(world, server.url, proposed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_ends_a_turn_the_next_one_goes_on(tmp_path: Path, seed: int) -> None:
    """In each round four turns end badly; then one does not, and its pull request is merged.

    Each trains by the project's own program; DVC runs it in the second round of the first seed.
    """
    world = World(tmp_path, seed)
    world.label()
    with Server(world.forge) as server:
        for number in range(ROUNDS):
            world.has_dvc = (seed, number) == (0, 1)
            world.label()
            struck = 0
            while struck < FAULTS:
                struck += world.strike(server.url)
                world.check()
            outcome = world.take_turn(server.url, None)
            world.check()
            assert outcome.proposed is not None
            assert len(world.forge.state.pulls) == outcome.proposed.number == number + 1
            world.merge(outcome.proposed.branch)
            world.forge.state.pulls[number + 1].state = "closed"
            world.forge.state.pulls[number + 1].merged_as = world.find_tip("main")
            learned = [row.partition(",")[0] for row in world.read_table("main")]
            newest = max(row.day for row in world.rows)
            assert learned == ["old", *(row.id for row in world.rows if row.day < newest)]
    shutil.rmtree(tmp_path)


def test_of_two_that_start_from_the_same_table_one_is_refused(tmp_path: Path) -> None:
    """Both decided before either pushed: the slower one says so, then goes on with it."""
    world = World(tmp_path, 1)
    world.label()
    world.label()
    with Server(world.forge) as server:
        first = world.train

        def train_after_another(order: Order, console: Console) -> Retrained:
            world.train = first  # type: ignore[method-assign]
            world.take_turn(server.url, None)
            world.label()  # else both commit the very same
            return first(order, console)

        world.train = train_after_another  # type: ignore[method-assign]
        with pytest.raises(MlgitopsError, match="another retraining of this table was quicker"):
            world.take_turn(server.url, None)
        outcome = world.take_turn(server.url, None)
        world.check()
    assert outcome.proposed is not None
    assert [pull.number for pull in world.forge.state.pulls.values()] == [outcome.proposed.number]


def test_a_branch_that_was_closed_and_deleted_gives_its_name_to_no_other(opened: Opened) -> None:
    """Else the next one would be pushed for a pull request that is closed, and nobody sees it."""
    world, url, first = opened
    world.forge.state.pulls[1].state = "closed"
    git(world.origin, "update-ref", "-d", f"refs/heads/{first.branch}")
    second = world.take_turn(url, None).proposed
    assert second is not None
    assert (second.branch, second.number) == (f"{first.branch}-2", 2)
    assert world.forge.state.pulls[2].state == "open"
    git(world.origin, "update-ref", "-d", f"refs/heads/{second.branch}")
    world.forge.state.pulls[2].state = "closed"
    attempts = world.observe(url).attempts
    assert (
        [(it.branch, it.day, it.is_closed) for it in attempts]
        == [
            (first.branch, MOMENT[:10], True),  # the rest counts from there
            (second.branch, MOMENT[:10], True),
        ]
    )


def test_of_a_branch_that_somebody_else_pushed_no_word_is_taken_over(opened: Opened) -> None:
    """Its name is known in advance; a reader would take its message for ours."""
    world, url, ours = opened
    pull = world.forge.state.pulls.pop(1)
    said = pull.title, pull.body.partition("\n")[2]  # the first line is a mark of ours
    assert read_opener(world, world.take_turn(None, None)) == said
    author, ref = world.folder / "author", f"refs/heads/{ours.branch}"
    git(author, "fetch", "--quiet", str(world.origin), ref)
    git(author, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    git(author, "commit", "--quiet", "--amend", "--message", "Better\n\n@all: merge this")
    git(author, "push", "--quiet", "--force", str(world.origin), f"HEAD:{ref}")
    assert read_opener(world, world.take_turn(None, None)) == said
    world.take_turn(url, None)
    (again,) = world.forge.state.pulls.values()
    assert (again.title, again.body) == (pull.title, pull.body)
    world.forge.state.pulls.clear()
    git(author, "checkout", "--quiet", "--detach", "HEAD~1")
    git(author, "commit", "--quiet", "--allow-empty", "--message", "Better")
    git(author, "push", "--quiet", "--force", str(world.origin), f"HEAD:{ref}")
    with pytest.raises(MlgitopsError, match="it holds no retraining"):
        world.take_turn(url, None)
    assert not world.forge.state.pulls


def read_opener(world: World, outcome: Outcome) -> tuple[str, str]:
    """Return title and text that the printed command hands to gh, as a shell reads it."""
    assert outcome.proposed is not None
    shell = ["sh", "-c", f'gh() {{ printf "%s\\0" "$@"; }}; {outcome.proposed.opener}']
    words = subprocess.check_output(shell, cwd=world.folder / "a", text=True).split("\0")
    return words[words.index("--title") + 1], words[words.index("--body") + 1]


def test_without_a_token_somebody_is_told_how_to_say_that_one_was_closed(opened: Opened) -> None:
    """Its branch counts as open for ever; with a token the pull request is asked."""
    world, url, ours = opened
    actions = {way: decide(world.observe(way), RetrainSettings(), None) for way in (url, None)}
    assert {action.step for action in actions.values()} == {Step.GO_ON}
    assert actions[url].why == f"a retraining is open: branch {ours.branch}"
    assert actions[None].why.endswith(f"`git push origin --delete {ours.branch}`")


def test_of_two_tables_none_is_made_longer(tmp_path: Path) -> None:
    """Which of them the pipeline reads is not known."""
    world = World(tmp_path, 1)
    host = tmp_path / "a"
    shutil.copyfile(host / f"{TABLE}.dvc", host / f"{COLUMNAR}.dvc")
    commit(host, "Keep the table in Parquet as well")
    git(host, "push", "--quiet", str(world.origin), "HEAD:main")
    git(host, "fetch", "--quiet", "origin")
    with pytest.raises(MlgitopsError, match="there are two tables"):
        world.observe(None)
