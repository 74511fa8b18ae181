"""An artifact's archive: hostile bytes in, the bytes of its one file out.

No I/O and nothing extracted. Whoever opened the pull request chose every byte, so the
archive must be exactly what GitHub's upload action writes for one small file.
"""

from __future__ import annotations

import io
import zipfile
import zlib

from mlgitops.errors import MlgitopsError

#: Bytes of the archive as downloaded; a report of 1 MiB that does not compress fits.
MAX_PACKED_BYTES = 2**20 + 2**16
#: Unpacked bytes for each packed one, beyond which we do not unpack: text reaches about 20.
MAX_RATIO = 200
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REGULAR, _KINDS = 0o100000, 0o170000
_END = b"PK\x05\x06"
_END_BYTES = 22
_DESCRIPTOR_BYTES = 24  # sizes behind the content, when it was packed while streaming


def read_only_member(data: bytes, name: str, *, limit: int) -> bytes:
    """Return the content of the archive's only member, which must be called ``name``.

    ``limit`` caps it in bytes, declared and actual. Raises :class:`MlgitopsError` for
    anything but one plain file in a whole archive without prefix, suffix or comment.
    """
    where = f"artifact archive, {name}"
    if len(data) > MAX_PACKED_BYTES:
        raise MlgitopsError(f"over {MAX_PACKED_BYTES} bytes", where=where)
    _check_end(data, where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise MlgitopsError(f"{len(members)} members instead of one", where=where)
            (member,) = members
            problem = _find_problem(member, name, limit) or _find_gap(member, data)
            if problem:
                raise MlgitopsError(problem, where=where)
            return _unpack(archive, member, limit, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise MlgitopsError("not a sound ZIP archive", where=where) from error
    except (OSError, RuntimeError, OverflowError) as error:
        raise MlgitopsError("the ZIP archive cannot be read", where=where) from error


def _check_end(data: bytes, where: str) -> None:
    """Hold the last 22 bytes to one disk, one entry, no comment: parsers agree on no other."""
    end = data[-_END_BYTES:]
    if not data.startswith(b"PK\x03\x04") or len(end) < _END_BYTES or end[:4] != _END:
        raise MlgitopsError("not a plain ZIP archive", where=where)
    if end[4:8] != b"\0\0\0\0" or end[20:] != b"\0\0":
        raise MlgitopsError("an archive in parts, or with a comment", where=where)
    if end[8:10] != end[10:12] or end[8:10] != b"\x01\0":
        count = max(int.from_bytes(end[at : at + 2], "little") for at in (8, 10))
        raise MlgitopsError(f"{count} members instead of one", where=where)
    size, start = int.from_bytes(end[12:16], "little"), int.from_bytes(end[16:20], "little")
    if start + size + _END_BYTES != len(data):
        raise MlgitopsError("bytes before, between or behind its parts", where=where)


def _find_problem(member: zipfile.ZipInfo, name: str, limit: int) -> str | None:
    """Say why ``member`` is not the plain file ``name``."""
    mode = member.external_attr >> 16
    reasons = {
        f"its member is {member.orig_filename[:80]!a}": member.orig_filename != name,
        "bytes before its member": member.header_offset != 0,
        "its member is a link, a folder or a device": mode & _KINDS not in (0, _REGULAR),
        "its member is encrypted": member.flag_bits & _ENCRYPTED != 0,
        "its member is packed in a way that we do not read": member.compress_type not in _METHODS,
        f"its member has over {limit} bytes": member.file_size > limit,
        f"its member is packed over {MAX_RATIO} times": (
            member.file_size > MAX_RATIO * max(member.compress_size, 1)
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _find_gap(member: zipfile.ZipInfo, data: bytes) -> str | None:
    """Say so when header, content and directory do not touch, a data descriptor aside."""
    name, extra = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
    gap = int.from_bytes(data[-6:-2], "little") - (30 + name + extra + member.compress_size)
    return None if 0 <= gap <= _DESCRIPTOR_BYTES else "its member's parts do not touch"


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int, where: str) -> bytes:
    with archive.open(member) as file:
        content = file.read(limit + 1)
    if len(content) != member.file_size:
        raise MlgitopsError("its member's size is not the declared one", where=where)
    return content
