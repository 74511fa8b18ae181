"""Runs of workflows, as an event describes them."""

from __future__ import annotations

from typing import Any

from mlgitops.rehearsal.forge.repositories import build_repository
from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.rehearsal.forge.users import build_user

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
    conclusion: str,
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
