"""The client and the stand-in API against GitHub's official OpenAPI description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from github_api import DESCRIPTION, CheckedSession, Checker, load_queries
from openapi_core.exceptions import OpenAPIError
from openapi_schema_validator import OAS30Validator
from trust.archives import CONTENT, GOOD, NAME

from mlgitops.github.artifacts import fetch_member
from mlgitops.github.checks import Annotation, Check, RunIdentity, post_check
from mlgitops.github.client import GitHubClient
from mlgitops.github.comment import CommentPoster, Outcome, fetch_login
from mlgitops.github.event import Run
from mlgitops.github.fork import fetch_fork_event, parse_fork_run
from mlgitops.github.issues import keep_issue
from mlgitops.github.marker import Marker, render_marker
from mlgitops.github.newer_policy import fetch_last_change
from mlgitops.github.pull_requests import open_pull_request
from mlgitops.github.rejudge import Outcome as Started
from mlgitops.github.rejudge import Rejudger, Trigger
from mlgitops.github.reviews import fetch_request
from mlgitops.github.waiver import fetch_waiving
from mlgitops.model import WAIVER_LABEL
from mlgitops.rehearsal.forge import (
    Artifact,
    Comment,
    Fault,
    Forge,
    Job,
    Pull,
    Server,
    State,
    WorkflowRun,
)
from mlgitops.rehearsal.forks import build_run_event, pack_artifacts
from mlgitops.rehearsal.repository import Change

if TYPE_CHECKING:
    from pathlib import Path

BASE, HEAD = "b" * 40, "a" * 40
REPOSITORY = "octo/model"
#: Sent by a person with the README's command: tests/contract/test_rulesets.py.
BY_HAND = {("POST", "/repos/[^/]+/[^/]+/rulesets")}


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
        run=RunIdentity(key="model", order=(1, 1), poster=(7, 1)),
        conclusion="failure",
        title="Must not merge",
        summary="**no**",
        details_url="https://example.org/runs/1",
        annotations=(one,) * annotations,
    )


def make_body(run: int = 1, text: str = "verdict") -> str:
    """Make a comment's text, with its marker."""
    return f"{render_marker(Marker(key='model', sha=HEAD, run=(run, 1)))}\n{text}"


def waive_and_rejudge(forge: Forge, client: GitHubClient) -> None:
    """Waive what fails, with everything that the API may be asked on the way."""
    pull = forge.state.pulls[1]
    pull.turns = ["2025-12-31T00:00:00Z"]
    pull.labels, pull.head = [WAIVER_LABEL], (pull.head[0], BASE)
    pull.commits = [
        (HEAD, "Change"),
        (BASE, f"Record what was trained at x\n\nWaived-sha: {HEAD}\n"),
    ]
    forge.state.permissions["writer"] = "maintain"
    forge.state.comments.append(Comment(6000, 1, "writer", f"{WAIVER_LABEL} {HEAD} needed"))
    found = fetch_waiving(client, REPOSITORY, 1, HEAD, verdict="fail")
    assert found.waiver is not None
    jobs = [Job(id=5, name="Publish"), Job(id=6, name="Report", conclusion="failure")]
    run = WorkflowRun(id=3, number=3, head=("more-trees", HEAD), pulls=[1], jobs=jobs)
    forge.state.workflow_runs.append(run)
    lost = [Fault(after=True)]
    forge.fault = lambda method, path: (
        lost.pop() if lost and method == "POST" and path.endswith("/rerun") else None
    )
    trigger = Trigger(number=1, action="unlabeled")
    jobs_that_judge = ("Publish", "Report")
    rejudger = Rejudger(client, REPOSITORY, trigger, workflow=run.path, jobs=jobs_that_judge)
    done = rejudger.start()
    assert done.outcome is Started.STARTED
    assert forge.state.reruns == [5]


def open_and_keep(checker: Checker) -> None:
    """Open a pull request and an issue, bring them up to date, and close the issue."""
    tips = {"main": BASE, "promote/production/v1.0.0": HEAD}
    forge = Forge(State(repository=REPOSITORY), find_head=tips.get)
    with Server(forge) as server, CheckedSession(checker) as session:
        client = GitHubClient(session, server.url, token="t" * 20, sleep=lambda _: None)
        for text in ("as proposed", "measured"):
            number = open_pull_request(
                *(client, REPOSITORY),
                branch="promote/production/v1.0.0",
                base="main",
                title="Promote",
                body=text,
            )
            assert number == 1
        forge.state.pulls[1].reviews.append(("octocat", "APPROVED", HEAD))
        assert [item.login for item in fetch_request(client, REPOSITORY, 1).approvals] == [
            "octocat"
        ]
        for open_ in (True, False, True):
            kept = keep_issue(
                client, REPOSITORY, marker="x", title="Trouble", body=str(open_), open_=open_
            )
            assert kept == 2


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
        assert fetch_last_change(client, REPOSITORY, "main", "policy.yaml") == "e" * 40
        forge.state.artifacts.append(Artifact(id=9, run_id=7, name="r", data=GOOD))
        options = {"artifact": "r", "member": NAME}
        assert fetch_member(client, REPOSITORY, 7, limit=99, **options) == CONTENT
        waive_and_rejudge(forge, client)
    with Server(make_forge(checks=False)) as server, CheckedSession(checker) as session:
        client = GitHubClient(session, server.url, token="t" * 20, sleep=lambda _: None)
        post_check(client, REPOSITORY, make_check())
    open_and_keep(checker)
    described = {(method, pattern.pattern) for method, pattern, _ in load_queries()}
    assert checker.seen | BY_HAND == described


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
        ("POST", "actions/jobs/5/rerun", {}, {"enable_debug_logging": "no"}),
        ("GET", "actions/workflows/pull-request.yml/runs", {"head": HEAD}, None),
        ("POST", "pulls", {}, {"title": "x", "from": "a", "base": "b"}),
        ("PATCH", "pulls/1", {}, {"state": "shut"}),
        ("GET", "pulls", {"branch": "a"}, None),
        ("POST", "issues", {}, {"body": "x"}),
        ("PATCH", "issues/1", {}, {"state_reason": "bored"}),
        ("GET", "issues", {"author": "me"}, None),
        ("GET", "actions/runs/3/jobs", {"filter": "newest"}, None),
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


def make_fork_event() -> dict[str, object]:
    """Make the event that starts the second half for a fork's pull request."""
    change = Change(base=("main", BASE), head=("trees", HEAD), title="", body="", fork="x/model")
    return build_run_event(
        *("http://127.0.0.1:1", REPOSITORY, change, 7),
        name="Pull request",
        path=".github/workflows/pull-request.yml",
        conclusion="success",
    )


def find_event_mistakes(event: dict[str, object]) -> list[str]:
    """Return what GitHub's description of the `workflow_run` event has against ``event``."""
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    reference = {"$ref": "#/components/schemas/webhook-workflow-run-completed"}
    schema = {**reference, "components": document["components"]}
    return [error.message for error in OAS30Validator(schema).iter_errors(event)]


def test_the_event_of_the_second_half_is_as_github_describes_it() -> None:
    """The whole payload fits, and one without the run's commit would not."""
    event = make_fork_event()
    assert find_event_mistakes(event) == []
    del event["workflow_run"]["head_sha"]  # type: ignore[attr-defined]
    assert find_event_mistakes(event) == ["'head_sha' is a required property"]


def test_what_the_second_half_asks_for_is_answered_as_github_describes_it(tmp_path: Path) -> None:
    """The fork's pull request by its head, and the artifacts as the first half packed them."""
    (tmp_path / "mlgitops-report").mkdir()
    (tmp_path / "mlgitops-report" / NAME).write_bytes(CONTENT)
    forge = make_forge()
    forge.state.artifacts = pack_artifacts(tmp_path, 7)
    forge.state.pulls[2] = Pull(
        number=2, base=("main", BASE), head=("trees", HEAD), title="Trees", fork="x/model"
    )
    event = json.dumps(make_fork_event()).encode()
    with Server(forge) as server, CheckedSession() as session:
        client = GitHubClient(session, server.url, token="t" * 20, sleep=lambda _: None)
        run = Run(
            repository=REPOSITORY,
            server_url=server.url,
            api_url=server.url,
            graphql_url=None,
            run_id=8,
            run_number=8,
            run_attempt=1,
        )
        fork = parse_fork_run(event, run, workflow=".github/workflows/pull-request.yml")
        found = fetch_fork_event(client, fork)
        assert (found.number, found.head_repository) == (2, "x/model")
        options = {"artifact": "mlgitops-report", "member": NAME}
        assert fetch_member(client, REPOSITORY, fork.compared.id, limit=99, **options) == CONTENT


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
    with pytest.raises(OpenAPIError, match="'node_id' is a required property"):
        checker.check_answer(request, answer)


def test_the_slice_says_where_it_is_from() -> None:
    """The vendored description names its source, and its licence stands beside it."""
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    assert "@octokit/openapi 23.0.2" in document["info"]["title"]
    assert "MIT" in DESCRIPTION.with_suffix(".LICENSE").read_text("utf-8")
