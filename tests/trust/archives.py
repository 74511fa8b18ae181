"""Archives that GitHub's upload action never writes, each with why we refuse it."""

from __future__ import annotations

import io
import struct
import zipfile

NAME = "report.json"
CONTENT = b'{"schema": 1}'


def pack(
    *members: tuple[str, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    mode: int = 0o100644,
    comment: bytes = b"",
) -> bytes:
    """Pack ``members`` (name, content) into an archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = method
            info.external_attr = mode << 16
            archive.writestr(info, content)
        archive.comment = comment
    return target.getvalue()


def set_field(data: bytes, offset: int, value: int, size: int = 4) -> bytes:
    """Overwrite a number of the central directory, ``offset`` bytes from its start."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def set_local(data: bytes, offset: int, value: int, size: int = 2) -> bytes:
    """Overwrite a number of the local header."""
    return data[:offset] + value.to_bytes(size, "little") + data[offset + size :]


def set_end(data: bytes, offset: int, value: int, size: int = 2) -> bytes:
    """Overwrite a number of the record at the end."""
    at = len(data) - 22 + offset
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


GOOD = pack((NAME, CONTENT))
_TWICE = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 0, 0, 0)

ARCHIVES: dict[str, bytes] = {
    "empty": b"",
    "not an archive": CONTENT,
    "a gzip stream": b"\x1f\x8b\x08\x00" + b"\0" * 40,
    "no member": pack(),
    "a second member": pack((NAME, CONTENT), ("policy.yaml", b"version: 1")),
    "many members": pack(*((f"{at}.json", b"x") for at in range(2_000))),
    "another name": pack(("other.json", CONTENT)),
    "upper case": pack(("REPORT.JSON", CONTENT)),
    "a leading dot": pack(("./report.json", CONTENT)),
    "a parent folder": pack(("../report.json", CONTENT)),
    "two parents": pack(("../../report.json", CONTENT)),
    "a folder": pack(("a/report.json", CONTENT)),
    "an absolute path": pack(("/report.json", CONTENT)),
    "a backslash": pack(("..\\report.json", CONTENT)),
    "a drive": pack(("C:report.json", CONTENT)),
    "a trailing slash": pack(("report.json/", b"")),
    "a trailing blank": pack(("report.json ", CONTENT)),
    "a NUL in the name": pack(("report.json\0.txt", CONTENT)),
    "an invisible character": pack(("report\u200b.json", CONTENT)),
    "a symbolic link": pack((NAME, b"/etc/hostname"), mode=0o120777),
    "a folder's mode": pack((NAME, CONTENT), mode=0o040755),
    "a device": pack((NAME, CONTENT), mode=0o020666),
    "a pipe": pack((NAME, CONTENT), mode=0o010644),
    "a comment": pack((NAME, CONTENT), comment=b"hello"),
    "a comment declared": set_end(GOOD, 20, 5),
    "bzip2": pack((NAME, CONTENT), method=zipfile.ZIP_BZIP2),
    "lzma": pack((NAME, CONTENT), method=zipfile.ZIP_LZMA),
    "an unknown method": set_field(GOOD, 10, 99, 2),
    "encrypted": set_local(set_field(GOOD, 8, 1, 2), 6, 1),
    "over the limit": pack((NAME, bytes(2**20 + 1))),
    "far over the limit": pack((NAME, bytes(2**24))),
    "packed too well": pack((NAME, bytes(2**20))),
    "a size declared too large": set_field(GOOD, 24, 2**32 - 2),
    "a size declared too small": set_field(GOOD, 24, 3),
    "a packed size declared too small": set_field(GOOD, 20, 3),
    "a packed size beyond the file": set_field(GOOD, 20, 2**20),
    "a wrong checksum": set_field(GOOD, 16, 7),
    "a header elsewhere": set_field(GOOD, 42, 9),
    "a header beyond the file": set_field(GOOD, 42, 2**31),
    "another name in the local header": GOOD.replace(b"report", b"rep0rt", 1),
    "a first byte flipped": b"X" + GOOD[1:],
    "content flipped": GOOD[:45] + bytes([GOOD[45] ^ 255]) + GOOD[46:],
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "cut at the end": GOOD[:-1],
    "bytes in front": b"#!/bin/sh\n" + GOOD,
    "bytes behind": GOOD + b"x",
    "a second end": GOOD + _TWICE,
    "two archives": GOOD + GOOD,
    "one of several disks": set_end(GOOD, 4, 1),
    "two entries declared": set_end(set_end(GOOD, 8, 2), 10, 2),
    "no entry declared": set_end(set_end(GOOD, 8, 0), 10, 0),
    "counts that differ": set_end(GOOD, 8, 2),
    "a ZIP64 count": set_end(set_end(GOOD, 8, 65_535), 10, 65_535),
    "a directory elsewhere": set_end(GOOD, 16, 0, 4),
    "a directory too long": set_end(GOOD, 12, 2**20, 4),
}
