"""Files of a handover: plain ones inside of it are read, and no link is followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.layout import find_file, list_kept_files, read_capped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def handover(tmp_path: Path) -> Path:
    """Make a handover beside a file that is none of its own."""
    (tmp_path / "secret").write_text("not handed over")
    (tmp_path / "handover/a").mkdir(parents=True)
    (tmp_path / "handover/a/b").write_text("content")
    return tmp_path / "handover"


def test_a_plain_file_is_found(handover: Path) -> None:
    """Folders and absent paths are no files."""
    assert find_file(handover, "a/b") == handover / "a/b"
    assert find_file(handover, "a") is None
    assert find_file(handover, "a/c") is None


@pytest.mark.parametrize("target", ["../../secret", "../a/b", "nowhere"])
def test_a_linked_file_is_refused(handover: Path, target: str) -> None:
    """Wherever it leads, out or not: what is read is what was handed over."""
    (handover / "a/link").symlink_to(target)
    with pytest.raises(MlgitopsError, match="a/link: a link where a file was expected"):
        find_file(handover, "a/link")


def test_a_linked_folder_is_refused(handover: Path) -> None:
    """A link on the way is a link too."""
    (handover / "up").symlink_to("..")
    with pytest.raises(MlgitopsError, match="up/secret: a link where a file was expected"):
        find_file(handover, "up/secret")


def test_an_output_is_listed_without_following_links(handover: Path) -> None:
    """A file, a folder's files in order, or nothing."""
    (handover / "a/a").write_text("first")
    assert list(list_kept_files(handover / "a")) == [handover / "a/a", handover / "a/b"]
    assert list(list_kept_files(handover / "a/b")) == [handover / "a/b"]
    assert list(list_kept_files(handover / "nowhere")) == []


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe"])
def test_what_is_no_plain_file_is_refused(handover: Path, kind: str) -> None:
    """A link to a file or folder, and a pipe that would be waited for, are refused unread."""
    odd = handover / "a/odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("../../secret" if kind == "link" else "..")
    with pytest.raises(MlgitopsError, match="neither a file nor a folder"):
        list(list_kept_files(handover / "a"))


def test_a_file_is_read_to_its_limit(handover: Path) -> None:
    """One byte more is refused."""
    assert read_capped(handover / "a/b", 7, "a/b") == b"content"
    with pytest.raises(MlgitopsError, match="a/b: over 6 bytes"):
        read_capped(handover / "a/b", 6, "a/b")
