"""What should run somewhere, well written, and naming what never stood on its branch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository
from integration.setup_project import write_config
from trust.lie import check_lie

from mlgitops.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "deploy/staging/model.yaml"
#: The project is one of two in a repository, as where several models share one.
PROJECT = "fraud"
LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: train\n"
OUTS = "    outs:\n    - {{path: model/model.skops, hash: md5, md5: {md5}, size: 5}}\n"
FULL_SHA = "must be the full sha of a commit in quotes, or null"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A repository with two projects, and the shas that a desired state may name."""

    repository: GitRepository
    shas: dict[str, str]

    @property
    def project(self) -> Path:
        """Return the folder of the project whose desired state lies."""
        return self.repository.root / PROJECT

    def deploy(self, content: str, capsys: pytest.CaptureFixture[str]) -> str:
        """Commit a desired state, deploy it, expect exit code 2 and return what was said."""
        self.repository.put(f"{PROJECT}/{FILE}", content)
        self.repository.commit("Want")
        assert run(["deploy", "staging", "--directory", str(self.project)]) == 2
        servers = self.project / ".mlgitops/deploy/staging/servers"
        assert not list(servers.glob("*"))
        return capsys.readouterr().err


def put_model(repository: GitRepository, project: str, model: bytes) -> None:
    """Write what describes a model, without the model."""
    digest = hashlib.sha256(model).hexdigest()
    md5 = hashlib.md5(model, usedforsecurity=False).hexdigest()
    repository.put(f"{project}/model/model.json", json.dumps({"sha256": digest}))
    repository.put(f"{project}/dvc.lock", LOCK + OUTS.format(md5=md5))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Make main with two models, a branch beside it, a merged branch, and tags."""
    repository = GitRepository(tmp_path / "repository")
    repository.put("README.md", "Two models\n")
    shas = {"before": repository.commit("Begin")}
    put_model(repository, "other", b"other")
    put_model(repository, PROJECT, b"first")
    shas["first"] = repository.commit("First")
    repository.git("tag", "--annotate", "--message", "First", "v1")
    shas["tag"] = repository.git("rev-parse", "v1")
    shas["tree"] = repository.git("rev-parse", "HEAD^{tree}")
    shas["blob"] = repository.git("rev-parse", f"HEAD:{PROJECT}/model/model.json")
    for name in ("beside", "merged"):
        repository.git("switch", "--quiet", "--create", name, "main")
        put_model(repository, PROJECT, name.encode())
        shas[name] = repository.commit(f"Try {name}")
    put_model(repository, PROJECT, b"second")
    repository.commit("Mend it")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge", "merged")
    repository.git("branch", "--quiet", "c0ffee" * 6 + "abcd", shas["beside"])
    return Scene(repository=repository, shas=shas)


def write(revision: str = "null", sha256: str = "null", model: str = "fraud") -> str:
    """Write a desired state."""
    return f"model: {model}\nrevision: {revision}\nsha256: {sha256}\nport: 8099\n"


NAMES = {
    "main": "'main'",
    "a branch beside it": "'beside'",
    "a branch's full name": "'refs/heads/beside'",
    "an upstream branch": "'origin/main'",
    "a tag": "'v1'",
    "HEAD": "'HEAD'",
    "the commit before": "'HEAD~1'",
    "what was fetched last": "'FETCH_HEAD'",
    "a commit found by its message": "':/First'",
    "an empty name": "''",
    "a number": "'0123456789'",
    "an unquoted number": "1234567",
    "an option": "'--all'",
}


@pytest.mark.parametrize("name", list(NAMES.values()), ids=list(NAMES))
def test_a_name_of_a_commit_is_refused(
    name: str,
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """What a name means changes after the review of the file: the message says what to write."""
    content = write(revision=name)
    text = scene.deploy(content, capsys)
    check_lie(record_property, content.encode(), reason=f"`revision` {FULL_SHA}", text=text)
    assert "git log --first-parent --format=%H -- dvc.lock" in text


FORMS: dict[str, Callable[[str], str]] = {
    "twelve digits": lambda sha: sha[:12],
    "capitals": lambda sha: sha.upper() if sha.upper() != sha else "A" * 40,
    "a step back": lambda sha: f"{sha}^",
    "a line more": lambda sha: f"{sha}\\nmain",
    "spaces around": lambda sha: f" {sha} ",
}


@pytest.mark.parametrize("change", list(FORMS.values()), ids=list(FORMS))
def test_a_sha_in_another_form_is_refused(
    change: Callable[[str], str],
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Git would resolve some of these; none is the one way to write a commit."""
    content = write(revision=f'"{change(scene.shas["first"])}"')
    text = scene.deploy(content, capsys)
    check_lie(record_property, content.encode(), reason=FULL_SHA, text=text)


SHAS = {
    "beside": "never stood on the branch that",
    "merged": "never stood on the branch that",
    "tag": "is a tag's, not a commit's",
    "tree": "is no commit here",
    "blob": "is no commit here",
    "before": "this commit describes no model",
}


@pytest.mark.parametrize(("name", "reason"), list(SHAS.items()), ids=list(SHAS))
def test_a_full_sha_of_something_else_is_refused(
    name: str,
    reason: str,
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Unmerged, inside a merged branch, a tag's, a tree's, a blob's, and one without a model."""
    content = write(revision=f'"{scene.shas[name]}"')
    text = scene.deploy(content, capsys)
    check_lie(record_property, content.encode(), reason=reason, text=text)


def test_a_branch_that_is_called_like_a_sha_is_refused(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A full sha means the object with that id, never a branch of that name."""
    content = write(revision=f'"{"c0ffee" * 6}abcd"')
    text = scene.deploy(content, capsys)
    check_lie(record_property, content.encode(), reason="is no commit here", text=text)


def test_a_commit_that_a_shallow_clone_lacks_is_refused(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    """Whether it stood on main cannot be seen there: the message says how to fetch it."""
    clone = tmp_path / "clone"
    scene.repository.git(
        "clone", "--quiet", "--depth=1", f"file://{scene.repository.root}", clone.as_posix()
    )
    shallow = Scene(repository=GitRepository(clone), shas=scene.shas)
    shallow.repository.git("remote", "remove", "origin")  # what is committed here is what is wanted
    content = write(revision=f'"{scene.shas["first"]}"')
    text = shallow.deploy(content, capsys)
    check_lie(record_property, content.encode(), reason="git fetch --unshallow", text=text)


def test_a_desired_state_behind_a_link_is_refused(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Whoever edits what it leads to would change what is wanted, and no verdict sees it."""
    file = scene.project / FILE
    file.parent.mkdir(parents=True)
    file.symlink_to("../../desired.yaml")
    content = write(revision=f'"{scene.shas["first"]}"')
    text = scene.deploy(content, capsys)  # which writes through the link
    check_lie(record_property, content.encode(), reason="it is behind a link", text=text)


def sha256_of(model: bytes) -> str:
    """Return the digest of a model, in quotes."""
    return f'"{hashlib.sha256(model).hexdigest()}"'


@pytest.mark.parametrize("model", [b"other", b"beside", b"first", b"unheard of"])
def test_a_digest_of_another_model_is_refused(
    model: bytes,
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Another project's, an unmerged one, an earlier one, and one that nobody trained."""
    content = write(sha256=sha256_of(model))
    check_lie(
        record_property,
        content.encode(),
        reason="is wanted, and the commit holds",
        text=scene.deploy(content, capsys),
    )


@pytest.mark.parametrize("digest", ["../../../../elsewhere", "A" * 64, "0" * 63, ""])
def test_a_description_without_a_digest_is_refused(
    digest: str,
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The digest that the commit's own model.json names becomes the name of a folder."""
    description = json.dumps({"sha256": digest})
    scene.repository.put(f"{PROJECT}/model/model.json", description)
    text = scene.deploy(write(), capsys)
    check_lie(
        record_property,
        description.encode(),
        reason="there is no sha256 of the model, 64 hex digits",
        text=text,
    )


def test_a_lock_that_names_no_model_is_refused(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """model.json alone says which model it should be, and dvc.lock which one was made."""
    scene.repository.put(f"{PROJECT}/dvc.lock", LOCK)
    text = scene.deploy(write(), capsys)
    reason = "dvc.lock names no model/model.skops"
    check_lie(record_property, LOCK.encode(), reason=reason, text=text)


def test_a_model_that_nobody_published_is_refused(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Lock and description agree, and the object is nowhere."""
    scene.repository.put(f"{PROJECT}/.dvc/config", write_config("../store"))
    content = write(revision=f'"{scene.shas["first"]}"', sha256=sha256_of(b"first"))
    text = scene.deploy(content, capsys)
    reason = "is not in the storage"
    check_lie(record_property, content.encode(), reason=reason, text=text)
