"""Commits: of those below a revision, the newest that changed a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json
from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.rehearsal.forge.users import build_user

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route


def build_commit(url: str, full_name: str, sha: str, message: str) -> dict[str, Any]:
    """Build a commit."""
    own = f"{url}/repos/{full_name}/commits/{sha}"
    person = {"name": "Octo Cat", "email": "octocat@users.noreply.example", "date": MOMENT}
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": own,
        "html_url": f"{url}/{full_name}/commit/{sha}",
        "comments_url": f"{own}/comments",
        "commit": {
            "url": f"{url}/repos/{full_name}/git/commits/{sha}",
            "author": person,
            "committer": person,
            "message": message,
            "comment_count": 0,
            "tree": {"sha": sha, "url": f"{url}/repos/{full_name}/git/trees/{sha}"},
        },
        **dict.fromkeys(("author", "committer"), build_user(url, "octocat", 3)),
        "parents": [],
    }


def _list_commits(call: Call) -> Response:
    """Answer the newest commit alone: the one thing that is asked for."""
    rev, path = call.request.args.get("sha", ""), call.request.args.get("path", "")
    sha = call.find_change(rev, path)
    commits = [build_commit(call.url, call.state.repository, sha, "Change")] if sha else []
    return answer_json(commits)


ROUTES: tuple[Route, ...] = (("GET", "REPO/commits", _list_commits),)
