"""Who asks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlgitops.rehearsal.forge.call import answer_json
from mlgitops.rehearsal.forge.state import MOMENT

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route

_USER_URLS = (
    *("events", "followers", "following", "gists", "organizations", "received_events"),
    *("repos", "starred", "subscriptions"),
)
_ACCOUNT: dict[str, Any] = {
    **dict.fromkeys(("name", "company", "location", "email", "hireable", "bio")),
    "blog": "",
    **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
    **dict.fromkeys(("created_at", "updated_at"), MOMENT),
}


def find_user_id(login: str) -> int:
    """Return a number that belongs to this account alone, the same in every process."""
    return int.from_bytes(hashlib.sha256(login.lower().encode()).digest()[:4]) + 1


def build_user(url: str, login: str, number: int) -> dict[str, Any]:
    """Build a user; an app's login ends in `[bot]`."""
    name = quote(login)  # brackets are none of a URI's characters: GitHub writes %5Bbot%5D
    own = f"{url}/users/{name}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{url}/avatars/{number}",
        "gravatar_id": "",
        "url": own,
        "html_url": f"{url}/{name}",
        **{f"{name}_url": f"{own}/{name}" for name in _USER_URLS},
        "type": "Bot" if login.endswith("[bot]") else "User",
        "site_admin": False,
    }


def _show_user(call: Call) -> Response:
    if call.login.endswith("[bot]"):
        return answer_json({"message": "Resource not accessible by integration"}, 403)
    user = build_user(call.url, call.login, 3)
    account = {**user, "user_view_type": "public", **_ACCOUNT}
    return answer_json(account)


def _view(call: Call) -> Response:
    return answer_json({"data": {"viewer": {"login": call.login}}})


ROUTES: tuple[Route, ...] = (("GET", "/user", _show_user), ("POST", "/graphql", _view))
