"""An artifact's archive: exactly one plain file in it, or a refusal that says why."""

from __future__ import annotations

import re

import pytest
from trust.archives import ARCHIVES, CONTENT, GOOD, NAME, pack, set_field
from trust.reasons import REASONS

from mlgitops.errors import MlgitopsError
from mlgitops.github.archive import MAX_PACKED_BYTES, read_only_member

LIMIT = 2**20


def test_what_the_upload_action_writes_is_read() -> None:
    """One member, packed or stored, at most as large as the limit."""
    assert read_only_member(GOOD, NAME, limit=len(CONTENT)) == CONTENT
    assert read_only_member(pack((NAME, CONTENT), method=0), NAME, limit=LIMIT) == CONTENT


@pytest.mark.parametrize("case", ARCHIVES)
def test_any_other_archive_is_refused(case: str) -> None:
    """The hostile corpus, in this process."""
    with pytest.raises(MlgitopsError, match=re.escape(REASONS["archive"][case])):
        read_only_member(ARCHIVES[case], NAME, limit=LIMIT)


def test_an_archive_over_the_limit_is_not_opened() -> None:
    """Its bytes are counted before anything of it is read."""
    large = pack((NAME, bytes(range(256)) * 8_192), method=0)
    assert len(large) > MAX_PACKED_BYTES
    with pytest.raises(MlgitopsError, match=f"over {MAX_PACKED_BYTES} bytes"):
        read_only_member(large, NAME, limit=2**24)


def test_a_directory_that_lies_about_a_stored_size_is_refused() -> None:
    """What is unpacked is held against the declared size."""
    stored = pack((NAME, CONTENT), method=0)
    with pytest.raises(MlgitopsError, match=r"not a sound ZIP|size is not the declared|not touch"):
        read_only_member(set_field(stored, 24, len(CONTENT) + 1), NAME, limit=LIMIT)
