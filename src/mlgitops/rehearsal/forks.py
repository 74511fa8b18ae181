"""A pull request from a fork: its run may only read, and a second workflow posts.

GitHub starts the second from the default branch when the first has ended. It finds the
pull request and the artifacts through the API, which is the stand-in here.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.forge import Artifact, Fault
from mlgitops.rehearsal.forge.repositories import build_repository
from mlgitops.rehearsal.forge.runs import build_run, build_workflow
from mlgitops.rehearsal.forge.users import build_user
from mlgitops.rehearsal.repository import read_texts
from mlgitops.rehearsal.workflow import find_followed
from mlgitops.rehearsal.workflow_run import Start, run_workflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.rehearsal.forge import State
    from mlgitops.rehearsal.repository import Change
    from mlgitops.rehearsal.workflow_run import Ran, Stage

_FOLDER = ".github/workflows"
_REPORTS = "/actions/report@"


def refuse_writing(method: str, _path: str) -> Fault | None:
    """Refuse what a fork's token may not do, in GitHub's words."""
    if method == "GET":
        return None
    return Fault(status=403, message="Resource not accessible by integration")


def report_on_fork(
    stage: Stage, change: Change, first: Ran, meanwhile: Callable[[State], None]
) -> Ran | None:
    """Run the workflow of the base that waits for ``first`` and reports; None without one.

    ``meanwhile`` is what happens on GitHub between the two.
    """
    stage.state.artifacts = pack_artifacts(first.artifacts, first.run_id)
    meanwhile(stage.state)
    path = find_waiting(stage, change, first.workflow.name)
    if path is None:
        return None
    stage.console.say(f"Then {path}, as it stands on {change.base[0]}")
    start = Start(
        workflow=path,
        event_name="workflow_run",
        event=build_run_event(
            stage.url,
            stage.state.repository,
            change,
            first.run_id,
            name=first.workflow.name,
            path=first.path,
            conclusion="failure" if "failure" in first.run.jobs.values() else "success",
        ),
        sha=change.base[1],
    )
    return run_workflow(stage, start, stage.scratch / "report-on-forks")


def find_waiting(stage: Stage, change: Change, name: str) -> str | None:
    """Find the workflow on the base that starts when ``name`` ends, and reports."""
    texts = read_texts(stage.origin, change.base[1], _FOLDER)
    waiting = [
        path for path, text in texts.items() if name in find_followed(text) and _REPORTS in text
    ]
    if len(waiting) > 1:
        raise MlgitopsError(
            f"several workflows report when {name!r} has ended: {', '.join(waiting)}",
            hint="keep one of them, or they write over each other's comment",
        )
    return waiting[0] if waiting else None


def pack_artifacts(folder: Path, run_id: int) -> list[Artifact]:
    """Pack what a run left as GitHub stores it: one zip archive for each folder in ``folder``."""
    artifacts = []
    for number, source in enumerate(sorted(folder.iterdir()), start=1):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in source.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(source).as_posix())
        data = packed.getvalue()
        artifacts.append(Artifact(id=number, run_id=run_id, name=source.name, data=data))
    return artifacts


def build_run_event(
    url: str, repository: str, change: Change, run_id: int, *, name: str, path: str, conclusion: str
) -> dict[str, object]:
    """Build the payload of `workflow_run` for the run of workflow ``name`` that has ended."""
    workflow = build_workflow(url, repository, name=name, path=path)
    home = build_repository(url, repository)
    return {
        "action": "completed",
        "repository": {**home, "default_branch": change.default_branch},
        "sender": build_user(url, "contributor", 4),
        "workflow": workflow,
        "workflow_run": build_run(
            url,
            repository,
            run_id,
            workflow=workflow,
            head=change.head,
            fork=change.fork,
            conclusion=conclusion,
        ),
    }
