"""A verdict that is no pass reaches the commit of results that an earlier attempt left green."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from git_project import git
from integration.test_report import POLICY, SCORE, report, write_event, write_report
from mini_project import branch, make_project
from posting import BASE, HEAD, make_forge, own_comments

from mlgitops.git.program import find_remote_ref
from mlgitops.storage.handover.commit import commit_tree, find_tree, write_subject

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Forge


class Tip:
    """A pull request whose branch stands on a commit of results, and a base's checkout."""

    def __init__(self, folder: Path, *, subject: str = "") -> None:
        """Make origin and checkout, and a report whose numbers fail."""
        self.origin = make_project(folder / "o", {"policy.yaml": POLICY, "metrics.json": SCORE})
        base = git(self.origin, "rev-parse", "HEAD")
        self.head = branch(self.origin, "change", {"params.yaml": "trees: 90\n"})
        tree = find_tree(self.origin, self.head) or ""
        self.tip = commit_tree(
            self.origin, self.head, tree, subject or f"{write_subject(self.head)}\n"
        )
        git(self.origin, "switch", "--quiet", "--detach", base)
        git(self.origin, "branch", "--force", "change", self.tip)
        self.job = folder / "job"
        git(folder, "clone", "--quiet", str(self.origin), str(self.job))
        git(self.job, "switch", "--quiet", "--detach", base)
        write_event(self.job / "event.json", {"base": base, "head": self.head})
        event = json.loads((self.job / "event.json").read_text())
        event["pull_request"]["head"]["ref"] = "change"
        (self.job / "event.json").write_text(json.dumps(event))
        write_report(self.job, 0.1)
        text = (self.job / "report.json").read_text().replace(BASE, base).replace(HEAD, self.head)
        (self.job / "report.json").write_text(text.replace("m.json", "metrics.json"))

    def make_forge(self) -> Forge:
        """Make a forge on which both commits are green."""
        forge = make_forge()
        pull = msgspec.structs.replace(forge.state.pulls[1], head=("change", self.tip))
        forge.state.pulls[1] = pull
        forge._find_head = lambda _branch: self.tip
        return forge


@pytest.fixture
def tip(tmp_path: Path) -> Tip:
    """Return the pull request."""
    return Tip(tmp_path)


def list_conclusions(forge: Forge) -> dict[str, str]:
    """Return commit → conclusion of its newest check."""
    return {one["head_sha"]: str(one["conclusion"]) for one in forge.state.checks}


@pytest.mark.parametrize("verdict", ["fail", "undecided"])
def test_it_reaches_the_branchs_newest_commit(tip: Tip, verdict: str) -> None:
    """No job named that commit: publishing failed, or withheld what it was to publish."""
    forge = tip.make_forge()
    if verdict == "undecided":
        (tip.job / "report.json").unlink()
    done = report(tip.job, forge, "--publish-result", "failure")
    assert done.returncode == {"fail": 1, "undecided": 2}[verdict], done.stderr
    assert list_conclusions(forge) == {tip.head: "failure", tip.tip: "failure"}
    assert len(own_comments(forge)) == 1


def test_it_does_not_reach_what_somebody_else_pushed(tmp_path: Path) -> None:
    """That commit has a run of its own."""
    tip = Tip(tmp_path, subject="Try again")
    forge = tip.make_forge()
    assert report(tip.job, forge).returncode == 1
    assert list_conclusions(forge) == {tip.head: "failure"}


def test_where_origin_does_not_answer_the_log_says_so(tip: Tip) -> None:
    """The verdict stands on the judged commit, and the job is red in any case."""
    forge = tip.make_forge()
    tip.origin.rename(tip.origin.parent / "away")
    done = report(tip.job, forge)
    assert done.returncode == 1
    assert "whether results were committed to the branch is not known" in done.stdout
    assert list_conclusions(forge) == {tip.head: "failure"}


def test_another_branch_that_ends_like_this_one_is_not_this_one(tip: Tip) -> None:
    """Git lists it too, and before it: the commit with the results would stay green."""
    git(tip.origin, "update-ref", "refs/heads/a/refs/heads/change", tip.head)
    forge = tip.make_forge()
    assert report(tip.job, forge).returncode == 1
    assert list_conclusions(forge) == {tip.head: "failure", tip.tip: "failure"}
    assert find_remote_ref(tip.job, "refs/heads/change") == tip.tip
    assert find_remote_ref(tip.job, "refs/heads/a") is None
