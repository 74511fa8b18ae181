"""A stand-in for the GitHub API on this machine: stateful, paged, and able to fail.

It knows the requests that the client makes and refuses every other. The tests hold it
against GitHub's OpenAPI description, so what passes here is at least well-formed there.
It proves nothing about permissions, limits or events on GitHub.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import msgspec
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from mlgitops.github.comment import DEFAULT_LOGIN
from mlgitops.rehearsal.api_objects import (
    build_artifact,
    build_check_run,
    build_comment,
    build_pull,
    build_status,
    build_user,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

#: What GitHub stores of a comment, in bytes; it names 65,536 characters when it refuses.
MAX_COMMENT_BYTES = 262_144
MAX_ANNOTATIONS = 50
_MAX_PER_PAGE = 100
_DEFAULT_PER_PAGE = 30


class Comment(msgspec.Struct):
    """One comment, as it is stored."""

    id: int
    issue: int
    login: str
    body: str


class Pull(msgspec.Struct, kw_only=True):
    """One pull request; ``base`` and ``head`` are (branch, sha)."""

    number: int
    base: tuple[str, str]
    head: tuple[str, str]
    title: str
    body: str = ""
    state: str = "open"
    fork: str | None = None  # OWNER/NAME of the head's repository when it is another


class Artifact(msgspec.Struct, kw_only=True):
    """What a run left behind; ``digest`` and ``size`` are what the API says of it."""

    id: int
    run_id: int
    name: str
    data: bytes
    digest: str | None = None
    size: int | None = None
    expired: bool = False


class State(msgspec.Struct, kw_only=True):
    """Everything the stand-in remembers; it can be saved and read again."""

    repository: str
    pulls: dict[int, Pull] = {}
    comments: list[Comment] = []
    checks: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []
    artifacts: list[Artifact] = []
    next_id: int = 1001
    runs: int = 0  # workflow runs so far: the run number

    def save(self, path: Path) -> None:
        """Write the state to ``path``, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self))
        part.replace(path)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A way to fail one request: refused before it is carried out, or lost after it.

    ``status`` answers with that code; None breaks the connection. ``seconds`` waits first.
    """

    status: int | None = None
    after: bool = False  # carry the request out, then fail
    cut: bool = False  # send half of the answer
    seconds: float = 0
    headers: dict[str, str] = {}
    message: str = "injected"


class Forge:
    """The API of one repository, as a WSGI application.

    ``fault`` is asked before each request, with method and path, for a way to fail it.
    """

    def __init__(
        self,
        state: State,
        *,
        login: str = f"{DEFAULT_LOGIN}[bot]",
        fault: Callable[[str, str], Fault | None] | None = None,
        checks: bool = True,
        find_head: Callable[[str], str | None] = lambda _branch: None,
    ) -> None:
        self.state = state
        self._find_head = find_head  # branch → its commit now: a workflow may have pushed
        self.login = login
        self.requests: list[tuple[str, str]] = []
        self.fault = fault or (lambda _method, _path: None)
        self._lock = threading.Lock()
        self._checks = checks
        self._url = ""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request, or fail it as told."""
        request = Request(environ)
        self._url = request.root_url.rstrip("/")
        with self._lock:
            self.requests.append((request.method, request.path))
            fault = self.fault(request.method, request.path)
        if fault is None:
            return self._answer(request)(environ, start)
        time.sleep(fault.seconds)
        answer = self._answer(request) if fault.after or fault.cut else None
        if fault.cut and answer is not None:
            body = answer.get_data()
            answer.set_data(body[: len(body) // 2])
            answer.headers["Content-Length"] = str(len(body))  # and then the connection ends
            return answer(environ, start)
        if fault.status is None:
            environ["werkzeug.socket"].shutdown(2)
            start("500 Connection Lost", [])
            return []
        refusal = _json({"message": fault.message}, fault.status)
        refusal.headers.extend(fault.headers)
        return refusal(environ, start)

    def _answer(self, request: Request) -> Response:
        prefix = re.escape(f"/repos/{self.state.repository}")
        with self._lock:
            for method, pattern, handler in self._routes():
                match = re.fullmatch(pattern.replace("REPO", prefix), request.path)
                if match and method == request.method:
                    return handler(request, *match.groups())
        return _json({"message": "Not Found"}, 404)

    def _routes(self) -> list[tuple[str, str, Callable[..., Response]]]:
        checks: list[tuple[str, str, Callable[..., Response]]] = [
            ("POST", "REPO/check-runs", self._create_check),
            ("PATCH", r"REPO/check-runs/(\d+)", self._update_check),
            ("GET", "REPO/commits/([0-9a-f]{40})/check-runs", self._list_checks),
        ]
        return [
            ("GET", "/user", self._refuse_user),
            ("POST", "/graphql", self._view),
            ("GET", "REPO/pulls", self._list_pulls),
            ("GET", r"REPO/pulls/(\d+)", self._show_pull),
            ("GET", r"REPO/issues/(\d+)/comments", self._list_comments),
            ("POST", r"REPO/issues/(\d+)/comments", self._create_comment),
            ("GET", r"REPO/issues/comments/(\d+)", self._show_comment),
            ("PATCH", r"REPO/issues/comments/(\d+)", self._update_comment),
            ("DELETE", r"REPO/issues/comments/(\d+)", self._delete_comment),
            ("POST", "REPO/statuses/([0-9a-f]{40})", self._create_status),
            ("GET", r"REPO/actions/runs/(\d+)/artifacts", self._list_artifacts),
            ("GET", r"REPO/actions/artifacts/(\d+)/zip", self._show_artifact),
            ("GET", r"/downloads/(\d+)", self._download),
            *(checks if self._checks else []),
        ]

    def _refuse_user(self, _request: Request) -> Response:
        if self.login.endswith("[bot]"):
            return _json({"message": "Resource not accessible by integration"}, 403)
        user = build_user(self._url, self.login, 3)
        account = {**user, "user_view_type": "public", **_ACCOUNT}
        return _json(account)

    def _view(self, _request: Request) -> Response:
        return _json({"data": {"viewer": {"login": self.login}}})

    def _show_pull(self, _request: Request, number: str) -> Response:
        pull = self.state.pulls.get(int(number))
        if pull is None:
            return _json({"message": "Not Found"}, 404)
        return _json(self._show_open_pull(pull))

    def _list_pulls(self, request: Request) -> Response:
        state, head = request.args.get("state", "open"), request.args.get("head")
        found = [
            self._show_open_pull(pull)
            for pull in self.state.pulls.values()
            if state in ("all", pull.state)
        ]
        return self._page(request, [one for one in found if head in (None, one["head"]["label"])])

    def _show_open_pull(self, pull: Pull) -> dict[str, Any]:
        branch, sha = pull.head
        moved = None if pull.fork else self._find_head(branch)
        fields = msgspec.structs.asdict(pull) | {"head": (branch, moved or sha)}
        return build_pull(self._url, self.state.repository, **fields)

    def _list_comments(self, request: Request, issue: str) -> Response:
        found = [one for one in self.state.comments if one.issue == int(issue)]
        return self._page(request, [self._show(one) for one in found])

    def _create_comment(self, request: Request, issue: str) -> Response:
        if int(issue) not in self.state.pulls:
            return _json({"message": "Not Found"}, 404)
        body = _body(request).get("body")
        refusal = _check_comment(body)
        if refusal is not None:
            return refusal
        comment = Comment(self._number(), int(issue), self.login, str(body))
        self.state.comments.append(comment)
        return _json(self._show(comment), 201)

    def _show_comment(self, _request: Request, number: str) -> Response:
        comment = self._find_comment(number)
        return _json(self._show(comment)) if comment else _json({"message": "Not Found"}, 404)

    def _update_comment(self, request: Request, number: str) -> Response:
        comment = self._find_comment(number)
        if comment is None:
            return _json({"message": "Not Found"}, 404)
        body = _body(request).get("body")
        refusal = _check_comment(body)
        if refusal is not None:
            return refusal
        comment.body = str(body)
        return _json(self._show(comment))

    def _delete_comment(self, _request: Request, number: str) -> Response:
        comment = self._find_comment(number)
        if comment is None:
            return _json({"message": "Not Found"}, 404)
        self.state.comments.remove(comment)
        return Response(status=204)

    def _create_check(self, request: Request) -> Response:
        fields = {**_body(request), "id": self._number()}
        if len(fields.get("output", {}).get("annotations", ())) > MAX_ANNOTATIONS:
            return _json({"message": "Invalid request"}, 422)
        self.state.checks.append(fields)
        return _json(self._show_check(fields), 201)

    def _update_check(self, request: Request, number: str) -> Response:
        fields = next((one for one in self.state.checks if one["id"] == int(number)), None)
        if fields is None:
            return _json({"message": "Not Found"}, 404)
        new = _body(request)
        old = fields.get("output", {}).get("annotations", [])
        added = new.get("output", {}).get("annotations", [])
        if len(added) > MAX_ANNOTATIONS:
            return _json({"message": "Invalid request"}, 422)
        fields.update(new)
        fields["output"] = {**fields.get("output", {}), "annotations": [*old, *added]}
        return _json(self._show_check(fields))

    def _list_checks(self, request: Request, sha: str) -> Response:
        name = request.args.get("check_name")
        found = [
            self._show_check(one)
            for one in self.state.checks
            if one["head_sha"] == sha and name in (None, one["name"])
        ]
        return self._page(request, found, key="check_runs")

    def _create_status(self, request: Request, sha: str) -> Response:
        fields = {**_body(request), "sha": sha, "id": self._number()}
        self.state.statuses.append(fields)
        status = build_status(self._url, self.state.repository, fields["id"], fields)
        return _json(status, 201)

    def _list_artifacts(self, request: Request, run: str) -> Response:
        name = request.args.get("name")
        found = [
            build_artifact(self._url, self.state.repository, one)
            for one in self.state.artifacts
            if one.run_id == int(run) and name in (None, one.name)
        ]
        return self._page(request, found, key="artifacts")

    def _show_artifact(self, _request: Request, number: str) -> Response:
        return Response(status=302, headers={"Location": f"{self._url}/downloads/{number}"})

    def _download(self, request: Request, number: str) -> Response:
        """Answer like the storage that GitHub redirects to: it refuses our token."""
        if "Authorization" in request.headers:
            return Response(status=400)
        found = next((one for one in self.state.artifacts if one.id == int(number)), None)
        return Response(found.data) if found else Response(status=404)

    def _page(self, request: Request, found: list[Any], *, key: str = "") -> Response:
        """Answer one page, with the links to the others as GitHub writes them."""
        size = min(request.args.get("per_page", _DEFAULT_PER_PAGE, type=int), _MAX_PER_PAGE)
        page = max(request.args.get("page", 1, type=int), 1)
        part = found[(page - 1) * size : page * size]
        answer = _json({"total_count": len(found), key: part} if key else part)
        last = max(-(-len(found) // size), 1)
        links = []
        for name, target in (("next", page + 1), ("last", last)):
            if page < last:
                query = urlencode({**request.args.to_dict(), "page": target})
                links.append(f'<{request.base_url}?{query}>; rel="{name}"')
        if links:
            answer.headers["Link"] = ", ".join(links)
        return answer

    def _show(self, comment: Comment) -> dict[str, Any]:
        return build_comment(
            self._url,
            self.state.repository,
            issue=comment.issue,
            number=comment.id,
            login=comment.login,
            body=comment.body,
        )

    def _show_check(self, fields: dict[str, Any]) -> dict[str, Any]:
        return build_check_run(self._url, self.state.repository, fields["id"], fields)

    def _find_comment(self, number: str) -> Comment | None:
        return next((one for one in self.state.comments if one.id == int(number)), None)

    def _number(self) -> int:
        self.state.next_id += 1
        return self.state.next_id


class Server:
    """Serves ``forge`` on a free port of this machine while the ``with`` block runs."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self._server = make_server("127.0.0.1", 0, forge, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(WSGIRequestHandler):
    """Keeps the access log off the terminal; the forge remembers its requests."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Drop a line of the access log."""


_ACCOUNT: dict[str, Any] = {
    **dict.fromkeys(("name", "company", "location", "email", "hireable", "bio")),
    "blog": "",
    **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
    **dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z"),
}


def load_state(path: Path, repository: str) -> State:
    """Read a saved state; a new one when there is none, or it is of another repository."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State(repository=repository)
    return state if state.repository == repository else State(repository=repository)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json; charset=utf-8")


def _body(request: Request) -> dict[str, Any]:
    value = json.loads(request.get_data() or b"{}")
    return value if isinstance(value, dict) else {}


def _check_comment(body: object) -> Response | None:
    if not isinstance(body, str) or not body.strip():
        return _json({"message": "Validation Failed"}, 422)
    if len(body.encode()) > MAX_COMMENT_BYTES:
        message = "Validation Failed: body is too long (maximum is 65536 characters)"
        return _json({"message": message}, 422)
    return None
