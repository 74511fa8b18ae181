"""Statements of a verdict that are of the right form, and not what git, policy or model say."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from git_project import commit_files, git
from trust.lie import check_lie
from trust.recorded import FILES, POLICY, PREFIX, Recorded, write_results
from trust.stated import MD5, MEASURED, SHA256, Evidence, encode

from mlgitops.model.statement import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    encode_statement_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Lie = tuple[Callable[[dict[str, Any]], None], str]  # what it changes, and why it is refused
    Verify = Callable[[Lie], tuple[int, str]]


@pytest.fixture
def verify_lie(
    evidence: Evidence,
    honest: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> Verify:
    """Return what verifies the honest statement with a lie in it: exit code and what is said."""

    def verify(lie: Lie) -> tuple[int, str]:
        change, reason = lie
        document = copy.deepcopy(honest)
        change(document)
        code, text = evidence.verify(encode(document), capsys)
        check_lie(record_property, encode(document), reason=reason, text=text)
        return code, text

    return verify


def test_a_verdict_on_a_measured_model_is_stated_and_holds(
    evidence: Evidence, honest: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Form and schema are right, all commits are named, and `verify` ends with 0."""
    jsonschema.validate(honest, json.loads(encode_statement_schema()))
    assert (honest["_type"], honest["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert honest["subject"] == [{"name": "model.bin", "digest": {"md5": MD5, "sha256": SHA256}}]
    predicate = honest["predicate"]
    assert predicate["policy"] == {
        "commit": evidence.recorded.base,
        "path": "policy.yaml",
        "sha256": hashlib.sha256(POLICY.encode()).hexdigest(),
    }
    named = (predicate["project"], predicate["results"], predicate["pull_request"])
    assert named == (PREFIX.rstrip("/"), evidence.results, 1)
    assert (predicate["verdict"], predicate["evidence"]) == ("pass", "independent")
    code, text = evidence.verify(encode(honest), capsys)
    assert code == 0, text
    assert "The statement holds: by the policy at base its facts are pass." in text
    assert "measured  by base's code, as the statement says" in text
    assert f"model     {PREFIX}model.bin, SHA-256 {SHA256}" in text
    assert f"policy    {PREFIX}policy.yaml" in text
    assert "Not checked: who wrote it." in text


def test_the_predicate_alone_stands_beside_the_statement(
    evidence: Evidence,
    honest: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `actions/attest` is given is the statement's own predicate, with the outputs for it."""
    report = evidence.write_report(MEASURED)
    _, _, path = evidence.state(report, monkeypatch, capsys, published=evidence.results)
    predicate = json.loads(path.with_suffix(".predicate.json").read_text("utf-8"))
    assert predicate == honest["predicate"]


def _edit(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Return an edit that sets the value at a path of keys."""

    def edit(document: dict[str, Any]) -> None:
        node: Any = document
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return edit


def _raise_score(document: dict[str, Any]) -> None:
    metric = next(m for m in document["predicate"]["report"]["metrics"] if m["name"] == "score")
    metric.update(head=0.875, head_claimed=0.875, delta=0.375)


def _raise_measured(document: dict[str, Any]) -> None:
    """Git does not hold what base's code measured, but what the run committed stands beside it."""
    metric = next(m for m in document["predicate"]["report"]["metrics"] if m["name"] == "score")
    metric.update(head=0.875, delta=0.375)


def _lower_base(document: dict[str, Any]) -> None:
    metric = next(m for m in document["predicate"]["report"]["metrics"] if m["name"] == "score")
    metric.update(base=0.25, delta=0.375)


def _other_rows(document: dict[str, Any]) -> None:
    for side in ("base", "head"):
        document["predicate"]["report"][side]["test_data"] = "md5:" + "7" * 32


def _unmeasure(document: dict[str, Any]) -> None:
    report = document["predicate"]["report"]
    report["measurement"].update(reason="the type is not trusted", paths=[], rows=None)
    for metric in report["metrics"]:
        metric["head_claimed"] = None


_REPORT = ("predicate", "report")
LIES: dict[str, Lie] = {
    "another SHA-256": (
        _edit("subject", 0, "digest", "sha256", value="7" * 64),
        "its model's SHA-256 is not that of the file that was measured",
    ),
    "another MD5": (
        _edit("subject", 0, "digest", "md5", value="7" * 32),
        f"its model has the MD5 {'7' * 32}, and what was judged has {MD5}",
    ),
    "another file's name": (
        _edit("subject", 0, "name", value="other.bin"),
        "its model is other.bin, and the policy's is model.bin",
    ),
    "a better value": (_raise_score, "`score` at head is 0.875 by the report and 0.625 in git"),
    "a better measured value": (
        _raise_measured,
        "its verdict is pass, and by the policy at base fail",
    ),
    "a worse base": (_lower_base, "`score` at base is 0.25 by the report and 0.5 in git"),
    "other test rows": (_other_rows, "the test data at base is md5:7777"),
    "a looser limit": (
        _edit(*_REPORT, "judgement", "metrics", 0, "rule", "max_worsening", value=0.5),
        "its `judgement` is not what the policy at base makes of its facts",
    ),
    "a fail of what passes": (
        _edit("predicate", "verdict", value="fail"),
        "its verdict is fail, and by the policy at base pass",
    ),
    "a waiver that nobody gave": (
        _edit(
            "predicate",
            "waiver",
            value={
                "login": "mallory",
                "at": "2026-11-27T12:00:00Z",
                "sha": "7" * 40,
                "reason": "it is fine",
                "url": "https://github.example/octo/model/pull/1#issuecomment-1",
            },
        ),
        "its waiver is for another commit than its head",
    ),
    "evidence of its own run": (
        _edit("predicate", "evidence", value="claimed"),
        "its evidence is called claimed, and by its own facts it is independent",
    ),
    "nobody measured it": (_unmeasure, "its evidence is called independent, and by its own facts"),
    "another model measured": (
        _edit(*_REPORT, "measurement", "model", value="md5:" + "7" * 32),
        f"the model that was measured is md5:{'7' * 32} by the report and md5:{MD5} in git",
    ),
    "files that decide, announced by none": (
        _edit(*_REPORT, "protected", value=["policy.yaml"]),
        "its `protected` is not what git says",
    ),
    "another policy's text": (
        _edit("predicate", "policy", "sha256", value="7" * 64),
        "the policy is not that of base: git has another one at models/a/policy.yaml",
    ),
    "a policy that is not there": (
        _edit("predicate", "policy", "path", value="lax.yaml"),
        "the policy is not that of base: git has none at models/a/lax.yaml",
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_statement_that_says_anything_else_does_not_hold(verify_lie: Verify, lie: Lie) -> None:
    """Exit code 1, and what it should have said."""
    code, text = verify_lie(lie)
    assert (code, "The statement does not hold:" in text) == (1, True), text


def test_the_policy_of_another_commit_does_not_judge(
    evidence: Evidence, verify_lie: Verify
) -> None:
    """The same text at another commit than base is no policy of base's."""
    head, base = evidence.recorded.head, evidence.recorded.base
    reason = f"the policy is of {head[:12]}, and base is {base[:12]}"
    code, _ = verify_lie((_edit("predicate", "policy", "commit", value=head), reason))
    assert code == 1


def test_another_policy_of_base_does_not_judge(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """An example of a lax policy, merged by somebody for another end, is not the project's."""
    lax = POLICY.replace("0.01", "0.5")
    monkeypatch.setitem(FILES, f"{PREFIX}lax.yaml", lax)
    evidence = Evidence(Recorded(tmp_path / "model"))
    report = evidence.write_report(MEASURED, head=0.25)
    words = ("--policy", "lax.yaml")
    _, text, path = evidence.state(report, monkeypatch, capsys, *words, published=evidence.results)
    assert path.is_file(), text
    statement = path.read_bytes()
    code, text = evidence.verify(statement, capsys)
    reason = "it was judged by lax.yaml, and the policy is policy.yaml"
    assert code == 1
    check_lie(record_property, statement, reason=reason, text=text)
    _, text = evidence.verify(statement, capsys, *words)
    assert "it was judged by" not in text


def test_a_base_that_nobody_merged_does_not_judge(
    evidence: Evidence,
    honest: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A policy on a branch of one's own is refused, however well all else agrees."""
    recorded = evidence.recorded
    git(recorded.root, "switch", "--quiet", "--detach", recorded.base)
    lax = POLICY.replace("0.01", "0.5")
    base = commit_files(recorded.root, {f"{PREFIX}policy.yaml": lax}, "Loosen")
    document = copy.deepcopy(honest)
    document["predicate"]["report"]["base"]["sha"] = base
    digest = hashlib.sha256(lax.encode()).hexdigest()
    document["predicate"]["policy"].update(commit=base, sha256=digest)
    code, text = evidence.verify(encode(document), capsys)
    reason = "never stood on main as this clone has it, so nobody merged the policy that judged"
    assert code == 1
    check_lie(record_property, encode(document), reason=reason, text=text)
    # The branch tightens it again and is merged: that policy is in main's history, and never was
    # the one by which main was judged.
    git(recorded.root, "switch", "--quiet", "--create", "loosened")
    commit_files(recorded.root, {f"{PREFIX}policy.yaml": POLICY}, "Tighten")
    git(recorded.root, "switch", "--quiet", "--create", "merged", recorded.base)
    git(recorded.root, "merge", "--quiet", "--no-ff", "--message", "Merge", "loosened")
    code, text = evidence.verify(encode(document), capsys, "--branch", "merged")
    assert code == 1
    reason = "never stood on merged as this clone has it"
    check_lie(record_property, encode(document) + b"merged", reason=reason, text=text)


def test_another_model_is_refused(
    evidence: Evidence,
    honest: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The file must have both hashes."""
    other = tmp_path / "model.bin"
    other.write_bytes(b"seventy trees\n")
    code, text = evidence.verify(encode(honest), capsys, model=other)
    assert code == 1
    assert f"its md5 is {hashlib.md5(b'seventy trees' + bytes([10])).hexdigest()}" in text  # noqa: S324
    reason = f"{other} is another model: its sha256 is"
    check_lie(
        record_property, other.read_bytes(), reason="is another model: its sha256 is", text=text
    )
    assert reason in text


def test_another_repository_is_refused(
    evidence: Evidence,
    honest: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Commits that are not there cannot be checked: exit code 2, and where they should be."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit_files(tmp_path, {"README.md": "Another\n"}, "Start")
    code, text = evidence.verify(encode(honest), capsys, repository=tmp_path)
    assert code == 2
    assert "it is a statement of https://github.example/octo/model" in text
    reason = f"the statement's base {evidence.recorded.base[:12]} is not a commit of this"
    check_lie(record_property, str(tmp_path).encode(), reason=reason, text=text)


_POLICY_PATH = ("predicate", "policy", "path")
_FORMS: dict[str, Lie] = {
    "a field of nobody's": (_edit("signed", value=True), "unknown field `signed`"),
    "another type": (_edit("_type", value=f"{STATEMENT_TYPE}.1"), "at `$._type`"),
    "another predicate": (
        _edit("predicateType", value="https://slsa.dev/provenance/v1"),
        "not a statement of a verdict: predicateType is 'https://slsa.dev/provenance/v1'",
    ),
    "no subject": (_edit("subject", value=[]), "at `$.subject`"),
    "no verdict": (_edit("predicate", "verdict", value="skip"), "at `$.predicate.verdict`"),
    "a project outside": (
        _edit("predicate", "project", value="models/../../x"), "at `$.predicate.project`"
    ),
    "a policy outside": (_edit(*_POLICY_PATH, value="/etc/x"), "at `$.predicate.policy.path`"),
    "a change that does not add up": (
        _edit(*_REPORT, "metrics", 0, "delta", value=0.75),
        "is not head minus base",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", _FORMS.values(), ids=_FORMS)
def test_what_is_no_statement_of_ours_is_not_checked(verify_lie: Verify, lie: Lie) -> None:
    """Exit code 2: it is bad input, whatever it says."""
    code, text = verify_lie(lie)
    assert code == 2, text


def test_a_fail_is_stated_and_is_no_way_to_deploy(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The statement of a fail holds, and `verify` ends with 1 all the same."""
    report = evidence.write_report(MEASURED, head=0.25)
    code, text, path = evidence.state(report, monkeypatch, capsys)
    assert (code, path.is_file()) == (1, True), text
    assert json.loads(path.read_text("utf-8"))["predicate"]["verdict"] == "fail"
    code, text = evidence.verify(path.read_bytes(), capsys)
    assert (code, "The statement holds" in text) == (1, True), text


def _without(name: str) -> dict[str, Any]:
    return {**MEASURED, name: None}


@pytest.mark.parametrize(
    "case",
    [
        ({"reason": "no model"}, True, "the SHA-256 of the model's file is not known"),
        (_without("sha256"), True, "the SHA-256 of the model's file is not known"),
        (_without("model"), False, "neither a commit with the run's results nor a measurement"),
    ],
    ids=["not measured", "not read", "named by nobody"],
)
def test_no_statement_of_a_model_that_only_the_run_names(
    evidence: Evidence,
    case: tuple[dict[str, Any], bool, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reason is said, and no file is left."""
    measurement, publishes, reason = case
    report = evidence.write_report(measurement)
    published = evidence.results if publishes else ""
    _, text, path = evidence.state(report, monkeypatch, capsys, published=published)
    assert "no statement of the verdict was written: " in text
    assert reason in text
    assert not path.parent.exists()


def test_what_is_undecided_is_not_stated(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report that git contradicts has no verdict, and no statement."""
    report = evidence.write_report(MEASURED)
    report["metrics"][0].update(base=0.25, delta=0.375)
    code, text, path = evidence.state(report, monkeypatch, capsys, published=evidence.results)
    assert (code, path.exists()) == (2, False)
    assert "the verdict is undecided, which is no verdict on a model" in text


def _waive(evidence: Evidence, recorded_by: str) -> tuple[dict[str, Any], str]:
    """Record worse results as a waived run is recorded; return the statement's waiver, and them."""
    results = write_results(60, 0.25)
    placed = {path: text.replace("0" * 32, MD5) for path, text in results.items()}
    recorded = evidence.recorded
    sha = recorded.record(placed)
    trailers = f"Waived-by: {recorded_by}\nWaived-sha: {recorded.head}"
    subject = git(recorded.root, "log", "-1", "--format=%s", sha)
    git(recorded.root, "commit", "--quiet", "--amend", "--message", f"{subject}\n\n{trailers}")
    waiver = {
        "login": "olga",
        "at": "2026-11-27T12:00:00Z",
        "sha": recorded.head,
        "reason": "the old data was wrong",
        "url": "https://github.example/octo/model/pull/1#issuecomment-1",
    }
    return waiver, git(recorded.root, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "case",
    [
        ("olga", 0, "by the policy at base its facts are waived"),
        ("mallory", 1, "no commit with the run's results records its waiver"),
    ],
)
def test_a_waiver_is_held_against_the_commit_that_records_it(
    evidence: Evidence,
    case: tuple[str, int, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who waived stands in git, in the message of the commit with the results."""
    recorded_by, code, said = case
    waiver, results = _waive(evidence, recorded_by)
    report = evidence.write_report(MEASURED, head=0.25, claimed=0.25)
    _, _, path = evidence.state(report, monkeypatch, capsys, published=results)
    document = json.loads(path.read_text("utf-8"))
    document["predicate"].update(verdict="waived", waiver=waiver)
    ended, text = evidence.verify(encode(document), capsys)
    assert (ended, said in text) == (code, True), text


def test_results_with_another_model_than_the_one_measured_are_not_judged(
    evidence: Evidence,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """What was handed over anew between the two jobs has all values right, and another model."""
    other = {**MEASURED, "model": "md5:" + "7" * 32}
    report = evidence.write_report(other)
    code, text, path = evidence.state(report, monkeypatch, capsys, published=evidence.results)
    assert (code, path.exists()) == (2, False), text
    reason = f"the model that was measured is {other['model']} by the report and md5:{MD5} in git"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)
