"""Files are written where they are named, whatever a branch put there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.writing import refuse_links, replace_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder, beside one that nothing may be written to."""
    for name in ("root", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/file").write_text("mine")
    return tmp_path / "root"


def test_a_file_is_written_with_its_folders(root: Path) -> None:
    """Whole, readable by others as the umask allows, and with nothing left beside it."""
    replace_file(root / "a/b/file", b"one", root=root)
    replace_file(root / "a/b/file", b"two", root=root)
    assert (root / "a/b/file").read_bytes() == b"two"
    assert [path.name for path in (root / "a/b").iterdir()] == ["file"]
    umask = os.umask(0)
    os.umask(umask)
    assert (root / "a/b/file").stat().st_mode & 0o777 == 0o644 & ~umask


def test_a_pipe_is_written_to_and_stays(root: Path) -> None:
    """Whoever may write everywhere would have a file in the place of `/dev/null` otherwise."""
    pipe = root / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(pipe, b"data")
        assert os.read(reader, 100) == b"data"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [path.name for path in root.iterdir()] == ["pipe"]


def test_a_link_in_its_place_is_replaced(root: Path) -> None:
    """The link goes, and what it led to stays."""
    (root / "file").symlink_to("../outside/file")
    replace_file(root / "file", b"new", root=root)
    assert not (root / "file").is_symlink()
    assert (root.parent / "outside/file").read_text() == "mine"


@pytest.mark.parametrize("target", ["../outside", "inside", "nowhere"])
def test_a_link_on_the_way_is_refused(root: Path, target: str) -> None:
    """Out of the folder, inside of it, and to nothing: none is followed, none is made."""
    (root / "inside").mkdir()
    (root / "a").symlink_to(target)
    with pytest.raises(MlgitopsError, match="a: this is a link, and nothing is written"):
        replace_file(root / "a/b/file", b"new", root=root)
    assert not list((root / "inside").iterdir())
    assert not (root / "nowhere").exists()
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["file"]


def test_a_file_or_a_pipe_on_the_way_is_refused(root: Path) -> None:
    """Only the last step may be a file, and no step anything odd."""
    (root / "file").write_text("")
    os.mkfifo(root / "pipe")
    refuse_links(root, root / "file")
    for path in (root / "file/more", root / "pipe"):
        with pytest.raises(MlgitopsError, match="no folder and no file"):
            refuse_links(root, path)


def test_what_is_absent_is_no_link(root: Path) -> None:
    """Folders that are not there yet are fine, and the root is taken as it is."""
    refuse_links(root, root / "a/b/c")
    refuse_links(root, root)


def test_a_failure_leaves_nothing(root: Path) -> None:
    """A folder in the place of the file: an error, and no temporary file."""
    (root / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(root / "file", b"new", root=root)
    assert [path.name for path in root.iterdir()] == ["file"]
