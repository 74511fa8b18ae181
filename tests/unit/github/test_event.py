"""Event and environment to one value; whatever is odd is refused with its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.github.event import find_guide, find_heads, parse_event, parse_run, read_event

if TYPE_CHECKING:
    from pathlib import Path

BASE, HEAD = "b" * 40, "a" * 40
ENVIRON = {
    "GITHUB_REPOSITORY": "octo/model",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_API_URL": "https://github.example/api/v3",
    "GITHUB_GRAPHQL_URL": "https://github.example/api/graphql",
    "GITHUB_RUN_ID": "4242",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_RUN_ATTEMPT": "2",
}
PULL: dict[str, Any] = {
    "number": 12,
    "base": {"ref": "main", "sha": BASE, "repo": {"full_name": "octo/model"}},
    "head": {"ref": "x", "sha": HEAD, "repo": {"full_name": "octo/model"}},
}


def encode(**payload: object) -> bytes:
    """Encode a payload."""
    return json.dumps(payload).encode()


def test_a_pull_request_names_its_number_commits_and_pages() -> None:
    """Addresses come from the environment: no host is fixed."""
    home = {"default_branch": "trunk"}
    payload = encode(action="opened", pull_request=PULL, repository=home)
    event = parse_event(payload, parse_run(ENVIRON))
    assert (event.base_branch, event.default_branch) == ("main", "trunk")
    assert (event.number, event.base_sha, event.head_sha) == (12, BASE, HEAD)
    assert not event.from_fork
    assert event.run.run_url == "https://github.example/octo/model/actions/runs/4242/attempts/2"
    assert event.run.repository_url == "https://github.example/octo/model"
    assert (event.run.run_number, event.run.run_attempt) == (7, 2)


_OURS = "src/mlgitops/github/event.py"


@pytest.mark.parametrize(
    ("module", "guide"),
    [
        (f"/home/runner/work/_actions/acme/mlgitops/v2.0/{_OURS}", "acme/mlgitops/blob/v2.0"),
        (f"/r/_actions/acme/ml.git_ops/{HEAD}/{_OURS}", f"acme/ml.git_ops/blob/{HEAD}"),
        (f"/home/runner/work/mlgitops/mlgitops/{_OURS}", None),  # of the repository that runs
        (f"/r/_actions/acme/mlgitops/a b/{_OURS}", None),
        (f"/r/_actions/acme/[x](y)/v2/{_OURS}", None),
        (f"/venv/lib/python3.12/site-packages/{_OURS.removeprefix('src/')}", None),
    ],
)
def test_the_guide_is_that_of_the_action_that_runs(module: str, guide: str | None) -> None:
    """By where a runner puts an action's checkout; elsewhere there is no link."""
    page = f"https://github.example/{guide}/docs/how-to/read-a-verdict.md" if guide else None
    assert find_guide("https://github.example", module) == page
    links = parse_run(ENVIRON).links
    assert links.guide_url is None  # a test runs no action
    assert links.repository_url == "https://github.example/octo/model"


@pytest.mark.parametrize("repository", [{"full_name": "stranger/model"}, None])
def test_a_fork_is_recognised_even_when_it_was_deleted(repository: object) -> None:
    """A head repository that is another, or null, is a fork's."""
    pull = {**PULL, "head": {**PULL["head"], "repo": repository}}
    event = parse_event(encode(pull_request=pull), parse_run(ENVIRON))
    assert event.from_fork


def test_a_merge_group_has_commits_and_no_number() -> None:
    """A merge queue's group gets a check and no comment."""
    group = {"base_sha": BASE, "head_sha": HEAD, "head_ref": "refs/heads/gh-readonly-queue/x"}
    group["base_ref"] = "refs/heads/release/1"
    event = parse_event(encode(merge_group=group), parse_run(ENVIRON))
    assert event.base_branch == "release/1"
    assert (event.number, event.head_sha, event.from_fork) == (None, HEAD, False)


NOT_SENT = "the event is not what GitHub sends: "
NO_SHA = "\\.pull_request\\.head\\.sha`"
NEITHER = "the event names neither a pull request nor a merge group"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "got `array`"),
        (b"null", "got `null`"),
        (b"\xff", "invalid character"),
        (b"{", "truncated"),
        (b"[" * 100_000, "got `array`"),
        (encode(pull_request={**PULL, "number": "12"}), "got `str` - at `\\$.pull_request.number`"),
        (
            encode(pull_request={**PULL, "number": True}),
            "got `bool` - at `\\$.pull_request.number`",
        ),
        (encode(pull_request={**PULL, "number": 0}), "Expected `int` >= 1"),
        (encode(pull_request={**PULL, "number": -1}), "Expected `int` >= 1"),
        (encode(pull_request={**PULL, "number": 1.5}), "got `float`"),
        (encode(pull_request={**PULL, "number": 2**70}), "Expected `int` <= 9007199254740991"),
        (encode(pull_request={**PULL, "base": None}), "got `null` - at `\\$.pull_request.base`"),
        (encode(pull_request={**PULL, "head": {"sha": "HEAD"}}), NO_SHA),
        (encode(pull_request={**PULL, "head": {"sha": HEAD + "\n"}}), NO_SHA),
        (encode(pull_request={**PULL, "head": {"sha": HEAD.upper()}}), NO_SHA),
        (encode(pull_request={**PULL, "head": {"sha": "../" + HEAD}}), NO_SHA),
        (encode(merge_group={"base_sha": BASE}), "missing required field `head_sha`"),
    ],
)
def test_a_payload_that_github_does_not_send_is_refused(payload: bytes, reason: str) -> None:
    """One clear error, whatever the bytes."""
    with pytest.raises(MlgitopsError, match=f"{NOT_SENT}.*{reason}"):
        parse_event(payload, parse_run(ENVIRON))


@pytest.mark.parametrize("payload", [encode(), encode(push={}), encode(pull_request=None)])
def test_an_event_of_another_kind_is_refused(payload: bytes) -> None:
    """What is neither a pull request nor a merge group is nothing to judge."""
    with pytest.raises(MlgitopsError, match=NEITHER):
        parse_event(payload, parse_run(ENVIRON))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_an_error(payload: bytes) -> None:
    """Nothing else than our own error leaves the parser."""
    with pytest.raises(MlgitopsError, match=f"{NOT_SENT}|{NEITHER}"):
        parse_event(payload, parse_run(ENVIRON))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", ""),
        ("GITHUB_REPOSITORY", "octo"),
        ("GITHUB_REPOSITORY", "octo/model/../../x"),
        ("GITHUB_REPOSITORY", "octo/mo del"),
        ("GITHUB_API_URL", "file:///etc"),
        ("GITHUB_API_URL", ""),
        ("GITHUB_SERVER_URL", "javascript:alert(1)"),
        ("GITHUB_RUN_ID", "1; rm"),
        ("GITHUB_RUN_ID", "٣"),
        ("GITHUB_RUN_NUMBER", "-1"),
        ("GITHUB_RUN_ATTEMPT", "9" * 30),
        ("GITHUB_SHA", "main"),
    ],
)
def test_an_odd_environment_is_refused_by_name(name: str, value: str) -> None:
    """The message says which variable, and where such variables come from."""
    field = name.removeprefix("GITHUB_").lower().replace("sha", "workflow_sha")
    with pytest.raises(MlgitopsError, match=f"- at `\\$\\.{field}`") as caught:
        parse_run({**ENVIRON, name: value})
    assert "mlgitops rehearse" in str(caught.value)


def test_a_missing_or_huge_event_file_is_refused(tmp_path: Path) -> None:
    """The file is read up to GitHub's own limit and no further."""
    with pytest.raises(MlgitopsError, match="cannot read"):
        read_event(tmp_path / "none.json", ENVIRON)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(26_000_000)
    with pytest.raises(MlgitopsError, match="is over"):
        read_event(huge, ENVIRON)


@pytest.mark.parametrize("published", ["main", HEAD[:12], HEAD + "\n", "--all", HEAD.upper()])
def test_a_published_commit_is_named_in_full(published: str) -> None:
    """What another job says it made is a commit, or nothing carries the verdict."""
    event = parse_event(encode(pull_request=PULL), parse_run(ENVIRON))
    assert find_heads(event, BASE) == (BASE, HEAD)
    with pytest.raises(MlgitopsError, match="--results-commit: not a commit: "):
        find_heads(event, published)
