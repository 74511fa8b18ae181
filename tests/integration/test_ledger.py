"""The ledger on its branch: clones that race, pushes that are cut off, an origin that is away."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from git_project import GitRepository, git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgitops.console import Console
from mlgitops.delivery.ledger import Ledger
from mlgitops.errors import MlgitopsError
from mlgitops.model.ledger import Event, LedgerEntry

BRANCH = "refs/heads/deployments"
COMMIT = "c" * 40


def make_entry(actor: str, *, environment: str = "staging", model: int = 1) -> LedgerEntry:
    """Return an entry that ``actor`` can be known by."""
    return LedgerEntry(
        seq=1,
        environment=environment,
        event=Event.SWITCHED,
        model="flights",
        version="v1.0.0",
        sha256=f"{model:064x}",
        commit=COMMIT,
        revision=COMMIT,
        previous=None,
        actor=actor,
        at="2030-01-31T12:00:00Z",
    )


def append_once(ledger: Ledger, actor: str, *, environment: str = "staging") -> LedgerEntry | None:
    """Append an entry of ``actor`` unless there is one, as a reconciler does."""

    def decide(entries: tuple[LedgerEntry, ...]) -> LedgerEntry | None:
        if any(entry.actor == actor for entry in entries):
            return None
        return make_entry(actor, environment=environment, model=len(entries))

    return ledger.append(environment, decide)


class Scene:
    """An origin, and clones of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.origin = folder / "origin.git"
        git(folder, "init", "--quiet", "--bare", "--template=", str(self.origin))
        start = GitRepository(folder / "start")
        start.put("README.md", "a project\n")
        start.commit()
        git(start.root, "push", "--quiet", str(self.origin), "main")

    def clone(self, name: str) -> Path:
        """Clone origin and return the folder."""
        git(self.folder, "clone", "--quiet", "--template=", str(self.origin), name)
        return self.folder / name

    def cut(self, clone: Path) -> None:
        """Take origin away from ``clone``."""
        git(clone, "remote", "set-url", "origin", str(self.folder / "nowhere"))

    def mend(self, clone: Path) -> None:
        """Give origin back to ``clone``."""
        git(clone, "remote", "set-url", "origin", str(self.origin))

    def add_hook(self, name: str, script: str) -> Path:
        """Give origin a hook."""
        hook = self.origin / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        hook.chmod(0o755)
        return hook

    def read(self, environment: str = "staging") -> list[str | None]:
        """Read who made each entry, from a clone that knows nothing."""
        count = len(list(self.folder.glob("reader-*")))
        return list_actors(Ledger(self.clone(f"reader-{count}"), ""), environment)


def list_actors(ledger: Ledger, environment: str = "staging") -> list[str | None]:
    """List who made each entry."""
    return [entry.actor for entry in ledger.read(environment)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Make an origin without a ledger."""
    return Scene(tmp_path)


def test_entries_are_read_in_their_order_with_numbers_and_predecessors(scene: Scene) -> None:
    """What is appended is read back by another clone: numbered, and chained by its model."""
    assert Ledger(scene.clone("a"), "").read("staging") == ()
    writer = Ledger(scene.folder / "a", "")
    for actor in ("first", "second", "third"):
        append_once(writer, actor)
    entries = Ledger(scene.clone("b"), "").read("staging")
    assert [(entry.seq, entry.actor) for entry in entries] == [
        (1, "first"),
        (2, "second"),
        (3, "third"),
    ]
    assert [entry.previous for entry in entries] == [None, f"{0:064x}", f"{1:064x}"]


def test_a_condemned_model_is_nobodys_predecessor(scene: Scene) -> None:
    """The model that served before is that of the last switch."""
    ledger = Ledger(scene.clone("a"), "")
    append_once(ledger, "first")
    failed = msgspec.structs.replace(
        make_entry("failed", model=9), event=Event.CONDEMNED, reason="x" * 700
    )
    ledger.append("staging", lambda _: failed)
    append_once(ledger, "third")
    assert [entry.previous for entry in ledger.read("staging")] == [None, f"{0:064x}", f"{0:064x}"]
    assert len(ledger.read("staging")[1].reason or "") == 500


def test_environments_and_projects_are_apart(scene: Scene) -> None:
    """Each has a file of its own on the one branch."""
    clone = scene.clone("a")
    append_once(Ledger(clone, ""), "root")
    append_once(Ledger(clone, "services/flug dienst/"), "nested")
    append_once(Ledger(clone, ""), "root", environment="production")
    listed = git(clone, "ls-tree", "-r", "-z", "--name-only", "origin/deployments").split("\0")
    assert sorted(filter(None, listed)) == [
        "README.md",
        "production.jsonl",
        "services/flug dienst/staging.jsonl",
        "staging.jsonl",
    ]
    assert list_actors(Ledger(clone, "services/flug dienst/")) == ["nested"]


def test_no_work_tree_and_no_branch_of_the_code_moves(scene: Scene) -> None:
    """An entry is made beside the checkout, whatever state that is in."""
    clone = scene.clone("a")
    (clone / "README.md").write_text("half written", encoding="utf-8")
    git(clone, "add", "README.md")
    before = [git(clone, *words) for words in (("status", "--porcelain"), ("rev-parse", "HEAD"))]
    append_once(Ledger(clone, ""), "first")
    assert before == [
        git(clone, *words) for words in (("status", "--porcelain"), ("rev-parse", "HEAD"))
    ]


def test_racing_clones_lose_no_entry_and_double_none(scene: Scene) -> None:
    """Four clones append three entries each at once: all are there, each once, without a gap."""
    clones = [scene.clone(f"clone-{number}") for number in range(4)]

    def append_some(clone: Path) -> None:
        for number in range(3):
            append_once(Ledger(clone, ""), f"{clone.name}/{number}")

    with ThreadPoolExecutor(len(clones)) as pool:
        list(pool.map(append_some, clones))
    actors = scene.read()
    assert sorted(map(str, actors)) == [f"clone-{n}/{k}" for n in range(4) for k in range(3)]
    for clone in clones:
        own = [actor for actor in actors if actor and actor.startswith(clone.name)]
        assert own == sorted(own, key=str)


def test_processes_of_one_clone_wait_for_each_other(scene: Scene) -> None:
    """Racing within a clone is no different."""
    clone = scene.clone("a")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: append_once(Ledger(clone, ""), f"{n}"), range(8)))
    assert sorted(map(str, scene.read())) == [str(number) for number in range(8)]


def test_who_loses_the_race_decides_again(scene: Scene) -> None:
    """Another entry comes while this one is decided: it is asked again, and wants nothing now."""
    mine, other = scene.clone("mine"), scene.clone("other")
    seen = []

    def decide(entries: tuple[LedgerEntry, ...]) -> LedgerEntry | None:
        seen.append(len(entries))
        if not entries:
            append_once(Ledger(other, ""), "other")
            return make_entry("mine")
        return None

    assert Ledger(mine, "").append("staging", decide) is None
    assert seen == [0, 1]
    assert scene.read() == ["other"]


def test_a_push_whose_answer_is_lost_counts(scene: Scene) -> None:
    """Origin takes the entry and dies before it says so: the entry is there, once."""
    scene.add_hook("post-receive", "kill -9 $PPID")
    ledger = Ledger(scene.clone("a"), "")
    assert append_once(ledger, "first")
    assert append_once(ledger, "second")
    assert (ledger.problem, ledger.waiting) == (None, 0)
    assert scene.read() == ["first", "second"]


def test_a_push_that_dies_before_it_counts_is_tried_again(scene: Scene) -> None:
    """Origin dies before the branch moves, twice: the third try brings the entry there."""
    counter = scene.folder / "count"
    scene.add_hook(
        "pre-receive",
        f'echo x >> "{counter}"; [ $(wc -l < "{counter}") -gt 2 ] || kill -9 $PPID',
    )
    assert append_once(Ledger(scene.clone("a"), ""), "first")
    assert len(counter.read_text().splitlines()) == 3
    assert scene.read() == ["first"]


def test_an_entry_waits_for_an_origin_that_is_away(scene: Scene) -> None:
    """It is kept in the clone, said to be there, read from there, and sent with the next call."""
    clone, other = scene.clone("a"), scene.clone("b")
    append_once(Ledger(clone, ""), "first")
    scene.cut(clone)
    said = StringIO()
    ledger = Ledger(clone, "", Console(err=said))
    assert append_once(ledger, "second")
    assert append_once(ledger, "third")
    assert "2 entries wait in this clone" in said.getvalue()
    assert "nowhere' does not appear to be a git repository" in said.getvalue()
    assert list_actors(ledger) == ["first", "second", "third"]
    append_once(Ledger(other, ""), "other")
    scene.mend(clone)
    assert list_actors(ledger) == ["first", "other", "second", "third"]
    assert (ledger.waiting, ledger.problem) == (0, None)
    assert scene.read() == ["first", "other", "second", "third"]


def test_without_a_remote_the_local_branch_is_the_ledger(scene: Scene) -> None:
    """And goes to a remote once there is one."""
    clone = scene.clone("a")
    git(clone, "remote", "remove", "origin")
    append_once(Ledger(clone, ""), "first")
    assert list_actors(Ledger(clone, "")) == ["first"]
    git(clone, "remote", "add", "origin", str(scene.origin))
    append_once(Ledger(clone, ""), "second")
    assert scene.read() == ["first", "second"]


def test_an_origin_that_refuses_is_an_error_and_loses_nothing(scene: Scene) -> None:
    """A rule of the server forbids the push: said, and the entry waits for the rule to go."""
    hook = scene.add_hook("pre-receive", "echo not you >&2; exit 1")
    ledger = Ledger(scene.clone("a"), "")
    with pytest.raises(MlgitopsError, match=r"origin does not take the entry, which waits"):
        append_once(ledger, "first")
    assert ledger.waiting == 1
    hook.unlink()
    assert append_once(ledger, "first") is None
    assert scene.read() == ["first"]


def test_a_rewritten_ledger_is_refused_by_who_knew_it(scene: Scene) -> None:
    """Force-pushed: a clone that has read what is gone names it, and what to do."""
    clone = scene.clone("a")
    ledger = Ledger(clone, "")
    append_once(ledger, "first")
    append_once(ledger, "second")
    git(scene.origin, "update-ref", BRANCH, f"{BRANCH}~1")
    with pytest.raises(MlgitopsError, match=r"the ledger was rewritten: [0-9a-f]{12}, read here"):
        ledger.read("staging")
    git(scene.origin, "update-ref", "-d", BRANCH)
    with pytest.raises(MlgitopsError, match=r"the ledger was rewritten: [0-9a-f]{12}, read here"):
        ledger.read("staging")


def rewrite_ledger(scene: Scene, path: str, before: str, after: str) -> None:
    """Commit a change of a file of the ledger, as somebody with access to it could."""
    clone = scene.clone(f"hand-{len(list(scene.folder.glob('hand-*')))}")
    git(clone, "checkout", "--quiet", "deployments")
    file = clone / path
    text = file.read_text("utf-8") if file.exists() else ""
    assert before in text
    file.write_text(text.replace(before, after, 1) if before else text + after, "utf-8")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "by hand")
    git(clone, "push", "--quiet", "origin", "deployments")


@pytest.mark.parametrize(
    ("path", "before", "after", "reason"),
    [
        ("staging.jsonl", '"first"', '"nobody"', "it rewrites entries of staging.jsonl"),
        ("staging.jsonl", "", "{}\n", "no entry of a ledger: Object missing required field"),
        ("staging.jsonl", "", "{}", "it leaves a line of staging.jsonl cut off"),
        ("notes.txt", "", "hello\n", "it changes notes.txt (A), which is no adding of an entry"),
        ("README.md", "What", "Which", "it changes README.md (M), which is no adding of an entry"),
    ],
)
def test_a_commit_that_does_not_only_add_is_refused(
    scene: Scene, path: str, before: str, after: str, reason: str
) -> None:
    """A clone that reads the ledger for the first time names the commit or the line."""
    append_once(Ledger(scene.clone("a"), ""), "first")
    append_once(Ledger(scene.folder / "a", ""), "second")
    rewrite_ledger(scene, path, before, after)
    with pytest.raises(MlgitopsError, match=re.escape(reason)):
        scene.read()


_APPEND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from integration.test_ledger import append_once
from mlgitops.delivery.ledger import Ledger
print("ready", flush=True)
for number in range(3):
    append_once(Ledger(Path(sys.argv[2]), ""), f"{sys.argv[3]}/{number}")
"""


def test_processes_killed_at_any_moment_lose_nothing(scene: Scene) -> None:
    """A program that appends is killed again and again, a little later each time; the last ends."""
    clone = scene.clone("a")
    tests = str(Path(__file__).parents[1])
    for attempt in range(6):
        program = subprocess.Popen(
            [sys.executable, "-c", _APPEND, tests, str(clone), f"{attempt}"],
            stdout=subprocess.PIPE,
        )
        assert program.stdout
        program.stdout.readline()
        try:
            program.wait(0.03 + 0.06 * attempt)
        except subprocess.TimeoutExpired:
            program.kill()
        program.wait()
        program.stdout.close()
    for number in range(3):
        append_once(Ledger(clone, ""), f"last/{number}")
    actors = scene.read()
    assert len(set(actors)) == len(actors)
    assert actors[-3:] == ["last/0", "last/1", "last/2"]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["append", "append", "cut", "mend", "read"])),
        min_size=4,
        max_size=9,
    )
)
def test_whatever_the_order_each_entry_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """Three clones append, lose origin and find it again; at last all entries are there once."""
    scene = Scene(tmp_path_factory.mktemp("ledger"))
    clones = [scene.clone(f"clone-{number}") for number in range(3)]
    wanted = []
    for count, (number, step) in enumerate(steps):
        ledger = Ledger(clones[number], "")
        if step == "append":
            wanted.append(f"{number}/{count}")
            assert append_once(ledger, wanted[-1])
        elif step == "cut":
            scene.cut(clones[number])
        elif step == "mend":
            scene.mend(clones[number])
        else:
            ledger.read("staging")
    for clone in clones:
        scene.mend(clone)
        Ledger(clone, "").read("staging")
    assert sorted(map(str, scene.read())) == sorted(wanted)
