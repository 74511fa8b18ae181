"""An artifact's archive: exactly one plain file in it, or a refusal that says why."""

from __future__ import annotations

import re

import pytest
from trust.archives import ARCHIVES, CONTENT, GOOD, NAME, pack, set_field
from trust.reasons import REASONS

from mlgitops.errors import MlgitopsError
from mlgitops.github.archive import MAX_PACKED_BYTES, read_members

LIMIT = 2**20


def test_what_the_upload_action_writes_is_read() -> None:
    """One member, packed or stored, at most as large as the limit."""
    assert read_members(GOOD, (NAME,), limit=len(CONTENT)) == {NAME: CONTENT}
    stored = pack((NAME, CONTENT), method=0)
    assert read_members(stored, (NAME,), limit=LIMIT) == {NAME: CONTENT}


def test_several_members_are_read_in_any_order() -> None:
    """Each of the names once, stored one after the other."""
    names = (NAME, "predicate.json")
    for members in ((NAME, CONTENT), (names[1], b"{}")), ((names[1], b"{}"), (NAME, CONTENT)):
        assert read_members(pack(*members), names, limit=LIMIT) == dict(members)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (((NAME, CONTENT),), "1 members instead of 2"),
        (((NAME, CONTENT), (NAME, CONTENT)), "members of the same name"),
        (((NAME, CONTENT), ("other.json", b"{}")), "its member is 'other.json'"),
        (((NAME, CONTENT), ("b.json", b"{}"), ("c.json", b"{}")), "3 members instead of 2"),
        (((NAME, CONTENT), ("b.json", bytes(LIMIT + 1))), f"its member has over {LIMIT} bytes"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_members_than_those_expected_are_refused(
    members: tuple[tuple[str, bytes], ...], reason: str
) -> None:
    """One is missing, one is there twice, one is another, one is too many, one is too large."""
    with pytest.raises(MlgitopsError, match=re.escape(reason)):
        read_members(pack(*members), (NAME, "b.json"), limit=LIMIT)


def test_bytes_between_two_members_are_refused() -> None:
    """Each begins where the one before it ends."""
    stored = pack((NAME, CONTENT), ("b.json", b"{}"), method=0)
    second = stored.index(b"PK\x03\x04", 4)
    hidden = bytes(40)
    moved = stored[:second] + hidden + stored[second:]
    entry = moved.index(b"PK\x01\x02", moved.index(b"PK\x01\x02") + 4)
    at = (second + len(hidden)).to_bytes(4, "little")
    moved = moved[: entry + 42] + at + moved[entry + 46 :]
    directory = int.from_bytes(stored[-6:-2], "little") + len(hidden)
    moved = moved[:-6] + directory.to_bytes(4, "little") + moved[-2:]
    with pytest.raises(MlgitopsError, match="its member's parts do not touch"):
        read_members(moved, (NAME, "b.json"), limit=LIMIT)


@pytest.mark.parametrize("case", ARCHIVES)
def test_any_other_archive_is_refused(case: str) -> None:
    """The hostile corpus, in this process."""
    with pytest.raises(MlgitopsError, match=re.escape(REASONS["archive"][case])):
        read_members(ARCHIVES[case], (NAME,), limit=LIMIT)


def test_an_archive_over_the_limit_is_not_opened() -> None:
    """Its bytes are counted before anything of it is read."""
    large = pack((NAME, bytes(range(256)) * 8_192), method=0)
    assert len(large) > MAX_PACKED_BYTES
    with pytest.raises(MlgitopsError, match=f"over {MAX_PACKED_BYTES} bytes"):
        read_members(large, (NAME,), limit=2**24)


def test_a_directory_that_lies_about_a_stored_size_is_refused() -> None:
    """What is unpacked is held against the declared size."""
    stored = pack((NAME, CONTENT), method=0)
    with pytest.raises(MlgitopsError, match=r"not a sound ZIP|size is not the declared|not touch"):
        read_members(set_field(stored, 24, len(CONTENT) + 1), (NAME,), limit=LIMIT)
