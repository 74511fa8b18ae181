"""Tamperings with what is in service: each is refused, and the first thing that fails is named.

One honest project; each case changes one thing in a copy of it, as somebody with access to that
one thing could, and the audit must say which it was.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from audited_project import (
    ENVIRONMENT,
    FIRST,
    MODEL,
    SECOND,
    AuditedProject,
    make_audited,
    md5,
    sha256,
)
from git_project import git
from released_project import tag_release
from trust.lie import check_lie

from mlgitops.commands.audit import find_exit_code
from mlgitops.console import Console
from mlgitops.delivery.audit import Given, audit_environment
from mlgitops.delivery.releases.release import find_release
from mlgitops.dvc.stored import locate
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.model.audit import Audit, CheckState
from mlgitops.model.ledger import LedgerEntry
from mlgitops.model.lineage import Lineage, ReleasedMetric, encode_message
from mlgitops.render.audit import describe_audit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEDGER = f"{ENVIRONMENT}.jsonl"
BRANCH = "refs/heads/deployments"
TAG = "flights@v1.1.0"
OBJECT = locate(md5(SECOND))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> AuditedProject:
    """Make the honest project once; only to be copied."""
    return make_audited(tmp_path_factory.mktemp("audited") / "honest")


@pytest.fixture
def project(honest: AuditedProject, tmp_path: Path) -> AuditedProject:
    """Return a copy to tamper with."""
    return honest.copy(tmp_path / "copy")


def audit(
    project: AuditedProject, *, asked: str | None = None, statement: Path | None = None
) -> Audit:
    """Audit production as the command does."""
    quiet = Console(quiet=True)
    given = Given(statement=statement)
    return audit_environment(project.root, ENVIRONMENT, quiet, asked=asked, given=given)


def name_failure(
    project: AuditedProject, *, asked: str | None = None, statement: Path | None = None
) -> str:
    """Return the first check that fails, with its detail."""
    failure = audit(project, asked=asked, statement=statement).find_first(CheckState.FAILS)
    assert failure is not None
    return f"{failure.name}: {failure.detail}"


def test_the_honest_project_holds(honest: AuditedProject) -> None:
    """Otherwise every refusal below would prove nothing."""
    done = audit(honest)
    assert done.find_first(CheckState.FAILS) is None
    assert done.find_first(CheckState.OPEN) is None
    holding = [check.name for check in done.list_checks() if check.state is CheckState.HOLDS]
    assert len(holding) == 12


# The ledger: each case gives the file a new content, by a commit on the branch.


def rewrite_line(change: Callable[[dict[str, Any]], object]) -> Callable[[list[str]], list[str]]:
    """Return what changes the last line of the ledger."""

    def rewrite(lines: list[str]) -> list[str]:
        document = json.loads(lines[-1])
        change(document)
        return [*lines[:-1], json.dumps(document)]

    return rewrite


def append_line(**fields: object) -> Callable[[list[str]], list[str]]:
    """Return what adds a line like the last one, with some fields of its own."""

    def append(lines: list[str]) -> list[str]:
        document = json.loads(lines[-1])
        document |= {"seq": document["seq"] + 1, "previous": document["sha256"], **fields}
        return [*lines, json.dumps(document)]

    return append


def commit_ledger(project: AuditedProject, files: dict[str, str], *words: str) -> None:
    """Commit files on the ledger's branch, as a hand would, and push them."""
    hand = project.folder / "hand"
    git(project.folder, "clone", "--quiet", "--branch", "deployments", str(project.origin), "hand")
    for name, text in files.items():
        (hand / name).write_text(text, encoding="utf-8")
    git(hand, "add", "--all")
    git(hand, "commit", "--quiet", "--message", "by hand")
    for word in words:
        git(hand, *word.split())
    git(hand, "push", "--quiet", "origin", "deployments")


def read_lines(project: AuditedProject) -> list[str]:
    """Read the lines of the honest ledger."""
    return git(project.origin, "show", f"{BRANCH}:{LEDGER}").splitlines()


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (rewrite_line(lambda line: line.update(actor="nobody")), "it rewrites entries of prod"),
        (rewrite_line(lambda line: line.update(sha256="0" * 64)), "it rewrites entries of prod"),
        (lambda lines: lines[:-1], "it rewrites entries of production.jsonl"),
        (lambda lines: lines[::-1], "it rewrites entries of production.jsonl"),
        (append_line(seq=4), "the entry is number 4, not 3: one is missing or was moved"),
        (append_line(seq=2), "the entry is number 2, not 3: one is missing or was moved"),
        (append_line(previous="e" * 64), "the entry says that eeeeeeeeeeee served before"),
        (append_line(previous=None), "the entry says that none served before"),
        (append_line(environment="staging"), "the entry is of staging, not of production"),
        (append_line(approved=True), "no entry of a ledger: Object contains unknown field"),
        (append_line(event="approved"), "no entry of a ledger: Invalid enum value 'approved'"),
        (append_line(commit="main"), "no entry of a ledger: Expected `str` matching regex"),
        (append_line(at="3 March"), "no entry of a ledger: Expected `str` matching regex"),
        (append_line(reason="x" * 501), "no entry of a ledger: Expected `str` of length <= 500"),
        (append_line(reason="x" * 20_000), "bytes are more than the 16,384 we read"),
        (lambda lines: [*lines, lines[-1][:-1] + ',"seq":3}'], "the key 'seq' stands there twice"),
        (lambda lines: [*lines, ""], "not JSON: Expecting value"),
    ],
)
def test_a_line_of_the_ledger_by_hand(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    tamper: Callable[[list[str]], list[str]],
    reason: str,
) -> None:
    """Whoever can push to the branch can write a line, and not one that follows from nothing."""
    text = "".join(f"{line}\n" for line in tamper(read_lines(project)))
    commit_ledger(project, {LEDGER: text})
    failure = name_failure(project)
    assert failure.startswith("ledger: ")
    check_lie(record_property, text.encode(), reason=reason, text=failure)


@pytest.mark.parametrize(
    ("files", "words", "reason"),
    [
        ({"notes.md": "trust me\n"}, (), "it changes notes.md (A), which is no adding of an entry"),
        ({"README.md": "other\n"}, (), "it changes README.md (M), which is no adding of an entry"),
        ({"a.jsonl": "{}\n", "b.jsonl": "{}\n"}, (), "it changes 2 files, and an entry is a line"),
        (
            {LEDGER: "x"},
            (f"update-index --chmod=+x {LEDGER}", "commit --quiet --amend --no-edit"),
            "it changes production.jsonl (M), which is no adding of an entry",
        ),
        (
            {},
            (
                "checkout --quiet --orphan other",
                "commit --quiet --message other",
                "checkout --quiet deployments",
                "merge --quiet --allow-unrelated-histories --no-edit -s ours other",
            ),
            "it joins two histories, and the ledger has one",
        ),
    ],
)
def test_a_commit_on_the_ledger_that_is_no_entry(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    files: dict[str, str],
    words: tuple[str, ...],
    reason: str,
) -> None:
    """The branch holds entries and nothing else, in one line of history."""
    if not files:
        files = {"staging.jsonl": read_lines(project)[0].replace(ENVIRONMENT, "staging") + "\n"}
    commit_ledger(project, files, *words)
    check_lie(record_property, str(files).encode(), reason=reason, text=name_failure(project))


def test_a_ledger_that_was_force_pushed(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """A clone that has read what is gone says so."""
    audit(project)
    git(project.origin, "update-ref", BRANCH, f"{BRANCH}~1")
    check_lie(
        record_property,
        b"force-push",
        reason="read here before, is gone from it",
        text=name_failure(project),
    )


# Entries that follow, and say what git does not: whoever deploys can write them.


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"sha256": "d" * 64},
            "model.yaml at {desired}: it asks for the sha256 {second}, and dddddddddddd was served",
        ),
        ({"version": "v1.0.0"}, "it asks for the version v1.1.0, and v1.0.0 was served"),
        ({"model": "fraud"}, "it asks for the model flights, and fraud was served"),
        (
            {"revision": "{desired_full}"},
            "it asks for the revision {revision}, and {desired} was served",
        ),
        ({"commit": "{revision_full}"}, "at {revision}: it asks for the revision "),
        ({"forced": True}, "desired state: merged: entry 3 says that it was deployed with --force"),
    ],
)
def test_an_entry_that_git_does_not_know(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    fields: dict[str, Any],
    reason: str,
) -> None:
    """The ledger is a claim of who deploys; the desired state is what was merged."""
    last = json.loads(read_lines(project)[-1])
    names = {
        "desired": last["commit"][:12],
        "desired_full": last["commit"],
        "revision": last["revision"][:12],
        "revision_full": last["revision"],
        "second": last["sha256"][:12],
    }
    filled = {
        name: value.format(**names) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    append_entry(project, filled)
    check_lie(
        record_property,
        json.dumps(filled).encode(),
        reason=reason.format(**names),
        text=name_failure(project),
    )


def append_entry(project: AuditedProject, fields: dict[str, Any]) -> None:
    """Append an entry like the last one, with some fields of its own."""
    last = json.loads(read_lines(project)[-1])
    project.append(msgspec.convert(last | fields, LedgerEntry))


def put_in_service(project: AuditedProject, commit: str, revision: str, content: bytes) -> None:
    """Write an entry for a model that has no release."""
    entry = project.make_entry(
        commit, revision, content, version="v1.1.0", at="2026-03-09T00:00:00Z"
    )
    project.append(msgspec.structs.replace(entry, version=None))


def test_a_desired_state_that_nobody_merged(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """It stands on a branch, and was deployed from there."""
    git(project.root, "switch", "--quiet", "--create", "mine")
    desired = project.repository.commit("Mine")
    git(project.root, "switch", "--quiet", "main")
    last = json.loads(read_lines(project)[-1])
    put_in_service(project, desired, last["revision"], SECOND)
    asked = f"{desired[:12]}, which asked for it"
    reason = f"desired state: merged: {asked}, never was the tip of the default"
    check_lie(record_property, desired.encode(), reason=reason, text=name_failure(project))


def test_a_desired_state_from_the_middle_of_a_merged_branch(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """What was merged is the branch's end; nobody approved its middle."""
    git(project.root, "switch", "--quiet", "--create", "topic")
    desired = project.repository.commit("Middle")
    project.repository.commit("End")
    git(project.root, "switch", "--quiet", "main")
    git(project.root, "merge", "--quiet", "--no-ff", "--message", "Merge (#9)", "topic")
    project.push()
    last = json.loads(read_lines(project)[-1])
    put_in_service(project, desired, last["revision"], SECOND)
    asked = f"{desired[:12]}, which asked for it"
    reason = f"desired state: merged: {asked}, never was the tip of the default"
    check_lie(record_property, desired.encode(), reason=reason, text=name_failure(project))


def edit_revision(project: AuditedProject, path: str, old: str, new: str | None) -> None:
    """Commit a model whose files contradict each other, and put it in service."""
    text = (project.root / path).read_text(encoding="utf-8")
    assert old in text
    if new is None:
        (project.root / path).unlink()
    else:
        (project.root / path).write_text(text.replace(old, new), encoding="utf-8")
    revision = project.repository.commit("Edit (#13)")
    project.repository.put(
        f"deploy/{ENVIRONMENT}/model.yaml",
        f'model: flights\nrevision: "{revision}"\nsha256: "{sha256(SECOND)}"\nport: 8080\n',
    )
    desired = project.repository.commit("Ask (#14)")
    project.push()
    put_in_service(project, desired, revision, SECOND)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            ("model/model.json", sha256(SECOND), sha256(FIRST)),
            f"model/model.json at {{}}: it describes the model {sha256(FIRST)[:12]}",
        ),
        (("model/model.json", "sha256", "sha512"), "there is no sha256 of the model, 64 hex digi"),
        (("model/model.json", "sha256", None), "this commit describes no model"),
        (
            ("dvc.lock", md5(SECOND), md5(FIRST)),
            f"the model's sha256 is {sha256(FIRST)[:12]}, not {sha256(SECOND)[:12]}",
        ),
        (("dvc.lock", md5(SECOND), md5(b"none")), "is not in the storage"),
        (("dvc.lock", MODEL, "model/other.skops"), "dvc.lock names no model/model.skops"),
    ],
)
def test_a_commit_whose_files_name_another_model(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    edit: tuple[str, str, str | None],
    reason: str,
) -> None:
    """Merged, and still not what served."""
    edit_revision(project, *edit)
    revision = git(project.root, "rev-parse", "HEAD~1")[:12]
    check_lie(
        record_property,
        str(edit).encode(),
        reason=reason.format(revision),
        text=name_failure(project),
    )


# The bytes of the model, wherever there is a copy.


@pytest.mark.parametrize("content", [b"a second modeL", b"a second", b"", FIRST])
@pytest.mark.parametrize("place", ["clone/.dvc/cache", "storage"])
def test_bytes_that_are_not_the_models(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    place: str,
    content: bytes,
) -> None:
    """One byte, a part, nothing, or an older model."""
    (project.folder / place / OBJECT).write_bytes(content)
    reason = (
        f"model: cache: {project.root / '.dvc/cache' / OBJECT}: the model's md5 is "
        if place.endswith("cache")
        else f"the stored object {md5(SECOND)} has the content {md5(content)}"
    )
    failure = name_failure(project)
    assert failure.startswith("model: cache" if place.endswith("cache") else "model: storage")
    check_lie(record_property, place.encode() + content, reason=reason, text=failure)


def test_a_model_that_is_gone_from_the_storage(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """A copy in somebody's cache is no evidence that others can have."""
    (project.folder / "storage" / OBJECT).unlink()
    reason = f"model: storage: the object {md5(SECOND)} is not in the storage"
    check_lie(record_property, b"removed", reason=reason, text=name_failure(project))


@pytest.mark.parametrize("content", [b"served instead", None])
def test_a_bundle_with_another_model(
    project: AuditedProject, record_property: Callable[[str, object], None], content: bytes | None
) -> None:
    """What the server of this host would load at its next start."""
    name = f"{sha256(SECOND)[:16]}-0123456789ab"
    file = project.root / ".mlgitops/deploy" / ENVIRONMENT / "bundles" / name / MODEL
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_bytes(content)
    digest = "None" if content is None else sha256(content)[:12]
    reason = f"model: bundles: {file}: the model's sha256 is {digest}"
    check_lie(record_property, content or b"gone", reason=reason, text=name_failure(project))


# The release's tag and its lineage.


def read_lineage(project: AuditedProject) -> Lineage:
    """Read the honest lineage."""
    with Repository(project.root) as repository:
        return find_release(repository, "flights", "v1.1.0").lineage


def replace_tag(
    project: AuditedProject,
    lineage: Lineage,
    *,
    message: bytes | None = None,
    target: str | None = None,
) -> None:
    """Put another tag in the place of the honest one, here and at origin."""
    git(project.root, "tag", "--delete", TAG)
    tag_release(project.repository, lineage, name=TAG, message=message, target=target)
    git(project.root, "push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"contract": "1" * 64}, "its contract is 111111111111, and git has"),
        ({"parameters": "2" * 64}, "its parameters is 222222222222, and git has"),
        ({"environment": "3" * 64}, "its environment is 333333333333, and git has"),
        ({"serving": "4" * 64}, "its serving is 444444444444, and git has"),
        ({"sha256": "5" * 64}, f"its model has the sha256 {'5' * 64}"),
        ({"md5": "6" * 32}, f"its model has the md5 {'6' * 32}"),
        ({"version": "v9.0.0"}, "its lineage is that of flights@v9.0.0"),
        ({"model": "fraud"}, "its lineage is that of fraud@v1.1.0"),
        ({"commit": "7" * 40}, "its lineage is of 777777777777, and it stands on"),
        ({"verdict": "waived"}, "its verdict and its waiver contradict each other"),
        ({"approvers": None}, "`approvers` is not there, without a reason"),
    ],
)
def test_a_lineage_that_git_contradicts(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    fields: dict[str, Any],
    reason: str,
) -> None:
    """Whoever may push tags writes a lineage; what git holds is not theirs to say."""
    lineage = read_lineage(project)
    target = lineage.commit
    replace_tag(project, msgspec.structs.replace(lineage, **fields), target=target)
    failure = name_failure(project)
    assert failure.startswith("release: ")
    check_lie(record_property, str(fields).encode(), reason=reason, text=failure)


@pytest.mark.parametrize(
    ("path", "digest", "reason"),
    [
        ("data/raw/table.csv", "8" * 32, "its data data/raw/table.csv are md5:8888"),
        ("data/raw/other.csv", "9" * 32, "its data data/raw/other.csv are md5:9999"),
    ],
)
def test_a_lineage_with_other_data(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    path: str,
    digest: str,
    reason: str,
) -> None:
    """Data that the model was not trained on."""
    lineage = read_lineage(project)
    data = (msgspec.structs.replace(lineage.data[0], path=path, hash=f"md5:{digest}"),)
    replace_tag(project, msgspec.structs.replace(lineage, data=data))
    check_lie(record_property, digest.encode(), reason=reason, text=name_failure(project))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data": ()}, "it leaves out the data data/raw/table.csv, which git names"),
        ({"contract": None}, "its contract is None, and git has"),
        (
            {
                "metrics": (ReleasedMetric(name="test.r2", value=0.99),),
                "statement": None,
                "verdict": None,
            },
            "its metrics are not those in git, and no statement's",
        ),
    ],
)
def test_a_lineage_that_leaves_something_out(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    fields: dict[str, Any],
    reason: str,
) -> None:
    """What it does say is true: the data that nobody names, and a number that nobody measured."""
    lineage = read_lineage(project)
    absent = {name: why for name, why in lineage.absent.items() if name not in fields}
    absent |= {name: "not there" for name, value in fields.items() if not value}
    replace_tag(project, msgspec.structs.replace(lineage, **fields, absent=absent))
    failure = name_failure(project)
    assert failure.startswith("release: lineage: ")
    check_lie(record_property, str(fields).encode(), reason=reason, text=failure)


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (lambda text: text + text, "its first line is"),
        (lambda text: text.rstrip() + b"{}\n", "not JSON: Extra data"),
        (lambda text: b"<b>approved</b> " + text, "its first line is b'<b>approved</b>"),
        (
            lambda text: text.replace(b'"schema": 1', b'"schema": 1, "by": "me"'),
            "unknown field `by`",
        ),
    ],
)
def test_a_message_that_is_not_the_tools(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    tamper: Callable[[bytes], bytes],
    reason: str,
) -> None:
    """Markup, a second document, a field of somebody's own."""
    lineage = read_lineage(project)
    message = tamper(encode_message(lineage))
    replace_tag(project, lineage, message=message)
    failure = name_failure(project)
    assert failure.startswith("release: tag")
    if message.count(b"\n\n") > 1:
        reason = "not JSON: Extra data"
    check_lie(record_property, message, reason=reason, text=failure)


def test_a_tag_that_is_only_a_name(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """It says nothing of who released what."""
    git(project.root, "tag", "--force", TAG, f"{TAG}^{{commit}}")
    reason = "release: tag: tag flights@v1.1.0: it is a plain name for a commit"
    check_lie(record_property, b"lightweight", reason=reason, text=name_failure(project))


def test_a_tag_that_was_removed(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """The ledger names the release, and nobody has it any more."""
    git(project.root, "tag", "--delete", TAG)
    git(project.root, "push", "--quiet", "origin", f":refs/tags/{TAG}")
    reason = "release: tag: tag flights@v1.1.0: flights has no release 'v1.1.0' here"
    check_lie(record_property, b"removed tag", reason=reason, text=name_failure(project))


def test_a_tag_that_was_moved_at_origin_alone(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """The clone has the old one, which holds: what others fetch is another."""
    git(project.origin, "update-ref", f"refs/tags/{TAG}", "refs/tags/flights@v1.0.0")
    reason = "release: origin: tag flights@v1.1.0: origin has "
    check_lie(record_property, b"moved", reason=reason, text=name_failure(project))


# Signatures: real keys, and content that was changed below the signature.


@pytest.fixture
def signer(project: AuditedProject) -> AuditedProject:
    """Let the clone sign with a key of its own, which it allows."""
    key = project.folder / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mira", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (project.folder / "allowed").write_text(f'mira namespaces="git" {public}', encoding="utf-8")
    settings = {
        "gpg.format": "ssh",
        "user.signingkey": str(key),
        "gpg.ssh.allowedSignersFile": str(project.folder / "allowed"),
    }
    for name, value in settings.items():
        git(project.root, "config", name, value)
    return project


def write_object(project: AuditedProject, kind: str, content: str) -> str:
    """Write an object of git as it is given."""
    return git(project.root, "hash-object", "-t", kind, "-w", "--stdin", stdin=content)


def test_a_tag_changed_below_its_signature(
    signer: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """Another approver is written into a lineage that somebody signed."""
    lineage = read_lineage(signer)
    git(signer.root, "tag", "--delete", TAG)
    file = signer.folder / "message"
    file.write_bytes(encode_message(lineage))
    git(signer.root, "tag", "--sign", "--cleanup=verbatim", f"--file={file}", TAG, lineage.commit)
    git(signer.root, "push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")
    done = audit(signer)
    assert done.find_first(CheckState.FAILS) is None
    assert done.models[0].signature == "signed by mira"
    content = git(signer.root, "cat-file", "tag", TAG).replace('"otto"', '"eve"') + "\n"
    forged = write_object(signer, "tag", content)
    git(signer.root, "update-ref", f"refs/tags/{TAG}", forged)
    git(signer.root, "push", "--quiet", "--force", "origin", f"refs/tags/{TAG}")
    reason = "release: tag: tag flights@v1.1.0: its signature is of another content"
    check_lie(record_property, content.encode(), reason=reason, text=name_failure(signer))


def test_a_desired_state_changed_below_its_signature(
    signer: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """A commit that says another author than the one that was signed."""
    git(signer.root, "commit", "--quiet", "--allow-empty", "-S", "--message", "Ask (#15)")
    desired = git(signer.root, "rev-parse", "HEAD")
    content = (
        git(signer.root, "cat-file", "commit", desired).replace("Ask (#15)", "Ask (#16)") + "\n"
    )
    forged = write_object(signer, "commit", content)
    git(signer.root, "update-ref", "refs/heads/main", forged)
    signer.push()
    append_entry(signer, {"commit": forged})
    reason = f"desired state: signature: commit {forged[:12]}: the signature is of another content"
    check_lie(record_property, content.encode(), reason=reason, text=name_failure(signer))


def test_a_signature_of_nobody_who_may_sign_is_not_checked(signer: AuditedProject) -> None:
    """No failure, and not green either."""
    git(signer.root, "commit", "--quiet", "--allow-empty", "-S", "--message", "Ask (#15)")
    signer.push()
    desired = git(signer.root, "rev-parse", "HEAD")
    append_entry(signer, {"commit": desired})
    assert audit(signer).find_first(CheckState.OPEN) is None
    (signer.folder / "allowed").write_text("", encoding="utf-8")
    left_open = audit(signer).find_first(CheckState.OPEN)
    assert left_open is not None
    assert left_open.name == "desired state: signature"


# As GitHub signs what its button merges: by a key that is hardly in a clone.
PGP = """\
-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQRwycbgTbTar2GnBtQOL/AiDS1zkAUCawpJQAAKCRAOL/AiDS1z
kGlvAQDtO79y8m74PdERInBAXktIZESEZFf0jviIMPpOVkhp+AD/cJZY8YEdLQSi
uSHUXdhvmZRwRp623/H8c+tqyKvDbQs=
=fQT/
-----END PGP SIGNATURE-----"""


@pytest.mark.parametrize("program", ["gpg", "no-such-program"])
def test_a_signature_whose_key_is_not_here_is_said_and_stops_nothing(
    project: AuditedProject, program: str
) -> None:
    """Without the signature it would be *none there*; nobody asked that there be one."""
    git(project.root, "config", "gpg.program", program)
    git(project.root, "commit", "--quiet", "--allow-empty", "--message", "Ask (#15)")
    header, _, message = git(project.root, "cat-file", "commit", "HEAD").partition("\n\n")
    signature = PGP.replace("\n", "\n ")
    signed = write_object(project, "commit", f"{header}\ngpgsig {signature}\n\n{message}\n")
    git(project.root, "update-ref", "refs/heads/main", signed)
    project.push()
    append_entry(project, {"commit": signed})
    done = audit(project)
    assert find_exit_code(done) == 0
    unverified = done.find_first(CheckState.UNVERIFIED)
    assert unverified is not None
    assert unverified.name == "desired state: signature"
    assert "it is signed, and not verified: " in unverified.detail
    assert "Not verified: `desired state: signature`: commit " in describe_audit(done).deciding


# A statement of the verdict that is handed over.


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "not a statement of a verdict"),
        (
            {"predicateType": "mlgitops:docs/reference/verdict/v1"},
            "not a statement: Object missing",
        ),
    ],
)
def test_a_statement_of_another_form(
    project: AuditedProject,
    record_property: Callable[[str, object], None],
    document: dict[str, Any],
    reason: str,
) -> None:
    """It is held like everything else, and named."""
    file = project.folder / "statement.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    failure = name_failure(project, statement=file)
    assert failure.startswith("verdict: statement: ")
    check_lie(record_property, file.read_bytes(), reason=reason, text=failure)


def test_the_older_model_is_held_as_the_newer_is(
    project: AuditedProject, record_property: Callable[[str, object], None]
) -> None:
    """What decided then is asked after as strictly as what decides now."""
    (project.folder / "storage" / locate(md5(FIRST))).write_bytes(SECOND)
    assert audit(project).find_first(CheckState.FAILS) is None
    failure = name_failure(project, asked="2026-03-03")
    digest = hashlib.md5(SECOND, usedforsecurity=False).hexdigest()
    reason = f"the stored object {md5(FIRST)} has the content {digest}"
    check_lie(record_property, b"older", reason=reason, text=failure)


def test_nothing_in_service_is_no_pass(project: AuditedProject) -> None:
    """A day before the first entry, and an environment that nobody knows, end with an error."""
    with pytest.raises(MlgitopsError, match="nothing was in service in production then"):
        audit(project, asked="2026-02-28")
    with pytest.raises(MlgitopsError, match="the ledger holds nothing of staging"):
        audit_environment(project.root, "staging", Console(quiet=True))
