"""One request to the stand-in, and the ways to answer it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from mlgitops.rehearsal.forge.state import State

_MAX_PER_PAGE = 100
_DEFAULT_PER_PAGE = 30


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request, what it is answered from, and who asks."""

    request: Request
    state: State
    login: str
    find_head: Callable[[str], str | None]  # branch → its commit now: a workflow may have pushed
    find_change: Callable[[str, str], str | None]  # revision, path → newest commit that changed it

    @property
    def url(self) -> str:
        """Return the address of the API, as the client wrote it."""
        return self.request.root_url.rstrip("/")

    def read_body(self) -> dict[str, Any]:
        """Return the JSON object that was sent; an empty one for anything else."""
        value = json.loads(self.request.get_data() or b"{}")
        return value if isinstance(value, dict) else {}

    def page(self, items: list[Any], *, key: str = "") -> Response:
        """Answer one page, with the links to the others as GitHub writes them."""
        size = min(self.request.args.get("per_page", _DEFAULT_PER_PAGE, type=int), _MAX_PER_PAGE)
        page = max(self.request.args.get("page", 1, type=int), 1)
        part = items[(page - 1) * size : page * size]
        answer = answer_json({"total_count": len(items), key: part} if key else part)
        last = max(-(-len(items) // size), 1)
        links = []
        for name, target in (("next", page + 1), ("last", last)):
            if page < last:
                query = urlencode({**self.request.args.to_dict(), "page": target})
                links.append(f'<{self.request.base_url}?{query}>; rel="{name}"')
        if links:
            answer.headers["Link"] = ", ".join(links)
        return answer


#: Method, pattern of the path ("REPO" is the repository's), and what answers: a function of
#: the call and the pattern's groups.
Route = tuple[str, str, Callable[..., Response]]


def answer_json(value: object, status: int = 200) -> Response:
    """Answer with ``value``."""
    return Response(json.dumps(value), status, content_type="application/json; charset=utf-8")


def answer_missing() -> Response:
    """Answer that there is no such thing."""
    return answer_json({"message": "Not Found"}, 404)
