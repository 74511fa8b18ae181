"""A waiver on its way into git: the publish job and the report job, real git, real DVC, HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from git_project import git
from posting import REPOSITORY

from mlgitops.model import WAIVER_LABEL
from mlgitops.rehearsal.forge import Comment, Fault, Forge, Pull, Server, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integration.handover_scene import Scene

POLICY = "version: 1\nmetrics:\n  total: {greater_is_better: %s, max_worsening: 0.01}\n"
REASON = (
    "Needed\nCo-authored-by: evil <e@example.org>\n\nWaived-by: owner @octocat fixes #1 [skip ci]"
)


class Pullrequest:
    """A failing pull request of the scene, on a forge, with the job's files."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        """Write policy, report and event; open the pull request."""
        self.folder, self.base, self.head = folder, scene.base, scene.head
        self.origin = shutil.copytree(scene.origin, folder / "origin.git")
        self.handover = shutil.copytree(scene.handover, folder / "handover")
        self.prepare(passes=False)
        pull = Pull(number=1, base=("main", self.base), head=("change", self.head), title="Triple")
        state = State(repository=REPOSITORY, pulls={1: pull})
        self.forge = Forge(state, find_head=lambda branch: git(self.origin, "rev-parse", branch))
        self.server = Server(self.forge)  # one for all jobs: a comment keeps its address

    def prepare(self, *, passes: bool) -> None:
        """Write the report of the one metric, a policy that lets it pass or not, and the event."""
        (self.folder / "policy.yaml").write_text(POLICY % ("true" if passes else "false"))
        metric = {"name": "total", "path": "reports/metrics.json", "base": 12.0, "head": 18.0}
        metric["delta"] = 6.0
        sides = {"base": {"sha": self.base}, "head": {"sha": self.head}}
        report = {"schema": 1, "key": "model", "test_data": "unknown", "metrics": [metric], **sides}
        (self.folder / "report.json").write_text(json.dumps(report))
        repo = {"full_name": REPOSITORY}
        pull = {
            "number": 1,
            "base": {"sha": self.base, "ref": "main", "repo": repo},
            "head": {"sha": self.head, "ref": "change", "repo": repo},
        }
        event = {"pull_request": pull, "repository": {"default_branch": "main"}}
        (self.folder / "event.json").write_text(json.dumps(event))

    def waive(self, reason: str = REASON) -> None:
        """Set the label and write the comment, as somebody who may write."""
        state = self.forge.state
        state.permissions["writer"] = "write"
        state.pulls[1].labels = [WAIVER_LABEL]
        text = f"{WAIVER_LABEL} {self.head} {reason}"
        state.comments.append(Comment(state.take_number(), 1, "writer", text))

    def run(self, job: str, *words: str, attempt: int = 1) -> tuple[int, dict[str, str], str]:
        """Run a command as job ``job`` does; return its exit code, outputs and what it printed."""
        place = self.folder / job
        if not place.exists():
            git(self.folder, "clone", "--quiet", str(self.origin), str(place))
        output = self.folder / f"output-{job}-{attempt}"
        done = subprocess.run(
            [sys.executable, "-m", "mlgitops", *words, "--directory", place],
            check=False,
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_SERVER_URL": "http://github.example",
                "GITHUB_API_URL": self.server.url,
                "GITHUB_GRAPHQL_URL": f"{self.server.url}/graphql",
                "GITHUB_RUN_ID": "7",
                "GITHUB_RUN_NUMBER": "7",
                "GITHUB_RUN_ATTEMPT": str(attempt),
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_TOKEN": "x" * 20,
            },
        )
        outputs = {}
        lines = output.read_text().splitlines() if output.exists() else []
        for name, value in zip(lines[::3], lines[1::3], strict=False):
            outputs[name.partition("<<")[0]] = value
        return done.returncode, outputs, done.stdout + done.stderr

    def publish(self, attempt: int, *words: str) -> tuple[int, dict[str, str], str]:
        """Run the publish job's command."""
        files = (*self._files(), "--import", str(self.handover))
        return self.run(f"publish-{attempt}", "publish", *files, *words, attempt=attempt)

    def report(
        self, attempt: int, published: str, waived: str = ""
    ) -> tuple[int, dict[str, str], str]:
        """Run the report job's command."""
        more = ["--compute-result", "success", "--publish-result", "success"]
        more += ["--results-commit", published] if published else []
        more += ["--waived-commit", waived] if waived else []
        ended = ("--compute-result", "success", "--publish-result", "success")
        words = ("report", *self._files(), *ended, *more)
        return self.run(f"report-{attempt}", *words, attempt=attempt)

    def _files(self) -> tuple[str, ...]:
        report, policy = self.folder / "report.json", self.folder / "policy.yaml"
        return ("--report", str(report), "--policy", str(policy))

    def conclusions(self) -> dict[str, str]:
        """Return commit → conclusion of its newest check."""
        return {one["head_sha"]: str(one["conclusion"]) for one in self.forge.state.checks}


@pytest.fixture
def pull(handed_over: Scene, tmp_path: Path) -> Iterator[Pullrequest]:
    """Return the pull request with an origin of its own."""
    made = Pullrequest(handed_over, tmp_path)
    with made.server:
        yield made


def read_trailers(pull: Pullrequest, sha: str) -> dict[str, str]:
    """Return the trailers of a commit, as git reads them."""
    form = "--format=%(trailers:only,unfold)"
    lines = git(pull.origin, "log", "-1", form, sha).splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_a_fail_is_published_once_it_is_waived_and_fails_again_without(pull: Pullrequest) -> None:
    """Fail, label and comment, waived and committed with its trailers; label off: fail on both."""
    code, outputs, text = pull.publish(1)
    assert (code, outputs) == (0, {"sha": "", "outcome": "withheld", "waived": ""}), text
    code, outputs, text = pull.report(1, "")
    assert (code, outputs["verdict"]) == (1, "fail"), text
    assert f"{WAIVER_LABEL} {pull.head}\n" in pull.forge.state.comments[0].body
    assert pull.conclusions() == {pull.head: "failure"}

    pull.waive()
    code, outputs, text = pull.publish(2)
    assert (code, outputs["outcome"]) == (0, "committed"), text
    made = outputs["sha"]
    assert git(pull.origin, "rev-parse", "change", "change^").split() == [made, pull.head]
    trailers = read_trailers(pull, made)
    assert list(trailers) == [
        "Waived-by",
        "Waived-at",
        "Waived-sha",
        "Waived-reason",
        "Waived-in",
    ]
    assert trailers["Waived-by"] == "writer"
    assert trailers["Waived-at"] == "2026-01-01T00:00:00Z"
    assert trailers["Waived-sha"] == pull.head
    assert trailers["Waived-in"].endswith(f"#issuecomment-{pull.forge.state.comments[1].id}")
    message = git(pull.origin, "log", "-1", "--format=%B", made)
    assert "@octocat" not in message
    assert "#1" not in message.replace("#issuecomment-1", "")
    assert "[skip ci]" not in message
    code, outputs, text = pull.report(2, made)
    assert (code, outputs["verdict"]) == (0, "waived"), text
    assert "waived by `writer`: may merge" in pull.forge.state.comments[0].body
    assert pull.conclusions() == {pull.head: "success", made: "success"}
    assert pull.forge.state.checks[-1]["output"]["title"] == "⚠️ Fails, waived by writer: may merge"
    levels = {a["annotation_level"] for a in pull.forge.state.checks[-1]["output"]["annotations"]}
    assert levels == {"warning"}

    again = pull.publish(3)
    assert (again[0], again[1]["sha"]) == (0, made), "a second attempt finds its own commit"
    pull.forge.state.pulls[1].labels = []
    code, outputs, text = pull.publish(4)
    assert (code, outputs) == (0, {"sha": "", "outcome": "withheld", "waived": made}), text
    code, outputs, text = pull.report(4, "", made)
    assert (code, outputs["verdict"]) == (1, "fail"), text
    assert pull.conclusions() == {pull.head: "failure", made: "failure"}
    assert "Must not merge" in pull.forge.state.comments[0].body
    assert "the label `accept-regression` is not set" in pull.forge.state.comments[0].body
    assert f"This holds for {made} too" in pull.forge.state.comments[0].body
    assert git(pull.origin, "rev-parse", "change") == made


def test_a_waived_verdict_is_not_put_on_what_publish_only_found(pull: Pullrequest) -> None:
    """The label came back between the jobs: what was found is good for a fail alone."""
    pull.waive("Needed")
    code, outputs, text = pull.report(1, "", "c" * 40)
    assert (code, outputs["verdict"]) == (0, "waived"), text
    assert pull.conclusions() == {pull.head: "success"}


def test_a_waiver_is_recorded_although_there_is_nothing_else_to_commit(
    pull: Pullrequest, handed_over: Scene
) -> None:
    """The branch holds its results already: an empty commit carries the waiver."""
    pull.prepare(passes=True)
    head = pull.publish(1)[1]["sha"]
    pull.head = head
    pull.forge.state.pulls[1].head = ("change", head)
    pull.prepare(passes=False)
    pull.waive("Needed")
    code, outputs, text = pull.publish(2)
    assert (code, outputs["outcome"]) == (0, "committed"), text
    made = outputs["sha"]
    trees = git(pull.origin, "rev-parse", f"{made}^{{tree}}", f"{head}^{{tree}}").split()
    assert trees[0] == trees[1]
    assert git(pull.origin, "rev-parse", f"{made}^") == head
    assert read_trailers(pull, made)["Waived-sha"] == head
    assert handed_over.head != head


def test_an_origin_that_does_not_answer_is_not_taken_for_nothing_committed(
    pull: Pullrequest,
) -> None:
    """The label is off, and the commit made under it would keep its green check unnoticed."""
    pull.waive("Needed")
    assert pull.publish(1)[1]["outcome"] == "committed"
    pull.forge.state.pulls[1].labels = []
    git(pull.folder, "clone", "--quiet", str(pull.origin), str(pull.folder / "publish-2"))
    pull.origin.rename(pull.folder / "away.git")
    code, outputs, text = pull.publish(2)
    assert (code, outputs) == (2, {}), text
    assert "Traceback" not in text


def test_another_waiver_of_the_same_results_is_recorded_too(pull: Pullrequest) -> None:
    """The label came off, somebody else waives: git must not go on naming the first reason."""
    pull.waive("First")
    first = pull.publish(1)[1]["sha"]
    pull.forge.state.comments.clear()
    pull.waive("Second")
    code, outputs, text = pull.publish(2)
    made = outputs["sha"]
    assert (code, outputs["outcome"]) == (0, "committed"), text
    assert git(pull.origin, "rev-parse", "change", f"{made}^").split() == [made, first]
    assert not git(pull.origin, "diff", "--name-only", first, made)
    assert read_trailers(pull, first)["Waived-reason"] == "First"
    assert read_trailers(pull, made)["Waived-reason"] == "Second"
    assert pull.publish(3)[1]["sha"] == made


@pytest.mark.parametrize("passes", [True, False], ids=["a pass", "a waived fail"])
def test_results_that_the_report_does_not_tell_are_not_published(
    pull: Pullrequest, *, passes: bool
) -> None:
    """The run made 18 and the report says 20: nothing is stored, origin stays as it is."""
    pull.prepare(passes=passes)
    report = json.loads((pull.folder / "report.json").read_text())
    report["metrics"][0] |= {"head": 20.0, "delta": 8.0}
    (pull.folder / "report.json").write_text(json.dumps(report))
    pull.waive("Needed")
    refs = git(pull.origin, "for-each-ref")
    code, outputs, text = pull.publish(1)
    assert (code, outputs) == (2, {}), text
    assert "`total` at head is 20.0 by the report and 18.0 in git" in text
    assert git(pull.origin, "for-each-ref") == refs


def test_verify_writes_nothing_for_a_waiver_either(pull: Pullrequest) -> None:
    """The branch without its results is stale, waived or not."""
    pull.waive("Needed")
    code, outputs, text = pull.publish(1, "--mode", "verify")
    assert (code, outputs["outcome"]) == (1, "stale"), text
    assert git(pull.origin, "rev-parse", "change") == pull.head


def test_an_api_that_does_not_answer_publishes_nothing(pull: Pullrequest) -> None:
    """The waiver is there, but nobody could say so: the verdict stays fail."""
    pull.waive("Needed")
    pull.forge.fault = lambda _method, path: (
        Fault(status=403, message="no") if path.endswith("/permission") else None
    )
    code, outputs, text = pull.publish(1)
    assert (code, outputs) == (0, {"sha": "", "outcome": "withheld", "waived": ""}), text
    code, outputs, text = pull.report(1, "")
    assert (code, outputs["verdict"]) == (1, "fail"), text
    body = pull.forge.state.comments[-1].body
    assert "**Not waived:** whether it is waived is not known: 403 no" in body
    assert pull.conclusions() == {pull.head: "failure"}


def test_somebody_elses_commit_on_top_is_no_record_of_ours(pull: Pullrequest) -> None:
    """With the very content and trailer, but of another author: it gets no verdict of ours."""
    work = pull.folder / "work"
    git(pull.folder, "clone", "--quiet", "--branch", "change", str(pull.origin), str(work))
    message = f"Record\n\nWaived-sha: {pull.head}"
    git(work, "commit", "--quiet", "--allow-empty", "--message", message)
    git(work, "push", "--quiet", "origin", "change")
    assert pull.publish(1)[1] == {"sha": "", "outcome": "withheld", "waived": ""}
    pull.waive("Needed")
    code, _, text = pull.publish(2)
    assert code == 2
    assert "the branch moved on" in text


@pytest.mark.parametrize("lost", ["the job's answer", "the report"])
def test_a_waiver_that_ended_turns_its_commit_red_whatever_the_jobs_could_tell(
    pull: Pullrequest, lost: str
) -> None:
    """The job that publishes failed, and named no commit; or the report expired: no verdict."""
    pull.waive()
    made = pull.publish(1)[1]["sha"]
    assert pull.report(1, made)[1]["verdict"] == "waived"
    assert pull.conclusions() == {pull.head: "success", made: "success"}
    pull.forge.state.pulls[1].labels = []
    if lost == "the report":
        (pull.folder / "report.json").unlink()
    verdict = {"the report": "undecided", "the job's answer": "fail"}[lost]
    code, outputs, text = pull.report(2, "")
    assert (code != 0, outputs["verdict"]) == (True, verdict), text
    assert pull.conclusions() == {pull.head: "failure", made: "failure"}
    assert "waived by" not in pull.forge.state.comments[0].body
