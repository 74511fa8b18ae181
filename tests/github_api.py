"""A session that holds every request and every answer against GitHub's own description.

Used by all tests that post: whatever the client can send and the forge can answer in a test
has passed through here. The description lacks some things, which are checked beside it:
unknown query parameters, the length of a comment, and refusals that it does not list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

HOST = "https://api.github.com"
DESCRIPTION = Path(__file__).parent / "contract" / "github-openapi.json"
#: Answers that GitHub gives to any request and does not list for each.
REFUSALS = {401, 403, 404, 410, 422, 429, 500, 502, 503, 504}
MAX_COMMENT_BYTES = 262_144


@cache
def load_description() -> Any:  # noqa: ANN401
    """Load the vendored slice, once."""
    return OpenAPI.from_file_path(str(DESCRIPTION))


@cache
def load_queries() -> list[tuple[str, re.Pattern[str], frozenset[str]]]:
    """Return method, path pattern and declared query parameters of every operation."""
    import json

    document = json.loads(DESCRIPTION.read_text("utf-8"))
    found = []
    for path, methods in document["paths"].items():
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))
        for method, operation in methods.items():
            parameters = [resolve(document, one) for one in operation.get("parameters", [])]
            names = frozenset(one["name"] for one in parameters if one["in"] == "query")
            found.append((method.upper(), pattern, names))
    return found


def resolve(document: Any, node: Any) -> Any:  # noqa: ANN401
    """Follow a reference within the document."""
    if "$ref" not in node:
        return node
    for part in node["$ref"].removeprefix("#/").split("/"):
        document = document[part]
    return document


@dataclass
class CheckedRequest:
    """A request as openapi-core wants it."""

    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class CheckedResponse:
    """An answer as openapi-core wants it."""

    data: bytes | None
    status_code: int
    content_type: str
    headers: Headers


@dataclass
class Checker:
    """Checks pairs of request and answer; remembers which operations it saw."""

    seen: set[tuple[str, str]] = field(default_factory=set)

    def check_request(self, request: requests.PreparedRequest) -> CheckedRequest:
        """Refuse a request that GitHub's description does not allow."""
        parts = urlsplit(str(request.url))
        query = parse_qsl(parts.query)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        checked = CheckedRequest(
            method=str(request.method).lower(),
            path=parts.path,
            parameters=RequestParameters(
                query=ImmutableMultiDict(query), header=Headers(dict(request.headers))
            ),
            body=body,
            content_type=str(request.headers.get("Content-Type", "")),
        )
        load_description().validate_request(checked)
        self._check_query(str(request.method), parts.path, {name for name, _ in query})
        return checked

    def check_answer(self, request: CheckedRequest, answer: requests.Response) -> None:
        """Refuse an answer that GitHub's description does not allow."""
        if answer.status_code in REFUSALS:
            return
        response = CheckedResponse(
            data=answer.content or None,
            status_code=answer.status_code,
            content_type=answer.headers.get("Content-Type", ""),
            headers=Headers(dict(answer.headers)),
        )
        load_description().validate_response(request, response)

    def _check_query(self, method: str, path: str, names: set[str]) -> None:
        for known, pattern, declared in load_queries():
            if known == method and pattern.fullmatch(path):
                assert names <= declared, f"{method} {path}: unknown query {names - declared}"
                self.seen.add((method, pattern.pattern))
                return
        raise AssertionError(f"no such operation: {method} {path}")


class CheckedSession(requests.Session):
    """A session whose every exchange is checked; GraphQL and storage stand outside of it."""

    def __init__(self, checker: Checker | None = None) -> None:
        super().__init__()
        self.trust_env = False  # no proxy between a test and its own server
        self.checker = checker or Checker()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401
        """Check the request, send it, check the answer."""
        if urlsplit(str(request.url)).path.startswith(("/graphql", "/downloads/")):
            return super().send(request, **options)
        checked = self.checker.check_request(request)
        answer = super().send(request, **options)
        self.checker.check_answer(checked, answer)
        return answer
