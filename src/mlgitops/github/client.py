"""Speak to the GitHub API: one request at a time, paged to the end, retried with care.

Network only; what to post is decided elsewhere. The session is handed in, so a test can
count and fail requests, and nothing but the session ever holds the token.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Still the default, supported for 24 months after its successor of 2026-03-10:
#: https://docs.github.com/en/rest/about-the-rest-api/api-versions
API_VERSION = "2022-11-28"
#: Seconds of waiting that one command may spend on retries, in all.
MAX_WAITING = 120.0
#: Without `retry-after`, GitHub asks for at least a minute:
#: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
SECONDARY_LIMIT_WAIT = 60.0
MAX_TRIES = 6
MAX_PAGES = 1_000
_TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds between two bytes
_MESSAGE_CHARACTERS = 300
_PER_PAGE = 100

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY = 401, 403, 404, 410, 429
_SERVER_ERROR = 500

_Answer = TypeVar("_Answer")

#: What a request of ours needs, by the last fixed part of its path.
_SCOPES = {
    "comments": "pull-requests: write",
    "pulls": "pull-requests: write",
    "actions": "actions: write",
    "check-runs": "checks: write",
    "statuses": "statuses: write",
    "commits": "contents: read",
    "issues": "issues: write",
}
#: Read only to be written: a job that may do one without the other is of no use.
_NEVER_ONLY_READ = ("checks: write", "statuses: write")


class GitHubError(MlgitopsError):
    """The API refused, or did not answer; ``status`` is None when there was no answer."""

    def __init__(
        self,
        problem: str,
        *,
        status: int | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.status = status


class NotFoundError(GitHubError):
    """404 or 410: the thing is gone, or this server has no such endpoint."""


class LostAnswerError(GitHubError):
    """A write may or may not have been carried out: look before you repeat it."""


class _RefusedError(Exception):
    """The server answered, and it is not what was asked for."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@contextmanager
def open_client(api_url: str, *, token: str | None) -> Iterator[GitHubClient]:
    """Open the API at ``api_url``: one session, and so one connection, for all of a command."""
    with requests.Session() as session:
        yield GitHubClient(session, api_url, token=token)


@contextmanager
def open_repository(
    environ: Mapping[str, str], *, purpose: str
) -> Iterator[tuple[GitHubClient, str]]:
    """Open the API of the repository that the variables name; hand out client and OWNER/NAME.

    ``purpose`` is what the token must be allowed, for the message that there is none.
    """
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    repository = environ.get("GITHUB_REPOSITORY")
    if not token or not repository:
        hint = f"set GITHUB_TOKEN, which may {purpose}, and GITHUB_REPOSITORY to OWNER/NAME"
        raise MlgitopsError("GitHub cannot be asked: no token, or no repository", hint=hint)
    api = environ.get("GITHUB_API_URL") or "https://api.github.com"
    with open_client(api, token=token) as client:
        yield client, repository


class GitHubClient:
    """One repository's API, for as long as one command runs.

    ``sleep`` takes seconds; ``now`` returns seconds since the epoch. ``random_`` gives
    jitter in [0, 1).
    """

    def __init__(
        self,
        session: requests.Session,
        api_url: str,
        *,
        token: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        random_: Callable[[], float] = random.random,
    ) -> None:
        self._session = session
        self._api_url = api_url.rstrip("/")
        self._headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": "mlgitops",
        }
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._now = now
        self._random = random_
        self._sleep = sleep
        self._waited = 0.0

    def fetch(self, path: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
        """Fetch one object."""
        return _decode(self._send("GET", f"{self._api_url}{path}", params=params))

    def fetch_pages(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Fetch every page of a list, in the server's order; yields the decoded pages.

        Follows `Link: rel="next"` to the end, on the same host only. An error is raised,
        never taken for the end of the list.
        """
        url: str | None = f"{self._api_url}{path}"
        query: Mapping[str, str] | None = {**(params or {}), "per_page": str(_PER_PAGE)}
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= MAX_PAGES:
                raise GitHubError("the list of pages does not end", where=_place("GET", url))
            seen.add(url)
            response = self._send("GET", url, params=query)
            yield _decode(response)
            url, query = self._find_next(response), None

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401
        """Create something. Raises :class:`LostAnswerError` rather than repeat it blindly."""
        answer = self._send("POST", f"{self._api_url}{path}", body=body)
        return _decode(answer) if answer.content else None

    def patch(self, path: str, body: Mapping[str, object], *, repeatable: bool = True) -> Any:  # noqa: ANN401
        """Set fields of something; ``repeatable`` says that an older value does no harm."""
        url = f"{self._api_url}{path}"
        answer = self._send("PATCH", url, body=body, repeatable=repeatable)
        return _decode(answer) if answer.content else None

    def delete(self, path: str) -> None:
        """Delete something; already gone is fine."""
        try:
            self._send("DELETE", f"{self._api_url}{path}")
        except NotFoundError:
            return

    def download(self, path: str, *, limit: int) -> bytes:
        """Download what ``path`` leads to, at most ``limit`` bytes.

        GitHub answers with the address of another host, signed and short-lived; the token is
        not sent there. Raises :class:`GitHubError` when it is larger, or anything fails.
        """
        url, request_line = f"{self._api_url}{path}", _place("GET", path)

        def ask() -> bytes:
            answer = self._session.get(
                url, headers=self._headers, timeout=_TIMEOUT, allow_redirects=False
            )
            if not answer.is_redirect:
                raise _RefusedError(answer)
            return self._download_from(answer.headers["location"], request_line, limit)

        return self._repeat(ask, "GET", request_line, repeatable=True)

    def _download_from(self, url: str, request_line: str, limit: int) -> bytes:
        """Read a signed address, without our token, in pieces."""
        secure = urlsplit(url).scheme == "https"
        if not secure and urlsplit(url)[:2] != urlsplit(self._api_url)[:2]:
            raise GitHubError("the download is not encrypted; not followed", where=request_line)
        data = b""
        with self._session.get(
            url, headers={"User-Agent": "mlgitops"}, timeout=_TIMEOUT, stream=True,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            if not answer.ok or answer.is_redirect:
                raise requests.RequestException(f"{answer.status_code} for the download")
            for piece in answer.iter_content(2**16):
                data += piece
                if len(data) > limit:
                    raise GitHubError(f"the download has over {limit} bytes", where=request_line)
        return data

    def query(self, url: str, text: str) -> Any:  # noqa: ANN401
        """Ask the GraphQL endpoint at ``url``: a read, so it is repeated like one."""
        return _decode(self._send("POST", url, body={"query": text}, repeatable=True))

    def pause(self, low: float, high: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Wait between ``low`` and ``high`` seconds, so that two runs do not march in step.

        What ``meanwhile`` does is part of that time.
        """
        wait = low + (high - low) * self._random()
        if meanwhile is not None:
            start = self._now()
            meanwhile()
            wait -= min(max(self._now() - start, 0.0), wait)  # a clock may be set
        self._sleep(wait)

    def _send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        repeatable: bool | None = None,
    ) -> requests.Response:
        repeatable = method != "POST" if repeatable is None else repeatable

        def ask() -> requests.Response:
            response = self._request(method, url, params, body)
            if not response.ok or response.is_redirect:
                raise _RefusedError(response)
            return response

        return self._repeat(ask, method, _place(method, url), repeatable=repeatable)

    def _repeat(
        self, ask: Callable[[], _Answer], method: str, request_line: str, *, repeatable: bool
    ) -> _Answer:
        """Return what ``ask`` returns, once it does; the one loop in which requests are repeated.

        What it raises, :class:`_RefusedError` or requests' own errors, is waited out as GitHub
        asks for, within what is left of :data:`MAX_WAITING`. No library's loop knows that budget
        and GitHub's limits, and what must not be repeated blindly.
        """
        for attempt in range(1, MAX_TRIES + 1):
            wait: float | None
            try:
                return ask()
            except _RefusedError as refusal:
                problem = _explain(refusal.response, method, request_line)
                wait = self._find_wait(refusal.response, attempt)
            except requests.RequestException as error:
                problem = GitHubError(f"no answer: {_cause(error)}", where=request_line)
                wait = self._backoff(attempt)
            if wait is None:
                raise problem
            lost = problem.status is None or problem.status >= _SERVER_ERROR
            if lost and not repeatable:
                raise LostAnswerError(problem.what, status=problem.status, where=request_line)
            if attempt == MAX_TRIES or self._waited + wait > MAX_WAITING:
                raise problem
            self._waited += wait
            self._sleep(wait)
            if not repeatable:  # it was not done, but much may have happened meanwhile
                raise LostAnswerError(problem.what, status=problem.status, where=request_line)
        raise AssertionError("the loop above returns or raises")

    def _request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
    ) -> requests.Response:
        response = self._session.request(
            method,
            url,
            params=params,
            json=body,
            headers=self._headers,
            timeout=_TIMEOUT,
            allow_redirects=False,  # a redirect could carry the token elsewhere
        )
        if response.ok and response.content:
            response.json()  # a cut answer raises here, where it is retried
        return response

    def _backoff(self, attempt: int) -> float:
        return float(2 ** (attempt - 1)) * (0.5 + 0.5 * self._random())

    def _find_wait(self, response: requests.Response, attempt: int) -> float | None:
        """Seconds until this refusal may be different; None when waiting does not help."""
        if response.status_code >= _SERVER_ERROR:
            return self._backoff(attempt)
        if response.status_code not in (_FORBIDDEN, _TOO_MANY):
            return None
        after = response.headers.get("retry-after", "")
        if after.isdigit():
            return float(after)
        if response.headers.get("x-ratelimit-remaining") == "0":
            reset = response.headers.get("x-ratelimit-reset", "")
            return max(float(reset) - self._now(), 0) + 1 if reset.isdigit() else None
        limited = response.status_code == _TOO_MANY or "rate limit" in _message(response).lower()
        return SECONDARY_LIMIT_WAIT * attempt if limited else None

    def _find_next(self, response: requests.Response) -> str | None:
        url = response.links.get("next", {}).get("url")
        if url is None:
            return None
        if urlsplit(url)[:2] != urlsplit(self._api_url)[:2]:
            raise GitHubError(
                "the next page stands on another host; not followed", where=_place("GET", url)
            )
        return str(url)


def _decode(response: requests.Response) -> Any:  # noqa: ANN401
    """Return what an answer says; one that says nothing is an error, not an empty list."""
    try:
        return response.json()
    except ValueError as error:
        request_line = _place(str(response.request.method), str(response.url))
        raise GitHubError(
            f"{response.status_code} and no JSON", status=response.status_code, where=request_line
        ) from error


def _explain(response: requests.Response, method: str, request_line: str) -> GitHubError:
    """Turn a refusal into what happened and what to do."""
    status, message = response.status_code, _message(response)
    problem = f"{status} {message}".rstrip()
    if status in (_NOT_FOUND, _GONE):
        return NotFoundError(problem, status=status, where=request_line)
    if status == _UNAUTHORIZED:
        hint = "the token is missing, expired or mistyped; pass `github.token` to the action"
        return GitHubError(problem, status=status, where=request_line, hint=hint)
    if status == _FORBIDDEN:
        hint = _permission_hint(method, request_line, response.headers)
        return GitHubError(problem, status=status, where=request_line, hint=hint)
    return GitHubError(problem, status=status, where=request_line)


def _permission_hint(method: str, request_line: str, headers: Mapping[str, str]) -> str:
    needed = next((scope for part, scope in _SCOPES.items() if f"/{part}" in request_line), None)
    if needed is None:
        return "the token may not do this"
    reads = method == "GET" and needed not in _NEVER_ONLY_READ
    scope = needed.replace("write", "read") if reads else needed
    accepted = headers.get("x-accepted-github-permissions")
    server = f" (the server accepts: {accepted})" if accepted else ""
    return (
        f"the token lacks `{scope}`{server}; give the job\n"
        f"    permissions:\n      contents: read\n      {scope}\n"
        "  A pull request from a fork never gets it: read the job summary instead."
    )


def _message(response: requests.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return str(response.reason or "")
    text = answer.get("message") if isinstance(answer, dict) else None
    return text[:_MESSAGE_CHARACTERS] if isinstance(text, str) else ""


def _cause(error: requests.RequestException) -> str:
    kinds = {
        requests.Timeout: "timed out",
        requests.ConnectionError: "the connection broke",
        requests.exceptions.ChunkedEncodingError: "the answer was cut short",
        requests.JSONDecodeError: "the answer is not JSON",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), str(error))


def _place(method: str, url: str) -> str:
    return f"{method} {urlsplit(url).path}"
