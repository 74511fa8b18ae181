"""The client and the stand-in API against GitHub's official OpenAPI description."""

from __future__ import annotations

import json

import pytest
import requests
from github_api import DESCRIPTION, CheckedSession, Checker, load_queries
from openapi_core.exceptions import OpenAPIError
from trust.archives import CONTENT, GOOD, NAME

from mlgitops.github.artifacts import fetch_member
from mlgitops.github.checks import Annotation, Check, post_check
from mlgitops.github.client import GitHubClient
from mlgitops.github.comment import CommentPoster, Outcome, fetch_login
from mlgitops.github.marker import Marker, render_marker
from mlgitops.rehearsal.forge import Artifact, Comment, Fault, Forge, Pull, Server, State

BASE, HEAD = "b" * 40, "a" * 40
REPOSITORY = "octo/model"


def make_forge(login: str = "github-actions[bot]", *, checks: bool = True) -> Forge:
    """Make a forge with one open pull request."""
    pull = Pull(number=1, base=("main", BASE), head=("more-trees", HEAD), title="More trees")
    return Forge(State(repository=REPOSITORY, pulls={1: pull}), login=login, checks=checks)


def make_check(*, annotations: int = 0) -> Check:
    """Make a failing check."""
    one = Annotation(
        path="policy.yaml",
        start_line=3,
        end_line=3,
        annotation_level="failure",
        title="test.roc_auc",
        message="lost 0.1",
    )
    return Check(
        name="mlgitops / model",
        head_sha=HEAD,
        run="model:1:1",
        conclusion="failure",
        title="Must not merge",
        summary="**no**",
        details_url="https://example.org/runs/1",
        annotations=(one,) * annotations,
    )


def make_body(run: int = 1, text: str = "verdict") -> str:
    """Make a comment's text, with its marker."""
    return f"{render_marker(Marker(key='model', sha=HEAD, run=(run, 1)))}\n{text}"


def test_every_operation_of_the_slice_is_exercised_and_conforms() -> None:
    """Whatever the client can send, and the forge answer, is as GitHub describes it."""
    checker = Checker()
    forge = make_forge("octocat")
    with Server(forge) as server, CheckedSession(checker) as session:
        client = GitHubClient(session, server.url, token="t" * 20, sleep=lambda _: None)
        poster = CommentPoster(
            client, repository=REPOSITORY, number=1, login=fetch_login(client, None)
        )
        assert poster.post(make_body(1)).outcome is Outcome.CREATED
        assert poster.post(make_body(2)).outcome is Outcome.UPDATED
        forge.state.comments.append(Comment(5000, 1, "octocat", make_body(2)))
        assert poster.post(make_body(3)).outcome is Outcome.UPDATED
        list(client.fetch_pages(f"/repos/{REPOSITORY}/pulls", {"state": "open", "head": "x:y"}))
        post_check(client, REPOSITORY, make_check(annotations=51))
        lost = [Fault(after=True)]
        forge.fault = lambda method, path: (
            lost.pop() if lost and method == "POST" and path.endswith("check-runs") else None
        )
        post_check(client, REPOSITORY, make_check())
        forge.state.artifacts.append(Artifact(id=9, run_id=7, name="r", data=GOOD))
        options = {"artifact": "r", "member": NAME}
        assert fetch_member(client, REPOSITORY, 7, limit=99, **options) == CONTENT
    with Server(make_forge(checks=False)) as server, CheckedSession(checker) as session:
        client = GitHubClient(session, server.url, token="t" * 20, sleep=lambda _: None)
        post_check(client, REPOSITORY, make_check())
    assert checker.seen == {(method, pattern.pattern) for method, pattern, _ in load_queries()}


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "issues/1/comments", {}, {"text": "x"}),
        ("POST", "issues/1/comments", {}, {"body": 1}),
        ("POST", "issue/1/comments", {}, {"body": "x"}),
        ("GET", "issues/1/comments", {"per_page": "many"}, None),
        ("GET", "issues/1/comments", {"sort": "created"}, None),
        ("POST", "check-runs", {}, {"name": "x"}),
        ("POST", "check-runs", {}, {"name": "x", "head_sha": HEAD, "conclusion": "green"}),
        ("POST", f"statuses/{HEAD}", {}, {"state": "red"}),
    ],
)
def test_a_request_that_github_would_not_understand_is_refused(
    method: str, path: str, query: dict[str, str], body: dict[str, object] | None
) -> None:
    """The check itself can fail: each wrong request is caught before it is sent."""
    request = requests.Request(
        method, f"https://api.github.com/repos/{REPOSITORY}/{path}", params=query, json=body
    ).prepare()
    with pytest.raises((OpenAPIError, AssertionError)):
        Checker().check_request(request)


def test_an_answer_with_a_missing_field_is_refused() -> None:
    """The check itself can fail: a comment without its author is not GitHub's."""
    checker = Checker()
    request = checker.check_request(
        requests.Request(
            "GET", f"https://api.github.com/repos/{REPOSITORY}/issues/1/comments"
        ).prepare()
    )
    answer = requests.Response()
    answer.status_code = 200
    answer.headers["Content-Type"] = "application/json"
    answer._content = json.dumps([{"id": 1, "body": "x"}]).encode()
    with pytest.raises(OpenAPIError):
        checker.check_answer(request, answer)


def test_the_slice_says_where_it_is_from() -> None:
    """The vendored description names its source, and its licence stands beside it."""
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    assert "@octokit/openapi 23.0.2" in document["info"]["title"]
    assert "MIT" in DESCRIPTION.with_suffix(".LICENSE").read_text("utf-8")
