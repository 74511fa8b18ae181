"""One workflow file of a rehearsal: actions and environments placed, then run by act.

A rehearsal of a pull request runs one; of a pull request from a fork, one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.act import Plan, Run, read_tail, run_act
from mlgitops.rehearsal.events import write_event
from mlgitops.rehearsal.local_actions import place_actions
from mlgitops.rehearsal.repository import make_checkout
from mlgitops.rehearsal.runner import (
    build_variables,
    find_local_storage,
    make_path,
    prepare_environments,
)
from mlgitops.rehearsal.screen import Screen
from mlgitops.rehearsal.workflow import Workflow, parse_workflow

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.rehearsal.forge import State

#: A token that opens nothing, so that steps find the variable they expect.
TOKEN = "rehearsal-token-that-opens-nothing"  # noqa: S105 - not a secret


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What every workflow of one rehearsal shares."""

    root: Path  # the person's project
    scratch: Path
    store: Path  # environments that outlive the rehearsal
    logs: Path
    url: str  # of the stand-in API
    state: State
    console: Console

    @property
    def origin(self) -> Path:
        """Return the bare clone that stands for the repository on GitHub."""
        return self.scratch / "origin.git"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What starts a workflow, and from which commit its file is read."""

    workflow: str  # path below the checkout
    event_name: str
    event: dict[str, object]
    sha: str
    ref: str = ""  # where that commit stands, when act does not know from the event
    fork: bool = False  # the pull request's head stands in another repository


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that has run."""

    path: str
    workflow: Workflow
    run: Run
    run_id: int
    artifacts: Path  # one folder for each
    log: Path

    def measure(self, verb: str) -> float:
        """Return the seconds that the steps with our action ``verb`` took, all that they start."""
        steps = {(step.job, step.id) for step in self.workflow.find_steps(f"actions/{verb}")}
        return sum(step.seconds for step in self.run.steps if (step.job, step.step) in steps)


def run_workflow(stage: Stage, start: Start, folder: Path) -> Ran:
    """Run one workflow; everything of its own is made in ``folder``.

    Raises :class:`MlgitopsError` when it cannot be rehearsed, or a job that should have run
    did not.
    """
    workspace = folder / "workspace"
    make_checkout(stage.origin, start.sha, workspace)
    parsed = read_workflow(workspace, start.workflow)
    actions = place_actions(parsed, stage.scratch)
    toolkit = stage.scratch / "toolkit"
    python = prepare_environments(parsed, workspace, toolkit, stage.store, stage.console)
    stage.state.runs += 1
    variables = build_variables(
        stage.state, stage.url, scratch=folder, origin=stage.origin, store=stage.store
    )
    plan = Plan(
        workspace=workspace,
        workflow=start.workflow,
        event_name=start.event_name,
        event=write_event(folder, start.event),
        scratch=folder / "act",
        labels=parsed.labels,
        actions=actions,
        variables={
            **variables,
            **({"GITHUB_REF": start.ref} if start.ref else {}),
            "SHA_REF": start.sha,  # act's name for the commit of the event
            "MLGITOPS_REHEARSAL_STORAGE": find_local_storage(stage.root, workspace),
        },
        token=TOKEN,
        path=make_path(folder / "tools", python),
    )
    log = stage.logs / f"{'act' if folder == stage.scratch else folder.name}.jsonl"
    run = run_act(plan, log=log, watcher=Screen(stage.console))
    _check_jobs(parsed, run, log, fork=start.fork)
    return Ran(
        path=start.workflow,
        workflow=parsed,
        run=run,
        run_id=stage.state.runs,
        artifacts=folder / "artifacts",
        log=log,
    )


def read_workflow(workspace: Path, name: str) -> Workflow:
    """Read the workflow file ``name`` of a checkout."""
    file = workspace / name
    if not file.is_file():
        raise MlgitopsError(
            "the pull request's commits hold no such workflow",
            where=name,
            hint="commit it, or name another with `--workflow`",
        )
    return parse_workflow(file.read_text(encoding="utf-8"), where=name)


def _check_jobs(workflow: Workflow, run: Run, log: Path, *, fork: bool) -> None:
    """Refuse a run in which a job that should have run did not."""
    missing = workflow.find_missing(run.jobs, fork=fork)
    if missing:
        raise MlgitopsError(
            f"did not run: {', '.join(missing)}\n{read_tail(log)}",
            where=str(log),
            hint="look into the log; a job that does not run proves nothing",
        )
