"""`mlgitops audit`: the answers, the questions by time, and the documents that others read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from audited_project import (
    ENVIRONMENT,
    FIRST,
    SECOND,
    AuditedProject,
    make_audited,
    md5,
    sha256,
)
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from git_project import git
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from posting import BASE, HEAD, REPOSITORY, serve_in_environment
from released_project import MODEL_NAME, MergedProject

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.audit import audit_environment
from mlgitops.delivery.ledger import Ledger
from mlgitops.dvc.stored import locate
from mlgitops.rehearsal.forge import Forge, Pull, State
from mlgitops.render.audit import describe_audit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> AuditedProject:
    """Make a project in service once; what changes it copies it."""
    return make_audited(tmp_path_factory.mktemp("audited") / "project")


@pytest.fixture(scope="module")
def evidence(project: AuditedProject) -> Path:
    """Write every document of what served on 3 March, and of what serves now, into one folder."""
    folder = project.folder / "evidence"
    for words in ([], ["--at", "2026-03-03"]):
        options = ["--directory", str(project.root), "--output", str(folder), *words]
        assert run(["audit", ENVIRONMENT, *options]) == 0
    return folder


def ask(project: AuditedProject, capsys: pytest.CaptureFixture[str], *words: str) -> Any:  # noqa: ANN401 - JSON
    """Ask as a script does; return exit code and document."""
    code = run(["audit", ENVIRONMENT, "--directory", str(project.root), "--json", *words])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else printed.err


def test_what_decided_on_a_day_is_one_command(
    project: AuditedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which model, since when, from which data, approved by whom, with which verdict."""
    assert run(["audit", ENVIRONMENT, "--at", "2026-03-03", "--directory", str(project.root)]) == 0
    text = capsys.readouterr().out
    for answer in (
        "production served flights v1.0.0",
        f"SHA-256 {sha256(FIRST)}",
        "since 2026-03-01T08:00:00Z until 2026-03-05T08:00:00Z",
        "approved by   mira, otto (the release's word)",
        "pass, measured by nobody who is named",
        "data         data/raw/table.csv",
        "train.depth  3",
    ):
        assert answer in text


@pytest.mark.parametrize(
    ("when", "versions"),
    [
        ("2026-03-01", ["v1.0.0"]),
        ("2026-03-04", ["v1.0.0"]),
        ("2026-03-05", ["v1.0.0", "v1.1.0"]),
        ("2026-03-05T07:59:59Z", ["v1.0.0"]),
        ("2026-03-05T08:00:00Z", ["v1.1.0"]),
        ("2026-03-05T09:59:59+02:00", ["v1.0.0"]),
        ("2026-06-01", ["v1.1.0"]),
        (sha256(FIRST), ["v1.0.0"]),
        (sha256(SECOND)[:12], ["v1.1.0"]),
    ],
)
def test_a_day_a_time_or_a_digest_names_the_models(
    project: AuditedProject,
    capsys: pytest.CaptureFixture[str],
    when: str,
    versions: list[str],
) -> None:
    """The first moment counts for the new model; a day may have several."""
    code, document = ask(project, capsys, "--at", when)
    assert code == 0
    assert [model["version"] for model in document["models"]] == versions


def test_the_same_bytes_with_other_code_are_told_apart(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each says its own times in service, and has its own documents."""
    copy = project.copy(tmp_path / "copy")
    copy.repository.put("src/demo/serve.py", "print('serve')\n")
    revision = copy.repository.commit("Serve otherwise (#16)")
    copy.push()
    copy.release(copy.make_lineage(revision, SECOND, "v1.1.1"), "v1.1.0")
    desired = copy.promote("v1.1.1", revision, SECOND)
    at = "2026-03-09T00:00:00Z"
    copy.append(copy.make_entry(desired, revision, SECOND, version="v1.1.1", at=at))
    folder = tmp_path / "evidence"
    code, document = ask(copy, capsys, "--at", sha256(SECOND), "--output", str(folder))
    assert code == 0
    served = [
        (model["version"], [period["seq"] for period in model["periods"]])
        for model in document["models"]
    ]
    assert served == [("v1.1.0", [2]), ("v1.1.1", [3])]
    assert len([*folder.glob("*.provenance.json")]) == 2


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-03-02", 0),
        ("2026-03-03T23:00:00Z", 0),
        ("2026-03-04", 2),
        ("2026-03-04T12:00:00Z", 2),
        ("2026-03-05T08:00:00Z", 2),
        ("2026-03-05T08:00:01Z", 0),
        (sha256(SECOND), 0),
    ],
)
def test_times_that_contradict_the_order_are_no_answer(
    project: AuditedProject,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    when: str,
    code: int,
) -> None:
    """The clock of entry 3 is behind that of entry 2, which no time between them names."""
    copy = project.copy(tmp_path / "copy")
    desired, revision = (git(copy.root, "rev-parse", f"HEAD~{back}") for back in (2, 3))
    entry = copy.make_entry(desired, revision, FIRST, version="v1.0.0", at="2026-03-04T00:00:00Z")
    copy.append(entry)
    answer, document = ask(copy, capsys, "--at", when)
    assert answer == code
    times = [check["state"] for check in document["checks"] if check["name"] == "times"]
    assert times == (["not checked"] if code else [])
    assert "entry 3 says 2026-03-04T00:00:00Z, which is before entry 2" in document["notices"][0]


def test_what_fails_comes_before_the_hashes(project: AuditedProject, tmp_path: Path) -> None:
    """The checks are what is asked for, and of them the one that fails."""
    copy = project.copy(tmp_path / "copy")
    (copy.folder / "storage" / locate(md5(SECOND))).unlink()
    done = audit_environment(copy.root, ENVIRONMENT, Console(quiet=True))
    sections = describe_audit(done).sections
    titles = [section.title for section in sections if section.rows]
    checks = titles.index("Checks, what does not hold first")
    assert checks < titles.index("What flights v1.1.0 was made from and is served with")
    rows = next(section.rows for section in sections if section.title == titles[checks])
    assert rows[0][:2] == ("model: storage", "FAILS")


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("yesterday", r"--at 'yesterday' is no time and no sha256"),
        ("2026-W10-2", r"--at '2026-W10-2' is no time and no sha256"),
        ("20260303", r"--at '20260303' is no time and no sha256"),
        ("9031-01-01", r"--at '9031-01-01' has not been yet"),
        ("2026-02-28", r"nothing was in service in production then"),
        ("0123456789abcdef", r"nothing was in service in production then"),
    ],
)
def test_a_question_without_an_answer_ends_with_2(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], when: str, reason: str
) -> None:
    """Not known is not the same as all is well."""
    code, text = ask(project, capsys, "--at", when)
    assert code == 2
    assert reason in text


def test_what_fails_is_1_and_what_cannot_be_asked_is_2(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And the storage that is away is no tampering."""
    copy = project.copy(tmp_path / "copy")
    git(copy.root, "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    code, document = ask(copy, capsys)
    assert code == 2
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert states == {"ledger": "not checked"}
    copy = project.copy(tmp_path / "forced")
    (copy.root / "deploy/production/model.yaml").write_text("x", encoding="utf-8")
    entry = json.loads(git(copy.origin, "show", "deployments:production.jsonl").splitlines()[-1])
    assert entry["version"] == "v1.1.0"
    assert ask(copy, capsys)[0] == 0  # what lies on disk is nobody's desired state


def test_hostile_names_stay_text(project: AuditedProject, tmp_path: Path) -> None:
    """A subject of a commit may be anything; the page shows it and runs nothing."""
    copy = project.copy(tmp_path / "copy")
    head = git(copy.root, "rev-parse", "HEAD")
    subject = "<script>alert(1)</script>\x1b[31m `x`"
    git(copy.root, "commit", "--quiet", "--allow-empty", "--message", subject)
    copy.push()
    desired = git(copy.root, "rev-parse", "HEAD")
    revision = git(copy.root, "rev-parse", "flights@v1.1.0^{commit}")
    copy.append(
        copy.make_entry(desired, revision, SECOND, version="v1.1.0", at="2026-03-09T00:00:00Z")
    )
    page = tmp_path / "audit.html"
    assert run(["audit", ENVIRONMENT, "--directory", str(copy.root), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Look at this" not in text  # there is nothing, so no heading either
    assert ".facts td:last-child, .facts td:last-child code { overflow-wrap: anywhere; }" in text
    assert text.count('<table class="facts">') == text.count("<table")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
    assert head != desired


def test_the_page_and_the_documents_are_the_same_each_time(
    project: AuditedProject, evidence: Path
) -> None:
    """Evidence can be compared: no time of writing, no random number."""
    before = {file.name: file.read_bytes() for file in evidence.iterdir()}
    options = ["--directory", str(project.root), "--output", str(evidence)]
    assert run(["audit", ENVIRONMENT, *options, "--at", "2026-03-03"]) == 0
    assert {file.name: file.read_bytes() for file in evidence.iterdir()} == before
    assert sorted(name.partition("-")[2].partition(".")[2] for name in before if "-" in name) == [
        "cdx.json",
        "cdx.json",
        "provenance.json",
        "provenance.json",
    ]


def test_no_document_says_that_a_commit_made_other_bytes(
    project: AuditedProject, tmp_path: Path
) -> None:
    """Where the model is not its commit's the audit is written, and nothing that others believe."""
    copy = project.copy(tmp_path / "copy")
    (copy.folder / "storage" / locate(md5(SECOND))).write_bytes(b"another model")
    options = ["--directory", str(copy.root), "--output", str(tmp_path / "evidence")]
    assert run(["audit", ENVIRONMENT, *options]) == 1
    names = sorted(file.name for file in (tmp_path / "evidence").iterdir())
    assert names == ["audit.html", "audit.json"]


def test_in_totos_own_library_accepts_the_provenance(evidence: Path) -> None:
    """Statement and predicate, by the published message types, without an unknown field."""
    files = sorted(evidence.glob("*.provenance.json"))
    assert len(files) == 2
    for file in files:
        document = json.loads(file.read_bytes())
        statement = json_format.ParseDict(document, statement_pb2.Statement())
        Statement.copy_from_pb(statement).validate()
        predicate = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
        definition = predicate.build_definition
        names = [dependency.name for dependency in definition.resolved_dependencies]
        assert {"source", "data/raw/table.csv", "params.yaml"} <= set(names)
        assert predicate.run_details.builder.id
        digest = document["subject"][0]["digest"]["sha256"]
        assert digest in {sha256(FIRST), sha256(SECOND)}


def test_cyclonedxs_own_validator_accepts_the_bill(evidence: Path) -> None:
    """The strict schema of 1.6, and a machine-learning model with its card in it."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    files = sorted(evidence.glob("*.cdx.json"))
    assert len(files) == 2
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert validator.validate_str(text) is None
        document = json.loads(text)
        assert document["metadata"]["component"]["type"] == "machine-learning-model"
        types = {component["type"] for component in document["components"]}
        assert types == {"data", "file", "library"}
        spoiled = text.replace('"machine-learning-model"', '"model"')
        assert validator.validate_str(spoiled) is not None


def test_no_document_names_this_machine(project: AuditedProject, evidence: Path) -> None:
    """Evidence is handed on: no path of the host that wrote it."""
    for file in evidence.iterdir():
        assert not re.search(re.escape(str(project.folder)), file.read_text(encoding="utf-8"))


def make_answering(project: AuditedProject, *, merged_as: str | None = None) -> Forge:
    """Make a forge with both pull requests; the one that asked was approved once, and late."""
    desired = json.loads(
        git(project.origin, "show", "deployments:production.jsonl").splitlines()[-1]
    )
    pull = Pull(
        number=6,
        base=("main", BASE),
        head=("promote/production/v1.1.0", HEAD),
        title="Promote",
        state="closed",
        author="rosa",
        merged_as=merged_as or desired["commit"],
        merged_by="mira",
        reviews=[("mira", "APPROVED", HEAD), ("otto", "APPROVED", BASE)],
    )
    trained = Pull(
        number=len(SECOND),  # as the subject of the commit says
        base=("main", BASE),
        head=("train", HEAD),
        title="Train",
        state="closed",
        author="rosa",
        merged_as=git(project.root, "rev-parse", "flights@v1.1.0^{commit}"),
        merged_by="rosa",
        reviews=[("olga", "APPROVED", HEAD)],
    )
    return Forge(State(repository=REPOSITORY, pulls={6: pull, trained.number: trained}))


def ask_with(
    forge: Forge,
    project: AuditedProject,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:  # noqa: ANN401 - JSON
    """Audit where ``forge`` is GitHub; return exit code, and the states of the checks."""
    with serve_in_environment(forge, monkeypatch):
        code, document = ask(project, capsys, "--github")
    checks = {check["name"]: check for check in document["models"][0]["checks"]}
    return code, checks, document["models"][0]


def test_github_says_who_approved_the_promotion(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked where a token is: who wrote, approved and merged, and that it became this commit."""
    code, checks, model = ask_with(make_answering(project), project, capsys, monkeypatch)
    assert code == 0
    assert checks["desired state: approvers"]["state"] == "holds"
    assert checks["desired state: approvers"]["detail"] == (
        "mira, otto (before its last commit) approved pull request 6 by rosa, merged by mira"
    )
    assert model["promotion"]["merged_by"] == "mira"
    assert checks["verdict: approvers"]["detail"].startswith("olga approved pull request 14 by")


def test_a_name_in_a_release_is_no_approval(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag says mira and otto; GitHub, where it is asked, that nobody did."""
    _, document = ask(project, capsys)
    checks = {check["name"]: check for check in document["models"][0]["checks"]}
    assert checks["verdict: approvers"]["state"] == "absent"
    assert "nobody vouches for that" in checks["verdict: approvers"]["detail"]
    forge = make_answering(project)
    forge.state.pulls[len(SECOND)].reviews = []
    _, checks, model = ask_with(forge, project, capsys, monkeypatch)
    assert model["training"]["approvals"] == []
    assert checks["verdict: approvers"]["state"] == "absent"
    assert checks["verdict: approvers"]["detail"].startswith("nobody approved pull request 14")


def test_a_pull_request_that_became_another_commit_is_refused(
    project: AuditedProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subject can name any number; GitHub knows what it was merged as."""
    forge = make_answering(project, merged_as="f" * 40)
    code, checks, _ = ask_with(forge, project, capsys, monkeypatch)
    assert code == 1
    assert checks["desired state: approvers"]["state"] == "fails"
    assert checks["desired state: approvers"]["detail"].startswith(
        "pull request 6: it was merged as ffffffffffff, and "
    )


def test_asking_github_without_a_token_ends_with_2(
    project: AuditedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for and cannot be done is not left out in silence."""
    code, text = ask(project, capsys, "--github")
    assert code == 2
    assert "GitHub cannot be asked: no token, or no repository" in text


def test_what_the_tool_releases_holds_in_an_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release by `mlgitops release`, whose lineage has gaps with their reasons."""
    project = MergedProject(tmp_path)
    root = project.repository.root
    assert run(["release", "--push", "--directory", str(root)]) == 0
    capsys.readouterr()
    (tag,) = project.list_tags()
    version, revision = tag.partition("@")[2], git(root, "rev-parse", f"{tag}^{{commit}}")
    wanted = f'model: {MODEL_NAME}\nversion: {version}\nrevision: "{revision}"\nport: 8080\n'
    desired = project.edit(f"deploy/{ENVIRONMENT}/model.yaml", wanted)
    audited = AuditedProject(tmp_path)
    entry = audited.make_entry(
        desired, revision, b"first", version=version, at="2026-03-01T00:00:00Z"
    )
    Ledger(root, "").append(ENVIRONMENT, lambda _: entry)
    assert run(["audit", ENVIRONMENT, "--json", "--directory", str(root)]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    data = [item["path"] for item in model["ingredients"] if item["kind"] == "data"]
    assert data == [item["path"] for item in model["lineage"]["data"]][: len(data)] != []
    details = {check["name"]: check["detail"] for check in model["checks"]}
    assert "no `Reviewed-by:`" in details["verdict: approvers"]
