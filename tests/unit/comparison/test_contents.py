"""Tests of the hashes of files and folders: those of DVC, from what git holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.comparison.contents import Contents
from mlgitops.comparison.sides import SideFiles
from mlgitops.dvc.hashes import hash_bytes, hash_directory
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.git.paths import list_parents
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import DataVersion

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.git.repository import Folder as Project

A = DataVersion(hash="md5:" + "a" * 32)
D = DataVersion(hash="md5:" + "d" * 32 + ".dir")


@given(st.binary(max_size=600) | st.text(alphabet="a\r\n", max_size=20).map(str.encode))
def test_the_hash_of_a_file_is_that_of_dvc(data: bytes) -> None:
    """Of the bytes for DVC 3; before, a text's line ends were made Unix's first."""
    from dvc_data.hashfile.hash import hash_file
    from dvc_objects.fs.memory import MemoryFileSystem

    fs = MemoryFileSystem(global_store=False)  # type: ignore[no-untyped-call]
    fs.pipe_file("/x", data)
    for name, exact in (("md5", True), ("md5-dos2unix", False)):
        assert hash_bytes(data, exact=exact) == hash_file("/x", fs, name)[1].value


def test_the_folders_around_a_path() -> None:
    """From the inside out, the root left away."""
    assert list(list_parents("a/b/c")) == ["a/b", "a"]
    assert list(list_parents("a")) == []


def read_commit(root: Path, kept: dict[str, DataVersion]) -> tuple[Repository, Contents]:
    """Read HEAD, with what .dvc files would name."""
    repository = Repository(root)
    folder: Project = Folder(repository, repository.root)
    side = SideFiles(name="head", sha=repository.resolve("HEAD"), folder=folder)
    side.pipeline = Pipeline(pointers=kept)
    return repository, Contents(side)


@pytest.fixture
def project(tmp_path: Path) -> GitRepository:
    """Make a repository with a folder of two files, one in a folder of its own."""
    project = GitRepository(tmp_path)
    project.put("src/a.py", "a")
    project.put("src/deep/b.py", "b")
    project.put("src/note.tmp", "x")
    project.put(".dvcignore", "*.tmp\n")
    (tmp_path / "linked").symlink_to("src")
    (tmp_path / "out.py").symlink_to("/etc/hostname")
    project.commit()
    return project


def test_a_folder_is_hashed_from_what_git_and_dvc_have(project: GitRepository) -> None:
    """Without what .dvcignore names, with the data in it, and through a link."""
    of_git = [("a.py", hash_bytes(b"a")), ("deep/b.py", hash_bytes(b"b"))]
    plain, mixed = hash_directory(of_git), hash_directory([*of_git, ("data.csv", "a" * 32)])
    repository, contents = read_commit(project.root, {})
    with repository:
        assert contents.find_hash("src", exact=True) == f"md5:{plain}"
        assert contents.find_hash("linked", exact=True) == f"md5:{plain}"
    repository, contents = read_commit(project.root, {"src/data.csv": A})
    with repository:
        assert contents.find_hash("src", exact=True) == f"md5:{mixed}"


def test_what_is_not_all_known_has_no_hash(project: GitRepository) -> None:
    """A directory of DVC's that is not here, one in a folder, and a path that nothing is at."""
    repository, contents = read_commit(project.root, {"src/data": D, "raw": D})
    with repository:
        assert contents.find_hash("src", exact=True) is None
        assert contents.find_hash("raw/a.csv", exact=True) is None
        assert contents.find_hash("none", exact=True) is None
        assert contents.find_hash("raw", exact=True) == D.hash
        assert contents.find_holder("raw/a.csv") == "raw"
        assert contents.find_holder("src/a.py") is None


def test_git_goes_before_what_dvc_says(project: GitRepository) -> None:
    """A file that stands in git is hashed, whatever a lock says of it."""
    repository, contents = read_commit(project.root, {"src/a.py": A, "src/deep": D})
    with repository:
        assert contents.find_hash("src/a.py", exact=True) == f"md5:{hash_bytes(b'a')}"
        assert contents.find_standing("src/deep", exact=True, limit=0) == (
            f"md5:{hash_directory([('b.py', hash_bytes(b'b'))])}"
        )
        assert contents.find_standing("none", exact=True, limit=0) is None


def test_a_link_out_of_the_repository_equals_no_run(project: GitRepository) -> None:
    """It is not read, and so it is not what a run had."""
    repository, contents = read_commit(project.root, {})
    with repository:
        assert contents.find_hash("out.py", exact=True) in {None, "md5:unreadable"}
