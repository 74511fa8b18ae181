"""The stand-in as one web application: it finds the route that answers, or fails on request."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import msgspec
from werkzeug.wrappers import Request, Response

from mlgitops.github.comment import DEFAULT_LOGIN
from mlgitops.rehearsal.forge import (
    artifacts,
    check_runs,
    collaborators,
    comments,
    commits,
    issues,
    pulls,
    runs,
    statuses,
    users,
)
from mlgitops.rehearsal.forge.call import Call, Route, answer_json, answer_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from mlgitops.rehearsal.forge.state import State

_ROUTES: tuple[Route, ...] = (
    *users.ROUTES,
    *pulls.ROUTES,
    *commits.ROUTES,
    *comments.ROUTES,
    *issues.ROUTES,
    *statuses.ROUTES,
    *artifacts.ROUTES,
    *collaborators.ROUTES,
    *runs.ROUTES,
)


#: Used when the stand-in has no git repository: the commit that added every file.
_ONLY = "e" * 40


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
        login: str = DEFAULT_LOGIN,
        fault: Callable[[str, str], Fault | None] | None = None,
        checks: bool = True,
        find_head: Callable[[str], str | None] = lambda _branch: None,
        find_change: Callable[[str, str], str | None] = lambda _rev, _path: _ONLY,
    ) -> None:
        self.state = state
        self._find_head = find_head  # branch → its commit now: a workflow may have pushed
        self.find_change = find_change  # revision, path → the newest commit that changed it
        self.login = login
        self.requests: list[tuple[str, str]] = []
        self.fault = fault or (lambda _method, _path: None)
        self._lock = threading.Lock()
        self._routes = [*_ROUTES, *(check_runs.ROUTES if checks else ())]

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request, or fail it when the test's `fault` says so."""
        request = Request(environ)
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
        refusal = answer_json({"message": fault.message}, fault.status)
        refusal.headers.extend(fault.headers)
        return refusal(environ, start)

    def _answer(self, request: Request) -> Response:
        call = Call(
            request=request,
            state=self.state,
            login=self.login,
            find_head=self._find_head,
            find_change=self.find_change,
        )
        prefix = re.escape(f"/repos/{self.state.repository}")
        with self._lock:
            for method, pattern, handler in self._routes:
                match = re.fullmatch(pattern.replace("REPO", prefix), request.path)
                if match and method == request.method:
                    return handler(call, *match.groups())
        return answer_missing()
