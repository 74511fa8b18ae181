"""What a run trained, from the job that made it to the branch: real git, real DVC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from git_project import commit, git
from integration.setup_project import clone, quiet

from mlgitops.errors import MlgitopsError
from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage
from mlgitops.storage.handover import HandoverRequest, Taken, take_handover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integration.handover_scene import Scene


@pytest.fixture
def scene(handed_over: Scene, tmp_path: Path) -> Scene:
    """Return a copy of the scene with an origin and a handover of its own."""
    return handed_over.copy(tmp_path)


def test_the_result_is_stored_and_committed(scene: Scene) -> None:
    """The branch gains one commit with lock and metrics; a fresh clone restores it untrained."""
    taken = scene.take(scene.open_job())
    assert (taken.outcome, taken.results) == ("committed", 2)
    assert taken.added > 0
    assert git(scene.origin, "rev-parse", "change") == taken.sha
    assert git(scene.origin, "rev-parse", "change^") == scene.head
    changed = git(scene.origin, "diff", "--name-only", scene.head, taken.sha).split()
    assert changed == ["dvc.lock", "reports/metrics.json"]
    fresh = clone(scene.origin, scene.folder / "fresh")
    git(fresh, "merge", "--quiet", "--no-edit", "origin/change")
    prepare_storage(fresh, quiet())
    states = {stage.name: stage.state for stage in run_pipeline(fresh, quiet())}
    assert set(states.values()) <= {"restored", "skipped"}
    assert (fresh / "data/double.csv").read_text() == "3\n6\n9\n"
    assert git(fresh, "status", "--porcelain") == ""


def test_a_second_run_changes_nothing(scene: Scene) -> None:
    """The same handover again finds its own commit and makes no other."""
    first = scene.take(scene.open_job())
    before = scene.refs()
    second = scene.take(scene.open_job("again"))
    assert (second.outcome, second.sha) == ("committed", first.sha)
    assert scene.refs() == before


def test_a_branch_that_holds_its_results_is_current(scene: Scene) -> None:
    """The head that was published needs no commit, in either mode."""
    scene.head = scene.take(scene.open_job()).sha
    before = scene.refs()
    for name, mode in (("a", True), ("b", False)):
        assert scene.take(scene.open_job(name), commit=mode).outcome == "current"
    assert scene.refs() == before


def test_verify_writes_nothing(scene: Scene) -> None:
    """A branch without its results is stale, and origin stays as it was."""
    before = scene.refs()
    assert scene.take(scene.open_job(), commit=False).outcome == "stale"
    assert scene.refs() == before


def test_two_racing_publishes_land_once(scene: Scene) -> None:
    """Two jobs at once: one commit, one complete storage, no failure but a lost race."""
    jobs = [scene.open_job(name) for name in ("one", "two")]
    outcomes: list[Taken | MlgitopsError] = []

    def attempt(job: Path) -> None:
        try:
            outcomes.append(scene.take(job))
        except MlgitopsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [one for one in outcomes if isinstance(one, Taken)]
    assert len(outcomes) == 2
    assert taken, outcomes
    assert {one.sha for one in taken} == {git(scene.origin, "rev-parse", "change")}
    assert git(scene.origin, "rev-list", "--count", f"{scene.head}..change") == "1"


def test_a_branch_that_moved_on_is_left_alone(scene: Scene) -> None:
    """A push in between wins: nothing is committed, and the message says so."""
    other = clone(scene.origin, scene.folder / "author")
    git(other, "switch", "--quiet", "change")
    newer = commit(other, "Quicker")
    job = scene.open_job()
    git(other, "push", "--quiet", "origin", "change")
    with pytest.raises(MlgitopsError, match="moved on"):
        scene.take(job)
    assert git(scene.origin, "rev-parse", "change") == newer


def test_a_deleted_branch_is_not_made_again(scene: Scene) -> None:
    """The author closed the pull request and removed the branch meanwhile."""
    job = scene.open_job()
    git(scene.origin, "update-ref", "-d", "refs/heads/change")
    with pytest.raises(MlgitopsError, match="moved on"):
        scene.take(job)
    assert "refs/heads/change" not in scene.refs()


def test_a_base_that_moved_on_stores_nothing(scene: Scene) -> None:
    """The run used commits that the branch lacks, so its lock would not be the branch's."""
    author = clone(scene.origin, scene.folder / "author")
    (author / "NOTES.md").write_text("later\n")
    scene.base = commit(author, "Later")
    git(author, "push", "--quiet", "origin", "main")
    before = scene.refs()
    with pytest.raises(MlgitopsError, match="commits that the branch lacks"):
        scene.take(scene.open_job())
    assert scene.refs() == before


def _objects(scene: Scene) -> list[Path]:
    return sorted(path for path in (scene.handover / "files").rglob("*") if path.is_file())


#: What became of an object, and what the refusal says.
CUTS = {
    "missing": "neither the storage nor the run has this object",
    "cut": "the object's content is not that of its name",
    "changed": "the object's content is not that of its name",
    "link": "a link where a file was expected",
}


def test_a_cut_at_each_object_is_never_complete(scene: Scene) -> None:
    """Whichever object is missing, cut short or changed: refused, and origin as before."""
    before, count = scene.refs(), len(_objects(scene))
    assert count >= 4
    for number in range(count):
        for how, reason in CUTS.items():
            victim = _objects(scene)[number]
            data = victim.read_bytes()
            victim.unlink()
            if how == "link":
                victim.symlink_to("/etc/hostname")
            elif how != "missing":
                victim.write_bytes(data[:-1] if how == "cut" else b"!" + data[1:])
            with pytest.raises(MlgitopsError, match=reason):
                scene.take(scene.open_job(f"job-{number}-{how}"))
            assert scene.refs() == before, (victim, how)
            victim.unlink(missing_ok=True)
            victim.write_bytes(data)
    assert scene.take(scene.open_job()).outcome == "committed"


def _edit_lock(old: str, new: str) -> Callable[[Path], None]:
    def edit(handover: Path) -> None:
        lock = handover / "results/dvc.lock"
        text = lock.read_text()
        assert old in text
        lock.write_text(text.replace(old, new))

    return edit


def _write(path: str, text: str) -> Callable[[Path], None]:
    def edit(handover: Path) -> None:
        (handover / path).parent.mkdir(parents=True, exist_ok=True)
        (handover / path).unlink(missing_ok=True)
        (handover / path).write_text(text)

    return edit


def _link(path: str) -> Callable[[Path], None]:
    def edit(handover: Path) -> None:
        (handover / path).unlink()
        (handover / path).symlink_to("/etc/hostname")

    return edit


FORM = "not a lock of DVC 3"
CHANGED = "missing, or not what the lock says"
#: What is done to a handover, and why it is refused then.
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no lock": (
        lambda handover: (handover / "results/dvc.lock").unlink(),
        "the run handed over no dvc.lock",
    ),
    "lock is a link": (_link("results/dvc.lock"), "a link where a file was expected"),
    "lock is empty": (_write("results/dvc.lock", ""), FORM),
    "lock is a list": (_write("results/dvc.lock", "[]"), FORM),
    "lock has other keys": (_edit_lock("schema:", "extra: 1\nschema:"), FORM),
    "lock of another schema": (_edit_lock("'2.0'", "'3.0'"), FORM),
    "lock of DVC 2": (
        _edit_lock("hash: md5", "hash: sha256"),
        "an entry with odd keys|an entry without path, hash or md5",
    ),
    "another command": (
        _edit_lock("python3 -m demo.double", "python3 -m demo.other"),
        "its command is not that of dvc.yaml",
    ),
    "another stage": (_edit_lock("  total:", "  other:"), "its stages are not those of dvc.yaml"),
    "another parameter": (
        _edit_lock("factor: 3", "factor: 4"),
        "it was run with another value of factor",
    ),
    "an output out of the project": (
        _edit_lock("path: parts", "path: ../parts"),
        "leaves its folder",
    ),
    "an absolute output": (_edit_lock("path: parts", "path: /tmp/parts"), "leaves its folder"),
    "an output that is not declared": (
        _edit_lock("path: parts", "path: other"),
        "its inputs and outputs are not those of dvc.yaml",
    ),
    "an output into git": (
        _edit_lock("path: parts", "path: .git/parts"),
        "leads into git's or DVC's own files",
    ),
    "a size that is no number": (_edit_lock("size: 6", "size: -6"), "is not a number of bytes"),
    "a wrong size": (_edit_lock("size: 6", "size: 7"), "6 bytes, and the lock says 7"),
    "metrics missing": (
        lambda handover: (handover / "results/reports/metrics.json").unlink(),
        CHANGED,
    ),
    "metrics changed": (_write("results/reports/metrics.json", '{"total": 99}'), CHANGED),
    "metrics are a link": (
        _link("results/reports/metrics.json"),
        "a link where a file was expected",
    ),
    "metrics are huge": (
        _write("results/reports/metrics.json", " " * 6_000_000),
        "over 5,000,000 bytes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_runs_own_is_refused(scene: Scene, case: str) -> None:
    """Nothing is stored and nothing is committed, whatever part was tampered with."""
    before = scene.refs()
    tamper, reason = REFUSED[case]
    tamper(scene.handover)
    with pytest.raises(MlgitopsError, match=reason):
        scene.take(scene.open_job())
    assert scene.refs() == before


def test_files_that_are_not_declared_never_enter_the_commit(scene: Scene) -> None:
    """Whatever else lies in the handover is not looked at."""
    for path in ("results/.github/workflows/x.yml", "results/policy.yaml", "results/src/x.py"):
        _write(path, "x")(scene.handover)
    taken = scene.take(scene.open_job())
    changed = git(scene.origin, "diff", "--name-only", scene.head, taken.sha).split()
    assert changed == ["dvc.lock", "reports/metrics.json"]


def test_no_hook_and_no_code_of_the_head_runs(scene: Scene) -> None:
    """The publish job's work tree stays that of the base."""
    job = scene.open_job()
    hook = job / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    scene.take(job)
    assert not (job / "ran").exists()
    assert (job / "params.yaml").read_text() == "factor: 2\n"
    assert git(job, "rev-parse", "HEAD") == scene.base


@pytest.mark.parametrize("branch", ["dvc-storage", "--force", "a..b", "a b", "", "x\ny"])
def test_a_name_that_is_no_branch_is_refused(scene: Scene, branch: str) -> None:
    """Neither the storage nor an option can be committed to."""
    with pytest.raises(MlgitopsError, match=r"results are not committed there|not a branch: "):
        take_handover(
            HandoverRequest(
                project=scene.open_job(),
                handover=scene.handover,
                base=scene.base,
                head=scene.head,
                branch=branch,
                commit=True,
            ),
            quiet(),
        )


def test_the_command_exports(scene: Scene) -> None:
    """`mlgitops publish --export` says how much it packed, and refuses a folder in use."""
    words = [sys.executable, "-m", "mlgitops", "publish", "--json", "--export"]
    for code in (0, 2):
        done = subprocess.run(
            [*words, scene.folder / "packed", "--directory", scene.compute],
            check=False,
            capture_output=True,
            text=True,
            env=dict(os.environ),
        )
        assert done.returncode == code, done.stderr
        if code == 0:
            assert json.loads(done.stdout)["results"] == 2
