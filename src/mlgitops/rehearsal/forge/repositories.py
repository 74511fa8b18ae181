"""A repository as GitHub describes it."""

from __future__ import annotations

import hashlib
from typing import Any

from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.rehearsal.forge.users import build_user

_REPOSITORY_URLS = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits"),
    *("compare", "contents", "contributors", "deployments", "downloads", "events", "forks"),
    *("git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events"),
    *("issues", "keys", "labels", "languages", "merges", "milestones", "notifications"),
    *("pulls", "releases", "stargazers", "statuses", "subscribers", "subscription"),
    *("tags", "teams", "trees"),
)


def find_repository_id(full_name: str) -> int:
    """Return a number that belongs to this repository alone, the same in every process."""
    return int.from_bytes(hashlib.sha256(full_name.encode()).digest()[:4]) + 1


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
        **{f"{kind}_url": f"{own}/{kind}" for kind in _REPOSITORY_URLS},
        **{f"{kind}_url": f"{page}.git" for kind in ("clone", "git", "ssh", "svn")},
        **dict.fromkeys((*counts, *stars), 0),
        **{f"has_{kind}": True for kind in ("downloads", "issues", "projects", "wiki", "pages")},
        **dict.fromkeys(("homepage", "language", "mirror_url", "license")),
        "default_branch": "main",
        "archived": False,
        "disabled": False,
        **dict.fromkeys(("pushed_at", "created_at", "updated_at"), MOMENT),
    }
