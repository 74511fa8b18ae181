"""The statement that a run left: of the right run, left by the right job, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from builders import make_change, make_report
from posting import BASE, HEAD, NEWER, REPOSITORY, connect, make_forge
from trust.archives import pack

from mlgitops.errors import MlgitopsError
from mlgitops.github.kept_statement import (
    JudgedCommit,
    KeptStatement,
    StatementPlace,
    fetch_statement,
)
from mlgitops.model.policy import DemandedEvidence
from mlgitops.model.statement import (
    Digest,
    PolicySource,
    Statement,
    Subject,
    VerdictPredicate,
    encode_predicate,
    encode_statement,
)
from mlgitops.rehearsal.forge import Artifact, Fault, Forge, Job, WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Forge], object]

PLACE = StatementPlace(
    workflow=".github/workflows/pull-request.yml", artifact="mlgitops-statement", job="Report"
)
COMMITS = [
    JudgedCommit(event="merge_group", sha=NEWER),
    JudgedCommit(event="pull_request", sha=HEAD),
    JudgedCommit(event="pull_request", sha=BASE),
]
STATEMENT = Statement(
    subject=(Subject(name="model.skops", digest=Digest(md5="1" * 32, sha256="2" * 64)),),
    predicate=VerdictPredicate(
        toolkit="1.0",
        repository="https://github.example/octo/model",
        project="",
        pull_request=1,
        run="https://github.example/octo/model/actions/runs/7/attempts/1",
        policy=PolicySource(commit=BASE, path="policy.yaml", sha256="3" * 64),
        results=None,
        verdict="pass",
        evidence=DemandedEvidence.INDEPENDENT,
        report=make_report(make_change("score", 0.5, 0.6)),
    ),
)
FILES = (
    ("statement.json", encode_statement(STATEMENT)),
    ("statement.predicate.json", encode_predicate(STATEMENT)),
)
EARLY, LATE, LATER = "2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def make_judged() -> Forge:
    """Make a forge that shows one run for the head, whose job Report left its statement."""
    forge = make_forge()
    jobs = [Job(id=1, name="Train and compare"), Job(id=2, name="Report")]
    run = WorkflowRun(id=7, number=70, head=("more-trees", HEAD), pulls=[1], jobs=jobs)
    forge.state.workflow_runs.append(run)
    artifact = Artifact(id=9, run_id=7, name=PLACE.artifact, data=pack(*FILES))
    forge.state.artifacts.append(artifact)
    return forge


def fetch(forge: Forge) -> KeptStatement | str:
    """Fetch the statement from ``forge``."""
    with connect(forge) as client:
        return fetch_statement(client, REPOSITORY, PLACE, COMMITS)


def test_the_statement_of_the_run_that_judged_is_taken() -> None:
    """Its bytes are those that the run left, and GitHub was only read."""
    forge = make_judged()
    kept = fetch(forge)
    assert isinstance(kept, KeptStatement)
    assert kept.data == FILES[0][1]
    assert kept.statement.predicate.verdict == "pass"
    assert {method for method, _ in forge.requests} == {"GET"}


def test_a_merge_queue_comes_before_the_pull_request() -> None:
    """Its run judged the very commit that was merged."""
    forge = make_judged()
    run = WorkflowRun(id=8, number=71, event="merge_group", head=("queue", NEWER), jobs=[])
    forge.state.workflow_runs.append(run)
    assert fetch(forge) == "run 8 of pull-request.yml left no artifact mlgitops-statement"


def test_the_newest_run_counts_and_one_that_did_nothing_does_not() -> None:
    """A new title starts a run of which every job is left out."""
    forge = make_judged()
    common = {"head": ("more-trees", HEAD), "jobs": []}
    forge.state.workflow_runs.append(
        WorkflowRun(id=8, number=71, conclusion="skipped", **common)  # type: ignore[arg-type]
    )
    assert isinstance(fetch(forge), KeptStatement)
    forge.state.workflow_runs.append(WorkflowRun(id=10, number=72, **common))  # type: ignore[arg-type]
    assert fetch(forge) == "run 10 of pull-request.yml left no artifact mlgitops-statement"


def _change_run(**fields: object) -> Change:
    def change(forge: Forge) -> None:
        for name, value in fields.items():
            setattr(forge.state.workflow_runs[0], name, value)

    return change


def _change_job(**fields: object) -> Change:
    def change(forge: Forge) -> None:
        for name, value in fields.items():
            setattr(forge.state.workflow_runs[0].jobs[1], name, value)

    return change


def _change_artifact(**fields: object) -> Change:
    def change(forge: Forge) -> None:
        for name, value in fields.items():
            setattr(forge.state.artifacts[0], name, value)

    return change


RUN = "run 7 of pull-request.yml"
NO_RUN = "no run of pull-request.yml in this repository judged"
ABSENT: dict[str, tuple[Change, str]] = {
    "no run": (lambda forge: forge.state.workflow_runs.clear(), NO_RUN),
    "another commit's": (_change_run(head=("more-trees", "d" * 40)), NO_RUN),
    "a fork's": (_change_run(fork="contributor/model"), NO_RUN),
    "another workflow's": (_change_run(path=".github/workflows/other.yml"), NO_RUN),
    "another event's": (_change_run(event="push"), NO_RUN),
    "still going": (
        _change_run(status="in_progress", conclusion=None),
        f"{RUN} ended with nothing yet",
    ),
    "cancelled": (_change_run(conclusion="cancelled"), f"{RUN} ended with cancelled"),
    "no artifact": (
        lambda forge: forge.state.artifacts.clear(),
        f"{RUN} left no artifact mlgitops-statement",
    ),
    "another artifact": (_change_artifact(name="mlgitops-report"), f"{RUN} left no artifact"),
    "expired": (_change_artifact(expired=True), "the artifact mlgitops-statement of run 7"),
    "the job is not there": (_change_job(name="Judge"), f"{RUN} has no job Report that ran"),
    "the job was left out": (
        _change_job(conclusion="skipped"),
        f"{RUN} has no job Report that ran",
    ),
    "left by the pull request's own code": (
        _change_artifact(created_at=EARLY),
        "is no newer than the job Report, so the pull request's own code may have left it",
    ),
    "in the second in which the job began": (
        _change_job(started_at=LATE),
        "is no newer than the job Report",
    ),
    "of an earlier attempt": (_change_job(started_at=LATER), "is no newer than the job Report"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_without_a_statement_the_reason_is_said(case: str) -> None:
    """Nothing is an error, and nothing is taken from another place."""
    change, reason = ABSENT[case]
    forge = make_judged()
    change(forge)
    answer = fetch(forge)
    assert isinstance(answer, str)
    assert reason in answer
    assert not any("/zip" in path for _, path in forge.requests)


LIES: dict[str, tuple[bytes, str]] = {
    "no archive": (FILES[0][1], "not a plain ZIP archive"),
    "one file": (pack(FILES[0]), "1 members instead of 2"),
    "a third file": (pack(*FILES, ("x", b"")), "3 members instead of 2"),
    "another file": (pack(FILES[0], ("../x.json", b"{}")), "its member is '../x.json'"),
    "a link": (pack(*FILES, mode=0o120777), "its member is a link"),
    "a bomb": (pack(("statement.json", bytes(2**20)), FILES[1]), "its member is packed over"),
    "no statement": (pack(("statement.json", b"{}"), FILES[1]), "not a statement of a verdict"),
    "an unknown field": (
        pack(("statement.json", FILES[0][1].replace(b"{", b'{"x": 1,', 1)), FILES[1]),
        "not a statement: Object contains unknown field `x`",
    ),
    "a number that is none": (
        pack(("statement.json", FILES[0][1].replace(b'"head": 0.6', b'"head": NaN')), FILES[1]),
        "JSON is malformed: invalid character",
    ),
}


@pytest.mark.parametrize("case", LIES)
def test_what_report_does_not_write_is_refused(case: str) -> None:
    """A run also runs a stranger's code: nothing of it is read on trust."""
    data, reason = LIES[case]
    forge = make_judged()
    forge.state.artifacts[0].data = data
    with pytest.raises(MlgitopsError, match=re.escape(reason)):
        fetch(forge)


def test_bytes_that_are_not_those_of_the_digest_are_refused() -> None:
    """What the API says of the artifact holds."""
    forge = make_judged()
    forge.state.artifacts[0].digest = f"sha256:{'0' * 64}"
    with pytest.raises(MlgitopsError, match="its bytes are not those of its digest"):
        fetch(forge)


def test_a_token_that_may_not_look_is_an_error() -> None:
    """Not to be told is not the same as there being none."""
    forge = make_judged()
    forge.fault = lambda _method, path: (
        Fault(status=403, message="Resource not accessible by integration")
        if "/actions/" in path
        else None
    )
    with pytest.raises(MlgitopsError, match="the token lacks `actions: read`"):
        fetch(forge)
