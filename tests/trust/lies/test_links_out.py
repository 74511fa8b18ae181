"""Branches that hold a link where we write: nothing is written to where it leads."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from git_project import commit, git
from integration.deploy_project import make_deployable
from integration.setup_project import copy_trained, make_origin, quiet
from trust.lie import check_lie

from mlgitops.cli import run
from mlgitops.delivery.processes import find_free_port
from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage, publish_objects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ODD = "entries are links or other odd files, first "
LINK = "this is a link, and nothing is written through it"


@pytest.fixture(scope="module")
def published(trained_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained and published project and its origin."""
    folder = tmp_path_factory.mktemp("published")
    project = copy_trained(trained_project, folder / "project")
    make_origin(project, folder / "origin.git")
    publish_objects(project, quiet())
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder that no branch may write to, with a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("mine: true\n")
    return folder


def read_all(folder: Path) -> dict[str, str]:
    """Read every file below a folder."""
    return {str(file): file.read_text() for file in folder.rglob("*") if file.is_file()}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Runs a command that must refuse, and leave a folder outside of the project alone."""

    outside: Path
    capsys: pytest.CaptureFixture[str]
    record: Callable[[str, object], None]

    def check(self, *words: str, payload: str, reason: str) -> None:
        """Expect exit code 2, ``reason`` among what is said, and nothing written outside."""
        before = read_all(self.outside)
        self.capsys.readouterr()
        assert run(list(words)) == 2
        assert read_all(self.outside) == before
        check_lie(self.record, payload.encode(), reason=reason, text=self.capsys.readouterr().err)


@pytest.fixture
def refusal(
    outside: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> Refusal:
    """Return what runs commands."""
    return Refusal(outside=outside, capsys=capsys, record=record_property)


STORAGE_LINKS = [".git-add", "files/md5/ff", "files/md5/00/link", "README.md", "files/more", "a b"]


@pytest.mark.parametrize("name", STORAGE_LINKS)
def test_a_link_on_the_storage_branch_is_refused(
    name: str,
    published: Path,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    """Pushed by anybody who may write, it is never checked out where objects are added."""
    origin = shutil.copytree(published / "origin.git", tmp_path / "origin.git")
    other, project = tmp_path / "other", tmp_path / "project"
    git(origin, "clone", "--quiet", "--branch", "dvc-storage", str(origin), str(other))
    git(origin, "clone", "--quiet", "--branch", "main", str(origin), str(project))
    (other / name).parent.mkdir(parents=True, exist_ok=True)
    (other / name).unlink(missing_ok=True)
    (other / name).symlink_to(refusal.outside / ("file" if "." in name else ""))
    commit(other, "Add")
    git(other, "push", "--quiet", "origin", "dvc-storage")
    words = ("publish", "--directory", str(project))
    refusal.check(*words, payload=f"a link {name}", reason=f"{ODD}{name}")
    assert not (project / ".dvc-storage").exists()


def test_another_repository_on_the_storage_branch_is_refused(
    published: Path,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    """A submodule is no object; a publisher whose branch has fallen behind refuses it too."""
    shutil.copytree(published, tmp_path / "copy", symlinks=True)
    project, other = tmp_path / "copy/project", tmp_path / "other"
    git(project, "remote", "set-url", "origin", str(tmp_path / "copy/origin.git"))
    git(project, "clone", "--quiet", "--branch", "dvc-storage", "../origin.git", str(other))
    entry = f"160000,{git(project, 'rev-parse', 'main')},files/md5/ee"
    git(other, "update-index", "--add", "--cacheinfo", entry)
    git(other, "commit", "--quiet", "-m", "Add")
    git(other, "push", "--quiet", "origin", "dvc-storage")
    words = ("publish", "--directory", str(project))
    refusal.check(*words, payload="a submodule", reason=f"{ODD}files/md5/ee")


PROJECT_LINKS = {
    ".dvc-storage": "publish",
    ".mlgitops": "train",
    ".mlgitops/train.log": "train",
}


@pytest.mark.parametrize("name", list(PROJECT_LINKS))
def test_a_link_in_the_projects_branch_is_refused(
    name: str,
    published: Path,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    """Git keeps ignored names that were added by force, so a checkout may bring them."""
    project = tmp_path / "project"
    git(published, "clone", "--quiet", "--branch", "main", "origin.git", str(project))
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).symlink_to(refusal.outside / ("file" if name.endswith(".log") else "."))
    git(project, "add", "--force", name)
    git(project, "commit", "--quiet", "-m", "Add")
    words = (PROJECT_LINKS[name], "--directory", str(project))
    refusal.check(*words, payload=name, reason=f"{name}: {LINK}")


def test_a_link_among_the_folders_of_objects_is_refused(
    published: Path,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    """Git does not know it yet, and DVC would write objects through it."""
    shutil.copytree(published, tmp_path / "copy", symlinks=True)
    project = tmp_path / "copy/project"
    git(project, "remote", "set-url", "origin", str(tmp_path / "copy/origin.git"))
    prepare_storage(project, quiet())
    (project / ".dvc-storage/files/md5/zz").symlink_to(refusal.outside)
    words = ("publish", "--directory", str(project))
    refusal.check(*words, payload="zz", reason=f"files/md5/zz: {LINK}")


def test_a_link_in_the_place_of_a_written_file_is_replaced(
    published: Path, outside: Path, tmp_path: Path
) -> None:
    """Lock and configuration that `train --base` takes from the base replace links, as files."""
    project = tmp_path / "project"
    git(published, "clone", "--quiet", "--branch", "main", "origin.git", str(project))
    base = git(project, "rev-parse", "HEAD")
    for name in ("dvc.lock", ".dvc/config.new", ".dvc/config.local.new"):
        (project / name).unlink(missing_ok=True)
        (project / name).symlink_to(outside / "file")
    commit(project, "Link")
    prepare_storage(project, quiet())
    run_pipeline(project, quiet(), base=base)
    assert (outside / "file").read_text() == "mine: true\n"
    assert not (project / "dvc.lock").is_symlink()


@pytest.mark.parametrize("name", ["model", "model/model.skops"])
def test_a_link_in_the_place_of_the_model_is_refused(
    name: str,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    """The release is the tree of a commit: the model is not written over its code."""
    project = make_deployable(tmp_path / "project")
    description = (project / "model/model.json").read_text()
    if name == "model":
        shutil.rmtree(project / "model")
        (project / "elsewhere").mkdir()
        (project / "elsewhere/model.json").write_text(description)
        (project / "model").symlink_to("elsewhere")
    else:
        (project / name).unlink()
        (project / name).symlink_to("../src/demo/serve.py")
    git(project, "add", "--all", "--force")
    commit(project, "Link")
    port = f"--port={find_free_port()}"
    words = ("deploy", "staging", port, "--directory", str(project))
    refusal.check(*words, payload=f"{name} deployed", reason=f"{name}: {LINK}")
