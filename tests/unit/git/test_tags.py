"""Tests of tags: which version a name gives, and what an annotated one says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.git.tags import list_versions, parse_version, read_tag

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v1.2.3", (False, 1, 2, 3)),
        ("flights@v0.10.0", (True, 0, 10, 0)),
        ("other@v1.0.0", None),
        ("flights@v1.0.0-rc1", None),
        ("flights@v01.0.0", None),
        ("flights@v1.0", None),
        ("flights@1.0.0", None),
        ("flights@v1.0.0\n", None),
        ("flights@v1.0.1000000000", None),
    ],
)
def test_a_name_gives_a_version_or_none(
    tag: str, version: tuple[bool, int, int, int] | None
) -> None:
    """Only `vX.Y.Z`, alone or behind the project's own name, is a released version."""
    assert parse_version(tag, "flights") == version


def test_versions_are_listed_by_number(tmp_path: Path) -> None:
    """Not by letters, and without what other models or nobody released."""
    made = GitRepository(tmp_path / "r")
    made.commit("first")
    tags = ("flights@v1.10.0", "flights@v1.9.0", "v3.0.0", "other@v1.0.0", "flights@vnext")
    for tag in tags:
        made.git("tag", tag)
    with Repository(made.root) as repository:
        assert list_versions(repository, "flights") == ["flights@v1.9.0", "flights@v1.10.0"]


def test_an_annotated_tag_is_read_as_git_stores_it(tmp_path: Path) -> None:
    """Its commit, its own name, who made it and every byte of its message."""
    made = GitRepository(tmp_path / "r")
    sha = made.commit("first")
    message = "title\n\n# no comment\n\n  text\n"
    (made.root / "message").write_text(message)
    made.git("tag", "--annotate", "--cleanup=verbatim", "--file=message", "m@v1.0.0")
    with Repository(made.root) as repository:
        tag = read_tag(repository, "m@v1.0.0")
    assert (tag.target, tag.target_kind, tag.written_name) == (sha, "commit", "m@v1.0.0")
    assert tag.message.decode() == message
    assert tag.tagger == "Author <author@example.org>"
    assert not tag.signed


def test_a_plain_name_of_a_commit_is_no_annotated_tag(tmp_path: Path) -> None:
    """It says nothing, so that nothing can be read from it; nor from one that is not there."""
    made = GitRepository(tmp_path / "r")
    made.commit("first")
    made.git("tag", "m@v1.0.0")
    with Repository(made.root) as repository:
        with pytest.raises(MlgitopsError, match="a plain name for a commit"):
            read_tag(repository, "m@v1.0.0")
        with pytest.raises(MlgitopsError, match="no such tag"):
            read_tag(repository, "m@v2.0.0")
