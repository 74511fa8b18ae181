"""Tests of reading a repository: revisions, files, the work tree, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builders import GitRepository

from mlgitops.errors import MlgitopsError
from mlgitops.git import Folder, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    """Make a repository with one commit."""
    repository = GitRepository(tmp_path / "r")
    repository.put("a.txt", "one\n")
    repository.put("b/c d.txt", b"\x00\xff")
    repository.commit()
    return repository


@pytest.fixture
def opened(made: GitRepository) -> Iterator[Repository]:
    """Open the repository from a folder inside it."""
    with Repository(made.root / "b") as repository:
        yield repository


def test_files_are_read_as_they_were(made: GitRepository, opened: Repository) -> None:
    """Bytes come from the revision, None from where there is no file."""
    first = opened.resolve("HEAD")
    made.put("a.txt", "two\n")
    second = made.commit()
    assert opened.root == made.root
    assert opened.read(first, "a.txt") == b"one\n"
    assert opened.read(second, "a.txt") == b"two\n"
    assert opened.read_many(first, ["a.txt", "b/c d.txt", "none"]) == {
        "a.txt": b"one\n",
        "b/c d.txt": b"\x00\xff",
    }
    assert opened.changed_files(first, second) == ["a.txt"]


@pytest.mark.parametrize("rev", ["HEAD", "main", "HEAD^{commit}", "refs/heads/main", "v1"])
def test_every_way_to_name_a_commit_is_known(
    made: GitRepository, opened: Repository, rev: str
) -> None:
    """Branches, tags and expressions give the sha."""
    made.git("tag", "--annotate", "--message", "x", "v1")
    assert opened.resolve(rev) == made.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "rev", ["", "nope", "HEAD~9", "a\nb", "--all", "HEAD:a.txt", "a\0b", "x y"]
)
def test_what_names_no_commit_is_refused(opened: Repository, rev: str) -> None:
    """An unknown or odd revision is a clear error, and nothing runs."""
    with pytest.raises(MlgitopsError, match="unknown revision"):
        opened.resolve(rev)
    assert opened.resolve("HEAD")  # the reader still works


def test_the_work_tree_is_what_stands_on_disk(made: GitRepository, opened: Repository) -> None:
    """Changed, new and removed files are seen; ignored ones are not listed but can be read."""
    made.put(".gitignore", "*.tmp\n")
    made.commit()
    assert not opened.is_dirty()
    made.put("a.txt", "two\n")
    made.put("new.txt", "x")
    made.put("x.tmp", "y")
    (made.root / "b/c d.txt").unlink()
    with Repository(made.root) as fresh:
        assert fresh.is_dirty()
        assert fresh.changed_files(fresh.resolve("HEAD"), None) == ["a.txt", "b/c d.txt", "new.txt"]
        assert fresh.read(None, "x.tmp") == b"y"
        assert "x.tmp" not in fresh.list_files(None)


def test_a_file_that_is_only_touched_is_not_changed(made: GitRepository) -> None:
    """Content decides, not the time of writing."""
    made.put("a.txt", "one\n")
    with Repository(made.root) as fresh:
        assert fresh.changed_files(fresh.resolve("HEAD"), None) == []


def test_links_are_not_followed(made: GitRepository, tmp_path: Path) -> None:
    """A link out of the repository gives nothing, on disk or at a revision."""
    (tmp_path / "secret").write_text("secret")
    (made.root / "link").symlink_to(tmp_path / "secret")
    (made.root / "folder").symlink_to(tmp_path)
    sha = made.commit()
    with Repository(made.root) as fresh:
        assert fresh.read(None, "link") is None
        assert fresh.read(None, "folder/secret") is None
        assert fresh.read(None, "../secret") is None
        assert fresh.read(sha, "link") is None


def test_the_merge_base_is_where_branches_parted(made: GitRepository, opened: Repository) -> None:
    """Two branches have their common commit; two histories have none."""
    start = made.git("rev-parse", "HEAD")
    made.git("checkout", "--quiet", "-b", "topic")
    made.commit("theirs")
    made.git("checkout", "--quiet", "main")
    made.commit("ours")
    assert opened.merge_base("main", "topic") == start
    made.git("checkout", "--quiet", "--orphan", "other")
    made.commit("other")
    with pytest.raises(MlgitopsError, match="no common commit"):
        opened.merge_base("main", "other")


def test_a_folder_sees_its_own_files(made: GitRepository, opened: Repository) -> None:
    """A project below the root names its files from there."""
    sha = opened.resolve("HEAD")
    folder = Folder(opened, made.root / "b")
    assert list(folder.list_files(sha)) == ["c d.txt"]
    assert folder.read(sha, "c d.txt") == b"\x00\xff"
    assert folder.read(None, "c d.txt") == b"\x00\xff"


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is said, not taken for a missing git."""
    with pytest.raises(MlgitopsError, match="no such folder"):
        Repository(tmp_path / "nowhere")
