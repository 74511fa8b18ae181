"""Tests of files that DVC keeps: found in the cache, checked, and fetched with a safe config."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mlgitops.dvc.objects import fetch_objects, find_object, read_object
from mlgitops.dvc.scratch import open_scratch
from mlgitops.errors import MlgitopsError
from mlgitops.model import DataVersion

if TYPE_CHECKING:
    from pathlib import Path

DATA = b'{"a": 1}'
DIGEST = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
VERSION = DataVersion(hash=f"md5:{DIGEST}", size=len(DATA))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with a DVC folder and a remote on this disk."""
    root = tmp_path / "p"
    (root / ".dvc").mkdir(parents=True)
    config = "[core]\nremote = s\n['remote \"s\"']\nurl = ../../store\nverify = true\n"
    (root / ".dvc" / "config").write_text(config)
    return root


@pytest.mark.parametrize("place", [".dvc/cache/files/md5", ".dvc/cache", "../store/files/md5"])
def test_an_object_is_found_wherever_it_is(project: Path, place: str) -> None:
    """The cache of new and old DVC, and a storage on this disk, are looked at."""
    file = project / place / DIGEST[:2] / DIGEST[2:]
    assert find_object(project, VERSION) is None
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    assert read_object(project, VERSION) == DATA


def test_an_object_is_found_in_the_storage_that_another_project_checked_out(project: Path) -> None:
    """Projects of one repository share the storage's worktree, which `.dvc/config.local` names."""
    worktree = project.parent / "other" / ".dvc-storage"
    file = worktree / "files/md5" / DIGEST[:2] / DIGEST[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    assert find_object(project, VERSION) is None
    (project / ".dvc" / "config.local").write_text(f"['remote \"s\"']\nurl = {worktree}\n")
    assert read_object(project, VERSION) == DATA


def test_a_damaged_object_is_refused(project: Path) -> None:
    """Other bytes than the hash says are an error that names the file."""
    file = project / ".dvc/cache/files/md5" / DIGEST[:2] / DIGEST[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA + b"x")
    with pytest.raises(MlgitopsError, match="the stored file is damaged"):
        read_object(project, VERSION)


@pytest.mark.parametrize("text", ["unknown", "etag:1", "md5:../../x", "md5:" + "0" * 32 + ".dir"])
def test_a_hash_that_names_no_file_finds_nothing(project: Path, text: str) -> None:
    """Folders, other hashes and paths in disguise find nothing."""
    assert find_object(project, DataVersion(hash=text)) is None


def test_only_the_address_is_copied_for_fetching(project: Path) -> None:
    """Nothing of the project's configuration that could start a program reaches dvc."""
    with (project / ".dvc" / "config").open("a") as file:
        file.write("ask_password = true\nuser = u\nport = 1\n  [evil]\n[exp]\ncode = x\n")
    with open_scratch(project) as place:
        written = (place / ".dvc" / "config").read_text()
    assert f"url = {(project / '../store').resolve()}" in written
    assert "user = u" in written
    assert not {"ask_password", "[evil]", "[exp]", "port"} & set(
        written.replace(" =", "\n").split()
    )


def test_an_object_is_fetched_by_dvc(project: Path) -> None:
    """The project's dvc brings exactly the objects that are asked for."""
    file = project / "../store/files/md5" / DIGEST[:2] / DIGEST[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    fetch_objects(project, [VERSION])
    cached = project / ".dvc/cache/files/md5" / DIGEST[:2] / DIGEST[2:]
    assert cached.read_bytes() == DATA


def test_an_object_that_is_nowhere_is_an_error(project: Path) -> None:
    """What the storage does not have is an error, although dvc ends with 0."""
    (project / "../store").mkdir()
    with pytest.raises(MlgitopsError, match="the storage lacks md5:"):
        fetch_objects(project, [VERSION])
