"""Tests of reading a repository: revisions, files, the work tree, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository, git

from mlgitops.errors import MlgitopsError
from mlgitops.git.links import LinkError, Trail
from mlgitops.git.repository import Folder, Repository

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


LINKS = {  # link → its text, beside a.txt and "b/c d.txt"
    "file": "a.txt",
    "b/up": "../a.txt",
    "folder": "b",
    "chain": "folder/up",
    "deep": "./b//../folder/c d.txt",
}
REFUSED = {
    "absolute": ("/etc/hostname", "this link is absolute"),
    "out": ("../secret", "this link leads out of the repository"),
    "b/far": ("../../../secret", "this link leads out of the repository"),
    "git": (".git/config", "this link leads into git's own files"),
    "shout": (".GIT/config", "this link leads into git's own files"),
    "gone": ("nowhere", "this link leads to nothing that is there"),
    "loop": ("pool", "passes over 40 links"),
    "pool": ("loop", "passes over 40 links"),
    "self": ("self", "passes over 40 links"),
}


def link(made: GitRepository, links: dict[str, str]) -> str:
    """Commit links, those that no disk takes too, and return the commit."""
    for path, text in links.items():
        blob = git(made.root, "hash-object", "-w", "--stdin", stdin=text)
        entry = f"120000,{blob},{path}"
        made.git("update-index", "--add", "--cacheinfo", entry)
    made.git("commit", "--quiet", "--message", "links")
    made.git("reset", "--quiet", "--hard")
    return made.git("rev-parse", "HEAD")


def test_links_inside_are_followed_alike_at_a_revision_and_on_disk(made: GitRepository) -> None:
    """Files, folders, chains and detours: what a link leads to is read, and known by its id."""
    sha = link(made, LINKS)
    with Repository(made.root) as fresh:
        for side in (sha, None):
            assert fresh.read(side, "file") == fresh.read(side, "b/up") == b"one\n"
            assert fresh.read(side, "chain") == fresh.read(side, "folder/up") == b"one\n"
            assert fresh.read(side, "deep") == fresh.read(side, "folder/c d.txt") == b"\x00\xff"
            assert fresh.read(side, "folder") is None  # a folder is no file
            listed = fresh.list_files(side)
            assert listed["file"] == listed["chain"] == listed["a.txt"]
            assert "folder" not in listed
            assert fresh.find_blob(side, "folder/c d.txt") == listed["b/c d.txt"]
            assert fresh.follow(side, "chain") == "a.txt"
            assert fresh.tree(side).trace("chain") == {"chain", "folder", "b/up", "a.txt"}


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_links_that_lead_out_are_refused(made: GitRepository, tmp_path: Path, path: str) -> None:
    """Nothing outside of the repository is read, at a revision or on disk, and that is said."""
    (tmp_path / "secret").write_text("secret")
    links = {path: REFUSED[path][0]}
    if path in ("loop", "pool"):
        links = {name: REFUSED[name][0] for name in ("loop", "pool")}
    sha = link(made, links)
    with Repository(made.root) as fresh:
        for side in (sha, None):
            with pytest.raises(LinkError, match=REFUSED[path][1]):
                fresh.read(side, path)
            assert fresh.list_files(side)[path] not in fresh.tree(side).files.values()


def test_a_folder_that_leads_out_is_refused(made: GitRepository, tmp_path: Path) -> None:
    """So is a file behind a linked folder; what git does not see is not followed at all."""
    (tmp_path / "secret").write_text("secret")
    (made.root / "away").symlink_to("..")
    sha = made.commit()
    made.put(".gitignore", "hidden\n")
    (made.root / "hidden").symlink_to(tmp_path)
    with Repository(made.root) as fresh:
        for side in (sha, None):
            with pytest.raises(LinkError, match="the link 'away' on its way leads out"):
                fresh.read(side, "away/secret")
        assert fresh.read(None, "hidden/secret") is None
        assert fresh.read(None, "../secret") is None
        assert fresh.read(None, ".git/config") is None


def test_at_most_forty_links_are_followed(made: GitRepository) -> None:
    """A chain of forty is read, one of forty-one is refused."""
    chain = {f"l{at}": f"l{at - 1}" for at in range(1, 41)} | {"l0": "a.txt"}
    sha = link(made, chain)
    with Repository(made.root) as fresh:
        assert fresh.read(sha, "l39") == b"one\n"
        with pytest.raises(LinkError, match="over 40 links"):
            fresh.read(sha, "l40")


def test_a_text_that_is_no_path_is_refused() -> None:
    """What is longer than a path may be is not walked, although it would end at a file."""
    text = "./" * 2_046 + "a.txt"
    with pytest.raises(LinkError, match="this link is longer than any path"):
        Trail("l", {"l": text}.get).follow()
    assert Trail("l", {"l": text[2:]}.get).follow() == "a.txt"


def test_a_link_that_is_set_anew_is_a_change(made: GitRepository) -> None:
    """Another target, a file in a link's place and the reverse are edits; at both readings."""
    first = link(made, {"l": "a.txt", "m": "a.txt"})
    (made.root / "l").unlink()
    (made.root / "l").symlink_to("b/c d.txt")
    (made.root / "m").unlink()
    made.put("m", "a.txt")
    with Repository(made.root) as fresh:
        assert fresh.changed_files(first, None) == ["l", "m"]
    second = made.commit()
    with Repository(made.root) as fresh:
        assert fresh.changed_files(first, second) == ["l", "m"]


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


def test_a_file_that_is_not_checked_out_is_read_from_git(made: GitRepository) -> None:
    """In a sparse checkout what git calls unchanged is there; what was deleted is not."""
    made.put("kept/a.txt", "a\n")
    made.put("kept/b.txt", "b\n")
    made.commit("two files")
    made.git("sparse-checkout", "set", "--no-cone", "/kept/b.txt")
    (made.root / "kept/b.txt").unlink()
    assert not (made.root / "kept/a.txt").exists()
    with Repository(made.root) as opened:
        assert opened.read(None, "kept/a.txt") == b"a\n"
        assert opened.read(None, "kept/b.txt") is None
