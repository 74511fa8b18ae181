"""One rehearsal from start to end: repository, stand-ins, forge, act, and what was posted.

Everything is made in a scratch folder; of the project only its commits are read, and only
`.mlgitops/rehearsal/` is written, where the stand-in's comments live on, so that a second
rehearsal of the same branch updates the comment that the first one made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlgitops.github.marker import find_marker
from mlgitops.model import WAIVER_LABEL
from mlgitops.rehearsal.events import build_group_event, build_pull_event
from mlgitops.rehearsal.forge import (
    Comment,
    Forge,
    Job,
    Pull,
    Server,
    State,
    WorkflowRun,
    load_state,
)
from mlgitops.rehearsal.forks import pack_artifacts, refuse_writing, report_on_fork
from mlgitops.rehearsal.local_actions import find_stand_in
from mlgitops.rehearsal.repository import (
    Change,
    bring_home,
    count_uncommitted,
    find_root,
    make_origin,
    name_fork,
    open_group,
    read_branch,
    read_change,
    read_last_change,
    read_login,
    read_repository_name,
)
from mlgitops.rehearsal.workflow_run import Ran, Stage, Start, run_workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.console import Console

STATE = Path(".mlgitops") / "rehearsal"
_STATE_FILE = "state.json"
_STATEMENT = "mlgitops-statement"  # of the verdict; several projects each add a name of their own
#: From the best to the worst.
_VERDICTS = ("pass", "waived", "fail", "skip", "undecided")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Which pull request is rehearsed, and how."""

    folder: Path  # the project
    workflow: str  # path below the checkout
    scratch: Path  # an empty folder for everything that is made
    store: Path  # environments that outlive the rehearsal
    base: str | None = None  # a branch; None: the project's main one
    head: str | None = None  # a branch; None: the one that is checked out
    keep_result: bool = False  # fast-forward the project's branches that the workflow pushed to
    fork: bool = False  # the head stands in another repository
    queue: bool = False  # run on the commit that a merge queue would test: nothing to comment on
    waive: str | None = None  # the reason with which the person here waives what fails


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The pull request in its repository, and the API that shows it."""

    root: Path  # of the person's project
    logs: Path
    origin: Path  # a bare clone
    change: Change
    number: int
    merge_sha: str
    state: State
    forge: Forge


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal showed."""

    change: Change
    number: int
    merge_sha: str
    ran: Ran
    second: Ran | None  # the workflow that reports on forks, when there is one
    queue: bool  # in a merge queue: the merge commit is the group's
    verdict: str  # pass, fail, waived, skip or undecided
    comments: list[str]  # our comments on the pull request, in order
    created: bool  # the comment is new, not an update
    checks: list[str]  # conclusions of the checks on the head commit, or the group's
    check_names: list[str]  # of the same, in the same order
    published: str | None  # the commit with the run's results, when the workflow made one
    kept: list[str]  # branches that were brought home

    @property
    def runs(self) -> list[Ran]:
        """Return the workflows that ran, in order."""
        return [self.ran, *([self.second] if self.second else [])]

    @property
    def judging(self) -> float:
        """Return the seconds of the steps that compare and report: what a verdict costs."""
        return sum(ran.measure(verb) for ran in self.runs for verb in ("compare", "report"))

    def find_actions(self, *, real: bool) -> list[str]:
        """Return the actions that were executed as they are, or those that were stood in for."""
        uses = [use for ran in self.runs for use in ran.workflow.uses]
        return sorted({use.action for use in uses if (find_stand_in(use) is None) == real})


def rehearse(
    request: Request, console: Console, meanwhile: Callable[[State], None] = lambda _state: None
) -> Rehearsal:
    """Run the workflow for a pull request as ``request`` describes it.

    ``meanwhile`` may change what the API shows before the workflow that reports on forks runs.
    Raises :class:`MlgitopsError` when a workflow cannot be rehearsed, or a job that should have
    run did not.
    """
    scene = _prepare(request, console)
    kept = scene.state.artifacts
    earlier = {comment.id for comment in scene.state.comments}
    start = _start(request, scene)
    with Server(scene.forge) as server:
        stage = Stage(
            root=scene.root,
            scratch=request.scratch,
            store=request.store,
            logs=scene.logs,
            url=server.url,
            state=scene.state,
            console=console,
        )
        if request.fork:
            scene.forge.fault = refuse_writing
        ran = run_workflow(stage, start, request.scratch)
        scene.forge.fault = lambda _method, _path: None
        second = report_on_fork(stage, scene.change, ran, meanwhile) if request.fork else None
    scene.state.artifacts = kept
    _keep_run(request, scene, ran)
    scene.state.save(scene.logs / _STATE_FILE)
    return _sum_up(request, scene, (ran, second), earlier)


def _prepare(request: Request, console: Console) -> _Scene:
    """Open the pull request, waive it where asked, and make the repository that it is in."""
    root = find_root(request.folder)
    change = read_change(root, base=request.base, head=request.head)
    waiting = count_uncommitted(root)
    if waiting and request.head is None:
        console.warn(f"{waiting} uncommitted files are not part of this: only commits are")
    logs = root / STATE
    state = load_state(logs / _STATE_FILE, read_repository_name(root))
    if request.fork:
        change = msgspec.structs.replace(change, fork=name_fork(state.repository))
    number = _open_pull(state, change)
    if request.waive is not None:
        _waive(state, number, request.waive, login=read_login(root))
    origin = request.scratch / "origin.git"
    with console.step(f"Pull request #{number}: {_name_head(change)} into {change.base[0]}"):
        merge_sha = make_origin(root, change, number, origin)
    logs.mkdir(parents=True, exist_ok=True)
    (logs / ".gitignore").write_text("*\n", encoding="utf-8")
    forge = Forge(
        state,
        find_head=lambda branch: read_branch(origin, branch),
        find_change=lambda rev, path: read_last_change(origin, rev, path),
    )
    return _Scene(
        root=root,
        logs=logs,
        origin=origin,
        change=change,
        number=number,
        merge_sha=merge_sha,
        state=state,
        forge=forge,
    )


def _start(request: Request, scene: _Scene) -> Start:
    """Build the event: of the pull request, or of the group that a merge queue tests."""
    change, merge_sha, repository = scene.change, scene.merge_sha, scene.state.repository
    if request.queue:
        ref = open_group(scene.origin, change, scene.number, merge_sha)
        name, event = "merge_group", build_group_event(repository, change, ref, merge_sha)
    else:
        ref = ""
        name, event = "pull_request", build_pull_event(repository, change, scene.number)
    return Start(
        workflow=request.workflow,
        event_name=name,
        event=event,
        sha=merge_sha,
        ref=ref,
        fork=request.fork,
    )


def _keep_run(request: Request, scene: _Scene, ran: Ran) -> None:
    """Let the API go on showing the run, and the statement that it left, as GitHub does for months.

    What else it left is large, and nobody asks for it later.
    """
    results = ran.run.jobs
    jobs = [
        Job(id=scene.state.take_number(), name=job.name, conclusion=results[name])
        for name, job in ran.workflow.jobs.items()
        if name in results
    ]
    run = WorkflowRun(
        id=ran.run_id,
        number=ran.run_id,
        path=ran.path,
        event="merge_group" if request.queue else "pull_request",
        head=(scene.change.head[0], scene.merge_sha if request.queue else scene.change.head[1]),
        fork=scene.change.fork,
        conclusion="failure" if "failure" in results.values() else "success",
        jobs=jobs,
    )
    scene.state.workflow_runs.append(run)
    for artifact in pack_artifacts(ran.artifacts, ran.run_id):
        if artifact.name.startswith(_STATEMENT):
            artifact.id = scene.state.take_number()
            scene.state.artifacts.append(artifact)


def _sum_up(
    request: Request, scene: _Scene, runs: tuple[Ran, Ran | None], earlier: set[int]
) -> Rehearsal:
    """Collect what the workflows left: comments, checks, a commit with results.

    ``earlier`` are the comments that stood before.
    """
    (ran, second), change = runs, scene.change
    pushed = None if request.fork else read_branch(scene.origin, change.head[0])
    published = None if pushed == change.head[1] else pushed
    judged = scene.merge_sha if request.queue else change.head[1]
    comments = [
        comment
        for comment in scene.state.comments
        if comment.issue == scene.number and find_marker(comment.body)
    ]
    checks = [check for check in scene.state.checks if check["head_sha"] == judged]
    verb = "compare" if request.fork and second is None else "report"
    keeps = request.keep_result and published
    return Rehearsal(
        change=change,
        number=scene.number,
        merge_sha=scene.merge_sha,
        ran=ran,
        second=second,
        queue=request.queue,
        verdict=find_verdict(second or ran, verb),
        comments=[comment.body for comment in comments],
        created=any(comment.id not in earlier for comment in comments),
        checks=[str(check.get("conclusion")) for check in checks],
        check_names=[str(check["name"]) for check in checks],
        published=published,
        kept=bring_home(scene.root, scene.origin, change) if keeps else [],
    )


def _name_head(change: Change) -> str:
    owner = f"{change.fork.partition('/')[0]}:" if change.fork else ""
    return f"{owner}{change.head[0]}"


def _open_pull(state: State, change: Change) -> int:
    """Return the number of the head branch's pull request, a new one the first time."""
    old = (
        pull
        for pull in state.pulls.values()
        if (pull.fork, pull.head[0]) == (change.fork, change.head[0])
    )
    number = next((pull.number for pull in old), None) or state.take_issue_number()
    state.pulls[number] = Pull(
        number=number,
        base=change.base,
        head=change.head,
        title=change.title,
        body=change.body,
        fork=change.fork,
    )
    return number


def _waive(state: State, number: int, reason: str, *, login: str) -> None:
    """Set the label and write the comment that waives, as ``login``, who may write."""
    pull = state.pulls[number]
    pull.labels, pull.author = [WAIVER_LABEL], login
    state.permissions[login] = "write"
    text = f"{WAIVER_LABEL} {pull.head[1]} {reason}"
    state.comments.append(Comment(state.take_number(), number, login, text))


def find_verdict(ran: Ran, verb: str) -> str:
    """Return the verdict of the step with our action ``verb``, the worst when there are several.

    A step without a verdict counts as undecided. So does `compare` when its job failed, unless
    its verdict is fail.
    """
    deciding = {(step.job, step.id) for step in ran.workflow.find_steps(f"actions/{verb}")}
    verdicts = [
        value
        for (job, step, name), value in ran.run.outputs.items()
        if name == "verdict" and (job, step) in deciding
    ]
    verdict = max(
        (value or "undecided" for value in verdicts), key=_VERDICTS.index, default="undecided"
    )
    broken = verb == "compare" and "failure" in ran.run.jobs.values()
    return "undecided" if broken and verdict != "fail" else verdict
