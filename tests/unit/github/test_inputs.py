"""Tests of what the report job reads: the policy of a checkout, behind links too."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_project import GitRepository

from mlgitops.git.links import LinkError
from mlgitops.github.inputs import list_policy_paths, read_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout with two projects and a shared policy, and a file beside it."""
    (tmp_path / "lax.yaml").write_text("version: 1\n")
    made = GitRepository(tmp_path / "checkout")
    made.put("shared/policy.yaml", "version: 1\nmetrics: {a: {}}\n")
    made.put("one/dvc.yaml", "{}")
    return made.root


@pytest.mark.parametrize("text", ["../shared/policy.yaml", "../shared/../shared/policy.yaml"])
def test_a_link_inside_of_the_checkout_is_followed(checkout: Path, text: str) -> None:
    """A project's policy may be one that several share."""
    (checkout / "one" / "policy.yaml").symlink_to(text)
    assert read_checkout(checkout / "one", "policy.yaml") == b"version: 1\nmetrics: {a: {}}\n"
    assert read_checkout(checkout, "shared/policy.yaml") == b"version: 1\nmetrics: {a: {}}\n"
    assert read_checkout(checkout, "policy.yaml") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("../../lax.yaml", "leads out of the repository"),
        ("{outside}/lax.yaml", "is absolute"),
        ("../.git/config", "leads into git's own files"),
        ("../shared/none.yaml", "leads to nothing that is there"),
        ("policy.yaml", "passes over 40 links"),
    ],
)
def test_a_link_out_of_the_checkout_is_refused(checkout: Path, text: str, reason: str) -> None:
    """The policy that judges is never one from elsewhere on the machine."""
    target = text.replace("{outside}", str(checkout.parent))
    (checkout / "one" / "policy.yaml").symlink_to(target)
    with pytest.raises(LinkError, match=reason):
        read_checkout(checkout / "one", "policy.yaml")
    with pytest.raises(LinkError, match=reason):
        read_checkout(Path(checkout / "one" / ".." / "one"), "policy.yaml")


def test_a_linked_folder_that_leads_out_is_refused(checkout: Path) -> None:
    """The folder on the way counts as the file does."""
    (checkout / "rules").symlink_to("..")
    with pytest.raises(LinkError, match="the link 'rules' on its way leads out"):
        read_checkout(checkout, "rules/lax.yaml")


def test_every_link_on_the_way_to_the_policy_is_listed(checkout: Path) -> None:
    """The file first, and what leads to it: a folder and a file that are links."""
    (checkout / "real").mkdir()
    (checkout / "real" / "policy.yaml").symlink_to("rules.yaml")
    (checkout / "real" / "rules.yaml").write_text("version: 1\n")
    (checkout / "models").symlink_to("real")
    found = list_policy_paths(checkout, "models/policy.yaml")
    assert found == ("real/rules.yaml", "models", "real/policy.yaml")
