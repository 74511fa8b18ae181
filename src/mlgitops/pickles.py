"""Tell by content whether a file is of the pickle family, which runs code when it is loaded.

pickle, joblib, numpy object arrays and PyTorch archives, plain or compressed. Nothing is
loaded; at most the first megabyte is followed, and opcodes that go on beyond it are a pickle.
No I/O: the bytes are given.
"""

from __future__ import annotations

import ast
import bz2
import codecs
import lzma
import pickletools
import re
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
#: So many in a row, each of which `pickle` would run, are a pickle, whatever comes then.
_MOST_OPCODES = 2**16
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_BEYOND = "beyond"  # stands for the opcodes after the bytes that are looked at
#: How `pickletools` writes the length of an argument → bytes of the number that says it.
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
#: What `pickle` reads as a whole number where `pickletools` may not, such as `0x10` and `010`.
_WHOLE = re.compile(rb"\s*[+-]?\w+\s*")
#: How much a compressed file may hold. A text that begins with the letter of an opcode would name
#: an argument of 2**27 bytes or more.
_MOST_INSIDE, _MOST_TEXT_INSIDE = 2**32, 2**27
#: Types of numpy that hold no objects: a letter of its kinds or of its types, without `O`.
_NUMBERS = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDGSUaVMmcpPu]\d*(\[[\w/]+\])?")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
_LARGEST_HEADER = 2**16  # of an array, in bytes; numpy itself reads 10,000


def find_pickle(data: bytes, *, size: int | None = None) -> str | None:
    """Say of what kind a file is when loading it could run code; None when it could not.

    ``data`` is all of it, or the first :data:`LOOK` bytes of ``size``.

    >>> import pickle
    >>> find_pickle(pickle.dumps({"a": 1})), find_pickle(b"id,target")
    ('a pickle', None)
    """
    if _is_pickle(data, size or len(data)):
        return "a pickle"
    if data.startswith(_NUMPY) and not _holds_numbers(data):
        return "a numpy array of objects"
    if data.startswith(b"PK"):
        return _look_into_archive(data)
    for mark, kind, inflate in _COMPRESSED:
        if data.startswith(mark):
            inside = inflate(data)
            if inside and (_is_pickle(inside, _bound(inside)) or inside.startswith(_NUMPY)):
                return f"a pickle compressed with {kind}"
    return None


def _bound(inside: bytes) -> int:
    """Return how many bytes there may be of what a compressed file begins with."""
    if len(inside) < LOOK:
        return len(inside)
    return _MOST_TEXT_INSIDE if _is_text(inside) else _MOST_INSIDE


def _is_pickle(data: bytes, size: int) -> bool:
    """Tell whether the opcodes of a pickle stand at the beginning of a file of ``size`` bytes."""
    if len(data) > 1 and data[0] == 0x80 and 2 <= data[1] <= 5:  # noqa: PLR2004 - protocols
        return _has_opcodes(data, size)
    return _is_old_pickle(data, size)


def _is_old_pickle(data: bytes, size: int) -> bool:
    """Tell whether a file without a protocol mark calls something, or is a whole pickle.

    Nearly every letter is an opcode, so a text may begin like a pickle (`import os` names a class).
    Only what `pickle` would run counts: it stops where the stack lacks what an opcode takes. What
    it would run up to the end of the look, or without end, is a pickle, whatever comes there.
    """
    names: set[str] = set()
    for count, name in enumerate(_follow(data, size), start=1):
        if name == _BEYOND or count > _MOST_OPCODES:
            return True
        names.add(name)
        is_of_class = not names.isdisjoint(_NAMES)
        if name in _CALLS and is_of_class and (count > _EVIDENCE or not _is_text(data)):
            return True
        if name == "STOP":
            return not names.isdisjoint(_PUTS | _CALLS) or (is_of_class and not _is_text(data))
    return False


def _follow(data: bytes, size: int) -> Iterator[str]:
    """Yield the name of each opcode up to the first that `pickle` would refuse."""
    stack: list[object] = []
    memo: set[object] = set()
    try:
        for opcode, argument in _read_opcodes(data, size):
            if opcode is None:
                yield _BEYOND
                return
            if not (_names_class(opcode.name, argument) and _step(opcode, argument, stack, memo)):
                return
            yield opcode.name
    except Exception:  # noqa: BLE001 - any error means: these are not opcodes
        return


def _read_opcodes(data: bytes, size: int) -> Iterator[tuple[pickletools.OpcodeInfo | None, object]]:
    """Yield each opcode and its argument; None where they go on after :data:`LOOK` bytes.

    As `pickletools.genops`, which refuses what is cut and whole numbers that `pickle` reads.
    """
    file = BytesIO(data[:LOOK])
    while code := file.read(1):
        opcode, begin = _OPCODES[code], file.tell()
        end = _find_end(opcode, data, begin, size)
        if LOOK < end <= size:
            yield None, None
            return
        if opcode.name in ("INT", "LONG") and _WHOLE.fullmatch(data[begin : end - 1]):
            yield opcode, None
        else:
            yield opcode, opcode.arg.reader(file) if opcode.arg is not None else None
        file.seek(end)
        if opcode.name == "STOP":
            return
    if size > LOOK:
        yield None, None


def _find_end(opcode: pickletools.OpcodeInfo, data: bytes, begin: int, size: int) -> int:
    """Return where an argument ends that begins at ``begin``: above ``size`` where it has no end.

    A line of text that is cut may end within the file.
    """
    kind = 0 if opcode.arg is None else opcode.arg.n
    if kind >= 0:
        return begin + kind
    if kind in _LENGTHS:
        width = _LENGTHS[kind]
        return begin + width + int.from_bytes(data[begin : begin + width], "little")
    end = begin
    for _ in range(2 if opcode.name in ("GLOBAL", "INST") else 1):
        end = data.find(b"\n", end) + 1
        if end == 0:
            return size if len(data) < size and _is_text(data[begin:]) else size + 1
    return end


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
    """Tell whether the first bytes are text, but for a character that may be cut at their end."""
    data = data[:LOOK]
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    return "\ufffd" not in text and _CONTROL.search(data) is None


def _has_opcodes(data: bytes, size: int) -> bool:
    """Tell whether more opcodes stand in a row than by coincidence."""
    count = 0
    try:
        for opcode, _ in _read_opcodes(data, size):
            count += 1
            if opcode is None or count > _EVIDENCE:
                return True
    except Exception:  # noqa: BLE001 - any error means: no further opcode
        return False
    return False


def _holds_numbers(data: bytes) -> bool:
    """Tell whether the types in the header of a numpy array hold no objects, as numpy reads it."""
    try:
        begin = 10 if data[6] == 1 else 12  # after a length of two bytes, or of four
        length = int.from_bytes(data[8:begin], "little")
        if length > _LARGEST_HEADER:
            return False
        header = ast.literal_eval(data[begin : begin + length].decode("utf-8").strip())
        return _is_of_numbers(header["descr"])
    except Exception:  # noqa: BLE001 - any error means: it is not known what it holds
        return False


def _is_of_numbers(description: object) -> bool:
    """Tell whether a type's description, or each of its fields', is of numbers or text."""
    if isinstance(description, str):
        return bool(_NUMBERS.fullmatch(description))
    if isinstance(description, tuple):  # a type with a shape
        return bool(description) and _is_of_numbers(description[0])
    if not isinstance(description, list):
        return False
    return all(len(field) > 1 and _is_of_numbers(field[1]) for field in description)


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
