"""One turn: look what is open, take what is new, send it, open its pull request.

Each step finds what an earlier turn left, so that the next turn goes on wherever one was killed:
objects go before the branch that names them, and the branch is named by what was imported before.
Of two that run at once one is refused, whatever each of them takes.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.delivery.proposals.attempts import find_open, list_attempts, read_branch
from mlgitops.delivery.proposals.clean_folder import send_folder
from mlgitops.delivery.proposals.proposal import Change, find_default, open_proposal
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import fetch_commit
from mlgitops.model.documents import encode_document
from mlgitops.project.checkout import check_out
from mlgitops.storage import publish_objects
from mlgitops.updating.describe import describe_taken, write_body, write_title
from mlgitops.updating.making import take
from mlgitops.updating.plan import Plan, make_plan, make_series
from mlgitops.updating.report import REPORT, parse_update
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.attempts import Attempt, Series
    from mlgitops.delivery.proposals.proposal import Proposed
    from mlgitops.git.repository import Folder
    from mlgitops.updating.report import Taken, UpdateReport

    _Name = tuple[str, str | None, str]  # address, revision, commit

_SHORT = 12


class Step(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    GO_ON = "go on"  # the branch is there: its pull request is opened, if it is not
    UPDATE = "update"


class Asked(NamedTuple):
    """What somebody asks for."""

    files: Sequence[str] = ()  # .dvc files, from the project's folder; none: all
    revision: str | None = None  # in the place of the newest
    is_trial: bool = False  # nothing is taken or sent


class Outcome(NamedTuple):
    """What was decided, and what came of it."""

    step: Step
    why: str
    plan: Plan
    report: UpdateReport | None = None
    change: Change | None = None
    proposed: Proposed | None = None


def take_turn(
    folder: Folder, asked: Asked, *, environ: Mapping[str, str], console: Console
) -> Outcome:
    """Propose what the sources have that is new; one update of a project is open at a time.

    Raises :class:`MlgitopsError` where a source, the contract or the pipeline does not let us;
    nothing was sent then.
    """
    base, tip = find_default(folder.repository)
    series = make_series(folder, base, tip)
    attempts = list(list_attempts(folder.repository, series, environ))
    under_way = find_open(attempts)
    if under_way is not None:
        why = under_way.describe("an update")
        outcome = Outcome(Step.GO_ON, f"{why}; what is newer waits for it", Plan([], []))
        if asked.is_trial:
            return outcome
        report, sent = _read_announced(folder, series, under_way.branch)
        return _open(folder, outcome, report, sent, environ=environ, console=console)
    plan = make_plan(folder, tip, asked.files, asked.revision, console)
    past = _find_past(folder, series, plan, attempts)
    outcome = decide(plan, past, is_named=asked.revision is not None)
    if asked.is_trial or outcome.step is Step.NOTHING:
        return outcome
    names = {it.branch for it in attempts}
    branch = next(name for name in series.names if name not in names)
    report, change, commit = _send(folder, series, plan, branch, console)
    return _open(folder, outcome, report, (change, commit), environ=environ, console=console)


def decide(plan: Plan, past: Attempt | None, *, is_named: bool) -> Outcome:
    """Decide what is to do with what is new, where no update is open. Pure.

    ``past``: the last one that took the same. ``is_named``: somebody names the revision, which
    brings one that was closed or reverted again.
    """
    if not plan.steps:
        return Outcome(Step.NOTHING, "nothing newer", plan)
    summary = "; ".join(describe_taken(step.taken) for step in plan.steps)
    if past is not None and not is_named:
        fate = "taken back after it was merged" if past.is_merged else "closed by somebody"
        why = f"{summary}; but it was proposed before, and {fate}: `--to REV` proposes it again"
        return Outcome(Step.NOTHING, why, plan)
    return Outcome(Step.UPDATE, summary, plan)


def _find_past(
    folder: Folder, series: Series, plan: Plan, attempts: Sequence[Attempt]
) -> Attempt | None:
    """Find the last attempt that took what is planned, or of which nobody knows what it took."""
    wanted = _name_taken(step.taken for step in plan.steps)
    return next(
        (it for it in reversed(attempts) if _read_taken(folder, series, it) in (wanted, None)), None
    )


def _read_taken(folder: Folder, series: Series, attempt: Attempt) -> set[_Name] | None:
    """Read what an attempt took; None: its commit cannot be fetched any more.

    GitHub keeps the commits of a pull request whose branch was deleted.
    """
    repository = folder.repository
    try:
        fetch_commit(repository.root, attempt.tip)
    except MlgitopsError:
        return None
    try:
        data = repository.read(attempt.tip, series.report)
        return _name_taken(parse_update(data or b"", series.report).sources)
    except MlgitopsError:
        return set()  # somebody else's


def _name_taken(sources: Iterable[Taken]) -> set[_Name]:
    return {(it.repository, it.revision, it.commit) for it in sources}


def _read_announced(
    folder: Folder, series: Series, branch: str
) -> tuple[UpdateReport, tuple[Change, str]]:
    """Read a branch that was pushed: its report, what is said of it, and its commit."""
    data, commit, tip = read_branch(folder.repository, series, branch, "update")
    report = parse_update(data, f"{series.report} at {commit[:_SHORT]}")
    return report, (_describe_change(series, branch, report), tip)


def _send(
    folder: Folder, series: Series, plan: Plan, branch: str, console: Console
) -> tuple[UpdateReport, Change, str]:
    """Take it beside the clone, store its objects, push the branch; return the commit, too."""
    place = folder.place, folder.repository, folder.prefix, series.tip
    with check_out(*place, console=console) as clean:
        report = take(plan, clean, console)
        change = _describe_change(series, branch, report)
        replace_file(clean / REPORT, encode_document(report), root=clean)
        commit = send_folder(
            *(folder.repository, clean, change, partial(publish_objects, clean, console), console),
            content="update",
        )
    return report, change, commit


def _describe_change(series: Series, branch: str, report: UpdateReport) -> Change:
    return Change(
        base=series.base,
        tip=series.tip,
        branch=branch,
        title=write_title(report),
        body=write_body(report),
    )


def _open(
    folder: Folder,
    outcome: Outcome,
    report: UpdateReport,
    sent: tuple[Change, str],
    *,
    environ: Mapping[str, str],
    console: Console,
) -> Outcome:
    """Open the pull request; one that a person closed stays closed."""
    change, commit = sent
    with console.step("The pull request"):
        proposed = open_proposal(folder.repository, change, commit, environ, again=False)
    return outcome._replace(report=report, change=change, proposed=proposed)
