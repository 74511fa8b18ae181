"""What a release and an audit take from a statement, and of which statement they take nothing."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from released_project import make_lineage
from trust.lie import check_lie
from trust.recorded import PREFIX
from trust.stated import MEASURED, Evidence, encode

from mlgitops.console import Console
from mlgitops.delivery.audit.checks.subject import Subject
from mlgitops.delivery.audit.checks.verdict import check_given_statement
from mlgitops.delivery.releases.provenance import (
    add_kept_statement,
    add_statement,
    trace_model,
)
from mlgitops.delivery.releases.release import Release
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.github.kept_statement import KeptStatement
from mlgitops.model.ledger import Event, LedgerEntry
from mlgitops.model.lineage import Lineage
from mlgitops.model.statement import parse_statement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.delivery.releases.provenance import Account


def account_for(evidence: Evidence, statement: Path, **named: Any) -> Account:  # noqa: ANN401
    """Return what a release of the recorded results knows with this statement."""
    given = {"project": PREFIX, "model": evidence.model, "newest": None, **named}
    with Repository(evidence.recorded.root) as repository:
        account = trace_model(repository, PREFIX, evidence.results)
        assert account.fields["measured_by"] is None
        assert "no statement" in account.absent["verdict"]
        add_statement(account, repository, path=statement, **given)
    return account


def test_a_release_takes_from_the_statement_what_git_does_not_know(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """Numbers, who measured them, verdict and pull request, each with its source."""
    statement = evidence.folder / "released.json"
    statement.write_bytes(encode(honest))
    account = account_for(evidence, statement)
    fields = account.fields
    assert (fields["verdict"], fields["measured_by"]) == ("pass", "independent")
    assert (fields["pull_request"], fields["waiver"]) == (1, None)
    assert fields["statement"] == hashlib.sha256(statement.read_bytes()).hexdigest()
    (metric,) = [metric for metric in fields["metrics"] if metric["name"] == "score"]
    assert (metric["value"], metric["delta"]) == (0.625, 0.125)
    assert {account.sources[name] for name in ("metrics", "verdict", "measured_by")} == {
        "the verdict's statement"
    }
    assert not {"metrics", "verdict", "statement", "pull_request"} & account.absent.keys()


def account_for_kept(
    evidence: Evidence,
    document: dict[str, Any] | str,
    **named: Any,  # noqa: ANN401
) -> Account:
    """Return what a release of the recorded results knows with what a run left, or did not."""
    given = {"project": PREFIX, "model": evidence.model, "newest": None, **named}
    kept: KeptStatement | str = ""
    if isinstance(document, str):
        kept = document
    else:
        data = encode(document)
        kept = KeptStatement(statement=parse_statement(data, "left"), data=data, where="left")
    with Repository(evidence.recorded.root) as repository:
        account = trace_model(repository, PREFIX, evidence.results)
        add_kept_statement(account, repository, kept, **given)
    return account


def test_what_a_run_left_is_taken_as_a_given_file_is(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """Byte for byte the same fields, from the same words."""
    statement = evidence.folder / "given.json"
    statement.write_bytes(encode(honest))
    given, kept = account_for(evidence, statement), account_for_kept(evidence, honest)
    assert kept.fields["verdict"] == "pass"
    assert (kept.fields, kept.sources, kept.absent) == (given.fields, given.sources, given.absent)


def test_why_no_statement_was_left_stands_in_the_release(evidence: Evidence) -> None:
    """Each field that only a statement says is null, with that reason."""
    account = account_for_kept(evidence, "it has expired")
    stated = ("measured_by", "verdict", "statement", "cost")
    assert [account.fields[name] for name in stated] == [None] * 4
    assert {account.absent[name] for name in stated} == {"it has expired"}


def test_a_verdict_on_another_model_or_an_old_base_says_nothing_of_a_release(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """A merge may bring in another model than was judged: then nothing is known, and it says so."""
    other = copy.deepcopy(honest)
    other["subject"][0]["digest"]["sha256"] = "0" * 64
    account = account_for_kept(evidence, other)
    assert account.fields["verdict"] is None
    assert account.absent["verdict"] == "left: its verdict is on another model, 000000000000"
    account = account_for_kept(evidence, honest, newest=evidence.results)
    assert account.fields["verdict"] is None
    assert "which is older than the newest release" in account.absent["verdict"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.update(verdict="fail"), "does not hold: its verdict is fail"),
        (lambda one: one.update(verdict="waived"), "does not hold: its verdict is waived"),
        (lambda one: one.update(evidence="claimed"), "does not hold: its evidence is called"),
        (lambda one: one.update(project=""), "it is a statement of the project in the root"),
        (lambda one: one["policy"].update(sha256="0" * 64), "the policy is not that of base"),
        (
            lambda one: one["report"]["metrics"][0].update(base=0.25, delta=0.375),
            "`score` at base is 0.25 by the report and 0.5 in git",
        ),
    ],
)
def test_what_a_run_left_is_held_against_git(
    evidence: Evidence,
    honest: dict[str, Any],
    record_property: Callable[[str, object], None],
    *,
    change: Callable[[dict[str, Any]], object],
    reason: str,
) -> None:
    """A lie in what is called a statement of this very model releases nothing."""
    lie = copy.deepcopy(honest)
    change(lie["predicate"])
    with pytest.raises(MlgitopsError, match=reason) as refused:
        account_for_kept(evidence, lie)
    payload = b"kept: " + encode(lie)
    check_lie(record_property, payload, reason=reason, text=str(refused.value))


def test_a_pass_against_an_old_base_enters_no_release(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """Base must be at or after the newest release: else anything is better than the past."""
    statement = evidence.folder / "old.json"
    statement.write_bytes(encode(honest))
    base = honest["predicate"]["report"]["base"]["sha"]
    assert account_for(evidence, statement, newest=base).fields["verdict"] == "pass"
    with pytest.raises(MlgitopsError, match=f"against {base[:12]}, which is older than the newest"):
        account_for(evidence, statement, newest=evidence.results)


def audit_statement(evidence: Evidence, statement: Path, *, prefix: str, **named: Any) -> str:  # noqa: ANN401
    """Hold a statement as an audit does, against a release with fields of its own."""
    stated = account_for(evidence, statement).fields
    names = ("statement", "verdict", "measured_by", "waiver", "metrics")
    lineage = msgspec.to_builtins(make_lineage(evidence.results, evidence.model.read_bytes()))
    lineage |= {name: stated[name] for name in names} | named
    entry = LedgerEntry(
        seq=1,
        environment="production",
        event=Event.SWITCHED,
        model="flights",
        version="v1.0.0",
        sha256=lineage["sha256"],
        commit=evidence.results,
        revision=evidence.results,
        previous=None,
        at="2026-03-01T08:00:00Z",
    )
    released = msgspec.convert(lineage, Lineage)
    release = Release(
        model="flights",
        version="v1.0.0",
        tag="flights@v1.0.0",
        revision=evidence.results,
        sha256=released.sha256,
        lineage=released,
        signature="unsigned",
    )
    with Repository(evidence.recorded.root) as repository:
        subject = Subject(
            entry=entry,
            project=evidence.recorded.root / prefix,
            repository=repository,
            prefix=prefix,
            line=frozenset(),
            desired_by=None,
            trained=None,
            requests=None,
            release=release,
            statement=statement,
            console=Console(quiet=True),
        )
        return check_given_statement(subject)


def test_an_audit_believes_no_other_statement_than_the_releases(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """Of another project of the repository, or one of which the release's tag says more."""
    statement = evidence.folder / "audited.json"
    statement.write_bytes(encode(honest))
    held = audit_statement(evidence, statement, prefix=PREFIX)
    assert held == "pass, and all it says of git holds"
    with pytest.raises(MlgitopsError, match="statement of the project in models/a"):
        audit_statement(evidence, statement, prefix="models/b/")
    for name, value in (
        ("verdict", None),
        ("measured_by", "claimed"),
        ("metrics", [{"name": "score", "value": 0.99}]),
    ):
        with pytest.raises(MlgitopsError, match=f"its {name} is not what the release says"):
            audit_statement(evidence, statement, prefix=PREFIX, **{name: value})


def test_a_release_believes_no_other_statement(
    evidence: Evidence,
    honest: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of another project or model, of a fail, or one that does not hold."""
    statement = evidence.folder / "released.json"
    statement.write_bytes(encode(honest))
    with pytest.raises(MlgitopsError, match="statement of the project in models/a"):
        account_for(evidence, statement, project="models/b/")
    other = evidence.folder / "other.bin"
    other.write_bytes(b"other")
    with pytest.raises(MlgitopsError, match=r"does not hold: .*other\.bin is another model"):
        account_for(evidence, statement, model=other)
    lied = copy.deepcopy(honest)
    lied["predicate"]["evidence"] = "claimed"
    statement.write_bytes(encode(lied))
    with pytest.raises(MlgitopsError, match="does not hold: its evidence is called claimed"):
        account_for(evidence, statement)
    report = evidence.write_report(MEASURED, head=0.25)
    _, _, failed = evidence.state(report, monkeypatch, capsys)
    with pytest.raises(MlgitopsError, match="the verdict on this model is fail"):
        account_for(evidence, failed)
