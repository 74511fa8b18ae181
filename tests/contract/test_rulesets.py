"""The rules that a generated project offers, against GitHub's own description of them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from github_api import HOST, Checker
from openapi_core.exceptions import OpenAPIError

from mlgitops.delivery.ledger import BRANCH

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
RULESETS = ROOT / "{{cookiecutter.project_slug}}" / ".github" / "rulesets"
Ruleset = dict[str, Any]
PULL_REQUEST = {
    "required_approving_review_count": 1,
    "dismiss_stale_reviews_on_push": True,
    "require_code_owner_review": True,
    "require_last_push_approval": True,
    "required_review_thread_resolution": False,
}


def read_ruleset(name: str) -> Ruleset:
    """Read one of the files that the README's command sends."""
    content: Ruleset = json.loads((RULESETS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def create(ruleset: Ruleset) -> None:
    """Hold the request of `gh api --method POST repos/.../rulesets --input` against it."""
    address = f"{HOST}/repos/octo/model/rulesets"
    request = requests.Request("POST", address, json=ruleset).prepare()
    Checker().check_request(request)


@pytest.mark.parametrize("name", ["main", "dvc-storage", "deployments", "releases"])
def test_github_describes_what_the_command_sends(name: str) -> None:
    """Targets, conditions, actors and the parameters of each rule are as GitHub names them."""
    create(read_ruleset(name))


def test_the_branches_that_deliveries_write_to_are_kept() -> None:
    """By the names that this package gives them; nobody may pass over the rule."""
    rules = read_ruleset("deployments")
    assert f"refs/heads/{BRANCH}" in rules["conditions"]["ref_name"]["include"]
    assert [rule["type"] for rule in rules["rules"]] == ["deletion", "non_fast_forward"]
    assert (rules["bypass_actors"], rules["enforcement"]) == ([], "active")


def test_the_rule_of_a_merge_queue_can_be_added() -> None:
    """The page that offers it shows a rule that GitHub describes."""
    page = (ROOT / "docs/how-to/merge-queue.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    ruleset = read_ruleset("main")
    ruleset["rules"].append(json.loads(text))
    create(ruleset)


def drop_parameter(ruleset: Ruleset) -> None:
    """Leave out what a rule must say."""
    del ruleset["rules"][2]["parameters"]["require_last_push_approval"]


def misspell_rule(ruleset: Ruleset) -> None:
    """Name a rule that is none."""
    ruleset["rules"][0]["type"] = "deletions"


def misspell_enforcement(ruleset: Ruleset) -> None:
    """Name an enforcement that is none."""
    ruleset["enforcement"] = "on"


def count_as_text(ruleset: Ruleset) -> None:
    """Write a number as text."""
    ruleset["rules"][2]["parameters"]["required_approving_review_count"] = "1"


def misspell_actor(ruleset: Ruleset) -> None:
    """Name a kind of actor that is none."""
    ruleset["bypass_actors"][0]["actor_type"] = "Role"


CHANGES = [drop_parameter, misspell_rule, misspell_enforcement, count_as_text, misspell_actor]


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])
def test_a_mistake_in_a_ruleset_is_seen(change: Callable[[Ruleset], None]) -> None:
    """The description that the files are held against refuses what GitHub would."""
    ruleset = copy.deepcopy(read_ruleset("main"))
    change(ruleset)
    with pytest.raises(OpenAPIError, match="Request body validation error"):
        create(ruleset)


def test_main_takes_reviewed_and_judged_changes_only() -> None:
    """Never deleted or rewritten; a push takes approvals back; GitHub's own check counts."""
    ruleset = read_ruleset("main")
    rules = {rule["type"]: rule.get("parameters") for rule in ruleset["rules"]}
    checks = [{"context": "mlgitops / model", "integration_id": 15368}]
    assert rules == {
        "deletion": None,
        "non_fast_forward": None,
        "pull_request": PULL_REQUEST,
        "required_status_checks": {
            "strict_required_status_checks_policy": True,
            "required_status_checks": checks,
        },
    }
    assert ruleset["conditions"] == {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}}
    assert (ruleset["target"], ruleset["enforcement"]) == ("branch", "active")
    modes = {actor["bypass_mode"] for actor in ruleset["bypass_actors"]}
    assert modes == {"pull_request"}  # nobody pushes past it


def test_the_storage_branch_is_never_deleted_or_rewritten() -> None:
    """By nobody, administrators included, as long as the rules stand."""
    assert read_ruleset("dvc-storage") == {
        "name": "dvc-storage: never deleted, never rewritten",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/heads/dvc-storage"], "exclude": []}},
        "bypass_actors": [],
        "rules": [{"type": "deletion"}, {"type": "non_fast_forward"}],
    }


def test_the_tag_of_a_release_is_never_moved_or_deleted() -> None:
    """Of every model, by nobody: what was promoted by its name stays what it was."""
    assert read_ruleset("releases") == {
        "name": "releases: never moved, never deleted",
        "target": "tag",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/tags/*@v*"], "exclude": []}},
        "bypass_actors": [],
        "rules": [{"type": "deletion"}, {"type": "update"}, {"type": "non_fast_forward"}],
    }
