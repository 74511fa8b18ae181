"""Who may do what in the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.rehearsal.forge.call import answer_json
from mlgitops.rehearsal.forge.users import build_user, find_user_id

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route

#: Roles that GitHub reports under an older word: https://docs.github.com/en/rest/collaborators
_OLDER = {"maintain": "write", "triage": "read"}


def _show_permission(call: Call, login: str) -> Response:
    role = call.state.permissions.get(login, "read")
    user = {**build_user(call.url, login, find_user_id(login)), "role_name": role}
    permission = {"permission": _OLDER.get(role, role), "role_name": role, "user": user}
    return answer_json(permission)


ROUTES: tuple[Route, ...] = (
    ("GET", r"REPO/collaborators/([A-Za-z0-9._-]+)/permission", _show_permission),
)
