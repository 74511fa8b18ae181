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

from mlgitops.delivery.proposals.attempts import read_branch
from mlgitops.delivery.proposals.clean_folder import send_folder
from mlgitops.delivery.proposals.proposal import Change
from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document
from mlgitops.project.checkout import check_out
from mlgitops.project.cost.memory import find_descendants
from mlgitops.retraining.describe import write_body, write_title
from mlgitops.retraining.making import make
from mlgitops.retraining.observing import make_series
from mlgitops.retraining.report import REPORT, parse_report
from mlgitops.storage import publish_objects
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlgitops.console import Console
    from mlgitops.retraining.making import Order, Source
    from mlgitops.retraining.observing import Scene
    from mlgitops.retraining.report import RetrainingReport

_SHORT = 12


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
        change = describe_change(scene, order.branch, report)
        commit = send(order, report, clean, lambda: publish_objects(clean, console), console)
        return Retrained(report, change, commit)


def describe_change(scene: Scene, branch: str, report: RetrainingReport) -> Change:
    """Say what the pull request is of."""
    return Change(
        base=scene.base,
        tip=scene.tip,
        branch=branch,
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
    change = describe_change(order.scene, order.branch, report)
    replace_file(clean / REPORT, encode_document(report), root=clean)
    return send_folder(
        *(order.scene.folder.repository, clean, change, publish, console),
        content="retraining of this table",
    )


def read_announced(scene: Scene, branch: str) -> tuple[Change, str]:
    """Read a branch that was pushed: what is said of its report, and the commit.

    Whoever may push a branch can give it such a name: of its words none is taken over.
    """
    series = make_series(scene)
    data, commit, tip = read_branch(scene.folder.repository, series, branch, "retraining")
    report = parse_report(data, f"{series.report} at {commit[:_SHORT]}")
    return describe_change(scene, branch, report), tip


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
