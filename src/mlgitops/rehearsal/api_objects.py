"""The objects that the stand-in API answers with, complete as GitHub describes them.

Pure. The tests hold every one against GitHub's OpenAPI description; clients may rely on
any required field, so all are there even where this project reads three of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlgitops.rehearsal.forge import Artifact

#: One fixed moment for every date: a rehearsal's bytes do not depend on the clock.
MOMENT = "2026-01-01T00:00:00Z"

_USER_URLS = (
    *("events", "followers", "following", "gists", "organizations", "received_events"),
    *("repos", "starred", "subscriptions"),
)
_REPOSITORY_URLS = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits"),
    *("compare", "contents", "contributors", "deployments", "downloads", "events", "forks"),
    *("git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events"),
    *("issues", "keys", "labels", "languages", "merges", "milestones", "notifications"),
    *("pulls", "releases", "stargazers", "statuses", "subscribers", "subscription"),
    *("tags", "teams", "trees"),
)


def build_user(url: str, login: str, number: int) -> dict[str, Any]:
    """Build a user; an app's login ends in `[bot]`."""
    own = f"{url}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{url}/avatars/{number}",
        "gravatar_id": "",
        "url": own,
        "html_url": f"{url}/{login}",
        **{f"{name}_url": f"{own}/{name}" for name in _USER_URLS},
        "type": "Bot" if login.endswith("[bot]") else "User",
        "site_admin": False,
    }


def find_repository_id(full_name: str) -> int:
    """Return a number that belongs to this repository alone, the same in every process."""
    return int.from_bytes(hashlib.sha256(full_name.encode()).digest()[:4]) + 1


def build_artifact(url: str, repository: str, found: Artifact) -> dict[str, Any]:
    """Build an artifact as the API lists it."""
    own = f"{url}/repos/{repository}/actions/artifacts/{found.id}"
    digest = found.digest or f"sha256:{hashlib.sha256(found.data).hexdigest()}"
    return {
        "id": found.id,
        "node_id": f"A_{found.id}",
        "name": found.name,
        "size_in_bytes": len(found.data) if found.size is None else found.size,
        "url": own,
        "archive_download_url": f"{own}/zip",
        "expired": found.expired,
        **dict.fromkeys(("created_at", "expires_at", "updated_at"), MOMENT),
        "digest": digest,
        "workflow_run": {"id": found.run_id},
    }


def build_repository(url: str, full_name: str) -> dict[str, Any]:
    """Build a repository."""
    owner, name = full_name.split("/")
    own, page = f"{url}/repos/{full_name}", f"{url}/{full_name}"
    counts = ("forks", "forks_count", "open_issues", "open_issues_count", "size")
    stars = ("stargazers_count", "watchers", "watchers_count")
    return {
        "id": find_repository_id(full_name),
        "node_id": f"R_{find_repository_id(full_name)}",
        "name": name,
        "full_name": full_name,
        "owner": build_user(url, owner, 2),
        "private": True,
        "html_url": page,
        "description": None,
        "fork": False,
        "url": own,
        **{f"{one}_url": f"{own}/{one}" for one in _REPOSITORY_URLS},
        **{f"{one}_url": f"{page}.git" for one in ("clone", "git", "ssh", "svn")},
        **dict.fromkeys((*counts, *stars), 0),
        **{f"has_{one}": True for one in ("downloads", "issues", "projects", "wiki", "pages")},
        **dict.fromkeys(("homepage", "language", "mirror_url", "license")),
        "default_branch": "main",
        "archived": False,
        "disabled": False,
        **dict.fromkeys(("pushed_at", "created_at", "updated_at"), MOMENT),
    }


def build_pull(
    url: str,
    full_name: str,
    number: int,
    *,
    base: tuple[str, str],
    head: tuple[str, str],
    title: str,
    body: str,
    state: str = "open",
    fork: str | None = None,
) -> dict[str, Any]:
    """Build a pull request; ``base`` and ``head`` are (branch, sha), ``fork`` OWNER/NAME."""
    own = f"{url}/repos/{full_name}/pulls/{number}"
    issue = f"{url}/repos/{full_name}/issues/{number}"
    repository = build_repository(url, full_name)
    links = {
        "self": own,
        "html": f"{url}/{full_name}/pull/{number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments",
        "review_comment": f"{url}/repos/{full_name}/pulls/comments{{/number}}",
        "commits": f"{own}/commits",
        "statuses": f"{url}/repos/{full_name}/statuses/{head[1]}",
    }
    named = ("html", "issue", "comments", "review_comments", "review_comment")
    return {
        "id": number,
        "node_id": f"PR_{number}",
        "number": number,
        "state": state,
        "locked": False,
        "title": title,
        "body": body,
        "url": own,
        **{f"{name}_url": links[name] for name in (*named, "commits", "statuses")},
        **{f"{kind}_url": f"{links['html']}.{kind}" for kind in ("diff", "patch")},
        "_links": {name: {"href": link} for name, link in links.items()},
        "base": _build_side(base, repository),
        "head": _build_side(head, build_repository(url, fork) if fork else repository),
        "user": repository["owner"],
        "labels": [],
        "author_association": "OWNER",
        "draft": False,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        **dict.fromkeys(("assignee", "milestone", "closed_at", "merged_at", "merged_by")),
        **dict.fromkeys(("auto_merge", "merge_commit_sha", "mergeable")),
        **dict.fromkeys(("additions", "changed_files", "commits", "deletions"), 0),
        **dict.fromkeys(("comments", "review_comments"), 0),
        **dict.fromkeys(("merged", "maintainer_can_modify"), False),
        "mergeable_state": "unknown",
    }


def build_comment(
    url: str, full_name: str, *, issue: int, number: int, login: str, body: str
) -> dict[str, Any]:
    """Build a comment on issue or pull request ``issue``."""
    return {
        "id": number,
        "node_id": f"IC_{number}",
        "url": f"{url}/repos/{full_name}/issues/comments/{number}",
        "html_url": f"{url}/{full_name}/pull/{issue}#issuecomment-{number}",
        "issue_url": f"{url}/repos/{full_name}/issues/{issue}",
        "user": build_user(url, login, 3),
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "author_association": "NONE",
        "body": body,
    }


def build_check_run(
    url: str, full_name: str, number: int, fields: dict[str, Any]
) -> dict[str, Any]:
    """Build a check run from the fields that created it."""
    own = f"{url}/repos/{full_name}/check-runs/{number}"
    output = fields.get("output") or {}
    return {
        "id": number,
        "node_id": f"CR_{number}",
        "name": fields["name"],
        "head_sha": fields["head_sha"],
        "external_id": fields.get("external_id", ""),
        "url": own,
        "html_url": f"{url}/{full_name}/runs/{number}",
        "details_url": fields.get("details_url"),
        "status": fields.get("status", "queued"),
        "conclusion": fields.get("conclusion"),
        "started_at": MOMENT,
        "completed_at": MOMENT,
        "check_suite": {"id": 1},
        "app": None,
        "pull_requests": [],
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(output.get("annotations", ())),
            "annotations_url": f"{own}/annotations",
        },
    }


def build_status(url: str, full_name: str, number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Build a commit status from the fields that created it."""
    return {
        "id": number,
        "node_id": f"SC_{number}",
        "url": f"{url}/repos/{full_name}/statuses/{fields['sha']}",
        "avatar_url": None,
        "state": fields["state"],
        "description": fields.get("description"),
        "target_url": fields.get("target_url"),
        "context": fields.get("context", "default"),
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "creator": build_user(url, "github-actions[bot]", 3),
    }


def _build_side(side: tuple[str, str], repository: dict[str, Any]) -> dict[str, Any]:
    branch, sha = side
    owner = repository["owner"]
    return {
        "label": f"{owner['login']}:{branch}",
        "ref": branch,
        "sha": sha,
        "repo": repository,
        "user": owner,
    }
