"""What one run asks of GitHub's API, counted at the stand-in as our own programs ask it.

Each scene is what a job of the generated workflows does: the command as a process of its own, or
the function that it calls, over HTTP. What a process asks is what the stand-in was asked.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.github.client import open_client
from mlgitops.github.issues import keep_issue
from mlgitops.github.kept_statement import JudgedCommit, StatementPlace, fetch_statement
from mlgitops.github.pull_requests import open_pull_request
from mlgitops.github.rejudge import Rejudger, Trigger
from mlgitops.model import REPORT_SCHEMA, MetricChange, Report, Side, TestData
from mlgitops.model.wire import encode_report
from mlgitops.rehearsal.forge import Artifact, Comment, Forge, Pull, Server, State
from mlgitops.rehearsal.forge.state import Job, WorkflowRun

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "octo/model"
WORKFLOW = ".github/workflows/pull-request.yml"
BASE, FIRST, SECOND = "b" * 40, "a" * 40, "c" * 40
_POLICY = "version: 1\nmetrics:\n  score: {greater_is_better: true, max_worsening: 0.01}\n"
_LABEL = "accept-regression"
_BOT = "github-actions[bot]"
OTHERS = 30  # comments of people on the pull request: each further hundred is a page more
_TOKEN = "a-token-of-the-stand-in"  # noqa: S105 - opens nothing
FIRST_VERDICT, FAILS = "a verdict, the first of a pull request", "a verdict that fails"
RELEASE = "a release, with the verdict's statement"
PASSES = "a verdict on a further push"
SIGNED = "what may merge, or is released, is signed"
#: What `actions/attest` asks: it keeps one attestation. Read in its source, not counted.
_ATTEST = 1
PROPOSAL = "a promotion or retraining is proposed"
_READ, _WRITE = 1, 5  # points, as GitHub's page on the limits of its REST API has them


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How often something was asked of the API."""

    reads: int
    writes: int  # each counts as one that creates content, an edit too

    @property
    def requests(self) -> int:
        """Return the requests of the hourly limit."""
        return self.reads + self.writes

    @property
    def points(self) -> int:
        """Return the points of the limit by the minute."""
        return _READ * self.reads + _WRITE * self.writes


def count_scenes(folder: Path) -> dict[str, Asked]:
    """Count every scene: its name → what it asks. Takes some seconds; ``folder`` is empty."""
    forge = _make_forge()
    counted = {
        FIRST_VERDICT: _report(folder, forge, 0.6, run=1),
        PASSES: _push(folder, forge),
        FAILS: _report(folder, forge, 0.1, run=3, head=SECOND),
    }
    pull = forge.state.pulls[1]
    pull.labels = [_LABEL]
    forge.state.permissions["owner"] = "write"
    forge.state.comments.append(Comment(50_000, 1, "owner", f"{_LABEL} {SECOND} needed"))
    counted["a waiver: judging is started again"] = _rejudge(forge)
    counted["a verdict that is waived"] = _report(folder, forge, 0.1, run=4, head=SECOND)
    counted[RELEASE] = _fetch_statement()
    counted[SIGNED] = Asked(reads=0, writes=_ATTEST)
    counted[PROPOSAL] = _propose(_make_forge())
    counted["a look at production opens an issue"] = _look(_make_forge())
    return counted


def _make_forge() -> Forge:
    """Make a repository with a pull request on which people have commented."""
    pull = Pull(number=1, base=("main", BASE), head=("more-trees", FIRST), title="More trees")
    others = [Comment(number, 1, "octocat", "nice") for number in range(1, OTHERS + 1)]
    return Forge(State(repository=REPOSITORY, pulls={1: pull}, comments=others), login=_BOT)


def _count(forge: Forge, since: int) -> Asked:
    """Count what was asked after the first ``since`` requests; a question in GraphQL is a read."""
    asked = forge.requests[since:]
    reads = sum(method == "GET" or path.endswith("/graphql") for method, path in asked)
    return Asked(reads=reads, writes=len(asked) - reads)


def _push(folder: Path, forge: Forge) -> Asked:
    """Let the pull request have another commit, and judge it."""
    forge.state.pulls[1].head = ("more-trees", SECOND)
    return _report(folder, forge, 0.7, run=2, head=SECOND)


def _report(folder: Path, forge: Forge, value: float, *, run: int, head: str = FIRST) -> Asked:
    """Judge and post as the job that reports does, in a process of its own."""
    sides = {
        name: {"sha": sha, "ref": ref, "repo": {"full_name": REPOSITORY}}
        for name, sha, ref in (("base", BASE, "main"), ("head", head, "more-trees"))
    }
    event = {"pull_request": {"number": 1, **sides}, "repository": {"default_branch": "main"}}
    report = Report(
        schema=REPORT_SCHEMA,
        key="model",
        base=Side(sha=BASE),
        head=Side(sha=head),
        test_data=TestData.UNKNOWN,
        metrics=(
            MetricChange(name="score", path="m.json", base=0.5, head=value, delta=value - 0.5),
        ),
    )
    (folder / "policy.yaml").write_text(_POLICY, encoding="utf-8")
    (folder / "event.json").write_text(json.dumps(event), encoding="utf-8")
    (folder / "report.json").write_bytes(encode_report(report))
    since = len(forge.requests)
    with Server(forge) as server:
        ended = ("--compute-result", "success", "--publish-result", "success")
        done = subprocess.run(
            [sys.executable, "-m", "mlgitops", "report", "--directory", folder, *ended],
            cwd=folder,
            env=_make_environ(folder, server.url, run),
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode not in (0, 1) or len(forge.state.checks) == 0:
        raise SystemExit(f"the report was not posted:\n{done.stdout}{done.stderr}")
    return _count(forge, since)


def _make_environ(folder: Path, address: str, run: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(folder),
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_API_URL": address,
        "GITHUB_GRAPHQL_URL": f"{address}/graphql",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_NUMBER": str(run),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output.txt"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_TOKEN": _TOKEN,
    }


def _make_run(conclusion: str) -> WorkflowRun:
    jobs = [
        Job(id=70, name="Train and compare"),
        Job(id=71, name="Publish"),
        Job(id=72, name="Report", conclusion=conclusion),
    ]
    head = ("more-trees", SECOND)
    return WorkflowRun(id=107, number=7, head=head, conclusion=conclusion, pulls=[1], jobs=jobs)


def _rejudge(forge: Forge) -> Asked:
    """Start the job that judges again, as the label's workflow does."""
    forge.state.workflow_runs = [_make_run("failure")]
    since = len(forge.requests)
    with Server(forge) as server, open_client(server.url, token=_TOKEN) as client:
        trigger = Trigger(number=1, action="labeled")
        jobs = ("Publish", "Report")
        Rejudger(client, REPOSITORY, trigger, workflow=WORKFLOW, jobs=jobs).start()
    if not forge.state.reruns:
        raise SystemExit("judging was not started again")
    return _count(forge, since)


def _fetch_statement() -> Asked:
    """Read what the run of a merged pull request left, up to the artifact's bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("statement.json", "{}")
    artifact = Artifact(id=8, run_id=107, name="mlgitops-statement", data=target.getvalue())
    forge = _make_forge()
    forge.state.workflow_runs, forge.state.artifacts = [_make_run("success")], [artifact]
    place = StatementPlace(workflow=WORKFLOW, artifact="mlgitops-statement", job="Report")
    commits = [JudgedCommit(event="pull_request", sha=SECOND)]
    with Server(forge) as server, open_client(server.url, token=_TOKEN) as client:
        try:
            fetch_statement(client, REPOSITORY, place, commits)
        except MlgitopsError:  # it was downloaded, and is no statement: nothing more is asked
            if any(path.endswith("/zip") for _, path in forge.requests):
                return _count(forge, 0)
            raise
    raise SystemExit("no statement was downloaded")


def _propose(forge: Forge) -> Asked:
    """Open a pull request, as the commands that propose do after their push."""
    forge = Forge(forge.state, login=_BOT, find_head={"main": BASE, "mlgitops/x": FIRST}.get)
    with Server(forge) as server, open_client(server.url, token=_TOKEN) as client:
        open_pull_request(client, REPOSITORY, branch="mlgitops/x", base="main", title="x", body="x")
    return _count(forge, 0)


def _look(forge: Forge) -> Asked:
    """Open the issue of an alert."""
    with Server(forge) as server, open_client(server.url, token=_TOKEN) as client:
        keep_issue(client, REPOSITORY, marker="model", title="x", body="x", open_=True)
    return _count(forge, 0)
