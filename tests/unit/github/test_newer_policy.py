"""Whether the policy that judged is the one that its base branch has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from posting import BASE, HEAD, NEWER, REPOSITORY, connect, make_forge
from unit.github.test_decision import EVENT

from mlgitops.github.client import GitHubError
from mlgitops.github.newer_policy import fetch_last_change, find_newer_policy
from mlgitops.rehearsal.forge import Fault

if TYPE_CHECKING:
    from mlgitops.github.jobs import Obstacle

UNKNOWN = "Whether its policy is current is not known"


def ask(changes: dict[str, str | None], *, branch: str = "main") -> Obstacle | None:
    """Ask for the pull request into ``branch``; ``changes``: revision → its policy's commit."""
    forge = make_forge()
    forge.find_change = lambda rev, path: (
        changes.get(rev.removeprefix("refs/heads/")) if path == "m/policy.yaml" else None
    )
    with connect(forge) as client:
        event = replace(EVENT, base_branch=branch)
        return find_newer_policy(client, event, ["m/policy.yaml"])


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({BASE: HEAD, "main": HEAD}, None),
        ({BASE: HEAD, "main": NEWER}, "Judged by an older policy"),
        ({BASE: HEAD, "main": None}, "Judged by an older policy"),
        ({BASE: None, "main": None}, UNKNOWN),
        ({BASE: None, "main": NEWER}, UNKNOWN),
        ({BASE: HEAD, "main": "main"}, UNKNOWN),
    ],
)
def test_only_the_same_commit_is_no_obstacle(
    changes: dict[str, str | None], title: str | None
) -> None:
    """The policy was last changed by one commit at the base, and by that one on the branch."""
    found = ask(changes)
    assert (found and found.title) == title


def test_a_base_that_the_event_does_not_name_is_not_assumed() -> None:
    """An empty revision would be the default branch to GitHub."""
    found = ask({BASE: HEAD, "": HEAD}, branch="")
    assert found is not None
    assert found.title == UNKNOWN


@pytest.mark.parametrize("anew", ["rules/policy.yaml", "m/policy.yaml", "m"])
def test_a_link_on_the_way_that_is_set_anew_is_a_newer_policy(anew: str) -> None:
    """The file that it led to stays as it was, and judges nothing any more."""
    forge = make_forge()
    forge.find_change = lambda rev, path: (
        NEWER if (rev, path) == ("refs/heads/main", anew) else HEAD
    )
    with connect(forge) as client:
        event = replace(EVENT, base_branch="main")
        paths = ["rules/policy.yaml", "m/policy.yaml", "m"]
        found = find_newer_policy(client, event, paths)
    assert found is not None
    assert f"`{anew}` changed" in found.text


def test_a_tag_with_the_branchs_name_is_not_the_branch() -> None:
    """GitHub may take the short name for either."""
    forge = make_forge()
    forge.find_change = lambda rev, _path: NEWER if rev == "refs/heads/main" else HEAD
    with connect(forge) as client:
        found = find_newer_policy(client, replace(EVENT, base_branch="main"), ["policy.yaml"])
    assert found is not None
    assert found.title == "Judged by an older policy"


def test_a_merge_group_is_not_asked_about() -> None:
    """Its base may be another group's commit, which is on no branch yet."""
    forge = make_forge()
    with connect(forge) as client:
        assert find_newer_policy(client, replace(EVENT, number=None), ["policy.yaml"]) is None
    assert forge.requests == []


@pytest.mark.parametrize("fault", [Fault(status=403), Fault(status=404), Fault(status=422)])
def test_an_answer_that_is_none_is_an_error(fault: Fault) -> None:
    """Refused, absent, empty: never taken for unchanged."""
    with connect(make_forge(fault=lambda *_: fault)) as client:
        with pytest.raises(GitHubError, match=str(fault.status)):
            fetch_last_change(client, REPOSITORY, "main", "policy.yaml")
        found = find_newer_policy(client, EVENT, ["policy.yaml"])
    assert found is not None
    assert found.title == UNKNOWN
