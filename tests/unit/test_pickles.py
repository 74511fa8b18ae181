"""Tests of telling pickles by content. The pickles here hold plain values only."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import pickle
import pickletools
import re
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mlgitops.pickles import LOOK, find_pickle

VALUE = OrderedDict(a=[1, 2.5, "x"], b=None)


def _zip(name: str, data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, data)
    return target.getvalue()


def _array(values: object, *, objects: bool) -> bytes:
    target = io.BytesIO()
    np.save(target, np.array(values, dtype=object if objects else float), allow_pickle=objects)
    return target.getvalue()


def _header(description: str, *, blanks: int = 0, version: int = 1) -> bytes:
    """Write the beginning of an array as numpy reads it, by hand."""
    text = f"{' ' * blanks}{{'descr': {description}, 'fortran_order': False, 'shape': (1,), }}"
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_found(protocol: int) -> None:
    """Old and new pickles are found, plain and compressed."""
    data = pickle.dumps(VALUE, protocol=protocol)
    assert find_pickle(data) == "a pickle"
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        assert str(find_pickle(pack(data))).startswith("a pickle compressed with")
    alone = lzma.compress(data, format=lzma.FORMAT_ALONE)
    assert find_pickle(alone) == "a pickle compressed with lzma"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_array([{}, None], objects=True), "a numpy array of objects"),
        *(
            (_header(description, blanks=blanks, version=version), "a numpy array of objects")
            for description in ("'|O'", "'O'", "'=O8'", "'object'", "[('a', 'f8'), ('b', 'O')]")
            for blanks in (0, 2_000)
            for version in (1, 2, 3)
        ),
        (_header("[('a', [('b', '<f8'), ('c', 'O', (2,))])]"), "a numpy array of objects"),
        (_header("'<f8'")[:40], "a numpy array of objects"),
        (_zip("archive/data.pkl", b"x"), "an archive with a pickle inside"),
        (_zip("archive/data.pkl", b"x")[:-20], "an archive with a pickle inside"),
    ],
)
def test_what_hides_a_pickle_is_found(data: bytes, kind: str) -> None:
    """Object arrays and archives with a pickle inside are of the family."""
    assert find_pickle(data) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"id,target\n1,2\n",
        b"# A title\n\nSome text.",
        b"import os\n",
        b"(a)\n.",
        b"I am text.\n",
        b"N.",
        b"\x80",
        b"\x80\x04",
        b'{"a": 1}',
        b"stages:\n  a: 1\n",
        _array([1.0, 2.0], objects=False),
        *map(_header, ("'<f4'", "'|b1'", "'<U5'", "'<M8[ns]'", "[('a', '<c16'), ('O', '|S3')]")),
        _zip("schema.json", b"{}"),
        gzip.compress(b"id,target\n1,2\n", mtime=0),
        b"x\x9c broken",
        b"BZh broken",
        b"PAR1" + bytes(100),
        b"import os\n# quiet\n.",
        b"(import os)\n# quiet\n.",
        b"(include\nutil\n# quiet\n",
        b"cat\ndog\n.\n",
        b"NNR\n",
        b"(NtR.",
        b"(" * 2**12 + b"1" * 2**12,
    ],
)
def test_other_files_are_not_taken_for_pickles(data: bytes) -> None:
    """Text, tables, number arrays and skops archives are left alone."""
    assert find_pickle(data) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_looked_at_without_an_error(data: bytes) -> None:
    """No content makes the look fail."""
    find_pickle(data)


#: Beginnings of lines that are opcodes of old pickles, and what may follow in a source.
_WORDS = st.sampled_from(
    ["import os", "if x:", "class A", "from a import b", "(", ")", "[", "]", "}", "N", "#", ".",
     "cat", "dog", "p0", "g0", "I1", "F1.5", "S'a'", "V a", "t", "R", "b", "o", "0", "1", "# quiet"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=12))
def test_a_text_is_a_pickle_only_where_pickle_would_call_what_it_names(lines: list[str]) -> None:
    """However much a source looks like opcodes, a class that it names has a name of Python's.

    Without one nothing is called, and only a whole pickle with a memo is one.
    """
    text = "\n".join(lines)
    if find_pickle(text.encode()) is not None:
        assert "p0" in lines or re.search(r"(?m)(^|\W)[ci]\w+$", text)
        assert "." in text or "R" in lines or "b" in lines or "o" in lines or "i" in text


@pytest.mark.parametrize("folder", ["", "json", "email", "unittest", "xml/etree"])
def test_no_source_of_python_is_a_pickle(folder: str) -> None:
    """Real sources are none: the standard library's."""
    sources = list((Path(os.__file__).parent / folder).glob("*.py"))
    assert len(sources) > 3
    assert [path.name for path in sources if find_pickle(path.read_bytes())] == []


class Model:
    """What is pickled with a class of its own, with and without a state."""

    def __init__(self, state: object = None) -> None:
        self.state = state


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
_VALUES = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL), st.sampled_from(["C", "Python"]))
def test_a_pickle_that_makes_an_object_is_found(value: object, protocol: int, maker: str) -> None:
    """Whatever is in it, of every protocol, plain, compressed, cut or with more behind it."""
    target = io.BytesIO()
    pickler = pickle.Pickler if maker == "C" else pickle._Pickler
    pickler(target, protocol).dump([Model(value), VALUE])
    data = target.getvalue()
    assert find_pickle(data) == "a pickle"
    assert find_pickle(data[:-1]) == "a pickle"
    assert find_pickle(data + b"\n# quiet\n") == "a pickle"
    assert find_pickle(gzip.compress(data, mtime=0)) == "a pickle compressed with gzip"


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'ls'\ntR.",
        b"cos\nsystem\n(S'ls'\ntR# and then a text",
        b"(S'ls'\nios\nsystem\n",
        b"(cos\nsystem\nS'ls'\no",
        b"(ios\nfork\n.",
        b"(ios\nfork\n\xff",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
        b"N0cos\nsystem\n(S'ls'\ntR.",
    ],
)
def test_what_is_written_by_hand_to_call_is_found(data: bytes) -> None:
    """A call needs no protocol mark, no memo and no end."""
    assert find_pickle(data) == "a pickle"


#: What may stand for long before the opcodes that call: a megabyte of them, or of one argument.
_LONG = {
    "small values": b"N0" * LOOK,
    "bytes": b"B" + (2 * LOOK).to_bytes(4, "little") + bytes(2 * LOOK) + b"0",
    "text by its length": b"X" + (2 * LOOK).to_bytes(4, "little") + b"a" * 2 * LOOK + b"0",
    "text to the end of a line": b"V" + b"a" * 2 * LOOK + b"\n0",
    "a number with blanks": b"I" + b" " * 2 * LOOK + b"5\n0",
    "a marked protocol": b"\x80\x04\x8e"
    + (2 * LOOK).to_bytes(8, "little")
    + bytes(2 * LOOK)
    + b"0",
    "short texts": (b"U\xfd" + b"a" * 253 + b"0") * 2**13,
    "bytes until a name begins": b"B" + (LOOK - 10).to_bytes(4, "little") + bytes(LOOK - 10) + b"0",
    "numbers as Python writes them": b"I0x10\n0",
    "numbers as C writes them": b"I010\n0L0x1fL\n0",
}


@pytest.mark.parametrize("start", _LONG)
def test_what_calls_late_is_found(start: str) -> None:
    """Neither many opcodes nor a long argument hide what comes after the first megabyte."""
    call = pickle.dumps(VALUE, protocol=2)[2:]  # without the mark of its protocol
    data = _LONG[start] + call
    assert pickle.loads(data) == VALUE  # noqa: S301 - made here
    assert find_pickle(data) == "a pickle"
    assert find_pickle(data[:LOOK], size=len(data)) == "a pickle"
    assert find_pickle(gzip.compress(data, 1, mtime=0)) == "a pickle compressed with gzip"


def test_a_long_table_is_no_pickle() -> None:
    """Whatever letter it begins with, and however long it is; compressed, too."""
    for opcode in pickletools.opcodes:
        if not opcode.code.isprintable() or not opcode.code.isascii():
            continue
        data = f"{opcode.code}arget,x\n".encode() + b"1,0.5\n" * (LOOK // 4)
        assert find_pickle(data) is None
        assert find_pickle(data[:LOOK], size=2**28) is None
        assert find_pickle(gzip.compress(data, 1, mtime=0)) is None


def test_a_file_of_tensors_is_no_pickle() -> None:
    """It begins with the length of its header, of which any byte may be an opcode's."""
    header = b'{"weight":{"dtype":"F32","shape":[524288],"data_offsets":[0,2097152]}}'
    for first in range(256):
        length = first + 256 * 4
        data = length.to_bytes(8, "little") + header.ljust(length) + bytes(2 * LOOK)
        assert find_pickle(data) is None, first
        assert find_pickle(data[:LOOK], size=len(data)) is None, first


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma"])
def test_what_joblib_writes_is_found(compress: int | str, tmp_path: Path) -> None:
    """A model with an array is found, whatever it is compressed with."""
    path = tmp_path / "model"
    joblib = importlib.import_module("joblib")
    joblib.dump({"model": LogisticRegression(), "weights": np.arange(9.0)}, path, compress=compress)
    assert "a pickle" in (find_pickle(path.read_bytes()) or "")
