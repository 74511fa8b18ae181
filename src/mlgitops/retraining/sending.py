"""A retraining carried out beside the clone: make, publish, push.

Nothing is sent before all of it is made; then the objects go before the branch that names them, so
that whoever sees the branch can fetch its table. The branch is pushed without force, and its name
is that of the table that it starts from: of two that run at once, one is refused.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.delivery.proposals.proposal import Change
from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import move_ref, push_commit
from mlgitops.git.program import find_remote_ref, find_revision, identity_options, run_git
from mlgitops.project.checkout import check_out
from mlgitops.project.cost.memory import find_descendants
from mlgitops.retraining.describe import write_body, write_title
from mlgitops.retraining.making import make
from mlgitops.retraining.report import REPORT, encode_report, parse_report
from mlgitops.storage import publish_objects
from mlgitops.storage.exchange import has_origin
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlgitops.console import Console
    from mlgitops.git.repository import Repository
    from mlgitops.retraining.making import Order, Source
    from mlgitops.retraining.observing import Scene
    from mlgitops.retraining.report import RetrainingReport

_HEADS = "refs/heads/"
_SHORT = 12
_TRACKED = ("data", "model", "reports")  # folders in which a run leaves files


class Retrained(NamedTuple):
    """What came of it; without a commit nothing was sent."""

    report: RetrainingReport
    change: Change | None
    commit: str | None


def retrain(order: Order, source: Source, console: Console) -> Retrained:
    """Train again on what production added; return the branch's commit, at origin if there is one.

    Raises :class:`MlgitopsError` where there is too little to learn from, the training fails or
    takes longer than its budget; nothing was sent then.
    """
    scene, minutes = order.scene, order.watched.settings.retrain.minutes
    place = scene.folder.place, scene.folder.repository, scene.folder.prefix, scene.tip
    with check_out(*place, console=console) as clean:
        with _limit_time(minutes), tempfile.TemporaryDirectory(prefix="mlgitops-rows-") as name:
            report = make(order, source, clean, Path(name), console)
        if order.is_trial:
            return Retrained(report, None, None)
        change = describe_change(order, report)
        commit = send(order, report, clean, lambda: publish_objects(clean, console), console)
        return Retrained(report, change, commit)


def describe_change(order: Order, report: RetrainingReport) -> Change:
    """Say what the pull request is of."""
    return Change(
        base=order.scene.base,
        tip=order.scene.tip,
        branch=order.branch,
        title=write_title(report),
        body=write_body(report),
    )


def send(
    order: Order,
    report: RetrainingReport,
    clean: Path,
    publish: Callable[[], object],
    console: Console,
) -> str:
    """Commit what was made in the clean folder, ``publish`` its objects, push the branch.

    Return the commit. Raises :class:`MlgitopsError` where another retraining was quicker.
    """
    change = describe_change(order, report)
    replace_file(clean / REPORT, encode_report(report), root=clean)
    commit = _commit(clean, change)
    publish()
    with console.step(f"Push branch {change.branch}"):
        return _push(order.scene.folder.repository, commit, change)


def _commit(clean: Path, announced: Change) -> str:
    """Commit what the run left in the clean folder; return the sha."""
    run_git(clean, "add", "--update", ":/")
    folders = [name for name in _TRACKED if (clean / name).is_dir()]
    run_git(clean, "add", "--", *folders)
    message = f"{announced.title}\n\n{announced.body}\n"
    words = ("commit", "--quiet", "--cleanup=verbatim", "--message", message)
    run_git(clean, *identity_options(clean), *words)
    return run_git(clean, "rev-parse", "HEAD").strip()


def _push(repository: Repository, commit: str, announced: Change) -> str:
    """Make the branch, here or at origin; raises where another retraining was quicker."""
    root, ref = repository.root, f"{_HEADS}{announced.branch}"
    if not has_origin(root):
        if move_ref(root, ref, commit, None):
            return commit
        raise _refuse_slower(announced)
    problem = push_commit(root, commit, ref)
    if problem is None:
        return commit
    tip = find_remote_ref(root, ref)
    if tip == commit:  # only the answer was lost
        return commit
    if tip is not None:
        raise _refuse_slower(announced)
    hint = "the token needs `contents: write`, and the branch's name must be allowed by rules"
    raise MlgitopsError(problem, where=f"branch {announced.branch}", hint=hint)


def _refuse_slower(announced: Change) -> MlgitopsError:
    hint = "run the same command again: it goes on with that branch"
    problem = "another retraining of this table was quicker"
    return MlgitopsError(problem, where=f"branch {announced.branch}", hint=hint)


def read_announced(scene: Scene, branch: str) -> tuple[Change, str]:
    """Read a branch that was pushed: what is said of its report, and the commit.

    Whoever may push a branch can give it such a name: of its words none is taken over.
    """
    repository, ref = scene.folder.repository, f"{_HEADS}{branch}"
    root, path = repository.root, f"{scene.folder.prefix}{REPORT}"
    tip = find_remote_ref(root, ref) if has_origin(root) else find_revision(root, ref)
    if tip is None:
        raise MlgitopsError("it is gone", where=f"branch {branch}", hint="run it again")
    if find_revision(root, tip) is None:
        run_git(root, "fetch", "--quiet", "--no-tags", "origin", tip)
    made = run_git(root, "rev-list", "--reverse", f"{scene.tip}..{tip}").split()
    data = repository.read(made[0], path) if made else None
    if data is None or data == repository.read(scene.tip, path):
        hint = f"look at it; if nobody needs it: `git push origin --delete {branch}`"
        raise MlgitopsError("it holds no retraining", where=f"branch {branch}", hint=hint)
    report = parse_report(data, f"{path} at {made[0][:_SHORT]}")
    announced = Change(
        base=scene.base,
        tip=scene.tip,
        branch=branch,
        title=write_title(report),
        body=write_body(report),
    )
    return announced, tip


@contextmanager
def _limit_time(minutes: float) -> Iterator[None]:
    """End the block with :class:`MlgitopsError` when it takes longer, and what it started.

    What ran below this process before the block goes on: it is not the block's. Elsewhere than on
    Linux what DVC started may go on, too: DVC leaves it behind when it is ended.
    """
    error = MlgitopsError(
        f"it took over {minutes} minutes, and nothing was sent",
        hint="`retrain: {minutes: ...}` in monitor.yaml allows more",
    )
    is_late = threading.Event()
    others = set(find_descendants(os.getpid()))

    def give_up(number: int, frame: object) -> None:
        del number, frame
        is_late.set()
        for process in set(find_descendants(os.getpid())) - others:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        raise error

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
        if is_late.is_set():  # it was taken for a stage that failed
            raise error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
