"""Runs of workflows, as an event or the API describes them, and starting a job again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json, answer_missing
from mlgitops.rehearsal.forge.repositories import build_repository, find_repository_id
from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.rehearsal.forge.users import build_user

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route
    from mlgitops.rehearsal.forge.state import Job, Pull, WorkflowRun

_NOBODY = {"name": "contributor", "email": "contributor@localhost"}


def build_workflow(url: str, repository: str, *, name: str, path: str) -> dict[str, Any]:
    """Build a workflow; ``path`` is that of its file."""
    page = f"{url}/{repository}"
    return {
        "id": 1,
        "node_id": "W_1",
        "name": name,
        "path": path,
        "state": "active",
        "url": f"{url}/repos/{repository}/actions/workflows/1",
        "html_url": f"{page}/blob/main/{path}",
        "badge_url": f"{page}/workflows/1/badge.svg",
        **dict.fromkeys(("created_at", "updated_at"), MOMENT),
    }


def build_run(
    url: str,
    repository: str,
    number: int,
    *,
    workflow: dict[str, Any],
    head: tuple[str, str],
    fork: str | None,
    conclusion: str | None,
) -> dict[str, Any]:
    """Build a run that a pull request started and that has ended; ``head`` is (branch, sha).

    `pull_requests` is empty, as it is for forks: https://github.com/actions/runner/issues/3444
    """
    own = f"{url}/repos/{repository}/actions/runs/{number}"
    branch, sha = head
    source = {**build_repository(url, fork or repository), "fork": fork is not None}
    links = ("jobs", "logs", "artifacts", "cancel", "rerun")
    return {
        "id": number,
        "node_id": f"WFR_{number}",
        "name": workflow["name"],
        "display_title": branch,
        "path": workflow["path"],
        "workflow_id": workflow["id"],
        "workflow_url": workflow["url"],
        "event": "pull_request",
        "status": "completed",
        "conclusion": conclusion,
        "head_branch": branch,
        "head_sha": sha,
        "head_commit": {
            "id": sha,
            "tree_id": sha,
            "message": branch,
            "timestamp": MOMENT,
            **dict.fromkeys(("author", "committer"), _NOBODY),
        },
        "head_repository": source,
        "repository": build_repository(url, repository),
        "run_number": number,
        "run_attempt": 1,
        "previous_attempt_url": None,
        "pull_requests": [],
        "referenced_workflows": [],
        **dict.fromkeys(("actor", "triggering_actor"), build_user(url, "contributor", 4)),
        "check_suite_id": 1,
        "check_suite_node_id": "CS_1",
        "check_suite_url": f"{url}/repos/{repository}/check-suites/1",
        "url": own,
        "html_url": f"{url}/{repository}/actions/runs/{number}",
        **{f"{name}_url": f"{own}/{name}" for name in links},
        **dict.fromkeys(("created_at", "updated_at", "run_started_at"), MOMENT),
    }


def build_job(url: str, full_name: str, run: WorkflowRun, job: Job) -> dict[str, Any]:
    """Build a job of ``run``."""
    own = f"{url}/repos/{full_name}/actions"
    return {
        "id": job.id,
        "node_id": f"J_{job.id}",
        "run_id": run.id,
        "run_url": f"{own}/runs/{run.id}",
        "run_attempt": run.attempt,
        "workflow_name": "Pull request",
        "name": job.name,
        "head_branch": run.head[0],
        "head_sha": run.head[1],
        "status": job.status,
        "conclusion": job.conclusion,
        "url": f"{own}/jobs/{job.id}",
        "html_url": f"{url}/{full_name}/actions/runs/{run.id}/job/{job.id}",
        "check_run_url": f"{url}/repos/{full_name}/check-runs/{job.id}",
        "labels": ["ubuntu-latest"],
        **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
        "created_at": MOMENT,
        "started_at": job.started_at,
        "completed_at": MOMENT if job.status == "completed" else None,
        "steps": [],
    }


def _list_runs(call: Call, file: str) -> Response:
    wanted = {name: call.request.args.get(name) for name in ("event", "branch", "head_sha")}
    listed = [
        _show(call, run)
        for run in sorted(call.state.workflow_runs, key=lambda run: run.number, reverse=True)
        if run.path.endswith(f"/{file}")
        and wanted["event"] in (None, run.event)
        and wanted["branch"] in (None, run.head[0])
        and wanted["head_sha"] in (None, run.head[1])
    ]
    return call.page(listed, key="workflow_runs")


def _show_run(call: Call, number: str) -> Response:
    run = next((stored for stored in call.state.workflow_runs if stored.id == int(number)), None)
    return answer_json(_show(call, run)) if run else answer_missing()


def _show(call: Call, run: WorkflowRun) -> dict[str, Any]:
    url, repository = call.url, call.state.repository
    shown = build_run(
        url,
        repository,
        run.id,
        workflow=build_workflow(url, repository, name="Pull request", path=run.path),
        head=run.head,
        fork=run.fork,
        conclusion=run.conclusion,
    )
    linked = [_build_link(url, repository, call.state.pulls[number]) for number in run.pulls]
    return {
        **shown,
        "event": run.event,
        "status": run.status,
        "run_number": run.number,
        "run_attempt": run.attempt,
        "pull_requests": linked,
    }


def _list_jobs(call: Call, number: str) -> Response:
    run = next((stored for stored in call.state.workflow_runs if stored.id == int(number)), None)
    if run is None:
        return answer_missing()
    jobs = [build_job(call.url, call.state.repository, run, job) for job in run.jobs]
    return call.page(jobs, key="jobs")


def _rerun_job(call: Call, number: str) -> Response:
    for run in call.state.workflow_runs:
        for job in run.jobs:
            if job.id != int(number):
                continue
            if run.status != "completed":
                return answer_json({"message": "This workflow is already running"}, 403)
            run.attempt, run.status, run.conclusion = run.attempt + 1, "queued", None
            job.status, job.conclusion = "queued", None
            call.state.reruns.append(job.id)
            return answer_json({}, 201)
    return answer_missing()


def _build_link(url: str, full_name: str, pull: Pull) -> dict[str, Any]:
    name = full_name.split("/")[1]
    own = {"id": find_repository_id(full_name), "url": f"{url}/repos/{full_name}", "name": name}
    sides = {"head": pull.head, "base": pull.base}
    return {
        "id": pull.number,
        "number": pull.number,
        "url": f"{url}/repos/{full_name}/pulls/{pull.number}",
        **{side: {"ref": ref, "sha": sha, "repo": own} for side, (ref, sha) in sides.items()},
    }


ROUTES: tuple[Route, ...] = (
    ("GET", r"REPO/actions/workflows/([\w.-]+)/runs", _list_runs),
    ("GET", r"REPO/actions/runs/(\d+)", _show_run),
    ("GET", r"REPO/actions/runs/(\d+)/jobs", _list_jobs),
    ("POST", r"REPO/actions/jobs/(\d+)/rerun", _rerun_job),
)
