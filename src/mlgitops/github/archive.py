"""An artifact's archive: hostile bytes in, the bytes of the files that are expected out.

No I/O and nothing extracted. Whoever opened the pull request chose every byte, so the
archive must be exactly what GitHub's upload action writes for a few small files.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bytes of the archive as downloaded; a report of 1 MiB that does not compress fits.
MAX_PACKED_BYTES = 2**20 + 2**16
#: Unpacked bytes for each packed one, beyond which we do not unpack: text reaches about 20.
MAX_RATIO = 200
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REGULAR, _KINDS = 0o100000, 0o170000
_END = b"PK\x05\x06"
_END_BYTES = 22
_HEADER_BYTES = 30  # of a member, before its name and extra field
_DESCRIPTOR_BYTES = 24  # sizes behind the content, when it was packed while streaming


def read_members(data: bytes, names: Sequence[str], *, limit: int) -> dict[str, bytes]:
    """Return name → content of the archive's members, which must be ``names``, in any order.

    ``limit`` caps each in bytes, declared and actual. Raises :class:`MlgitopsError` for
    anything but so many plain files in a whole archive without prefix, suffix or comment.
    """
    where = f"artifact archive, {names[0]}"
    if len(data) > MAX_PACKED_BYTES:
        raise MlgitopsError(f"over {MAX_PACKED_BYTES} bytes", where=where)
    _check_end(data, len(names), where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.header_offset)
            if len({member.orig_filename for member in members}) != len(names):
                raise MlgitopsError(_miscount(len(members), len(names)), where=where)
            problems = (_find_problem(member, names, limit) for member in members)
            problem = next(filter(None, problems), None) or _find_gap(members, data)
            if problem:
                raise MlgitopsError(problem, where=where)
            return {member.filename: _unpack(archive, member, limit, where) for member in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise MlgitopsError("not a sound ZIP archive", where=where) from error
    except (OSError, RuntimeError, OverflowError) as error:
        raise MlgitopsError("the ZIP archive cannot be read", where=where) from error


def _check_end(data: bytes, members: int, where: str) -> None:
    """Hold the last 22 bytes to one disk and no comment: parsers agree on no other form."""
    end = data[-_END_BYTES:]
    if not data.startswith(b"PK\x03\x04") or len(end) < _END_BYTES or end[:4] != _END:
        raise MlgitopsError("not a plain ZIP archive", where=where)
    if end[4:8] != b"\0\0\0\0" or end[20:] != b"\0\0":
        raise MlgitopsError("an archive in parts, or with a comment", where=where)
    if end[8:10] != end[10:12] or end[8:10] != members.to_bytes(2, "little"):
        count = max(int.from_bytes(end[at : at + 2], "little") for at in (8, 10))
        raise MlgitopsError(_miscount(count, members), where=where)
    size, start = int.from_bytes(end[12:16], "little"), int.from_bytes(end[16:20], "little")
    if start + size + _END_BYTES != len(data):
        raise MlgitopsError("bytes before, between or behind its parts", where=where)


def _miscount(actual: int, expected: int) -> str:
    if actual == expected:
        return "members of the same name"
    return f"{actual} members instead of {'one' if expected == 1 else expected}"


def _find_problem(member: zipfile.ZipInfo, names: Sequence[str], limit: int) -> str | None:
    """Say why ``member`` is not a plain file that is called as one of ``names``."""
    mode = member.external_attr >> 16
    reasons = {
        f"its member is {member.orig_filename[:80]!a}": member.orig_filename not in names,
        "its member is a link, a folder or a device": mode & _KINDS not in (0, _REGULAR),
        "its member is encrypted": member.flag_bits & _ENCRYPTED != 0,
        "its member is packed in a way that we do not read": member.compress_type not in _METHODS,
        f"its member has over {limit} bytes": member.file_size > limit,
        f"its member is packed over {MAX_RATIO} times": (
            member.file_size > MAX_RATIO * max(member.compress_size, 1)
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _find_gap(members: Sequence[zipfile.ZipInfo], data: bytes) -> str | None:
    """Say so when headers, contents and directory do not touch, data descriptors aside.

    ``members`` are in the order in which they stand in the archive.
    """
    if members[0].header_offset != 0:
        return "bytes before its member"
    directory = int.from_bytes(data[-6:-2], "little")
    starts = [*(member.header_offset for member in members), directory]
    for member, (start, following) in zip(members, pairwise(starts), strict=True):
        header = data[start : start + _HEADER_BYTES]
        texts = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        gap = following - start - (_HEADER_BYTES + texts + member.compress_size)
        if not 0 <= gap <= _DESCRIPTOR_BYTES:
            return "its member's parts do not touch"
    return None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int, where: str) -> bytes:
    with archive.open(member) as file:
        content = file.read(limit + 1)
    if len(content) != member.file_size:
        raise MlgitopsError("its member's size is not the declared one", where=where)
    return content
