"""Tell by content whether a file is of the pickle family, which runs code when it is loaded.

pickle, joblib, numpy object arrays and PyTorch archives, plain or compressed. Nothing is
loaded; at most the first megabyte is looked at. No I/O: the bytes are given.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import pickletools
import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How much of a file decides, in bytes, also after decompression.
LOOK = 2**20
_NUMPY = b"\x93NUMPY"
_MEMBERS = (".pkl", ".pickle", ".joblib", ".p")
_NAMES = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
_CALLS = frozenset({"INST", "REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_MARK = pickletools.markobject
_EVIDENCE = 2  # opcodes that may stand in a row by coincidence


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
    """Tell whether a file without a protocol mark calls something, or is a whole pickle.

    Nearly every letter is an opcode, so a text may begin like a pickle (`import os` names a class).
    Only what `pickle` would run counts: it stops where the stack lacks what an opcode takes.
    """
    names: set[str] = set()
    for count, name in enumerate(_follow(data), start=1):
        names.add(name)
        is_of_class = not names.isdisjoint(_NAMES)
        if name in _CALLS and is_of_class and (count > _EVIDENCE or not _is_text(data)):
            return True
        if name == "STOP":
            return not names.isdisjoint(_PUTS | _CALLS) or (is_of_class and not _is_text(data))
    return False


def _follow(data: bytes) -> Iterator[str]:
    """Yield the name of each opcode up to the first that `pickle` would refuse."""
    stack: list[object] = []
    memo: set[object] = set()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if not (_names_class(opcode.name, argument) and _step(opcode, argument, stack, memo)):
                return
            yield opcode.name
    except Exception:  # noqa: BLE001 - any error means: these are not opcodes
        return


def _names_class(opcode: str, argument: object) -> bool:
    """Tell whether a class that is named by lines of text, if so, is named as Python does."""
    if opcode not in ("GLOBAL", "INST"):
        return True
    module, _, name = str(argument).partition(" ")
    return all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def _step(
    opcode: pickletools.OpcodeInfo, argument: object, stack: list[object], memo: set[object]
) -> bool:
    """Take from the stack and put there what an opcode does; False when it cannot.

    As `pickletools.dis` does, which cannot say how far it came.
    """
    before = opcode.stack_before
    if opcode.name in _PUTS:
        memo.add(len(memo) if opcode.name == "MEMOIZE" else argument)
        return bool(stack) and stack[-1] is not _MARK
    if opcode.name in _GETS and argument not in memo:
        return False
    if _MARK in before:
        if not _pop_to_mark(stack):
            return False
        before = before[: before.index(_MARK)]
    bottom = len(stack) - len(before)
    if bottom < 0 or (_MARK in stack[bottom:] and opcode.name != "POP"):
        return False
    del stack[bottom:]
    stack.extend(opcode.stack_after)
    return True


def _pop_to_mark(stack: list[object]) -> bool:
    """Take what lies on the last mark, and the mark; False when there is none."""
    return any(stack.pop() is _MARK for _ in range(len(stack)))


def _is_text(data: bytes) -> bool:
    """Tell whether the bytes are text, but for a character that may be cut at their end."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    return "\ufffd" not in text and not any(c < " " and c not in "\t\n\r\f" for c in text)


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
