"""Tell by content whether a file is of the pickle family, which runs code when it is loaded.

pickle, joblib, numpy object arrays and PyTorch archives, plain or compressed. Nothing is
loaded; at most the first megabyte is looked at. No I/O: the bytes are given.
"""

from __future__ import annotations

import bz2
import lzma
import pickletools
import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: How much of a file decides, in bytes, also after decompression.
LOOK = 2**20
_NUMPY = b"\x93NUMPY"
_MEMBERS = (".pkl", ".pickle", ".joblib", ".p")
_CALLS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "REDUCE", "OBJ", "NEWOBJ", "BUILD"})
_EVIDENCE = 2  # opcodes in a row that are no coincidence in a file without a protocol mark


def find_pickle(data: bytes) -> str | None:
    """Say of what kind ``data`` is when loading it could run code; None when it could not.

    >>> import pickle
    >>> find_pickle(pickle.dumps({"a": 1})), find_pickle(b"id,target")
    ('a pickle', None)
    """
    data = data[:LOOK]
    if _is_pickle(data):
        return "a pickle"
    if data.startswith(_NUMPY) and b"|O" in data[:512]:
        return "a numpy array of objects"
    if data.startswith(b"PK"):
        return _look_into_archive(data)
    for mark, kind, inflate in _COMPRESSED:
        if data.startswith(mark):
            inside = inflate(data)
            if inside and (_is_pickle(inside) or inside.startswith(_NUMPY)):
                return f"a pickle compressed with {kind}"
    return None


def _is_pickle(data: bytes) -> bool:
    """Tell whether the opcodes of a pickle stand at the beginning."""
    if len(data) > 1 and data[0] == 0x80 and 2 <= data[1] <= 5:  # noqa: PLR2004 - protocols
        return _count_opcodes(data) > _EVIDENCE
    return _is_old_pickle(data)


def _is_old_pickle(data: bytes) -> bool:
    """Tell whether a file without a protocol mark is a whole pickle that makes an object."""
    names = set()
    try:
        for opcode, _, position in pickletools.genops(data):
            names.add(opcode.name)
            if opcode.name == "STOP":
                return position is not None and bool(names & (_CALLS | {"PUT", "BINPUT"}))
    except Exception:  # noqa: BLE001 - any error means: these are not opcodes
        return len(data) == LOOK and bool(names & _CALLS)
    return False


def _count_opcodes(data: bytes) -> int:
    count = 0
    try:
        for _ in pickletools.genops(data):
            count += 1
            if count > _EVIDENCE:
                break
    except Exception:  # noqa: BLE001 - any error means: no further opcode
        return count
    return count


def _look_into_archive(data: bytes) -> str | None:
    """Look at the names of an archive's members; a cut archive is read by its local headers."""
    names: list[str] = []
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        names = [suffix for suffix in _MEMBERS if suffix.encode() in data.lower()]
    if any(name.lower().endswith(_MEMBERS) for name in names):
        return "an archive with a pickle inside"
    return None


def _inflate_zlib(data: bytes, *, bits: int) -> bytes:
    try:
        return zlib.decompressobj(bits).decompress(data, LOOK)
    except zlib.error:
        return b""


def _inflate_bz2(data: bytes) -> bytes:
    try:
        return bz2.BZ2Decompressor().decompress(data, LOOK)
    except (OSError, ValueError):
        return b""


def _inflate_lzma(data: bytes) -> bytes:
    try:
        return lzma.LZMADecompressor(memlimit=2**28).decompress(data, LOOK)
    except (lzma.LZMAError, ValueError):
        return b""


_COMPRESSED: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", "gzip", lambda data: _inflate_zlib(data, bits=31)),
    (b"\x78", "zlib", lambda data: _inflate_zlib(data, bits=15)),
    (b"BZh", "bzip2", _inflate_bz2),
    (b"\xfd7zXZ", "xz", _inflate_lzma),
    (b"\x5d\x00\x00", "lzma", _inflate_lzma),
)
