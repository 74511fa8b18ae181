"""Objects of a handover into the storage: each is what its name says, or nothing is taken."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from mlgitops.dvc.stored import locate
from mlgitops.errors import MlgitopsError
from mlgitops.model import DataVersion
from mlgitops.storage.handover import objects
from mlgitops.storage.handover.objects import copy_object, store_objects

if TYPE_CHECKING:
    from pathlib import Path


def md5(data: bytes) -> str:
    """Return DVC's name of a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def put(folder: Path, data: bytes, oid: str = "") -> str:
    """Put an object at its place, or at that of ``oid``; return its name."""
    oid = oid or md5(data)
    file = folder / locate(oid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return oid


def want(oid: str, size: int | None = None) -> dict[str, DataVersion]:
    """Return one object as a lock names it."""
    return {"model.bin": DataVersion(hash=f"md5:{oid}", size=size)}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Make an empty handover and an empty storage."""
    for name in ("handover", "store"):
        (tmp_path / name).mkdir()
    return tmp_path / "handover", tmp_path / "store"


def test_an_object_is_copied(folders: tuple[Path, Path]) -> None:
    """The storage holds the handed over bytes at their name."""
    handover, store = folders
    oid = put(handover, b"weights")
    assert store_objects(handover, store, want(oid, 7)) == {locate(oid): 7}
    assert (store / locate(oid)).read_bytes() == b"weights"


def test_a_folder_comes_with_its_files(folders: tuple[Path, Path]) -> None:
    """Each member of the manifest, then the manifest."""
    handover, store = folders
    member = put(handover, b"1,2\n")
    listing = json.dumps([{"md5": member, "relpath": "a.csv"}]).encode()
    oid = put(handover, listing, f"{md5(listing)}.dir")
    assert list(store_objects(handover, store, want(oid))) == [locate(member), locate(oid)]


def test_a_manifest_of_another_name_is_refused(folders: tuple[Path, Path]) -> None:
    """Its members would be whatever somebody wrote there."""
    handover, store = folders
    member = put(handover, b"1,2\n")
    listing = json.dumps([{"md5": member, "relpath": "a.csv"}]).encode()
    oid = put(handover, listing, f"{'f' * 32}.dir")
    with pytest.raises(MlgitopsError, match="content is not that of its name"):
        store_objects(handover, store, want(oid))
    assert not (store / locate(member)).exists()


@pytest.mark.parametrize("suffix", ["", ".dir"])
def test_an_object_that_is_nowhere_is_refused(folders: tuple[Path, Path], suffix: str) -> None:
    """A lock never names what is not stored."""
    with pytest.raises(MlgitopsError, match="neither the storage nor the run has this object"):
        store_objects(*folders, want("f" * 32 + suffix))


def test_other_bytes_than_the_name_says_are_refused(folders: tuple[Path, Path]) -> None:
    """Nothing stays behind, half-written or whole."""
    handover, store = folders
    oid = put(handover, b"other weights", md5(b"weights"))
    with pytest.raises(MlgitopsError, match="content is not that of its name"):
        store_objects(handover, store, want(oid))
    assert [file for file in store.rglob("*") if file.is_file()] == []


def test_damage_in_the_storage_is_mended_or_refused(folders: tuple[Path, Path]) -> None:
    """What is there already counts only when it is what its name says."""
    handover, store = folders
    oid = put(store, b"half", md5(b"weights"))
    with pytest.raises(MlgitopsError, match="neither the storage nor the run has this object"):
        store_objects(handover, store, want(oid))
    put(store, b"half", oid)
    put(handover, b"weights")
    assert store_objects(handover, store, want(oid)) == {locate(oid): 7}
    assert (store / locate(oid)).read_bytes() == b"weights"


def test_a_size_that_is_not_the_locks_is_refused(folders: tuple[Path, Path]) -> None:
    """The lock's word on a size is shown to reviewers, so it is held against the bytes."""
    oid = put(folders[0], b"weights")
    with pytest.raises(MlgitopsError, match="7 bytes, and the lock says 8"):
        store_objects(*folders, want(oid, 8))


@pytest.mark.parametrize(("name", "limit"), [("MAX_OBJECTS", 1), ("MAX_TOTAL_BYTES", 13)])
def test_a_run_has_limits(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    """One object, or one byte, too many ends it."""
    monkeypatch.setattr(objects, name, limit)
    wanted = {
        path: DataVersion(hash=f"md5:{put(folders[0], data)}", size=7)
        for path, data in (("a", b"weights"), ("b", b"WEIGHTS"))
    }
    with pytest.raises(MlgitopsError, match=r"^b: over "):
        store_objects(*folders, wanted)


def test_an_object_too_large_for_the_storage_is_refused(folders: tuple[Path, Path]) -> None:
    """Before it is copied."""
    oid = put(folders[0], b"weights")
    with pytest.raises(MlgitopsError, match="over 6 bytes: too large for this storage"):
        copy_object(*folders, oid, "model.bin", limit=6)
    assert list(folders[1].iterdir()) == []
