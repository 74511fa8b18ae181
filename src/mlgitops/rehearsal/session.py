"""One rehearsal from start to end: repository, stand-ins, forge, act, and what was posted.

Everything is made in a scratch folder; of the project only its commits are read, and only
`.mlgitops/rehearsal/` is written, where the stand-in's comments live on, so that a second
rehearsal of the same branch updates the comment that the first one made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.github.marker import find_marker
from mlgitops.rehearsal.act import Plan, Run, read_tail, run_act
from mlgitops.rehearsal.forge import Forge, Pull, Server, State, load_state
from mlgitops.rehearsal.places import find_stand_in, place_actions
from mlgitops.rehearsal.repository import (
    Change,
    bring_home,
    count_uncommitted,
    find_root,
    make_checkout,
    make_origin,
    read_branch,
    read_change,
    read_repository_name,
)
from mlgitops.rehearsal.screen import Screen
from mlgitops.rehearsal.surroundings import (
    build_variables,
    find_local_storage,
    make_path,
    prepare_environments,
    write_event,
)
from mlgitops.rehearsal.workflow import Workflow, parse_workflow

if TYPE_CHECKING:
    from mlgitops.console import Console

#: A token that opens nothing, so that steps find the variable they expect.
TOKEN = "rehearsal-token-that-opens-nothing"  # noqa: S105 - not a secret
STATE = Path(".mlgitops") / "rehearsal"


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal showed."""

    change: Change
    number: int
    merge_sha: str
    run: Run
    verdict: str  # pass, fail, skip or undecided
    comments: list[str]  # our comments on the pull request, in order
    created: bool  # the comment is new, not an update
    real: list[str]  # actions that were executed as they are
    stood_in: list[str]  # actions that a stand-in took the place of
    log: Path
    published: str | None  # the commit with the run's results, when the workflow made one
    kept: list[str]  # branches that were brought home


def rehearse(
    folder: Path,
    *,
    base: str | None,
    head: str | None,
    workflow: str,
    scratch: Path,
    store: Path,
    console: Console,
    keep_result: bool = False,
) -> Rehearsal:
    """Run the workflow for a pull request from ``head`` into ``base``.

    ``store`` holds environments that outlive the rehearsal; with ``keep_result`` the branches
    that the workflow pushed to are fast-forwarded in the project too. Raises :class:`MlgitopsError`
    when the workflow cannot be rehearsed, or a job that should have run did not.
    """
    root = find_root(folder)
    change = read_change(root, base=base, head=head)
    waiting = count_uncommitted(root)
    if waiting and head is None:
        console.warn(f"{waiting} uncommitted files are not part of this: only commits are")
    kept = root / STATE
    state = load_state(kept / "state.json", read_repository_name(root))
    number = _open_pull(state, change)
    before = {one.id for one in state.comments}
    with console.step(f"Pull request #{number}: {change.head[0]} into {change.base[0]}"):
        merge_sha = make_origin(root, change, number, scratch / "origin.git")
        make_checkout(scratch / "origin.git", merge_sha, scratch / "workspace")
    parsed = _read_workflow(scratch / "workspace", workflow)
    actions = place_actions(parsed, scratch)
    python = prepare_environments(parsed, scratch, store, console)
    log = kept / "act.jsonl"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / ".gitignore").write_text("*\n", encoding="utf-8")
    origin = scratch / "origin.git"
    forge = Forge(state, find_head=lambda branch: read_branch(origin, branch))
    with Server(forge) as server:
        plan = Plan(
            workspace=scratch / "workspace",
            workflow=workflow,
            event_name="pull_request",
            event=write_event(scratch, state.repository, change, number),
            scratch=scratch / "act",
            labels=parsed.labels,
            actions=actions,
            variables={
                **build_variables(state, server.url, scratch=scratch, store=store),
                "SHA_REF": merge_sha,  # act's name for the commit of the event
                "MLGITOPS_REHEARSAL_STORAGE": find_local_storage(root, scratch / "workspace"),
            },
            token=TOKEN,
            path=make_path(scratch / "tools", python),
        )
        run = run_act(plan, log=log, watcher=Screen(console))
    state.save(kept / "state.json")
    _check_jobs(parsed, run, log)
    head = read_branch(origin, change.head[0])
    mine = [one for one in state.comments if one.issue == number and find_marker(one.body)]
    return Rehearsal(
        change=change,
        number=number,
        merge_sha=merge_sha,
        run=run,
        verdict=_find_verdict(parsed, run),
        comments=[one.body for one in mine],
        created=any(one.id not in before for one in mine),
        real=sorted({use.action for use in parsed.uses if find_stand_in(use) is None}),
        stood_in=sorted({use.action for use in parsed.uses if find_stand_in(use) is not None}),
        log=log,
        published=None if head == change.head[1] else head,
        kept=bring_home(root, origin, change) if keep_result and head != change.head[1] else [],
    )


def _open_pull(state: State, change: Change) -> int:
    """Return the number of the head branch's pull request, a new one the first time."""
    old = (pull for pull in state.pulls.values() if pull.head[0] == change.head[0])
    number = next((pull.number for pull in old), len(state.pulls) + 1)
    state.pulls[number] = Pull(
        number=number, base=change.base, head=change.head, title=change.title, body=change.body
    )
    state.runs += 1
    return number


def _read_workflow(workspace: Path, name: str) -> Workflow:
    file = workspace / name
    if not file.is_file():
        raise MlgitopsError(
            "the pull request's commits hold no such workflow",
            where=name,
            hint="commit it, or name another with `--workflow`",
        )
    return parse_workflow(file.read_text(encoding="utf-8"), where=name)


def _find_verdict(workflow: Workflow, run: Run) -> str:
    """Return the verdict of the step that reports; "undecided" when it gave none."""
    reporting = {(step.job, step.id) for step in workflow.find_steps("actions/report")}
    found = [
        value
        for (job, step, name), value in run.outputs.items()
        if name == "verdict" and (job, step) in reporting
    ]
    return found[-1] if found else "undecided"


def _check_jobs(workflow: Workflow, run: Run, log: Path) -> None:
    """Refuse a run in which a job that should have run did not."""
    missing = workflow.find_missing(run.jobs)
    if missing:
        raise MlgitopsError(
            f"did not run: {', '.join(missing)}\n{read_tail(log)}",
            where=str(log),
            hint="look into the log; a job that does not run proves nothing",
        )
