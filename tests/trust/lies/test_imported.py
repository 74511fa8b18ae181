"""Data by `dvc import` that is not what its repository made: each tampering is named.

One honest project whose table is pinned to a commit of a repository of features. Each case changes
what a .dvc file or a release says of that, as whoever may merge or push a tag could; or hands the
audit a clone that shows something else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from audited_project import ENVIRONMENT, TABLE, AuditedProject, make_audited, md5
from git_project import GitRepository, git
from trust.lie import check_lie

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.audit import Given, audit_environment
from mlgitops.delivery.audit.imported import ImportedData, check_import
from mlgitops.errors import MlgitopsError
from mlgitops.model import ImportSource
from mlgitops.model.audit import Audit, CheckState
from mlgitops.model.lineage import DataHash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ADDRESS = "https://github.example/acme/features"
THIRD = b"a third model"
OTHER = b"id,delay\n1,9\n"
POINTER = "data/raw/table.csv.dvc"


def write_features(table: bytes) -> str:
    """Write the dvc.lock of a repository whose stage made a table of these bytes."""
    outs = [{"path": "features/delays.csv", "hash": "md5", "md5": md5(table), "size": len(table)}]
    return json.dumps({"schema": "2.0", "stages": {"build": {"cmd": "build", "outs": outs}}})


def write_pointer(source: dict[str, Any], *, digest: str = md5(TABLE)) -> str:
    """Write a .dvc file as `dvc import` does, pinned to ``source``."""
    outs = [{"md5": digest, "size": len(TABLE), "hash": "md5", "path": "table.csv"}]
    repo = {"url": source["repository"], "rev": "v1.0.0", "rev_lock": source["commit"]}
    return json.dumps(
        {"frozen": True, "deps": [{"path": source["path"], "repo": repo}], "outs": outs}
    )


class Imported:
    """A project in service whose table comes from a repository of features beside it."""

    def __init__(self, project: AuditedProject) -> None:
        self.project = project
        self.features = project.folder / "features"

    @property
    def source(self) -> ImportSource:
        """Return where the table is honestly from."""
        commit = git(self.features, "rev-parse", "v1.0.0^{commit}")
        return ImportSource(repository=ADDRESS, commit=commit, path="features/delays.csv")

    def make_features(self) -> None:
        """Make a source with two versions of the table, and a commit that is on no branch."""
        repository = GitRepository(self.features)
        repository.put("dvc.lock", write_features(TABLE))
        repository.put("features/table.csv", TABLE.decode())
        repository.put("contract.yaml", "columns: {id: {}, delay: {}}\n")
        repository.commit("First")
        repository.git("tag", "v1.0.0")
        repository.put("dvc.lock", write_features(OTHER))
        repository.put("features/table.csv", OTHER.decode())
        repository.commit("Second")
        repository.git("tag", "v2.0.0")
        repository.git("switch", "--quiet", "--detach", "v1.0.0")
        repository.put("README.md", "a fork's\n")
        stray = repository.commit("Fork")
        repository.git("switch", "--quiet", "main")
        repository.git("update-ref", "refs/pull/7/head", stray)

    def bring(
        self,
        pointer: str,
        imported: ImportSource | None,
        *,
        name: str = POINTER,
        lock_more: str = "",
    ) -> None:
        """Train on what ``pointer`` names, release it as ``imported``, and put it in service.

        ``lock_more`` is written into dvc.lock below what the run wrote.
        """
        project = self.project
        if name != POINTER:
            (project.root / POINTER).unlink()
        project.repository.put(name, pointer)
        revision = project.train(THIRD, lock_more=lock_more)
        table = DataHash(path="data/raw/table.csv", hash=f"md5:{md5(TABLE)}", imported=imported)
        lineage = project.make_lineage(revision, THIRD, "v1.2.0")
        project.release(msgspec.structs.replace(lineage, data=(table,)), "v1.1.0")
        desired = project.promote("v1.2.0", revision, THIRD)
        at = "2026-03-09T08:00:00Z"
        project.append(project.make_entry(desired, revision, THIRD, version="v1.2.0", at=at))

    def bring_from(self, **changed: str) -> None:
        """Put a model in service whose .dvc file and release agree, and say this of its source."""
        source = msgspec.structs.replace(self.source, **changed)
        self.bring(write_pointer(msgspec.to_builtins(source)), source)

    def audit(self, *clones: Path) -> Audit:
        """Audit as the command does, with these clones."""
        given = Given(clones=clones)
        return audit_environment(self.project.root, ENVIRONMENT, Console(quiet=True), given=given)

    def name_failure(self, *clones: Path) -> str:
        """Return the first check that fails, with its detail."""
        failure = self.audit(*clones).find_first(CheckState.FAILS)
        assert failure is not None
        return f"{failure.name}: {failure.detail}"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """Make the project and its source once; only to be copied."""
    imported = Imported(make_audited(tmp_path_factory.mktemp("imported") / "honest"))
    imported.make_features()
    return imported


@pytest.fixture
def project(honest: Imported, tmp_path: Path) -> Imported:
    """Return a copy, with its source, to tamper with."""
    return Imported(honest.project.copy(tmp_path / "copy"))


def test_the_honest_import_holds(
    project: Imported, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With a clone of its source, and named in the answer, the page and the documents."""
    project.bring_from()
    folder = tmp_path / "evidence"
    options = ["--directory", str(project.project.root), "--source", str(project.features)]
    assert run(["audit", ENVIRONMENT, *options, "--output", str(folder)]) == 0
    text = capsys.readouterr().out
    commit = project.source.commit
    assert f"{ADDRESS} at {commit}: features/delays.csv" in text
    assert "1 imported, with the bytes that their source has at the pinned commit" in text
    for file in folder.glob("*.provenance.json"), folder.glob("*.cdx.json"):
        assert commit in next(iter(file)).read_text(encoding="utf-8")


def test_without_a_clone_the_source_is_named_and_not_held(project: Imported) -> None:
    """Nothing is fetched from an address that a file names; what is not given is not held."""
    project.bring_from()
    (check,) = [c for c in project.audit().list_checks() if c.name == "data: imported"]
    assert check.state is CheckState.ABSENT
    assert ADDRESS in check.detail
    assert "--source DIR" in check.detail


@pytest.mark.parametrize("commit", ["0" * 40, "f" * 40])
def test_a_clone_without_the_commit_proves_nothing(project: Imported, commit: str) -> None:
    """It may be shallow, or of something else: exit code 2."""
    project.bring_from(commit=commit)
    done = project.audit(project.features)
    assert done.find_first(CheckState.FAILS) is None
    left_open = done.find_first(CheckState.OPEN)
    assert left_open is not None
    assert left_open.name == "data: imported"
    assert "no clone that was given has the commit" in left_open.detail


@pytest.mark.parametrize(
    ("commit", "path", "reason"),
    [
        ("v2.0.0", "features/delays.csv", f"is md5:{md5(OTHER)}, and md5:{md5(TABLE)} was trained"),
        ("v1.0.0", "contract.yaml", f"and md5:{md5(TABLE)} was trained on"),
        ("v1.0.0", "features/other.csv", f"is None, and md5:{md5(TABLE)} was trained on"),
        ("refs/pull/7/head", "features/delays.csv", "no branch or tag of"),
    ],
)
def test_a_pin_whose_commit_made_no_such_bytes(
    project: Imported,
    record_property: Callable[[str, object], None],
    commit: str,
    path: str,
    reason: str,
) -> None:
    """Another version, another file, a file that is not there, and a commit of somebody's fork.

    The .dvc file and the release agree, and the cache has the bytes: only the source tells.
    """
    sha = git(project.features, "rev-parse", f"{commit}^{{commit}}")
    project.bring_from(commit=sha, path=path)
    failure = project.name_failure(project.features)
    assert failure.startswith("data: imported: data/raw/table.csv: ")
    check_lie(record_property, f"{commit} {path}".encode(), reason=reason, text=failure)


def test_a_clone_that_shows_another_commit_in_its_place(
    project: Imported, record_property: Callable[[str, object], None]
) -> None:
    """`git replace` is a word of whoever owns the clone; the commit itself is read."""
    first, second = (git(project.features, "rev-parse", tag) for tag in ("v1.0.0", "v2.0.0"))
    git(project.features, "replace", second, first)
    project.bring_from(commit=second)
    reason = f"is md5:{md5(OTHER)}, and md5:{md5(TABLE)} was trained on"
    failure = project.name_failure(project.features)
    check_lie(record_property, b"replaced", reason=reason, text=failure)


@pytest.mark.parametrize(
    "fields",
    [
        {"commit": None},
        {"commit": "main"},
        {"commit": "1" * 39},
        {"repository": ""},
        {"repository": f"{ADDRESS}\n  approved by: the data office"},
        {"path": ["features/delays.csv"]},
    ],
)
def test_an_import_that_is_pinned_to_nothing(
    project: Imported, record_property: Callable[[str, object], None], fields: dict[str, Any]
) -> None:
    """A branch moves, half a name is nobody's, and a line break would write lines of its own."""
    pointer = write_pointer(msgspec.to_builtins(project.source) | fields)
    project.bring(pointer, None)
    failure = project.name_failure()
    assert failure.startswith("data: imported: data/raw/table.csv: ")
    check_lie(record_property, pointer.encode(), reason="names no commit", text=failure)


def test_a_pin_of_other_bytes_than_were_trained_on(
    project: Imported, record_property: Callable[[str, object], None]
) -> None:
    """The .dvc file moved on after the run, or the run was of something else."""
    pointer = write_pointer(msgspec.to_builtins(project.source), digest=md5(OTHER))
    project.bring(pointer, None)
    reason = f"its .dvc file names md5:{md5(OTHER)}, and dvc.lock says that md5:{md5(TABLE)}"
    check_lie(record_property, pointer.encode(), reason=reason, text=project.name_failure())


@pytest.mark.parametrize("trained", ["unknown", "etag:1"])
def test_two_records_without_a_hash_are_not_the_same_bytes(
    project: Imported, record_property: Callable[[str, object], None], trained: str
) -> None:
    """Whoever takes the hash out of dvc.lock, and out of the source's record, proves nothing."""
    out = {"path": "none.csv"} | ({"etag": "1"} if trained != "unknown" else {})
    repository = GitRepository(project.features)
    repository.put("none.csv.dvc", json.dumps({"outs": [out]}))
    source = ImportSource(repository=ADDRESS, commit=repository.commit("No hash"), path="none.csv")
    item = ImportedData(path="data/raw/table.csv", trained=trained, source=source)
    reason = "which is no hash of its bytes"
    with pytest.raises(MlgitopsError, match=reason) as raised:
        check_import(item, [project.features])
    check_lie(record_property, trained.encode(), reason=reason, text=raised.value.what)


@pytest.mark.parametrize(
    ("remote", "state"),
    [
        ("git@github.example:acme/features.git", CheckState.HOLDS),
        ("https://github.example:8443/Acme/features/", CheckState.HOLDS),
        ("https://github.example/mallory/features", CheckState.OPEN),
        ("https://mallory.example/acme/features", CheckState.OPEN),
    ],
)
def test_a_clone_of_another_repository(project: Imported, remote: str, state: CheckState) -> None:
    """It has the commit and the bytes; the repository that the .dvc file names never had them."""
    git(project.features, "remote", "add", "origin", remote)
    project.bring_from()
    (check,) = [
        c for c in project.audit(project.features).list_checks() if c.name == "data: imported"
    ]
    assert check.state is state, check.detail
    if state is CheckState.OPEN:
        assert (
            "no remote of this address; if it is a clone of that: `git remote add" in check.detail
        )


def test_a_run_that_claims_to_have_made_the_imported_table(
    project: Imported, record_property: Callable[[str, object], None]
) -> None:
    """A stage that only dvc.lock has: nothing runs it, and the table is still imported."""
    second = git(project.features, "rev-parse", "v2.0.0")
    source = msgspec.structs.replace(project.source, commit=second)
    claim = "  made:\n    cmd: make\n    outs:\n    - path: data/raw/table.csv\n      hash: md5\n"
    claim += f"      md5: {md5(TABLE)}\n"
    pointer = write_pointer(msgspec.to_builtins(source))
    project.bring(pointer, source, lock_more=claim)
    reason = f"is md5:{md5(OTHER)}, and md5:{md5(TABLE)} was trained on"
    failure = project.name_failure(project.features)
    assert failure.startswith("data: imported: data/raw/table.csv: ")
    check_lie(record_property, claim.encode(), reason=reason, text=failure)


@pytest.mark.parametrize(
    ("commit", "reason"),
    [("v1.0.0", None), ("v2.0.0", f"is md5:{md5(OTHER)}, and md5:{md5(TABLE)} was trained on")],
)
def test_a_table_in_a_folder_that_was_imported(
    project: Imported, commit: str, reason: str | None
) -> None:
    """The .dvc file of the folder says where it is from; git in the source has its bytes."""
    sha = git(project.features, "rev-parse", f"{commit}^{{commit}}")
    folder = {"repository": ADDRESS, "commit": sha, "path": "features"}
    pointer = (
        write_pointer(folder).replace("table.csv", "raw").replace(md5(TABLE), f"{'0' * 32}.dir")
    )
    source = ImportSource(repository=ADDRESS, commit=sha, path="features/table.csv")
    project.bring(pointer, source, name="data/raw.dvc")
    if reason is None:
        done = project.audit(project.features)
        (check,) = [c for c in done.list_checks() if c.name == "data: imported"]
        assert (check.state, done.find_first(CheckState.FAILS)) == (CheckState.HOLDS, None), done
    else:
        assert reason in project.name_failure(project.features)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"repository": f"{ADDRESS}-fork"}, f"of {ADDRESS}-fork at"),
        ({"commit": "9" * 40}, f"at {'9' * 12}, and git says features/delays.csv of {ADDRESS}"),
        ({"path": "features/better.csv"}, "features/better.csv of"),
        (None, "are the project's own, and git says features/delays.csv"),
    ],
)
def test_a_release_that_says_another_source(
    project: Imported,
    record_property: Callable[[str, object], None],
    fields: dict[str, str] | None,
    reason: str,
) -> None:
    """Whoever may push tags writes the lineage; the .dvc file was merged."""
    source = project.source
    claimed = None if fields is None else msgspec.structs.replace(source, **fields)
    project.bring(write_pointer(msgspec.to_builtins(source)), claimed)
    failure = project.name_failure()
    assert failure.startswith("release: lineage: ")
    check_lie(record_property, str(fields).encode(), reason=reason, text=failure)
