"""Statements of a verdict that are of the right form, and not what git, policy or model say."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, cast

import jsonschema
import msgspec
import pytest
from git_project import commit_files, git
from released_project import MergedProject, make_lineage
from trust.lie import check_lie
from trust.recorded import FILES, POLICY, PREFIX, Recorded, write_results

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.audit.steps import Subject, check_given_statement
from mlgitops.delivery.releases.merged import list_judged
from mlgitops.delivery.releases.provenance import (
    add_kept_statement,
    add_statement,
    trace_model,
)
from mlgitops.delivery.releases.release import Release
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.github.kept_statement import JudgedCommit, KeptStatement
from mlgitops.model.ledger import Event, LedgerEntry
from mlgitops.model.lineage import Lineage
from mlgitops.model.statement import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    encode_statement_schema,
    parse_statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.delivery.releases.provenance import Account

    Lie = tuple[Callable[[dict[str, Any]], None], str]  # what it changes, and why it is refused
    Verify = Callable[[Lie], tuple[int, str]]

MODEL = b"sixty trees\n"
_MD5 = hashlib.md5(MODEL, usedforsecurity=False).hexdigest()
_SHA256 = hashlib.sha256(MODEL).hexdigest()
_MEASURED = {
    "paths": ["metrics.json"],
    "model": f"md5:{_MD5}",
    "sha256": _SHA256,
    "rows": 1,
    "seconds": 1.0,
}
_RESULTS = {path: text.replace("0" * 32, _MD5) for path, text in write_results(60, 0.625).items()}


class Evidence:
    """A judged pull request in git, the model's file, and the statement of its verdict."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.results = recorded.record(_RESULTS)
        self.folder = recorded.root.parent
        self.model = self.folder / "model.bin"
        self.model.write_bytes(MODEL)

    def state(
        self,
        report: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *options: str,
        published: str = "",
    ) -> tuple[int, str, Path]:
        """Judge ``report`` with `--statement`; return exit code, text and the file's path."""
        path = self.folder / "evidence/statement.json"
        shutil.rmtree(path.parent, ignore_errors=True)
        words = ("--statement", str(path), "--evaluating", "success", *options)
        code, text = self.recorded.judge(report, monkeypatch, capsys, *words, published=published)
        return code, text, path

    def write_report(
        self, measurement: dict[str, Any], head: float = 0.625, *, claimed: float = 0.625
    ) -> dict[str, Any]:
        """Return the report of the job `evaluate`: base's code measured `score` as ``head``.

        ``claimed`` is what the run committed.
        """
        sizes = (("base", "0" * 32, 1_000_000), ("head", _MD5, 2_000_000))
        model = {name: {"hash": f"md5:{md5}", "size": size} for name, md5, size in sizes}
        data = [{"path": "model.bin", **model}]
        report = self.recorded.write_report(measurement=measurement, data=data)
        is_measured = bool(measurement.get("paths"))
        for metric, value in zip(report["metrics"], (claimed, 0.5), strict=True):
            metric["head_claimed"] = value if is_measured else None
        report["metrics"][0].update(head=head, delta=head - 0.5)
        return report

    def verify(
        self,
        statement: bytes,
        capsys: pytest.CaptureFixture[str],
        *options: str,
        model: Path | None = None,
        repository: Path | None = None,
    ) -> tuple[int, str]:
        """Run `mlgitops verify`; return its exit code and what it said."""
        path = self.folder / "stated.json"
        path.write_bytes(statement)
        words = ["verify", str(path), "--repository", str(repository or self.recorded.root)]
        code = run([*words, "--model", str(model or self.model), *options])
        captured = capsys.readouterr()
        return code, captured.out + captured.err


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Make the repository once: no test changes its commits."""
    return Evidence(Recorded(tmp_path_factory.mktemp("evidence") / "model"))


@pytest.fixture(scope="module")
def honest(evidence: Evidence) -> dict[str, Any]:
    """Return the statement that `report` writes of the honest report."""
    with pytest.MonkeyPatch.context() as patch:
        report = evidence.write_report(_MEASURED)
        silent = cast("pytest.CaptureFixture[str]", _Silent())
        _, text, path = evidence.state(report, patch, silent, published=evidence.results)
    assert path.is_file(), text
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


class _Silent:
    """Stands where a module's fixture cannot ask for `capsys`."""

    def readouterr(self) -> Any:  # noqa: ANN401 - only two attributes are looked at
        """Return empty texts."""
        return type("Captured", (), {"out": "", "err": ""})


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


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
        code, text = evidence.verify(_encode(document), capsys)
        check_lie(record_property, _encode(document), reason=reason, text=text)
        return code, text

    return verify


def test_a_verdict_on_a_measured_model_is_stated_and_holds(
    evidence: Evidence, honest: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Form and schema are right, all commits are named, and `verify` ends with 0."""
    jsonschema.validate(honest, json.loads(encode_statement_schema()))
    assert (honest["_type"], honest["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert honest["subject"] == [{"name": "model.bin", "digest": {"md5": _MD5, "sha256": _SHA256}}]
    predicate = honest["predicate"]
    assert predicate["policy"] == {
        "commit": evidence.recorded.base,
        "path": "policy.yaml",
        "sha256": hashlib.sha256(POLICY.encode()).hexdigest(),
    }
    named = (predicate["project"], predicate["results"], predicate["pull_request"])
    assert named == (PREFIX.rstrip("/"), evidence.results, 1)
    assert (predicate["verdict"], predicate["evidence"]) == ("pass", "independent")
    code, text = evidence.verify(_encode(honest), capsys)
    assert code == 0, text
    assert "The statement holds: by the policy at base its facts are pass." in text
    assert "measured  by base's code, as the statement says" in text
    assert f"model     {PREFIX}model.bin, SHA-256 {_SHA256}" in text
    assert f"policy    {PREFIX}policy.yaml" in text
    assert "Not checked: who wrote it." in text


def test_the_predicate_alone_stands_beside_the_statement(
    evidence: Evidence,
    honest: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What `actions/attest` is given is the statement's own predicate, with the outputs for it."""
    report = evidence.write_report(_MEASURED)
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
        f"its model has the MD5 {'7' * 32}, and what was judged has {_MD5}",
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
        f"the model that was measured is md5:{'7' * 32} by the report and md5:{_MD5} in git",
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
    report = evidence.write_report(_MEASURED, head=0.25)
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
    code, text = evidence.verify(_encode(document), capsys)
    reason = "never stood on main as this clone has it, so nobody merged the policy that judged"
    assert code == 1
    check_lie(record_property, _encode(document), reason=reason, text=text)
    # The branch tightens it again and is merged: that policy is in main's history, and never was
    # the one by which main was judged.
    git(recorded.root, "switch", "--quiet", "--create", "loosened")
    commit_files(recorded.root, {f"{PREFIX}policy.yaml": POLICY}, "Tighten")
    git(recorded.root, "switch", "--quiet", "--create", "merged", recorded.base)
    git(recorded.root, "merge", "--quiet", "--no-ff", "--message", "Merge", "loosened")
    code, text = evidence.verify(_encode(document), capsys, "--branch", "merged")
    assert code == 1
    reason = "never stood on merged as this clone has it"
    check_lie(record_property, _encode(document) + b"merged", reason=reason, text=text)


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
    code, text = evidence.verify(_encode(honest), capsys, model=other)
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
    code, text = evidence.verify(_encode(honest), capsys, repository=tmp_path)
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
    report = evidence.write_report(_MEASURED, head=0.25)
    code, text, path = evidence.state(report, monkeypatch, capsys)
    assert (code, path.is_file()) == (1, True), text
    assert json.loads(path.read_text("utf-8"))["predicate"]["verdict"] == "fail"
    code, text = evidence.verify(path.read_bytes(), capsys)
    assert (code, "The statement holds" in text) == (1, True), text


def _without(name: str) -> dict[str, Any]:
    return {**_MEASURED, name: None}


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
    report = evidence.write_report(_MEASURED)
    report["metrics"][0].update(base=0.25, delta=0.375)
    code, text, path = evidence.state(report, monkeypatch, capsys, published=evidence.results)
    assert (code, path.exists()) == (2, False)
    assert "the verdict is undecided, which is no verdict on a model" in text


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
    statement.write_bytes(_encode(honest))
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
        data = _encode(document)
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
    statement.write_bytes(_encode(honest))
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
    payload = b"kept: " + _encode(lie)
    check_lie(record_property, payload, reason=reason, text=str(refused.value))


def test_a_pass_against_an_old_base_enters_no_release(
    evidence: Evidence, honest: dict[str, Any]
) -> None:
    """Base must be at or after the newest release: else anything is better than the past."""
    statement = evidence.folder / "old.json"
    statement.write_bytes(_encode(honest))
    base = honest["predicate"]["report"]["base"]["sha"]
    assert account_for(evidence, statement, newest=base).fields["verdict"] == "pass"
    with pytest.raises(MlgitopsError, match=f"against {base[:12]}, which is older than the newest"):
        account_for(evidence, statement, newest=evidence.results)


JUDGE = ".github/workflows/pull-request.yml"
OWN = {JUDGE: "jobs: {report: {name: Report, steps: [{run: echo pass > statement.json}]}}\n"}
JUDGED = {JUDGE: "jobs: {report: {name: Report, uses: toolkit/report}}\n"}
MODEL_ONLY = {"params.yaml": "task: regression\n"}


def show_pull(project: MergedProject, *commits: dict[str, str]) -> list[str]:
    """Let origin show a pull request 7 of these commits, from the second on named as results."""
    write = project.repository.git
    write("switch", "--quiet", "--detach", "main")
    heads: list[str] = []
    for files in commits:
        for path, text in files.items():
            project.repository.put(path, text)
        subject = f"Record what was trained at {heads[-1][:12]}" if heads else "More trees"
        heads.append(project.repository.commit(subject))
    write("push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    write("switch", "--quiet", "main")
    return heads


def list_judged_of(project: MergedProject, merged: dict[str, str]) -> list[JudgedCommit] | str:
    """Merge these files by a squash that names the pull request, and list who judged it."""
    for path, text in merged.items():
        project.repository.put(path, text)
    merge = project.merge("More trees (#7)")
    with Repository(project.root) as repository:
        return list_judged(repository, merge)


@pytest.fixture
def judging(tmp_path: Path) -> MergedProject:
    """Make a project whose main has a workflow that judges."""
    project = MergedProject(tmp_path)
    project.edit(JUDGE, JUDGED[JUDGE])
    return project


def test_a_pull_request_with_bases_workflow_was_judged(judging: MergedProject) -> None:
    """Also where main has another one by now: the run went by main's, or by one that main had."""
    heads = show_pull(judging, MODEL_ONLY, {"note": "results"})
    judging.edit(JUDGE, "jobs: {}\n")
    judged = list_judged_of(judging, MODEL_ONLY)
    assert not isinstance(judged, str), judged
    assert [commit.sha for commit in judged[1:]] == heads[::-1]
    assert [commit.event for commit in judged] == ["merge_group", "pull_request", "pull_request"]


@pytest.mark.parametrize(
    ("commits", "merged", "reason"),
    [
        ([MODEL_ONLY | OWN], MODEL_ONLY | OWN, f"changes '{JUDGE}'"),
        ([MODEL_ONLY | OWN], MODEL_ONLY, f"changes '{JUDGE}'"),
        ([MODEL_ONLY | OWN, JUDGED], MODEL_ONLY, f"changes '{JUDGE}'"),
        ([MODEL_ONLY], MODEL_ONLY | OWN, f"changes '{JUDGE}'"),
        ([{".github/actions/x/action.yml": "runs: {}\n"}], MODEL_ONLY, "x/action.yml', so that"),
    ],
    ids=["merged too", "left out by the merge", "taken back", "by the queue", "by an action"],
)
def test_a_pull_request_that_may_have_judged_itself_was_not_judged(
    judging: MergedProject,
    record_property: Callable[[str, object], None],
    commits: list[dict[str, str]],
    merged: dict[str, str],
    reason: str,
) -> None:
    """Its run goes by its own workflow, whose job called Report says what it likes."""
    show_pull(judging, *commits)
    judged = list_judged_of(judging, merged)
    assert isinstance(judged, str)
    payload = json.dumps([commits, merged]).encode()
    check_lie(record_property, payload, reason=reason, text=judged)


def test_a_head_of_two_pull_requests_was_judged_by_either_base(
    judging: MergedProject, record_property: Callable[[str, object], None]
) -> None:
    """The other one goes into a branch whose workflow passes everything."""
    (head,) = show_pull(judging, MODEL_ONLY)
    judging.repository.git("push", "--quiet", "origin", f"{head}:refs/pull/8/head")
    judged = list_judged_of(judging, MODEL_ONLY)
    assert isinstance(judged, str)
    reason = "pull request 8 shows a head of 7"
    check_lie(record_property, b"two pull requests", reason=reason, text=judged)


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
    statement.write_bytes(_encode(honest))
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
    statement.write_bytes(_encode(honest))
    with pytest.raises(MlgitopsError, match="statement of the project in models/a"):
        account_for(evidence, statement, project="models/b/")
    other = evidence.folder / "other.bin"
    other.write_bytes(b"other")
    with pytest.raises(MlgitopsError, match=r"does not hold: .*other\.bin is another model"):
        account_for(evidence, statement, model=other)
    lied = copy.deepcopy(honest)
    lied["predicate"]["evidence"] = "claimed"
    statement.write_bytes(_encode(lied))
    with pytest.raises(MlgitopsError, match="does not hold: its evidence is called claimed"):
        account_for(evidence, statement)
    report = evidence.write_report(_MEASURED, head=0.25)
    _, _, failed = evidence.state(report, monkeypatch, capsys)
    with pytest.raises(MlgitopsError, match="the verdict on this model is fail"):
        account_for(evidence, failed)


def _waive(evidence: Evidence, recorded_by: str) -> tuple[dict[str, Any], str]:
    """Record worse results as a waived run is recorded; return the statement's waiver, and them."""
    results = write_results(60, 0.25)
    placed = {path: text.replace("0" * 32, _MD5) for path, text in results.items()}
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
    report = evidence.write_report(_MEASURED, head=0.25, claimed=0.25)
    _, _, path = evidence.state(report, monkeypatch, capsys, published=results)
    document = json.loads(path.read_text("utf-8"))
    document["predicate"].update(verdict="waived", waiver=waiver)
    ended, text = evidence.verify(_encode(document), capsys)
    assert (ended, said in text) == (code, True), text


def test_results_with_another_model_than_the_one_measured_are_not_judged(
    evidence: Evidence,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """What was handed over anew between the two jobs has all values right, and another model."""
    other = {**_MEASURED, "model": "md5:" + "7" * 32}
    report = evidence.write_report(other)
    code, text, path = evidence.state(report, monkeypatch, capsys, published=evidence.results)
    assert (code, path.exists()) == (2, False), text
    reason = f"the model that was measured is {other['model']} by the report and md5:{_MD5} in git"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)
