"""One turn: look what is open, take what is new, send it, open its pull request.

Each step finds what an earlier turn left, so that the next turn goes on wherever one was killed:
objects go before the branch that names them, and the branch is named by what it takes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.delivery.proposals.attempts import list_attempts, read_branch
from mlgitops.delivery.proposals.clean_folder import commit_folder, push_new
from mlgitops.delivery.proposals.proposal import Change, find_default, open_proposal
from mlgitops.project.checkout import check_out
from mlgitops.storage import publish_objects
from mlgitops.updating.describe import describe_taken, write_body, write_title
from mlgitops.updating.making import take
from mlgitops.updating.plan import make_plan, make_series
from mlgitops.updating.report import REPORT, encode_update, parse_update
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.attempts import Attempt, Series
    from mlgitops.delivery.proposals.proposal import Proposed
    from mlgitops.git.repository import Folder
    from mlgitops.updating.plan import Plan
    from mlgitops.updating.report import UpdateReport

_SHORT = 12


class Step(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    WAIT = "wait"  # another update is open
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
    plan = make_plan(folder, tip, asked.files, asked.revision, console)
    if not plan.steps:
        return Outcome(Step.NOTHING, "nothing newer", plan)
    series = make_series(folder, base, tip, plan)
    attempts = list(list_attempts(folder.repository, series, environ))
    outcome = decide(plan, series, attempts, is_named=asked.revision is not None)
    if asked.is_trial or outcome.step in (Step.NOTHING, Step.WAIT):
        return outcome
    if outcome.step is Step.GO_ON:
        branch = next(it.branch for it in attempts if _is_open(it) and it.branch in series.names)
        data, commit, sent = read_branch(folder.repository, series, branch, "update")
        report = parse_update(data, f"{series.report} at {commit[:_SHORT]}")
        change = _describe_change(series, branch, report)
        return _open(folder, outcome, report, (change, sent), environ=environ, console=console)
    taken = {it.branch for it in attempts}
    branch = next(name for name in series.names if name not in taken)
    report, change, sent = _send(folder, series, plan, branch, console)
    return _open(folder, outcome, report, (change, sent), environ=environ, console=console)


def decide(plan: Plan, series: Series, attempts: Sequence[Attempt], *, is_named: bool) -> Outcome:
    """Decide what is to do with what is new. Pure.

    ``is_named``: somebody names the revision, which brings one that was closed or reverted again.
    """
    summary = "; ".join(describe_taken(step.taken) for step in plan.steps)
    under_way = [it for it in attempts if _is_open(it)]
    same = [it for it in attempts if it.branch in series.names]
    if any(_is_open(it) for it in same):
        return Outcome(Step.GO_ON, summary, plan)
    if under_way:
        blocking = under_way[0]
        why = (
            f"{summary}; but another update is open: merge or close branch {blocking.branch} first"
            "; if no pull request of it is open, as after a kill, or one that was closed without a"
            f" token to know it by: `git push origin --delete {blocking.branch}`"
        )
        return Outcome(Step.WAIT, why, plan)
    if same and not is_named:
        past = "taken back after it was merged" if same[-1].is_merged else "closed by somebody"
        why = f"{summary}; but it was proposed before, and {past}: `--to REV` proposes it again"
        return Outcome(Step.NOTHING, why, plan)
    return Outcome(Step.UPDATE, summary, plan)


def _is_open(attempt: Attempt) -> bool:
    return not (attempt.is_merged or attempt.is_closed)


def _send(
    folder: Folder, series: Series, plan: Plan, branch: str, console: Console
) -> tuple[UpdateReport, Change, str]:
    """Take it beside the clone, store its objects, push the branch; return the commit, too."""
    place = folder.place, folder.repository, folder.prefix, series.tip
    with check_out(*place, console=console) as clean:
        report = take(plan, clean, console)
        change = _describe_change(series, branch, report)
        replace_file(clean / REPORT, encode_update(report), root=clean)
        commit = commit_folder(clean, change)
        publish_objects(clean, console)
        with console.step(f"Push branch {branch}"):
            push_new(folder.repository, commit, branch, content="update to this version")
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
