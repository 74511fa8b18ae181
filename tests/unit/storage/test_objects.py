"""Objects of a handover: copied where they are named, and nowhere else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mlgitops.dvc.stored import locate
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.objects import copy_object

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"a model"
OID = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def handover(tmp_path: Path) -> Path:
    """Return a handover with one object."""
    file = tmp_path / "handover" / locate(OID)
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    return tmp_path / "handover"


def test_a_link_to_elsewhere_is_not_written_through(handover: Path, tmp_path: Path) -> None:
    """A folder of the store that is a link is refused."""
    store, outside = tmp_path / "store", tmp_path / "outside"
    outside.mkdir()
    folder = (store / locate(OID)).parent
    folder.parent.mkdir(parents=True)
    folder.symlink_to(outside)
    with pytest.raises(MlgitopsError, match="this is a link"):
        copy_object(handover, store, OID, "model", limit=100)
    assert not list(outside.iterdir())


def test_a_link_in_the_place_of_a_part_is_replaced(handover: Path, tmp_path: Path) -> None:
    """The name under which an object is written first is known, too."""
    target, victim = tmp_path / "store" / locate(OID), tmp_path / "victim"
    victim.write_text("mine")
    target.parent.mkdir(parents=True)
    target.with_name(f".{target.name}.part").symlink_to(victim)
    assert copy_object(handover, tmp_path / "store", OID, "model", limit=100) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert victim.read_text() == "mine"
